"""Say what is there before anything is learned from it: what can be used, what cannot, what is there twice."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from foveal.data.findings import (
    about_labels,
    duplicates,
    never_no,
    noted,
    nothing_usable,
    straddling,
    unreadable,
    wrong_targets,
)
from foveal.data.memo import memo_path, recall, remember
from foveal.data.scan import scan
from foveal.data.seen import Seen
from foveal.data.sources import open_source
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import SourceError
from foveal.task import Task
from foveal.types import SPLITS, Dataset, Entry, Finding, Progress, Reading, Source, SplitName

__all__ = ["look"]


def look(
    source: str | Path | Source, task: Task, *, reading: Reading = AS_FOUND, progress: Progress | None = None
) -> Dataset:
    """Decode every image once and say what is there. A second look at unchanged images is read from the cache.

    Args:
        reading: how the targets are to be found, where the source leaves that open.

    Raises:
        SourceError: there is not one image that can be used; the message says what was found.
    """
    source = open_source(source, reading, progress=progress)
    memo = memo_path(source, task)
    known = recall(memo, source, task)
    if known is not None:
        return known
    listed = source.entries()
    labels, reasons = _vocabulary(task, [entry.cell for entry in listed], source.columns)
    entries = [entry for entry in listed if entry.cell not in reasons]
    seen = scan(source, entries, task.reader, progress)
    pairs = [(entry, facts) for entry, facts in zip(entries, seen) if isinstance(facts, Seen)]
    lost = (
        *wrong_targets(listed, reasons),
        *unreadable((entry.file, reason) for entry, reason in zip(entries, seen) if isinstance(reason, str)),
    )
    if not pairs:
        raise nothing_usable(source, len(listed), lost)
    dataset = _dataset(source, task, pairs, lost, labels)
    remember(memo, dataset)
    return dataset


def _vocabulary(task: Task, cells: Sequence[str], columns: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The labels of all cells that are targets, and the reasons why the others are none.

    Raises:
        SourceError: the task cannot have so many columns.
    """
    try:
        labels = task.answer.labels(cells, columns)
    except ValueError as error:
        remedy = "Name one column with --target, or another task: --task multilabel or regression."
        raise SourceError(f"The targets suit no {task.name}: {error}.", remedy=remedy) from error
    reasons: dict[str, str] = {}
    for cell in dict.fromkeys(cells):
        try:
            task.answer.parse(cell, labels)
        except ValueError as error:
            reasons[cell] = str(error)
    return labels, reasons


def _dataset(
    source: Source,
    task: Task,
    pairs: Sequence[tuple[Entry, Seen]],
    lost: Sequence[Finding],
    all_labels: Sequence[str],
) -> Dataset:
    """
    Args:
        lost: what cannot be used.
        all_labels: those of images that cannot be read, too.
    """
    used, facts = [entry for entry, _ in pairs], [fact for _, fact in pairs]
    cells = tuple(entry.cell for entry in used)
    labels = task.answer.labels(cells, source.columns)
    targets = task.targets(cells, labels)
    splits = np.array([entry.split or "" for entry in used], dtype="<U10")
    given: tuple[SplitName, ...] = tuple(split for split in SPLITS if (splits == split).any())
    same = _numbered(fact.content for fact in facts)
    return Dataset(
        source=source,
        task=task.name,
        files=tuple(entry.file for entry in used),
        cells=cells,
        targets=targets,
        strata=task.answer.strata(targets),
        groups=_united(same, [entry.group for entry in used]),
        splits=splits,
        labels=labels,
        sizes=np.array([(fact.height, fact.width) for fact in facts], dtype=np.int64),
        channels=max(fact.channels for fact in facts),
        modes=dict(Counter(fact.mode for fact in facts).most_common()),
        findings=(
            *source.findings,
            *lost,
            *noted(used, facts),
            *_about_targets(task, used, same, targets, splits, labels, set(all_labels) - set(labels)),
        ),
        fingerprint=_fingerprint(used, facts),
        given=given,
    )


def _about_targets(
    task: Task,
    used: Sequence[Entry],
    same: np.ndarray,
    targets: np.ndarray,
    splits: np.ndarray,
    labels: Sequence[str],
    lost: Iterable[str],
) -> Iterable[Finding]:
    told = task.answer.summary(targets, labels)
    counts = told["labels"]
    train = splits == "train"
    trained = task.answer.summary(targets[train], labels)["labels"] if train.any() else None
    yield from duplicates(used, same, targets, given=bool((splits != "").any()), what="label" if counts else "target")
    yield from straddling(used)
    if counts:
        yield from about_labels(used, counts, trained, lost, needs_another=not task.answer.placed)
    if told.get("known"):
        yield from never_no(counts, told["known"])


def _numbered(keys: Iterable[Hashable]) -> np.ndarray:
    """(N,) int64; the same number for the same key, counted in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _united(same: np.ndarray, names: Sequence[str | None]) -> np.ndarray:
    """(N,) int64; one number for rows of the same number, for rows of the same name, and for all that these join."""
    parents = list(range(int(same.max()) + 1))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    first: dict[str, int] = {}
    for number, name in zip(same.tolist(), names):
        if name is not None:
            one, other = root(first.setdefault(name, number)), root(number)
            parents[max(one, other)] = min(one, other)
    return _numbered(root(number) for number in same.tolist()) if first else same


def _fingerprint(used: Sequence[Entry], facts: Sequence[Seen]) -> str:
    grouped = any(entry.group is not None for entry in used)
    lines = []
    for entry, fact in zip(used, facts):
        group = [entry.group or ""] if grouped else []
        lines.append("\0".join([entry.cell, entry.split or "", fact.content, *group]) + "\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
