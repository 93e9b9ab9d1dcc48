"""From the rows of tables to images with targets. What is wrong with a row is told with its line."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from foveal.data.sources.columns import SPLIT_VALUES, Columns
from foveal.data.sources.layout import Layout, as_cell, folder_splits
from foveal.data.sources.rows import Row, Sheet
from foveal.errors import SourceError
from foveal.phrasing import counted
from foveal.types import Entry, Finding

__all__ = ["FAULTS", "assemble", "spellings"]

SHOWN = 20  # rows of one fault that are told
CELLS = "They are left out. Give each as many cells as the header has; quote a cell that holds the delimiter."

FAULTS = {  # kind of finding, message, remedy
    "few-cells": ("wrong-row", "rows with fewer cells than the header", CELLS),
    "many-cells": ("wrong-row", "rows with more cells than the header", CELLS),
    "no-utf8": ("wrong-row", "rows with bytes that are no UTF-8", "They are left out. Save the table as UTF-8."),
    "nul": ("wrong-row", "rows with NUL characters", "They are left out. The table is damaged there: write them anew."),
    "no-object": ("wrong-row", "lines that are no JSON object", "They are left out. Write one object a line."),
    "no-path": ("wrong-row", "rows that name no file", "They are left out. Fill in the path, or remove them."),
    "no-folder": (
        "wrong-row",
        "paths without a folder, whose name would be the class",
        "They are left out. Write CLASS/IMAGE, or a table with the columns path and target.",
    ),
    "unknown-split": (
        "wrong-row",
        "rows of a split that is none of train, validation, test",
        "They are left out. Correct the split; an empty one leaves the division to Foveal.",
    ),
    "missing": (
        "missing-file",
        "rows whose file is not there",
        "They are left out. Bring the files, or correct the path.",
    ),
    "contradicting-targets": (
        "contradicting-row",
        "rows of the same file with different targets",
        "They are left out, all of them. Decide on one of each.",
    ),
    "contradicting-places": (
        "contradicting-row",
        "rows of the same file in different splits or groups",
        "They are left out, all of them. Decide on one of each.",
    ),
    "repeated": ("repeated-row", "rows that repeat another", "The first is used. Remove the others."),
}

Locate = Callable[[Sheet, str], "str | None"]
Beside = Callable[[Collection[str]], Collection[str]]


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with a row.

    Args:
        file: that the row names, as far as that is known.
        detail: what is written there.
    """

    reason: str
    sheet: Sheet
    row: Row
    file: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    entry: Entry
    sheet: Sheet
    row: Row


def assemble(
    tables: Sequence[tuple[Sheet, Columns]],
    locate: Locate,
    looked: str,
    beside: Beside = lambda mentioned: (),
    inner: int = 0,
) -> Layout:
    """
    Args:
        locate: the source's name of a file that a table names, or None where it is not there.
        looked: the places where `locate` looks, in words.
        beside: files that lie beside those that are mentioned, for the finding about those that no row names.
        inner: folders around a file that say no split.

    Raises:
        SourceError: the tables have different targets.
    """
    columns = _targets(tables)
    named: dict[str, list[_Named]] = defaultdict(list)
    faults: list[_Fault] = []
    for sheet, at in tables:
        for row in sheet.rows:
            read = _read(sheet, at, row, locate)
            if isinstance(read, _Fault):
                faults.append(read)
            else:
                named[read.file].append(_Named(read, sheet, row))
    mentioned = {*named, *(fault.file for fault in faults)}
    entries = []
    for rows in named.values():
        reason = _contradiction(rows)
        entries += [] if reason else [rows[0].entry]
        wrong = rows if reason else rows[1:]
        faults += [_Fault(reason or "repeated", one.sheet, one.row, one.entry.file) for one in wrong]
    if all(at.split is None for _, at in tables):
        splits = folder_splits([entry.file for entry in entries], inner)
        entries = [
            replace(entry, split=split) if split and not entry.split else entry for entry, split in zip(entries, splits)
        ]
    findings = [*_told(faults, looked), *_extra(sorted(set(beside(mentioned)) - mentioned))]
    return Layout(tuple(sorted(entries, key=lambda entry: entry.file)), tuple(findings), columns)


