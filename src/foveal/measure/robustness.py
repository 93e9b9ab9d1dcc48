"""How a network's first score falls as its test images get worse, and whether its answer survives a small shift."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.examples import Examples, Rated
from foveal.measure.corruptions import CORRUPTIONS, LEVELS, Corrupted, Corruption
from foveal.measure.differences import drawn_difference, holm
from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import ERROR, bounded, interval, mean_of, resampled, share_of
from foveal.measure.meanings import ERRORS
from foveal.measure.paired import share_difference
from foveal.measure.shifts import SHIFTS, Shifted, distances
from foveal.measured import Score
from foveal.task import Task

__all__ = ["MOST_IMAGES", "Kind", "Level", "Robustness", "measure_robustness", "measure_shifts", "passes"]

MOST_IMAGES = 1_000
RESAMPLES = 400
SIGNIFICANT = 0.05
NO_PLACE = "a box that was turned is no box any more: how far its sides would have to move is not known"
MUST_MOVE = "the answer says where, so it has to move with the image"

Answer = Callable[[Corrupted | Shifted], np.ndarray]


@dataclass(frozen=True, slots=True)
class Level:
    """One step of a corruption.

    Args:
        level: 1 to 5.
        strength: in the unit that the corruption's `parameter` names.
        difference: to the score of the same images as they are.
        p: two-sided, of no difference.
        adjusted: the same by Holm, over all levels of all corruptions.
        worse: whether that is below 0.05, and the score worse.
    """

    level: int
    strength: float
    score: Score
    difference: Score
    p: float
    adjusted: float
    worse: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One corruption.

    Args:
        parameter: what a strength is, with its unit.
        first_worse: the first level that is significantly worse; None where none is.
    """

    parameter: str
    levels: tuple[Level, ...]
    first_worse: int | None


@dataclass(frozen=True, slots=True)
class Robustness:
    """How the first score of the headline holds.

    Args:
        score: its name.
        images: test images that were taken, at most 1,000, drawn with the recipe's seed.
        clean: of these images as they are.
        corruptions: name to what came of it.
        shifts: how an image is moved to a score for each distance, from 1 pixel on.
        change: what those scores are: `same`, the share of the images whose answer stays the same; or `spreads`, the
            mean change of the value in standard deviations of the true ones.
        left_out: name of a corruption, or `shifts`, to the reason why it was not measured.
    """

    score: str
    images: int
    clean: Score
    corruptions: dict[str, Kind]
    shifts: dict[str, tuple[Score, ...]]
    change: str
    left_out: dict[str, str]


def passes(task: Task, height: int, width: int) -> int:
    """How often a network answers for every image, the clean ones not counted."""
    kinds = sum(_possible(task, corruption) for corruption in CORRUPTIONS.values())
    return kinds * LEVELS + (0 if task.answer.placed else len(SHIFTS) * len(distances(height, width)))


