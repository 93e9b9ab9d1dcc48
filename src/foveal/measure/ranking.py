"""How well a label's outputs rank the images that have it before those that do not."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import LEVEL, student, wilson
from foveal.measured import Score

__all__ = ["Ranking", "auroc", "auroc_parts", "average_precision"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The n images of which one label is known, by falling output, laid out to be scored again for every resample.

    Args:
        rows: (n,) of the images among all.
        places: (P,) of those that have the label, ascending, 0 the first.
        first, last: (P,) the places of the first and the last image with the same output.
        before, until: (P,) how many that have the label come before `first`, and up to `last`.
    """

    rows: np.ndarray
    places: np.ndarray
    first: np.ndarray
    last: np.ndarray
    before: np.ndarray
    until: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray, truth: np.ndarray) -> "Ranking":
        """From (N,) outputs and (N,) 1, 0 or NaN."""
        known = np.flatnonzero(~np.isnan(truth))
        rows = known[np.argsort(-outputs[known], kind="stable")]
        falling = outputs[rows]
        falls = np.flatnonzero(falling[1:] != falling[:-1]) + 1
        starts, ends = np.concatenate([[0], falls]), np.concatenate([falls, [len(rows)]])
        places = np.flatnonzero(truth[rows] == 1)
        group = np.searchsorted(falls, places, side="right")
        first, last = starts[group], ends[group] - 1
        until = np.searchsorted(places, last, side="right")
        return cls(rows, places, first, last, np.searchsorted(places, first), until)

    def under(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average precision and AUROC, each (R,), where image i counts weights[i, r] times; NaN where not defined.

        Average precision is the sum over thresholds of precision times the rise in recall, without interpolation.

        Args:
            weights: (N, R) of all images, float64.
        """
        seen = _summed(weights[self.rows])  # (n + 1, R) before each place
        own = weights[self.rows[self.places]]
        found = _summed(own)
        reached, passed = seen[self.last + 1], seen[self.first]
        true, true_before = found[self.until], found[self.before]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(own > 0, true / reached, 0.0)
            ties = (reached - passed) - (true - true_before)
            beaten = (seen[-1] - found[-1]) - (reached - true) + ties / 2
            area = (own * beaten).sum(axis=0) / (found[-1] * (seen[-1] - found[-1]))
            return (own * precision).sum(axis=0) / found[-1], area


def average_precision(ranking: Ranking) -> Score:
    """With Wilson's interval, as if it were a share of the images that have the label: average precision is the mean
    over them of a precision, and those are no farther apart than a share's yes and no.

    Source: Boyd, Eng and Page, "Area under the precision-recall curve", ECML 2013, who take
    a binomial interval of as many images as have the label.
    """
    value = float(ranking.under(np.ones((_length(ranking), 1)))[0][0])
    return wilson(value * len(ranking.places), len(ranking.places))


def auroc(outputs: np.ndarray, truth: np.ndarray, groups: Groups = None) -> Score:
    """Area under the ROC curve with DeLong's variance, its interval on the logit scale; where images belong together,
    with Obuchowski's, of the sums over groups of what DeLong's is made of, and Student's quantile. Where that variance
    is 0 or not defined (all ranked right; a single image on one side), Wilson's interval for as many images, or groups,
    as the rarer side has.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845; computed from midranks as in Sun and Xu,
    IEEE Signal Processing Letters 21 (2014) 1389-1393, algorithm 2; logit scale: Pepe, The Statistical Evaluation of
    Medical Tests (2003), section 5.2; groups: Obuchowski, "Nonparametric analysis of clustered ROC curve data",
    Biometrics 53 (1997) 567-578.

    Args:
        outputs: (n,) of the images of which the label is known.
        truth: (n,) whether they have it; some must and some must not.
        groups: (n,) numbers.
    """
    groups = groups_of(groups)
    above, below = auroc_parts(outputs, truth)
    m, n = len(above), len(below)
    value = float(above.mean())
    variance = above.var(ddof=1) / m + below.var(ddof=1) / n if min(m, n) > 1 else 0.0
    z, method, rarer = NormalDist().inv_cdf((1 + LEVEL) / 2), "delong", min(m, n)
    if groups is not None:
        rarer = min(len(np.unique(groups[side])) for side in (truth, ~truth))
        count = int(groups.max()) + 1
        z, method = student(z, max(1, count - 1)), "obuchowski"
        off = np.zeros(m + n)
        off[truth], off[~truth] = (above - value) / m, (below - value) / n
        variance = float((np.bincount(groups, off) ** 2).sum()) * count / max(1, count - 1) if rarer > 1 else 0.0
    if not variance > 1e-12 or not 0 < value < 1:
        score = wilson(value * rarer, rarer)
        return Score(value, score.low, score.high, score.level, m + n, score.method)
    middle = math.log(value / (1 - value))
    half = z * math.sqrt(variance) / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-end)) for end in (max(middle - half, -700.0), middle + half))
    return Score(value, min(value, low), max(value, high), LEVEL, m + n, method)


def auroc_parts(outputs: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What AUROC is the mean of: of each image with the label, the share of those without it that come after; of each
    without it, the share of those with it that come before. Equal outputs count half.

    Args:
        outputs: (n,) of the images of which the label is known.
        truth: (n,) whether they have it; some must and some must not.
    """
    positive, negative = outputs[truth], outputs[~truth]
    ranks = _midranks(outputs)
    above = (ranks[truth] - _midranks(positive)) / len(negative)
    return above, 1 - (ranks[~truth] - _midranks(negative)) / len(positive)


def _length(ranking: Ranking) -> int:
    return int(ranking.rows.max()) + 1


def _summed(weights: np.ndarray) -> np.ndarray:
    """(n, R) to (n + 1, R): the sum of all rows before."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _midranks(values: np.ndarray) -> np.ndarray:
    """From 1; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
