"""Two networks on the same images, and two recipes over several trainings: differences with their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from foveal.examples import Rated
from foveal.extras import extra
from foveal.measure.differences import holm
from foveal.measure.intervals import DRAWS, LEVEL, resampled
from foveal.measure.meanings import ERRORS

__all__ = ["Difference", "image_variance", "mcnemar", "paired", "seeds", "share_difference", "sure", "welch"]

EVEN = 1e-12  # what is below is rounding
HALVINGS = 60
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Difference:
    """The second less the first, with its interval.

    Args:
        p: how often chance alone would make a difference as large, were there none; two-sided.
        n: images, or trainings, that it rests on.
        method: `tango` (with the p of McNemar's mid-p test), `bootstrap`, `welch` or `welch, bootstrap`.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    level: float
    p: float
    n: int
    method: str


def mcnemar(changes: np.ndarray) -> float:
    """The p-value of McNemar's test, mid-p, for groups of images.

    With one image a group it is McNemar's exact test of the images that one network has right and the other wrong,
    with half of the probability of what was seen: the exact test without that is too cautious (Fagerland, Lydersen and
    Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact conditional",
    BMC Med. Res. Methodol. 13:91, 2013). Larger groups change sides as a whole: the sum of their changes under all
    swaps of the two networks, each group for itself, is what chance would make.

    Args:
        changes: (G,) images of each group that became right less those that became wrong, whole numbers.
    """
    total, sizes = abs(int(changes.sum())), np.abs(changes.astype(np.int64))
    if not total:
        return 1.0
    chance = np.ones(1)  # of the sum of signed sizes, from the most negative up in steps of 1
    for size, count in zip(*np.unique(sizes[sizes > 0], return_counts=True)):
        spaced = np.zeros(2 * int(size) * int(count) + 1)
        spaced[:: 2 * int(size)] = _halves(int(count))
        chance = np.convolve(chance, spaced)
    middle = len(chance) // 2
    return float(min(1.0, 2 * chance[middle + total + 1 :].sum() + chance[middle + total]))


def _halves(count: int) -> np.ndarray:
    """Probabilities of 0, 1, … count heads of a fair coin."""
    logs = np.array([math.lgamma(k + 1) for k in range(count + 1)])
    return np.exp(logs[-1] - logs - logs[::-1] - count * math.log(2))


def share_difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Difference:
    """Of two shares of the same images: Tango's score interval, and the p-value of `mcnemar`.

    The interval is honest for few images and near 0 and 1. Where groups have several images, which are right or wrong
    together, it is that of as many images as they are worth: their number over the design effect.

    Source: Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998), 891-908; design effect: Rao and Scott, Biometrics 48 (1992), 577-585.

    Args:
        first, second: (N,) bool, one image at least.
        groups: (N,) numbers of the groups, 0 to G - 1.
    """
    change = second.astype(np.float64) - first.astype(np.float64)
    n, mean = len(change), float(change.mean())
    sums = np.bincount(groups, weights=change)
    sizes = np.bincount(groups)
    alone = float(((change - mean) ** 2).sum())
    together = float(((sums - sizes * mean) ** 2).sum())
    effect = max(1.0, together / alone) if alone > EVEN else n / len(sizes)
    gained, lost = (float((change == sign).sum()) / effect for sign in (1, -1))
    low, high = (_tango(gained, lost, n / effect, end) for end in (-1, 1))
    places = float(first.mean()), float(second.mean())
    return Difference(*places, mean, min(low, mean), max(high, mean), LEVEL, mcnemar(sums), n, "tango")


def _tango(gained: float, lost: float, n: float, end: int) -> float:
    """The bound of the difference on one side, where the score statistic is as far from 0 as the normal quantile."""

    def distance(delta: float) -> float:
        b = -gained - lost + (2 * n - gained + lost) * delta
        c = -lost * delta * (1 - delta)
        losing = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)  # the share lost, most likely at that delta
        spread = math.sqrt(max(n * (2 * losing + delta * (1 - delta)), 0.0))
        off = abs(gained - lost - n * delta)
        return math.inf if spread < EVEN < off else off / spread if spread else 0.0

    inside, outside = (gained - lost) / n, float(end)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if distance(middle) < Z else (inside, middle)
    return inside