def measure_robustness(
    task: Task,
    answer: Answer,
    outputs: np.ndarray,
    test: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Robustness | None:
    """The first score of the task's headline under every corruption and level, each beside the clean one on the same
    images; and the answers to shifted images beside those to unshifted ones. None where there is nothing to score.

    A share of images is compared by McNemar's mid-p test and Tango's interval (`measure.paired`), any other score by
    resampled images, the same for both. Images that belong together change sides, and are drawn, together. p-values are
    adjusted by Holm over all levels of all corruptions: that even one of the levels called worse is not is then at most
    5% likely. Intervals are not adjusted.

    Args:
        answer: raw outputs of the network for images that are made worse when they are indexed.
        outputs: its raw outputs for the images as they are.
    """
    if not len(test.files):
        return None
    outputs, test = _drawn(outputs, test, seed)

    def rate(images: Corrupted | Shifted) -> Rated:
        return task.rate(answer(images), images.examples(test), labels, settled)

    own = task.rate(outputs, test, labels, settled)
    trial = _Trial(task.headline[0], own, len(test.files), seed, groups_of(test.groups))
    clean = trial.clean()
    if clean is None:
        return None
    found: dict[tuple[str, int], tuple[float, Score, Score, float]] = {}
    for name, corruption in CORRUPTIONS.items():
        for level in range(1, LEVELS + 1) if _possible(task, corruption) else ():
            images = Corrupted(test.files, test.pixels, corruption, level, seed)
            found[name, level] = images.strength, *trial.against(rate(images))
    kinds = _kinds(found, trial.error)
    shifts, change = measure_shifts(rate, own.said, test, seed)
    left_out = {name: NO_PLACE for name in CORRUPTIONS if name not in kinds} | ({} if shifts else {"shifts": MUST_MOVE})
    return Robustness(task.headline[0], len(test.files), clean, kinds, shifts, change, left_out)


def _possible(task: Task, corruption: Corruption) -> bool:
    """Whether the truth can follow what it does to the image."""
    return not (task.answer.placed and corruption.moves and corruption.geometry is None)


def _drawn(outputs: np.ndarray, test: Examples, seed: int) -> tuple[np.ndarray, Examples]:
    if len(test.files) <= MOST_IMAGES:
        return outputs, test
    rows = np.sort(np.random.default_rng(seed).permutation(len(test.files))[:MOST_IMAGES])
    return outputs[rows], test.among(rows)


class _Trial:
    """The score of the images as they are, for others to be compared with."""

    def __init__(self, name: str, rated: Rated, n: int, seed: int, groups: Groups) -> None:
        self.name, self.error, self.n, self.seed, self.groups = name, name in ERRORS, n, seed, groups
        self.right = rated.shares.get(name)
        self.value, self.drawn = (0.0, np.zeros(0)) if self.right is not None else self._resampled(rated)

    def clean(self) -> Score | None:
        if self.right is not None:
            return share_of(self.right, self.groups)
        return self._with_interval(self.value, self.drawn) if np.isfinite(self.value) else None

    def against(self, rated: Rated) -> tuple[Score, Score, float]:
        """The score of other answers, its difference to the clean one, and the p of none."""
        if self.right is not None:
            right = rated.shares[self.name]
            return share_of(right, self.groups), *self._of_shares(self.right, right)
        value, drawn = self._resampled(rated)
        difference = drawn_difference(value - self.value, drawn - self.drawn, self.n, self.groups)
        return self._with_interval(value, drawn), *difference

    def _of_shares(self, own: np.ndarray, other: np.ndarray) -> tuple[Score, float]:
        found = share_difference(own, other, np.arange(self.n) if self.groups is None else self.groups)
        return Score(found.value, found.low, found.high, found.level, found.n, found.method), found.p

    def _resampled(self, rated: Rated) -> tuple[float, np.ndarray]:
        """The score, and that of each resample; every call draws the same images."""
        parts = resampled(self.n, self.seed, RESAMPLES * self.n, self.groups)
        drawn = [rated.first(weights) for weights in parts]
        return float(rated.first(np.ones((self.n, 1)))[0]), np.concatenate(drawn)

    def _with_interval(self, value: float, drawn: np.ndarray) -> Score:
        if self.error:
            return interval(value, drawn, self.n, ERROR, freedom=max(1, self.n - 1), groups=self.groups)
        alone = self.n if self.groups is None else int(self.groups.max()) + 1
        return bounded(value, drawn, self.n, alone, self.groups)


def _kinds(found: Mapping[tuple[str, int], tuple[float, Score, Score, float]], error: bool) -> dict[str, Kind]:
    adjusted = holm([p for *_, p in found.values()])
    levels: dict[str, list[Level]] = {}
    for ((name, level), (strength, score, difference, p)), together in zip(found.items(), adjusted):
        fell = difference.value > 0 if error else difference.value < 0
        worse = fell and together < SIGNIFICANT
        levels.setdefault(name, []).append(Level(level, strength, score, difference, p, together, worse))
    return {
        name: Kind(CORRUPTIONS[name].parameter, tuple(those), next((one.level for one in those if one.worse), None))
        for name, those in levels.items()
    }


def measure_shifts(
    rate: Callable[[Shifted], Rated], said: np.ndarray | None, test: Examples, seed: int
) -> tuple[dict[str, tuple[Score, ...]], str]:
    """How an image is moved to a score for each distance, and what the scores are, as `Robustness` tells them; empty
    where the answer has to move with the image.

    Args:
        rate: the answers to images that are moved when they are indexed.
        said: what the answers to the images as they are say (`Rated.said`).
    """
    if said is None:
        return {}, ""
    groups = groups_of(test.groups)
    scores = {
        kind: tuple(
            mean_of(_change(said, rate(Shifted(test.files, test.pixels, kind, distance, seed)).said), seed, groups)
            for distance in distances(*test.pixels.shape[1:3])
        )
        for kind in SHIFTS
    }
    return scores, "same" if said.dtype.kind in "biu" else "spreads"


def _change(said: np.ndarray, then: np.ndarray | None) -> np.ndarray:
    """(N,) whether both answers to an image are the same; of values by how many spreads they differ."""
    assert then is not None
    rows, others = (one.reshape(len(one), -1) for one in (said, then))
    return (rows == others).all(axis=1) if said.dtype.kind in "biu" else np.abs(rows - others).mean(axis=1)
