"""What a person decided about their images, in a table that `look --fix` proposes: nothing is deleted, all is told."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from foveal.data.far import OUTLIER
from foveal.data.findings import CONTRADICTING
from foveal.data.linking import first_of_same
from foveal.data.sources.rows import Row, read_sheet, table_bytes
from foveal.data.twin_findings import likeness
from foveal.errors import SourceError
from foveal.phrasing import command
from foveal.types import SPLITS, Dataset, Finding

__all__ = [
    "COLUMNS",
    "NOTHING_DECIDED",
    "Decisions",
    "check_proposal",
    "decided",
    "propose",
    "read_decisions",
    "write_proposal",
]

COLUMNS = ("file", "action", "group", "reason")
ACTIONS = ("exclude", "group", "keep")
Decision = tuple[str, str, str, str]
"""A row of `COLUMNS`."""
SHOWN = 20  # wrong rows that a message names


@dataclass(frozen=True)
class Decisions:
    """
    Args:
        content: of the file.
        name: of the file, for messages.
        lines: file to the line that decides about it.
        excluded: files that are left out.
        groups: file to the name of its group.
        kept: files that are no near-duplicates and no outliers, whatever they look like.
    """

    content: bytes = b""
    name: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    groups: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def check(self, files: Collection[str], spec: str) -> None:
        """
        Raises:
            SourceError: a row is about a file that is not there; names the lines.
        """
        known = set(files)
        wrong = [f"line {line}: {file!r} is not there" for file, line in self.lines.items() if file not in known]
        if wrong:
            look = command("foveal", "look", spec, "--json")
            remedy = f"Write files as `{look}` names them, or remove the rows."
            raise _refused(self.name, wrong, f"a file of {spec} in each row", remedy)

    def told(self) -> Iterable[Finding]:
        """What was left out."""
        if self.excluded:
            message = f"images that {self.name} leaves out"
            yield Finding("excluded", tuple(sorted(self.excluded)), message, "Nothing to do: it was decided so.")


NOTHING_DECIDED = Decisions()


def read_decisions(path: Path | str) -> Decisions:
    """A table with the columns `file` and `action` (`exclude`, `group`, `keep`), and `group` where one is named.

    Raises:
        SourceError: it cannot be read, has not the columns, or rows that say nothing clear; names their lines.
    """
    path = Path(path)
    if path.suffix.casefold() not in ("", ".csv", ".tsv"):
        raise SourceError(f"Expected decisions as a .csv, found {path}.", remedy="Save them as CSV, in UTF-8.")
    content = table_bytes(path)
    sheet = read_sheet(str(path), content)
    header = [name.casefold() for name in sheet.header]
    if missing := [name for name in COLUMNS[:2] if name not in header]:
        raise SourceError(
            f"Expected the columns {', '.join(COLUMNS)} in {sheet.top}, found {', '.join(sheet.header)}.",
            remedy=f"Add {' and '.join(missing)}; `foveal look SOURCE --fix FILE` writes such a table.",
        )
    wrong: list[str] = []
    decided: dict[str, tuple[str, str]] = {}
    lines: dict[str, int] = {}
    for row in sheet.rows:
        cells = dict(zip(header, row.cells))
        file, action = cells.get("file", ""), cells.get("action", "").strip().casefold()
        decision = action, cells.get("group", "").strip() if action == "group" else ""
        fault = _fault(row, len(header), file, decision, decided)
        wrong += [f"{sheet.unit} {row.number}: {fault}"] if fault else []
        decided.setdefault(file, decision)
        lines.setdefault(file, row.number)
    if wrong:
        raise _refused(str(path), wrong, f"a file and one of {', '.join(ACTIONS)} in each row", "Correct the rows.")
    return Decisions(
        content,
        str(path),
        lines,
        frozenset(file for file, (action, _) in decided.items() if action == "exclude"),
        {file: group for file, (action, group) in decided.items() if action == "group"},
        frozenset(file for file, (action, _) in decided.items() if action == "keep"),
    )


def _fault(row: Row, columns: int, file: str, decision: tuple[str, str], decided: Mapping[str, tuple[str, str]]) -> str:
    """What is wrong with a row; empty where nothing is."""
    action, group = decision
    if row.fault or len(row.cells) != columns:
        return row.fault or f"{len(row.cells)} cells, not {columns}"
    if not file:
        return "no file"
    if action not in ACTIONS:
        return f"the action {action!r}" if action else "no action"
    if action == "group" and not group:
        return "no name for the group"
    return f"{file} was decided otherwise above" if decided.get(file, decision) != decision else ""


def _refused(name: str, wrong: Sequence[str], expected: str, remedy: str) -> SourceError:
    more = f"; and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
    return SourceError(f"Expected {expected} of {name}, found {'; '.join(wrong[:SHOWN])}{more}.", remedy=remedy)


def decided(dataset: Dataset) -> dict[str, Decision]:
    """File to what was decided about it before, in the decisions that the data set obeyed."""
    if not dataset.decisions:
        return {}
    sheet = read_sheet("the decisions", dataset.decisions)
    header = [name.casefold() for name in sheet.header]
    rows: dict[str, Decision] = {}
    for row in sheet.rows:
        cells = dict(zip(header, row.cells))
        action = cells["action"].strip().casefold()
        group = cells.get("group", "").strip() if action == "group" else ""
        rows.setdefault(cells["file"], (cells["file"], action, group, cells.get("reason", "")))
    return rows


def propose(dataset: Dataset) -> list[Decision]:
    """Rows of `COLUMNS` for a person to edit, sorted by file, at most one a file; none about a file that is `decided`.

    Of twins in different splits that the source names, the one in train is left out, or the one in validation where
    the other is in test: the images that measure stay. All other twins become groups. Of images with the same pixels
    and different targets none can be trusted: all are left out. So are outliers, for a person to look at.
    """
    known = decided(dataset)
    rows: dict[str, Decision] = {}
    for finding in dataset.findings:
        if finding.kind == CONTRADICTING:
            for file in finding.files:
                rows[file] = (file, "exclude", "", "the same pixels have different targets")
    for row, other, alike, mirrored in _leaking(dataset):
        reason = f"{likeness(alike, mirrored)} {dataset.files[other]}, which is in {dataset.splits[other]}"
        rows.setdefault(dataset.files[row], (dataset.files[row], "exclude", "", reason))
    for finding in dataset.findings:
        if finding.kind == OUTLIER:
            reasons = finding.facts.get("reasons") or [finding.message]
            for file, reason in zip(finding.files, reasons):
                rows.setdefault(file, (file, "exclude", "", reason))
    name = _group_names(dataset, known)
    told = zip(dataset.twins.pairs.tolist(), dataset.twins.alike.tolist(), dataset.twins.mirrored.tolist())
    for pair, alike, mirrored in told:
        splits = {str(dataset.splits[row]) for row in pair} - {""}
        for row, other in (pair, pair[::-1]):
            if len(splits) < 2 and dataset.groups[row] == dataset.groups[other]:
                reason = f"{likeness(alike, mirrored)} {dataset.files[other]}"
                group = name(int(dataset.groups[row]))
                rows.setdefault(dataset.files[row], (dataset.files[row], "group", group, reason))
    return sorted(row for file, row in rows.items() if file not in known)


def _leaking(dataset: Dataset) -> Iterator[tuple[int, int, float, bool]]:
    """Rows that have a twin in a later one of the splits that the source names, with the twin that is most alike."""
    first = first_of_same(dataset.twins, len(dataset))
    members: dict[int, list[int]] = defaultdict(list)
    for row, own in enumerate(first.tolist()):
        members[own].append(row)
    beside: dict[int, list[tuple[int, float, bool]]] = {own: [(own, 1.0, False)] for own in members}
    near = dataset.twins.alike < 1
    told = zip(first[dataset.twins.pairs[near]].tolist(), dataset.twins.alike[near], dataset.twins.mirrored[near])
    for (one, other), alike, mirrored in told:
        beside[one].append((other, float(alike), bool(mirrored)))
        beside[other].append((one, float(alike), bool(mirrored)))
    rank = {split: k for k, split in enumerate(("", *SPLITS))}
    places = [rank[split] for split in dataset.splits.tolist()]
    for row, own in enumerate(first.tolist()):
        later = (
            (row, other, alike, mirrored)
            for owner, alike, mirrored in beside[own]
            for other in members[owner]
            if 0 < places[row] < places[other]
        )
        yield from islice(later, 1)


def _group_names(dataset: Dataset, known: Mapping[str, Decision]) -> Callable[[int], str]:
    """What a group was called before; the others `twins-1`, `twins-2`, … by the first file of each."""
    names: dict[int, str] = {}
    groups = dataset.groups.tolist()
    for file, group in zip(dataset.files, groups):
        if file in known and known[file][2]:
            names.setdefault(group, known[file][2])
    taken = {group for _, _, group, _ in known.values()}
    free = (name for name in map("twins-{}".format, count(1)) if name not in taken)
    sizes = Counter(groups)
    for group in groups:
        if sizes[group] > 1 and group not in names:
            names[group] = next(free)
    return lambda group: names.get(group, "twins-0")


def check_proposal(path: Path, *, again: bool) -> None:
    """
    Args:
        again: decisions were given.

    Raises:
        SourceError: something is there already.
    """
    if path.exists() or path.is_symlink():
        remedy = "Name another" + (": the decisions that were given are written into it, too." if again else ".")
        raise SourceError(f"{path} is already there, and nothing is overwritten.", remedy=remedy)


def write_proposal(dataset: Dataset, path: Path) -> tuple[int, int]:
    """Write what `propose` gives, and what was `decided` before, so that the table stands for both: UTF-8 CSV
    (RFC 4180).

    Returns:
        How many proposals, and how many decisions.

    Raises:
        SourceError: something is there already, or it cannot be written.
    """
    text = io.StringIO()
    rows, before = propose(dataset), decided(dataset)
    check_proposal(path, again=bool(before))
    csv.writer(text).writerows([COLUMNS, *sorted([*rows, *before.values()])])
    try:
        with path.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text.getvalue())
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}.") from error
    return len(rows), len(before)
