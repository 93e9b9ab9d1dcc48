"""Which column of a table means what: as it was said, or by the names that people use."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from foveal.data.sources.layout import IMAGE_SUFFIXES, SPLIT_NAMES
from foveal.data.sources.rows import Sheet
from foveal.errors import SourceError
from foveal.phrasing import command
from foveal.types import Reading, SplitName

__all__ = ["LIST_COLUMNS", "SPLIT_VALUES", "Columns", "column", "find_columns"]

USUAL = {
    "path": ("path", "file", "file_name", "filename", "image", "image_path", "img"),
    "target": ("target", "label", "class", "labels"),
    "split": ("split", "set", "subset", "fold"),
    "group": ("group", "patient", "patient_id", "subject"),
}
SPLIT_VALUES: dict[str, SplitName] = {**SPLIT_NAMES, "training": "train", "dev": "validation", "testing": "test"}
CLOSE = 0.7


@dataclass(frozen=True, slots=True)
class Columns:
    """Their places in the header; None where there is no such column."""

    path: int
    targets: tuple[int, ...]
    split: int | None = None
    group: int | None = None


LIST_COLUMNS = Columns(0, (1,))
"""Of a list of files: the path and the folder's name."""


def find_columns(sheet: Sheet, reading: Reading, path: int | None = None) -> Columns:
    """
    Args:
        path: where the files are named, if that is known.

    Raises:
        SourceError: no header, one with a name twice, or a column that cannot be found; names what is there.
    """
    _check_header(sheet)
    told = (*reading.target, reading.path, reading.split, reading.group)
    taken = {column(name, sheet.header, sheet.top) for name in told if name} | ({path} if path is not None else set())
    free = {name.casefold(): k for k, name in enumerate(sheet.header) if k not in taken}

    def place(role: str, said: str | None) -> int | None:
        if said:
            return column(said, sheet.header, sheet.top)
        return next((free[name] for name in USUAL[role] if name in free), None)

    at = place("path", reading.path) if path is None else path
    if at is None:
        raise _no_path(sheet)
    split, group = place("split", reading.split), place("group", reading.group)
    if split is not None and not reading.split and not _names_splits(sheet, split):
        split = None
    targets = tuple(column(name, sheet.header, sheet.top) for name in reading.target)
    return Columns(at, targets or (_target(sheet, {at, split, group}),), split, group)


def column(name: str, header: Sequence[str], top: str) -> int:
    """The place of a column that was named, in capitals or not.

    Raises:
        SourceError: there is none of that name.
    """
    names = [known.casefold() for known in header]
    if name.casefold() in names:
        return names.index(name.casefold())
    close = get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    raise SourceError(
        f"Expected a column called {name!r} in {top}, found {_listed(header)}.",
        remedy=f"Did you mean {header[names.index(close[0])]}?" if close else "Name one of these.",
    )


def _check_header(sheet: Sheet) -> None:
    if any(name.casefold().endswith(IMAGE_SUFFIXES) for name in sheet.header):
        raise SourceError(
            f"Expected a header with the names of the columns in {sheet.top}, found a row: {_listed(sheet.header)}.",
            remedy="Write a first line such as path,target.",
        )
    names = [name.casefold() for name in sheet.header if name]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(
            f"Expected each column once in {sheet.top}, found {_listed(twice)} more than once (capitals do not count).",
            remedy="Rename one of them.",
        )


def _names_splits(sheet: Sheet, place: int) -> bool:
    """Whether a column called `set`, `subset` or `fold` is about splits: numbers of a cross-validation are not."""
    if sheet.header[place].casefold() == "split":
        return True
    cells = {row.cells[place].strip().casefold() for row in sheet.rows if len(row.cells) == len(sheet.header)}
    return not cells.isdisjoint(SPLIT_VALUES)


def _no_path(sheet: Sheet) -> SourceError:
    return SourceError(
        f"Expected a column that names the files ({', '.join(USUAL['path'])}) in {sheet.top}, "
        f"found {_listed(sheet.header)}.",
        remedy=_similar(sheet.header, "path") or "Say which: --path-column NAME. Or call it `path`.",
    )


def _target(sheet: Sheet, taken: Collection[int | None]) -> int:
    free = [k for k, name in enumerate(sheet.header) if k not in taken and name]
    usual = [k for k in free if sheet.header[k].casefold() in USUAL["target"]]
    if len(usual) == 1:
        return usual[0]
    if not usual and len(free) == 1:
        return free[0]
    where = f"in {sheet.top}, found {_listed(sheet.header)}."
    if usual:
        names = " or ".join(command(sheet.header[k]) for k in usual)
        raise SourceError(f"Expected one column with the target {where}", remedy=f"Say which: --target {names}.")
    example = sheet.header[free[-1]] if free else "NAME"
    raise SourceError(
        f"Expected a column with the target ({', '.join(USUAL['target'])}) {where}",
        remedy=_similar([sheet.header[k] for k in free], "target")
        or (f"Say which, such as --target {command(example)}." if free else "Add one: what each image shows."),
    )


def _similar(names: Sequence[str], role: str) -> str:
    """A remedy where a column's name is nearly a usual one."""
    for name in names:
        if close := get_close_matches(name.casefold(), USUAL[role], n=1, cutoff=CLOSE):
            return f"Did you mean {close[0]}? Rename the column {name!r}."
    return ""


def _listed(names: Sequence[str]) -> str:
    return f"the columns {', '.join(map(repr, names))}" if names else "no column"