def spellings(written: str) -> Iterator[str]:
    """A path as it is written, without spaces around it, and with slashes for backslashes."""
    yield from dict.fromkeys((written, written.strip(), written.strip().replace("\\", "/")))


def _targets(tables: Sequence[tuple[Sheet, Columns]]) -> tuple[str, ...]:
    names = {tuple(sheet.header[k] for k in at.targets): sheet for sheet, at in tables}
    if len(names) > 1:
        told = "; ".join(f"{', '.join(columns)} in {sheet.name}" for columns, sheet in names.items())
        raise SourceError(
            f"Expected the same targets in all tables, found {told}.",
            remedy="Rename the columns, or say which they are: --target NAME.",
        )
    return next(iter(names))


def _read(sheet: Sheet, at: Columns, row: Row, locate: Locate) -> Entry | _Fault:
    """What a row says. An empty target is left to the answer: it may mean something there."""
    missing = len(sheet.header) - len(row.cells)
    if reason := row.fault or ("few-cells" if missing > 0 else "many-cells" if missing else ""):
        return _Fault(reason, sheet, row)
    path = row.cells[at.path]
    if not path.strip():
        return _Fault("no-path", sheet, row)
    file = locate(sheet, path)
    if file is None:
        return _Fault("missing", sheet, row, path)
    told = _cell(row, at.split)
    if told and told.casefold() not in SPLIT_VALUES:
        return _Fault("unknown-split", sheet, row, file, told)
    split = SPLIT_VALUES[told.casefold()] if told else sheet.split
    cells = [_cell(row, place) for place in at.targets]
    return Entry(file, as_cell(cells), split, _cell(row, at.group) or None, sheet.where(row))


def _cell(row: Row, place: int | None) -> str:
    return "" if place is None else row.cells[place].strip()


def _contradiction(rows: Sequence[_Named]) -> str:
    """The fault of rows that name one file; empty where they agree."""
    if len(rows) == 1:
        return ""
    if len({one.entry.cell for one in rows}) > 1:
        return "contradicting-targets"
    return "contradicting-places" if len({(one.entry.split, one.entry.group) for one in rows}) > 1 else ""


def _told(faults: Sequence[_Fault], looked: str) -> Iterator[Finding]:
    """A finding for each kind of fault."""
    by_reason: dict[str, list[_Fault]] = defaultdict(list)
    for fault in faults:
        by_reason[fault.reason].append(fault)
    for reason, (kind, message, remedy) in FAULTS.items():
        if here := sorted(by_reason[reason], key=lambda fault: (fault.sheet.name, fault.row.number)):
            files = dict.fromkeys(fault.file or fault.sheet.where(fault.row) for fault in here)
            where = f" (looked in {looked})" if reason == "missing" else ""
            yield Finding(kind, tuple(files), f"{message}{where}: {_places(here)}", remedy)


def _places(faults: Sequence[_Fault]) -> str:
    """`labels.csv, lines 3 ('trian'), 7 and 2 more`."""
    told = []
    for name, group in groupby(faults[:SHOWN], key=lambda fault: fault.sheet.name):
        here = list(group)
        unit = here[0].sheet.unit + "s" * (len(here) > 1)
        numbers = [f"{fault.row.number}{f' ({fault.detail!r})' if fault.detail else ''}" for fault in here]
        told.append(f"{name}, {unit} {', '.join(numbers)}")
    more = f" and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    return "; ".join(told) + more


def _extra(files: Sequence[str]) -> Iterator[Finding]:
    if files:
        message = f"{counted(len(files), 'file')} that no row names"
        yield Finding("extra-file", tuple(files), message, "They are left out. Add rows for them, or move them away.")
