"""Of images that show the same those that say most: in different splits, and with targets that differ."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from foveal.data.linking import first_of_same, rows_with_twins
from foveal.task import Answer
from foveal.types import Dataset

__all__ = ["TellingPair", "TwinPairs", "contradictory", "telling_pairs"]

LEARNED = ("train", "validation")
CHUNK = 10_000  # pairs whose targets are compared at once: boxes take a few thousand bytes each
TARGETS = 8  # of images with the same pixels in one split that a pair is chosen from


@dataclass(frozen=True, slots=True)
class TellingPair:
    """Two images that show the same.

    Args:
        rows: of both; where a division parts them, that of the later split first.
        alike: 1 for the same pixels, less for all others.
        mirrored: whether one is the mirror image of the other.
        parted: whether one is a test image, and the other in train or validation.
        contrary: whether their targets contradict each other.
    """

    rows: tuple[int, int]
    alike: float
    mirrored: bool
    parted: bool
    contrary: bool


@dataclass(frozen=True, slots=True)
class TwinPairs:
    """All pairs of images that show the same, in numbers, and the most telling of them.

    Args:
        count: of pairs; of k images with the same pixels there are k - 1.
        same: those with the same pixels.
        mirrored: those in which one is the mirror image of the other.
        contrary: those with targets that contradict each other.
        test_images: with a twin in train or validation.
        shown: the most telling.
    """

    count: int
    same: int
    mirrored: int
    contrary: int
    test_images: int
    shown: tuple[TellingPair, ...]


def contradictory(answer: Answer, ones: np.ndarray, others: np.ndarray, same: np.ndarray) -> np.ndarray:
    """(P,) bool: whether not both targets can be right.

    Of the same pixels any difference counts. Near-duplicates may be mirrored, cropped, or taken a moment later: there a
    label counts, not a value or a box. What is not known of one of them contradicts nothing.

    Args:
        ones, others: (P, …) parsed targets.
        same: (P,) bool, whether the pixels are the same.
    """
    missing = np.isnan(ones), np.isnan(others)
    unclear = missing[0] & missing[1] if answer.placed else missing[0] | missing[1]  # a box more is no gap
    differ = ((ones != others) & ~unclear).any(axis=tuple(range(1, ones.ndim)))
    return differ & (same | (answer.link != "none" and not answer.placed))


def telling_pairs(dataset: Dataset, answer: Answer, most: int) -> TwinPairs:
    """The pairs that a division parts first, of these the ones with contradicting targets, then all others with such;
    the most alike first. No image is shown twice, nor two of the same pixels in different pairs.

    Args:
        most: pairs to be shown.
    """
    twins, contrary = dataset.twins, _contrary(dataset, answer)
    test, learned = dataset.rows("test"), np.flatnonzero(np.isin(dataset.splits, LEARNED))
    found = rows_with_twins(twins, len(dataset), test, learned)
    return TwinPairs(
        count=len(twins),
        same=twins.same,
        mirrored=int(twins.mirrored.sum()),
        contrary=int(contrary.sum()),
        test_images=int(found.sum()),
        shown=tuple(_shown(dataset, answer, contrary, most)),
    )


def _contrary(dataset: Dataset, answer: Answer) -> np.ndarray:
    """(P,) bool: whether the targets of a pair of twins contradict each other."""
    twins, found = dataset.twins, [np.zeros(0, bool)]
    for start in range(0, len(twins), CHUNK):
        part = slice(start, start + CHUNK)
        ones, others = (dataset.targets[twins.pairs[part, side]] for side in (0, 1))
        found.append(contradictory(answer, ones, others, twins.alike[part] >= 1))
    return np.concatenate(found)


def _shown(dataset: Dataset, answer: Answer, contrary: np.ndarray, most: int) -> Iterable[TellingPair]:
    twins, first = dataset.twins, first_of_same(dataset.twins, len(dataset))
    members: dict[int, list[int]] = defaultdict(list)
    for row, own in enumerate(first.tolist()):
        members[own].append(row)
    one, other = first[twins.pairs].T
    tested, learned = (_holding(first, np.isin(dataset.splits, names)) for names in (("test",), LEARNED))
    parted = (tested[one] & learned[other]) | (learned[one] & tested[other])
    used: set[int] = set()
    for number in np.lexsort((-twins.alike, ~contrary, ~parted)).tolist():
        own, its = int(one[number]), int(other[number])
        if most and own not in used and its not in used:
            used |= {own, its}
            most -= 1
            sides = _differing(dataset, members[own]), _differing(dataset, members[its])
            yield _best(dataset, answer, product(*sides), number)


def _holding(first: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the images of the same pixels as the first ones hold one of these rows."""
    held = np.zeros(len(first), bool)
    held[first[rows]] = True
    return held


def _differing(dataset: Dataset, rows: Sequence[int]) -> list[int]:
    """Of each split two of each of a few targets: blank images may be thousands."""
    kinds: dict[str, dict[bytes, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kinds[str(dataset.splits[row])][dataset.targets[row].tobytes()].append(row)
    return [row for targets in kinds.values() for some in list(targets.values())[:TARGETS] for row in some[:2]]


def _best(dataset: Dataset, answer: Answer, pairs: Iterable[tuple[int, int]], number: int) -> TellingPair:
    """Of images with the same pixels the two that say most for a pair of twins."""
    alike, mirrored = float(dataset.twins.alike[number]), bool(dataset.twins.mirrored[number])
    rank = {"test": 0, "validation": 1, "train": 2}

    def told(one: int, other: int) -> TellingPair:
        rows = sorted((one, other), key=lambda row: rank.get(str(dataset.splits[row]), 3))
        splits = [str(dataset.splits[row]) for row in rows]
        ours, theirs = (dataset.targets[[row]] for row in rows)
        contrary = bool(contradictory(answer, ours, theirs, np.array([alike >= 1]))[0])
        parted = splits[0] == "test" and splits[1] in LEARNED
        return TellingPair((rows[0], rows[1]), alike, mirrored, parted, contrary)

    return max((told(*pair) for pair in pairs if pair[0] != pair[1]), key=lambda pair: (pair.parted, pair.contrary))
