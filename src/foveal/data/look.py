"""Say what is there before anything is learned from it: what can be used, what cannot, what is there twice."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from foveal.data.memo import memo_path, recall, remember
from foveal.data.scan import scan
from foveal.data.seen import Seen
from foveal.data.sources import open_source
from foveal.errors import SourceError
from foveal.task import Task
from foveal.types import SPLITS, Dataset, Entry, Finding, Progress, Source, SplitName

__all__ = ["look"]

TINY = 3
SHOWN = 20  # groups of duplicates that get a finding each; more than that become one finding
NOTES = {
    "animated": (
        "files with more than one frame or page",
        "The first frame is used. Split the files when the others matter.",
    ),
    "narrow-range": (
        "images of 16 bits that use only the lowest 12 or fewer: they turn almost black at 8 bits",
        "Stretch their values to 0–65535 before, all by the same factor.",
    ),
}


def look(source: str | Path | Source, task: Task, *, progress: Progress | None = None) -> Dataset:
    """Decode every image once and say what is there. A second look at unchanged images is read from the cache.

    Raises:
        SourceError: there is not one image that can be used; the message says what was found.
    """
    source = open_source(source, progress=progress)
    memo = memo_path(source, task)
    known = recall(memo, source, task)
    if known is not None:
        return known
    entries = source.entries()
    seen = scan(source, entries, task.reader, progress)
    pairs = [(entry, facts) for entry, facts in zip(entries, seen) if isinstance(facts, Seen)]
    unreadable = _unreadable((entry.file, reason) for entry, reason in zip(entries, seen) if isinstance(reason, str))
    if not pairs:
        raise _nothing_usable(source, len(entries), unreadable)
    used, facts = [entry for entry, _ in pairs], [fact for _, fact in pairs]
    cells = [entry.cell for entry in used]
    labels = task.answer.labels(cells)
    groups = _groups([fact.content for fact in facts])
    named = {entry.split for entry in used}
    given: tuple[SplitName, ...] = tuple(split for split in SPLITS if split in named)
    findings = (
        *source.findings,
        *unreadable,
        *_noted(used, facts),
        *_duplicates(used, groups, given),
        *(_about_labels(used, labels, given, lost={entry.cell for entry in entries} - set(cells)) if labels else ()),
    )
    dataset = Dataset(
        source=source,
        files=tuple(entry.file for entry in used),
        targets=task.targets(cells, labels),
        groups=groups,
        splits=np.array([entry.split or "" for entry in used], dtype="<U10"),
        labels=labels,
        sizes=np.array([(fact.height, fact.width) for fact in facts], dtype=np.int64),
        channels=max(fact.channels for fact in facts),
        modes=dict(Counter(fact.mode for fact in facts).most_common()),
        findings=findings,
        fingerprint=_fingerprint(used, facts),
        given=given,
    )
    remember(memo, dataset, cells)
    return dataset


def _groups(contents: Sequence[str]) -> np.ndarray:
    """(N,) int64; the same number for the same pixels, counted in order of first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(content, len(numbers)) for content in contents], dtype=np.int64)


def _fingerprint(used: Sequence[Entry], facts: Sequence[Seen]) -> str:
    lines = sorted(f"{entry.cell}\0{entry.split or ''}\0{fact.content}\n" for entry, fact in zip(used, facts))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _nothing_usable(source: Source, listed: int, unreadable: Sequence[Finding]) -> SourceError:
    told = [f"  {finding.message}: {_some(finding.files)}" for finding in (*unreadable, *source.findings)]
    found = f"{listed:,} files in class folders, none of which can be read" if listed else "no file in a class folder"
    return SourceError(
        "\n".join([f"Expected images in class folders in {source.spec}, found {found}.", *told[:5]]),
        remedy="Lay them out as CLASS/IMAGE, or SPLIT/CLASS/IMAGE with the splits train, validation and test.",
    )


