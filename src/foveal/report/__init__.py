"""The report of a run: report.json, one schema for all tasks; report.html, which loads nothing from outside; a model
card."""

from foveal.report.card import model_card, write_card
from foveal.report.deciding import words_on_deciding
from foveal.report.found import pictured
from foveal.report.page import write_page
from foveal.report.reference import reference_page, studies_page
from foveal.report.schema import Report, build_report, printable
from foveal.report.trust import trust_cautions
from foveal.report.words import columns_of, counted_groups, counts_of, named, number, words_on_looks

__all__ = [
    "Report",
    "build_report",
    "columns_of",
    "counted_groups",
    "counts_of",
    "model_card",
    "named",
    "number",
    "pictured",
    "printable",
    "reference_page",
    "studies_page",
    "trust_cautions",
    "words_on_deciding",
    "words_on_looks",
    "write_card",
    "write_page",
]
