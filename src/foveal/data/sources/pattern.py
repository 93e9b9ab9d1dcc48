"""Targets that stand in the names of files, such as `25_0_1.jpg`: a regular expression reads them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from foveal.data.sources.columns import SPLIT_VALUES, column
from foveal.data.sources.layout import Layout, as_cell, folder_splits, visible
from foveal.errors import SourceError
from foveal.types import Entry, Finding, Reading, SplitName

__all__ = ["by_pattern", "regular_expression"]


@dataclass(frozen=True, slots=True)
class _Groups:
    """Which groups of the expression mean what, by number."""

    wanted: re.Pattern[str]
    names: tuple[str, ...]
    targets: tuple[int, ...]
    split: int | None
    group: int | None


def by_pattern(files: Iterable[str], folders: Iterable[str], reading: Reading) -> Layout:
    """Every file at any depth whose name matches. A split folder above all others names the split.

    Args:
        reading: with a pattern. What it says of columns is said of the pattern's groups.

    Raises:
        SourceError: no regular expression, or one without the groups that are asked for.
    """
    groups = _groups(reading)
    seen, findings = visible(files, folders)
    entries, wrong = [], []
    for file, folder_split in zip(seen, folder_splits(seen)):
        entry = _entry(file, folder_split, groups)
        if entry:
            entries.append(entry)
        else:
            wrong.append(file)
    if wrong:
        message = f"names in which the pattern {groups.wanted.pattern} finds no target"
        remedy = "They are left out. Rename the files, or change the pattern."
        findings = (Finding("wrong-name", tuple(sorted(wrong)), message, remedy), *findings)
    columns = tuple(groups.names[k - 1] for k in groups.targets)
    return Layout(tuple(sorted(entries, key=lambda entry: entry.file)), findings, columns)


def _entry(file: str, folder_split: SplitName | None, groups: _Groups) -> Entry | None:
    found = groups.wanted.search(file.rpartition("/")[2])
    if found is None:
        return None
    cells = [found[k] or "" for k in groups.targets]
    told = (found[groups.split] or "") if groups.split else ""
    if not any(cells) or (told and told.casefold() not in SPLIT_VALUES):
        return None
    split = SPLIT_VALUES[told.casefold()] if told else folder_split
    return Entry(file, as_cell(cells), split, (found[groups.group] or None) if groups.group else None)


def _groups(reading: Reading) -> _Groups:
    assert reading.pattern
    if reading.path:
        raise SourceError(
            f"Expected a table for the column of the paths, {reading.path!r}; with a pattern all files are read.",
            remedy="Leave one of the two out.",
        )
    wanted = regular_expression(reading.pattern, "the pattern")
    if not wanted.groups:
        raise SourceError(
            f"Expected a group in the pattern for each target, found none in {reading.pattern!r}.",
            remedy=r"Put brackets around the target, named or not: (?P<age>\d+)_ finds 25 in 25_0_1.jpg.",
        )
    return _roles(wanted, reading)


def regular_expression(text: str, what: str) -> re.Pattern[str]:
    """
    Args:
        what: it is, for the message.

    Raises:
        SourceError: it is none.
    """
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise SourceError(
            f"Expected a regular expression as {what}, found {text!r}: {error}.",
            remedy=r"Put a backslash before a character that stands for itself, such as \( or \+.",
        ) from error


def _roles(wanted: re.Pattern[str], reading: Reading) -> _Groups:
    named = {number: name for name, number in wanted.groupindex.items()}
    alone = wanted.groups - len(named) == 1 and "target" not in wanted.groupindex
    numbers = range(1, wanted.groups + 1)
    names = tuple(named.get(k) or ("target" if alone else f"target{k}") for k in numbers)

    def place(name: str | None) -> int | None:
        return column(name, names, f"the pattern {reading.pattern!r}") + 1 if name else None

    split, group = place(reading.split), place(reading.group)
    told = tuple(k for name in reading.target if (k := place(name)))
    targets = told or tuple(k for k in numbers if k not in (split, group))
    if not targets:
        raise SourceError(
            f"Expected a group for a target in the pattern {reading.pattern!r}, found only {', '.join(names)}.",
            remedy="Put brackets around the target as well.",
        )
    return _Groups(wanted, names, targets, split, group)
