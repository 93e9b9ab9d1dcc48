"""Say what is there before anything is learned from it: what can be used, what cannot, what is there twice."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from foveal.data.decisions import NOTHING_DECIDED, Decisions
from foveal.data.far import Far, about_far, far_from_others
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
from foveal.data.grouping import grouped
from foveal.data.linking import numbered, united
from foveal.data.memo import memo_path, recall, recall_seen, remember, remember_seen, seen_path
from foveal.data.scan import scan
from foveal.data.seen import Seen
from foveal.data.sources import open_source
from foveal.data.sources.reading import AS_FOUND
from foveal.data.twin_findings import about_near
from foveal.data.twins import Near, near_duplicates
from foveal.errors import SourceError
from foveal.task import Reader, Task
from foveal.types import SPLITS, Dataset, Entry, Finding, Progress, Reading, Source, SplitName, Twins

__all__ = ["look"]


def look(
    source: str | Path | Source,
    task: Task,
    *,
    reading: Reading = AS_FOUND,
    decisions: Decisions = NOTHING_DECIDED,
    progress: Progress | None = None,
) -> Dataset:
    """Decode every image once and say what is there. A second look at unchanged images is read from the cache.

    Args:
        reading: how the targets are to be found, where the source leaves that open.
        decisions: which images to leave out, and which belong together.

    Raises:
        SourceError: there is not one image that can be used, or no such file as is decided about; the message says
            what was found.
    """
    source = open_source(source, reading, progress=progress)
    memo = memo_path(source, task, decisions.content)
    known = recall(memo, source, task)
    if known is not None:
        return replace(known, decisions=decisions.content)
    named, alone = grouped(source.entries(), source.reading, source.spec)
    decisions.check([entry.file for entry in named], source.spec)
    listed = [entry for entry in named if entry.file not in decisions.excluded]
    labels, reasons = _vocabulary(task, [entry.cell for entry in listed], source.columns)
    # Those that are left out are looked at all the same: what is alike must not hang on what was decided.
    entries = [entry for entry in named if entry.file in decisions.excluded or entry.cell not in reasons]
    seen, near, far = _examined(source, entries, task.reader, progress)
    facing = [(entry, one) for entry, one in zip(entries, seen) if entry.file not in decisions.excluded]
    pairs = [(entry, one) for entry, one in facing if isinstance(one, Seen)]
    lost = (
        *wrong_targets(listed, reasons),
        *unreadable((entry.file, reason) for entry, reason in facing if isinstance(reason, str)),
        *decisions.told(),
        *alone,
    )
    if not pairs:
        raise nothing_usable(source, len(listed), lost)
    dataset = _dataset(source, task, pairs, (near, far), lost, labels, decisions)
    remember(memo, dataset)
    return dataset


def _examined(
    source: Source, entries: Sequence[Entry], reader: Reader, progress: Progress | None
) -> tuple[Sequence[Seen | str], Near, Far]:
    """For each entry what was seen, or why it cannot be read; and near-duplicates and outliers among them and others.
    Remembered whatever is made of it: another task or another decision decodes nothing again."""
    memo = seen_path(source, reader)
    known = recall_seen(memo, [entry.file for entry in entries])
    if known is not None:
        return known
    seen = scan(source, entries, reader, progress)
    readable = [facts for facts in seen if isinstance(facts, Seen)]
    near, far = near_duplicates(readable, progress), far_from_others(readable)
    remember_seen(memo, [entry.file for entry in entries], seen, near, far)
    return seen, near, far


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
    compared: tuple[Near, Far],
    lost: Sequence[Finding],
    all_labels: Sequence[str],
    decisions: Decisions,
) -> Dataset:
    """
    Args:
        compared: near-duplicates and outliers among these images and others.
        lost: what cannot be used, or is not.
        all_labels: those of images that cannot be read, too.
    """
    used, facts = [entry for entry, _ in pairs], [fact for _, fact in pairs]
    near, far = compared
    cells = tuple(entry.cell for entry in used)
    labels = task.answer.labels(cells, source.columns)
    targets = task.targets(cells, labels)
    splits = np.array([entry.split or "" for entry in used], dtype="<U10")
    given: tuple[SplitName, ...] = tuple(split for split in SPLITS if (splits == split).any())
    same = numbered(fact.content for fact in facts)
    twins = _twins(used, facts, same, near, decisions)
    decided = [decisions.groups.get(entry.file) for entry in used]
    groups, cut = united(same, ([entry.group for entry in used], decided), twins)
    return Dataset(
        source=source,
        task=task.name,
        files=tuple(entry.file for entry in used),
        cells=cells,
        targets=targets,
        strata=task.answer.strata(targets),
        groups=groups,
        splits=splits,
        labels=labels,
        sizes=np.array([(fact.height, fact.width) for fact in facts], dtype=np.int64),
        channels=max(fact.channels for fact in facts),
        modes=dict(Counter(fact.mode for fact in facts).most_common()),
        findings=(
            *source.findings,
            *lost,
            *noted(used, facts),
            *about_far(used, [fact.content for fact in facts], far, decisions.kept),
            *_about_targets(task, used, same, targets, splits, labels, set(all_labels) - set(labels)),
            *about_near(used, twins, cut, "label" if len(targets) and targets.ndim == 1 else None),
        ),
        fingerprint=_fingerprint(used, facts, decided),
        given=given,
        twins=twins,
        decisions=decisions.content,
    )


def _twins(used: Sequence[Entry], facts: Sequence[Seen], same: np.ndarray, near: Near, decisions: Decisions) -> Twins:
    """Images of the same pixels, then near-duplicates, but for those that were decided to be none."""
    first: dict[str, int] = {}
    for row, fact in enumerate(facts):
        first.setdefault(fact.content, row)
    exact = [(first[fact.content], row) for row, fact in enumerate(facts) if first[fact.content] != row]
    kept = {first[fact.content] for entry, fact in zip(used, facts) if entry.file in decisions.kept}
    links = [
        (*sorted((first[one], first[other])), alike, mirrored)
        for one, other, alike, mirrored in near
        if one in first and other in first and first[one] not in kept and first[other] not in kept
    ]
    return Twins(
        np.array([*exact, *(link[:2] for link in links)], dtype=np.int64).reshape(-1, 2),
        np.array([1.0] * len(exact) + [link[2] for link in links], dtype=np.float32),
        np.array([False] * len(exact) + [link[3] for link in links], dtype=bool),
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


def _fingerprint(used: Sequence[Entry], facts: Sequence[Seen], decided: Sequence[str | None]) -> str:
    named = any(entry.group is not None for entry in used)
    lines = []
    for entry, fact, name in zip(used, facts, decided):
        group = [entry.group or ""] if named else []
        lines.append("\0".join([entry.cell, entry.split or "", fact.content, *group, *filter(None, [name])]) + "\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
