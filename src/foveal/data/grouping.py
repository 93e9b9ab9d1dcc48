"""What must stay together, where the paths of the files say it: a patient, a person, a video, a camera, a day."""

from collections.abc import Sequence
from dataclasses import replace

from foveal.data.sources.pattern import regular_expression
from foveal.errors import SourceError
from foveal.types import Entry, Finding, Reading

__all__ = ["grouped"]


def grouped(entries: Sequence[Entry], reading: Reading, spec: str) -> tuple[Sequence[Entry], tuple[Finding, ...]]:
    """The entries with the groups that their paths name, and a finding of those that name none. A pattern or a level
    that was said takes the place of a column.

    Raises:
        SourceError: both are said, or one beside a column; the pattern is none; or no path names a group.
    """
    if not reading.group_pattern and reading.group_level is None:
        return entries, ()
    said = {"group": reading.group, "group_pattern": reading.group_pattern, "group_level": reading.group_level}
    named = [f"--{name.replace('_', '-')}{'-column' * (name == 'group')}" for name, value in said.items() if value]
    if len(named) > 1:
        raise SourceError(f"Expected one way to tell the groups, found {' and '.join(named)}.", remedy="Leave one out.")
    if reading.group_pattern:
        names = _by_pattern(entries, reading.group_pattern)
        what = f"the pattern {reading.group_pattern}"
    else:
        names, what = _by_level(entries, reading.group_level or 0), f"level {reading.group_level} of the folders"
    lost = tuple(entry.file for entry, name in zip(entries, names) if name is None)
    if len(lost) == len(entries):
        found = f"such as {entries[0].file}" if entries else "and there is no file"
        raise SourceError(
            f"Expected paths in {spec} in which {what} finds a group, found none; {found}.",
            remedy="The path is that of the file inside the source, as look --json names it.",
        )
    message = f"paths in which {what} finds no group"
    told = (Finding("no-group", lost, message, "Each is divided on its own. Rename them, or change what was said."),)
    return [replace(entry, group=name) for entry, name in zip(entries, names)], told if lost else ()


def _by_pattern(entries: Sequence[Entry], pattern: str) -> list[str | None]:
    """What its named groups find, joined by `/`; the first group where none has a name."""
    wanted = regular_expression(pattern, "the pattern of the groups")
    if not wanted.groups:
        raise SourceError(
            f"Expected brackets around what names the group in {pattern!r}, found none.",
            remedy=r"Put brackets around it, named or not: (?P<patient>p\d+)_ finds p7 in xray/p7_2.png.",
        )
    places = tuple(wanted.groupindex.values()) or (1,)
    found = (wanted.search(entry.file) for entry in entries)
    return ["/".join(match[k] or "" for k in places).strip("/") or None if match else None for match in found]


def _by_level(entries: Sequence[Entry], level: int) -> list[str | None]:
    """The name of that folder: folders of one name are one group, wherever they lie."""
    if level < 1:
        raise SourceError(f"Expected a level of folders from 1, the topmost, found {level}.")
    parts = [entry.file.lstrip("/").split("/")[:-1] for entry in entries]
    return [folders[level - 1] if len(folders) >= level else None for folders in parts]