def paired(
    first: Rated, second: Rated, groups: np.ndarray, seed: int
) -> tuple[dict[str, Difference], dict[str, list[Difference | None]]]:
    """Every score's difference, and of each label's scores one a label; None where it is not defined for both.

    Shares of images are tested with `share_difference`. For all others the images (their groups, where they belong
    together) are drawn again, the same ones for both networks, and the difference's interval is the bias-corrected
    normal one, with Student's quantile for the number of groups.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 and 12.

    Args:
        groups: (N,) numbers of the groups, 0 to G - 1.
    """
    every = np.ones((len(groups), 1))
    places = [one.under(every) for one in (first, second)]
    labels = max((len(column) for column in places[0][1].values()), default=1)
    drawn: list[list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]] = []
    count = int(groups.max()) + 1
    for weights in resampled(count, seed, DRAWS // max(1, labels)):
        drawn.append([one.under(weights[groups]) for one in (first, second)])

    def difference(name: str, kind: int, row: int | slice) -> Difference | None:
        one, other = (float(place[kind][name][row].ravel()[0]) for place in places)
        if not math.isfinite(one) or not math.isfinite(other):
            return None
        draws = np.concatenate([(two[kind][name] - own[kind][name])[row].ravel() for own, two in drawn])
        return _bootstrapped(name, one, other, draws, count)

    scores: dict[str, Difference] = {}
    for name in places[0][0]:
        if name in first.shares and name in second.shares:
            scores[name] = share_difference(first.shares[name], second.shares[name], groups)
        elif name in places[1][0] and (found := difference(name, 0, slice(None))):
            scores[name] = found
    columns: dict[str, list[Difference | None]] = {}
    for name in places[0][1]:
        if name in first.label_shares:
            pairs = zip(first.label_shares[name], second.label_shares[name])
            columns[name] = [_within(*pair, groups) for pair in pairs]
        elif name in places[1][1]:
            columns[name] = [difference(name, 1, slice(k, k + 1)) for k in range(labels)]
    return scores, columns


def _within(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Difference | None:
    """Among the images that count."""
    counted = np.isfinite(first)
    if not counted.any():
        return None
    _, numbers = np.unique(groups[counted], return_inverse=True)
    return share_difference(first[counted] == 1, second[counted] == 1, numbers)


def _bootstrapped(name: str, first: float, second: float, draws: np.ndarray, count: int) -> Difference | None:
    """Where no resample differs, both answer alike, or both are right everywhere, or nowhere: then Tango's interval of
    as many images without a change. An error has no such scale; there alike means alike."""
    draws = draws[np.isfinite(draws)]
    value = second - first
    if count < 2 or len(draws) < 2:
        return None
    spread = float(draws.std()) * math.sqrt(count / (count - 1))
    if spread < EVEN:
        half = 0.0 if name in ERRORS else Z * Z / (count + Z * Z)
        return Difference(first, second, value, value - half, value + half, LEVEL, 1.0, count, "bootstrap")
    middle = 2 * value - float(draws.mean())
    half, p = _student(middle, spread, count - 1)
    low, high = min(value, middle - half), max(value, middle + half)
    return Difference(first, second, value, low, high, LEVEL, p, count, "bootstrap")


def _student(middle: float, spread: float, freedom: float) -> tuple[float, float]:
    """Half of the interval's width, and the two-sided p-value of 0."""
    with extra("train"):
        from scipy.stats import t
    return spread * float(t.ppf((1 + LEVEL) / 2, freedom)), 2 * float(t.sf(abs(middle) / spread, freedom))


def seeds(name: str, values: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, standard deviation and the t interval of the mean of two trainings or more.

    Args:
        name: of the score: the interval ends where the score does.
    """
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    if spread < EVEN:
        return mean, spread, mean, mean
    half, _ = _student(0.0, spread / math.sqrt(len(values)), len(values) - 1)
    least, most = -math.inf if name == "r2" else 0.0, math.inf if name in ERRORS else 1.0
    return mean, spread, max(mean - half, least), min(mean + half, most)


def welch(first: Sequence[float], second: Sequence[float], images: tuple[float, int] | None = None) -> Difference:
    """Of the means of two series, each of two trainings or more, whose seeds need not move them equally far.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35.

    Args:
        images: variance of the difference from one choice of test images to another, and its degrees of freedom, where
            that luck is to be counted, too. Of its and the seeds' degrees the fewer are taken: with both together the
            interval could become narrower than without the images.
    """
    means = float(np.mean(first)), float(np.mean(second))
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    value, n, method = means[1] - means[0], len(first) + len(second), "welch, bootstrap" if images else "welch"
    variance, freedom = sum(parts), math.inf
    if variance > EVEN**2:
        freedom = variance**2 / sum(part * part / (len(own) - 1) for part, own in zip(parts, (first, second)))
    if images:
        variance, freedom = variance + images[0], min(freedom, images[1])
    if variance < EVEN**2:  # no seed, nor any choice of images, moves anything
        return Difference(*means, value, value, value, LEVEL, float(abs(value) < EVEN), n, method)
    half, p = _student(value, math.sqrt(variance), freedom)
    return Difference(*means, value, value - half, value + half, LEVEL, p, n, method)


def image_variance(
    first: Sequence[Rated], second: Sequence[Rated], groups: np.ndarray, seed: int
) -> dict[str, tuple[float, int]]:
    """How far the luck of the test images moves the difference of two series' means: of every score its variance over
    resamples, the same ones for all networks, and its degrees of freedom; without those that are not defined.

    Args:
        groups: (N,) numbers of the groups, 0 to G - 1; two at least.
    """
    count = int(groups.max()) + 1
    names = list(first[0].under(np.ones((len(groups), 1)))[0])
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for weights in resampled(count, seed, DRAWS // (len(first) + len(second))):
        own, other = ([one.under(weights[groups])[0] for one in side] for side in (first, second))
        for name in names:
            drawn[name].append(
                np.mean([one[name] for one in other], axis=0) - np.mean([one[name] for one in own], axis=0)
            )
    found = {name: np.concatenate(draws) for name, draws in drawn.items()}
    return {
        name: (float(draws.var()) * count / (count - 1), count - 1)
        for name, draws in found.items()
        if count > 1 and np.isfinite(draws).all()
    }


def sure(p: Mapping[str, float], level: float = LEVEL) -> set[str]:
    """The names whose difference stands when all of them are asked about at once: one false among all of them at most
    1 - `level` of the time (see `holm`)."""
    return {name for name, together in zip(p, holm(list(p.values()))) if together <= 1 - level}
