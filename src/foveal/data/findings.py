"""What a person should know about their images, in their words."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from foveal.data.seen import Seen
from foveal.errors import SourceError
from foveal.phrasing import counted
from foveal.types import SPLITS, Entry, Finding, Source, SplitName

__all__ = [
    "CONTRADICTING",
    "LEAK",
    "NOTES",
    "SHOWN",
    "about_labels",
    "duplicates",
    "never_no",
    "noted",
    "nothing_usable",
    "straddling",
    "unreadable",
    "wrong_targets",
]

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
OF_ROWS = ("wrong-target", "wrong-row", "missing-file")
CONTRADICTING = "contradicting-label"
LEAK = "leak"
TINY = 3
RARE = 0.1  # of an even share of the images
SHOWN = 20  # groups of duplicates that get a finding each; more than that become one finding
NAMED = 3  # files of a reason in an error
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


def nothing_usable(source: Source, listed: int, lost: Sequence[Finding]) -> SourceError:
    """
    Args:
        listed: images that the source has.
        lost: why none of them can be used.
    """
    told = [f"  {finding.message}: {_some(finding.files, most=NAMED)}" for finding in (*lost, *source.findings)][:5]
    if source.columns or any(finding.kind in OF_ROWS for finding in (*lost, *source.findings)):
        columns = ", ".join(source.columns) or "the name of a folder"
        found = f"{listed:,}, none of which can be used" if listed else "none"
        remedies = [finding.remedy for finding in (*lost, *source.findings)]
        return SourceError(
            "\n".join([f"Expected images with a target ({columns}) in {source.spec}, found {found}.", *told]),
            remedy=remedies[0].removeprefix("They are left out. ") if remedies else "Add a row for each image.",
        )
    found = f"{listed:,} files in class folders, none of which can be read" if listed else "no file in a class folder"
    tables = [file for finding in source.findings for file in finding.files if _is_table(source, file)]
    table = f" Or give the table: {source.spec}/{tables[0]}" if tables else ""
    return SourceError(
        "\n".join([f"Expected images in class folders in {source.spec}, found {found}.", *told]),
        remedy=f"Lay them out as CLASS/IMAGE, or SPLIT/CLASS/IMAGE with the splits train, validation and test.{table}",
    )


def _is_table(source: Source, file: str) -> bool:
    return file.endswith(TABLES) and Path(source.spec, file).is_file()


def unreadable(reasons: Iterable[tuple[str, str]]) -> list[Finding]:
    """One finding for each kind of reason, of (file, reason): what stands before its first `:`."""
    by_kind: dict[str, dict[str, str]] = defaultdict(dict)
    for file, reason in reasons:
        kind, _, detail = reason.partition(": ")
        by_kind[kind][file] = detail
    remedy = "They are left out. Mend, convert or remove them."
    return [
        Finding("unreadable", tuple(files), f"{kind}: {_some(list(dict.fromkeys(files.values())), '; ')}", remedy)
        for kind, files in by_kind.items()
    ]


def wrong_targets(entries: Iterable[Entry], reasons: Mapping[str, str]) -> list[Finding]:
    """One finding for each reason why a target is none; a single one, where they are many.

    Args:
        reasons: cell to reason.
    """
    by_reason: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.cell in reasons:
            by_reason[reasons[entry.cell]].append(entry)
    remedy = "They are left out. Correct the targets, or name another column or task."
    told = [
        (tuple(entry.file for entry in wrong), ": ".join([reason, *_places(wrong)]))
        for reason, wrong in by_reason.items()
    ]
    if len(told) > SHOWN:
        files = tuple(file for part, _ in told for file in part)
        more = (
            f"{counted(len(files), 'target')} that cannot be read: " + " / ".join(text for _, text in told[:3]) + " / …"
        )
        told = [(files, more)]
    return [Finding("wrong-target", files, text, remedy) for files, text in told]


def _places(entries: Sequence[Entry]) -> list[str]:
    """Their lines, where they have lines; the files are named by the finding itself."""
    lines = [entry.where for entry in entries if entry.where]
    return [_some(lines)] if lines else []


def noted(used: Sequence[Entry], facts: Sequence[Seen]) -> list[Finding]:
    """What the reader noted of images."""
    files = {kind: tuple(entry.file for entry, fact in zip(used, facts) if kind in fact.notes) for kind in NOTES}
    return [Finding(kind, names, *NOTES[kind]) for kind, names in files.items() if names]


def duplicates(used: Sequence[Entry], same: np.ndarray, targets: np.ndarray, given: bool, what: str) -> list[Finding]:
    """
    Args:
        same: (N,) the same number for the same pixels.
        given: whether the source names splits.
        what: a word for the targets.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.bincount(same)[same] > 1).tolist():
        members[int(same[row])].append(row)
    twins = [[used[row] for row in rows] for rows in members.values()]
    apart = [twin for twin in twins if len({entry.split for entry in twin}) > 1]
    together = [twin for twin in twins if len({entry.split for entry in twin}) == 1]
    contrary = [
        twin for twin, rows in zip(twins, members.values()) if len({targets[row].tobytes() for row in rows}) > 1
    ]
    keep = "They stay together in a split; remove all but one of each if they are mistakes."
    if given:
        keep = "They stay in the split where they are; remove all but one of each if they are mistakes."
    return [
        *_grouped(
            LEAK,
            apart,
            lambda twin: "the same pixels in " + " and ".join(s for s in SPLITS if s in {e.split for e in twin}),
            "Leave them out of train (--fix proposes it): a score on images that were trained on says nothing.",
        ),
        *_grouped("exact-duplicate", together, lambda twin: "the same pixels", keep),
        *_grouped(
            CONTRADICTING,
            contrary,
            lambda twin: f"the same pixels with different {what}s: {_some(sorted({entry.cell for entry in twin}))}",
            f"Decide on one {what}. A division made here leaves them in train.",
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


def straddling(used: Sequence[Entry]) -> list[Finding]:
    """The groups that the source itself parts."""
    splits: dict[str, set[SplitName]] = defaultdict(set)
    for entry in used:
        if entry.group is not None and entry.split:
            splits[entry.group].add(entry.split)
    apart = {group: [name for name in SPLITS if name in theirs] for group, theirs in splits.items() if len(theirs) > 1}
    if not apart:
        return []
    files = tuple(entry.file for entry in used if entry.group in apart)
    told = _some([f"{group} ({' and '.join(names)})" for group, names in sorted(apart.items())])
    remedy = "Put each into one split: a score on those that were trained on says little about new ones."
    return [Finding("straddling-group", files, f"groups that are in more than one split: {told}", remedy)]


def about_labels(
    used: Sequence[Entry],
    counts: Mapping[str, int],
    trained: Mapping[str, int] | None,
    lost: Iterable[str],
    needs_another: bool,
) -> Iterable[Finding]:
    """
    Args:
        counts: label to number of images.
        trained: those in train; None where the source does not say what is.
        lost: labels of which no image can be read.
        needs_another: whether a label that all images have says nothing.
    """
    if lost := sorted(lost):
        message = f"no image that can be read in: {_some(lost)}"
        yield Finding("empty-class", (), message, "No class is made of them. Mend their images, or remove the folders.")
    if tiny := [label for label, count in counts.items() if count < TINY]:
        message = f"fewer than {TINY} images in: {_some(tiny)}"
        remedy = "Add images: train, validation and test need one each."
        yield Finding("tiny-class", _files_of(used, tiny), message, remedy)
    even = sum(counts.values()) / max(1, len(counts))
    if rare := [label for label, count in counts.items() if TINY <= count < RARE * even]:
        told = _some([f"{label} ({counts[label]:,})" for label in rare])
        message = f"less than a tenth of an even share of the images ({even:,.0f}) in: {told}"
        remedy = "Add images of them. Judge by macro F1 and by label, not by accuracy: it hardly notices them."
        yield Finding("imbalance", _files_of(used, rare), message, remedy)
    if trained and (untrained := [label for label, count in counts.items() if count and not trained[label]]):
        message = f"no image in train, but in another split: {_some(untrained)}"
        remedy = "Check the spelling, or add images to train."
        yield Finding("not-in-train", _files_of(used, untrained), message, remedy)
    if needs_another and list(counts.values()) == [len(used)]:
        message = f"all images are of one class: {next(iter(counts))}"
        yield Finding("one-class", (), message, "Add images of something else: a class needs another.")


def never_no(counts: Mapping[str, int], known: Mapping[str, int]) -> Iterable[Finding]:
    """Labels that some images have, and of which no image is known not to have them.

    Args:
        counts: label to number of images that have it.
        known: label to number of images of which it is known.
    """
    if always := [label for label, count in counts.items() if count and count == known[label]]:
        message = f"no image is known to be without: {_some(always)}"
        remedy = "Nothing can be learned of them. Empty cells and -1 are read as not known: write 0 where you mean no."
        yield Finding("never-no", (), message, remedy)


def _files_of(used: Sequence[Entry], labels: Sequence[str]) -> tuple[str, ...]:
    """The images whose target is one of these labels alone."""
    return tuple(entry.file for entry in used if entry.cell in labels)


def _some(items: Sequence[str], separator: str = ", ", most: int = SHOWN) -> str:
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return separator.join(items[:most]) + more