def _unreadable(reasons: Iterable[tuple[str, str]]) -> list[Finding]:
    """One finding for each kind of reason: what stands before its first `:`."""
    by_kind: dict[str, dict[str, str]] = defaultdict(dict)
    for file, reason in reasons:
        kind, _, detail = reason.partition(": ")
        by_kind[kind][file] = detail
    remedy = "They are left out. Mend, convert or remove them."
    return [
        Finding("unreadable", tuple(files), f"{kind}: {_some(list(dict.fromkeys(files.values())), '; ')}", remedy)
        for kind, files in by_kind.items()
    ]


def _noted(used: Sequence[Entry], facts: Sequence[Seen]) -> list[Finding]:
    noted = {kind: tuple(entry.file for entry, fact in zip(used, facts) if kind in fact.notes) for kind in NOTES}
    return [Finding(kind, files, *NOTES[kind]) for kind, files in noted.items() if files]


def _duplicates(used: Sequence[Entry], groups: np.ndarray, given: Sequence[str]) -> list[Finding]:
    members: dict[int, list[Entry]] = defaultdict(list)
    for row in np.flatnonzero(np.bincount(groups)[groups] > 1).tolist():
        members[int(groups[row])].append(used[row])
    twins = list(members.values())
    apart = [twin for twin in twins if len({entry.split for entry in twin}) > 1]
    together = [twin for twin in twins if len({entry.split for entry in twin}) == 1]
    contrary = [twin for twin in twins if len({entry.cell for entry in twin}) > 1]
    keep = "They stay together in a split; remove all but one of each if they are mistakes."
    if given:
        keep = "They stay in the split where they are; remove all but one of each if they are mistakes."
    return [
        *_grouped(
            "exact-duplicate",
            apart,
            lambda twin: "the same pixels in " + " and ".join(s for s in SPLITS if s in {e.split for e in twin}),
            "Remove them from train: a score on images that were trained on says nothing.",
        ),
        *_grouped("exact-duplicate", together, lambda twin: "the same pixels", keep),
        *_grouped(
            "contradicting-label",
            contrary,
            lambda twin: "the same pixels with different labels: " + _some(sorted({entry.cell for entry in twin})),
            "Decide on one label. A division made here leaves them in train.",
        ),
    ]


def _grouped(
    kind: str, twins: Sequence[Sequence[Entry]], say: Callable[[Sequence[Entry]], str], remedy: str
) -> list[Finding]:
    """A finding for each group of the same pixels; a single one, where they are many."""
    if len(twins) <= SHOWN:
        return [Finding(kind, tuple(entry.file for entry in twin), say(twin), remedy) for twin in twins]
    files = tuple(entry.file for twin in twins for entry in twin)
    say_all = " / ".join(text for text, _ in Counter(map(say, twins)).most_common(3))
    return [Finding(kind, files, f"{len(twins):,} groups of files, listed one after the other: {say_all}", remedy)]


def _about_labels(
    used: Sequence[Entry], labels: Sequence[str], given: Sequence[str], lost: set[str]
) -> Iterable[Finding]:
    counts = Counter(entry.cell for entry in used)
    if lost:
        message = f"no image that can be read in: {_some(sorted(lost))}"
        yield Finding("empty-class", (), message, "No class is made of them. Mend their images, or remove the folders.")
    if tiny := [label for label in labels if counts[label] < TINY]:
        files = tuple(entry.file for entry in used if entry.cell in tiny)
        message = f"fewer than {TINY} images in: {_some(tiny)}"
        yield Finding("tiny-class", files, message, "Add images: train, validation and test need one each.")
    trained = {entry.cell for entry in used if entry.split == "train"}
    if "train" in given and (untrained := [label for label in labels if label not in trained]):
        files = tuple(entry.file for entry in used if entry.cell in untrained)
        message = f"no image in train, but in another split: {_some(untrained)}"
        yield Finding("not-in-train", files, message, "Check the spelling of the folders, or add images to train.")
    if len(labels) == 1:
        message = f"all images are of one class: {labels[0]}"
        yield Finding("one-class", (), message, "Add a folder of images of something else: a class needs another.")


def _some(items: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more
