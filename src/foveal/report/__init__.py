"""The report of a run: report.json, one schema for all tasks, and report.html, which loads nothing from outside."""

from foveal.report.page import write_page
from foveal.report.reference import reference_page, studies_page
from foveal.report.schema import Report, build_report, printable
from foveal.report.words import columns_of, counts_of, named, number, words_on_looks

__all__ = [
    "Report",
    "build_report",
    "columns_of",
    "counts_of",
    "named",
    "number",
    "printable",
    "reference_page",
    "studies_page",
    "words_on_looks",
    "write_page",
]
