"""How the error falls with the number of training images: a power law with an offset, and what more images would buy.

Sources: Hestness et al., "Deep learning scaling is predictable, empirically", arXiv 1712.00409 (2017), for the power
law and the exponents that are met; Rosenfeld et al., "A constructive prediction of the generalization error across
scales", ICLR 2020, arXiv 1909.12673, for the offset, and for fitting relative errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.measure.intervals import LEVEL

__all__ = ["FEWEST", "Fitted", "Law", "fit", "fitted"]

EXPONENTS = np.linspace(0.05, 1.0, 77)
"""Hestness et al. met 0.07 to 0.35; flatter and steeper ones are left possible."""

FEWEST = 4  # shares: one more than there are numbers in the law
DRAWS = 2000
LEAST = 1e-6  # error, so that relative ones are defined
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Law:
    """error(n) = a·(n / whole)⁻ᵇ + c, for each of R resamples; a and c are 0 or more.

    Args:
        a, b, c: (R,) or (K, R).
        whole: images that n is counted in.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    whole: int

    def at(self, images: float) -> np.ndarray:
        """The error with so many images."""
        return self.a * (images / self.whole) ** -self.b + self.c

    def images(self, error: float) -> np.ndarray:
        """How many images it takes for an error; infinite where the law never gets there."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = self.whole * ((error - self.c) / self.a) ** (-1 / self.b)
        return np.where(error > self.c, np.where(self.a > TINY, needed, 0.0), np.inf)


def fit(sizes: Sequence[int], errors: np.ndarray, whole: int) -> Law:
    """The law with the least squared relative error, for each column of (P, R) errors at P sizes.

    For an exponent, a and c are linear: of the exponents on a grid the best is taken.
    """
    errors = np.maximum(errors, LEAST)
    best = np.full(errors.shape[1], np.inf)
    a, b, c = (np.zeros(errors.shape[1]) for _ in range(3))
    for exponent in EXPONENTS:
        own_a, own_c = _linear(sizes, errors, whole, exponent)
        x = (np.array(sizes) / whole)[:, None] ** -exponent
        off = (((own_a * x + own_c) / errors - 1) ** 2).sum(axis=0)
        better = off < best
        best = np.where(better, off, best)
        a, b, c = np.where(better, own_a, a), np.where(better, exponent, b), np.where(better, own_c, c)
    return Law(a, b, c, whole)


def _linear(
    sizes: Sequence[int], errors: np.ndarray, whole: int, exponent: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """a and c, 0 or more, of the last axis' columns: (…, P, R) errors to (…, R)."""
    x = (np.array(sizes) / whole)[:, None] ** -np.asarray(exponent)  # (P, 1) or (P, R)
    weights = errors**-2.0
    total = weights.sum(axis=-2)
    mean_x, mean = (weights * x).sum(axis=-2) / total, (weights * errors).sum(axis=-2) / total
    spread = (weights * (x - mean_x[..., None, :]) ** 2).sum(axis=-2)
    a = (weights * (x - mean_x[..., None, :]) * errors).sum(axis=-2) / np.maximum(spread, TINY)
    c = mean - a * mean_x
    through_zero = (weights * x * errors).sum(axis=-2) / (weights * x * x).sum(axis=-2)
    a, c = np.where(c < 0, through_zero, a), np.maximum(c, 0.0)
    return np.where(a < 0, 0.0, a), np.where(a < 0, mean, c)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A law with what chance does to it.

    Args:
        law: of the measured errors, R = 1.
        draws: of the resamples.
        noise: (R,) relative standard deviation of one training's error around the law.
        labels: the same for each label, (K, 1) and (K, R); with the exponents of `law` and `draws`.
        misfit: how often trainings of such a law lie as far from it as these: the p-value of the F test for lack of
            fit, of the shares' means against the spread within shares; 1 where no share was trained on twice.
    """

    law: Law
    draws: Law
    noise: np.ndarray
    labels: Law
    label_draws: Law
    misfit: float
    seed: int

    def expected(self, images: int) -> tuple[float, float, float]:
        """The error of one training on so many images, and the interval that holds it."""
        jitter = np.random.default_rng(self.seed + 1).normal(size=len(self.noise))
        drawn = self.draws.at(images) * np.maximum(1 + self.noise * jitter, 0.0)
        return _told(float(self.law.at(images)[0]), drawn)

    def gain(self, images: int, more: int) -> tuple[float, float, float]:
        """By how much the error falls on average from so many images to more, with its interval."""
        drawn = self.draws.at(images) - self.draws.at(more)
        return _both_ways(float((self.law.at(images) - self.law.at(more))[0]), drawn)

    def label_gains(self, images: int, more: int) -> tuple[list[tuple[float, float, float]], np.ndarray]:
        """The same for each label, and (K,) how often each gains most."""
        values = (self.labels.at(images) - self.labels.at(more))[:, 0]
        drawn = self.label_draws.at(images) - self.label_draws.at(more)
        ranked = np.where(np.isfinite(drawn), drawn, -np.inf)
        often = np.bincount(ranked.argmax(axis=0), minlength=len(values)) / drawn.shape[1]
        return [_both_ways(float(value), row) for value, row in zip(values, drawn)], often

    def needed(self, error: float) -> tuple[float, float, float]:
        """Images for that error on average, and their interval; infinite where it may never be reached."""
        return _told(float(self.law.images(error)[0]), self.draws.images(error))


def _told(value: float, drawn: np.ndarray) -> tuple[float, float, float]:
    drawn = np.sort(drawn[~np.isnan(drawn)])
    if not len(drawn):
        return value, value, value
    ends = [(1 - LEVEL) / 2 * (len(drawn) - 1), (1 + LEVEL) / 2 * (len(drawn) - 1)]
    low, high = float(drawn[math.floor(ends[0])]), float(drawn[math.ceil(ends[1])])
    return value, min(value, low), max(value, high)


def _both_ways(value: float, drawn: np.ndarray) -> tuple[float, float, float]:
    """The percentiles, and the same mirrored at the value: a law that cannot rise, nor fall below 0, is drawn more
    often too flat than too steep. In simulations of shares up to a half with 1,000 images held out, the percentiles
    alone held the gain of twice all images 84 to 99 times in 100, and these 87 to 100 times; least where there is no
    offset at all."""
    value, low, high = _told(value, drawn)
    return value, min(low, 2 * value - high), max(high, 2 * value - low)


def fitted(
    sizes: Sequence[int], errors: Sequence[np.ndarray], labels: Sequence[np.ndarray], whole: int, seed: int
) -> Fitted:
    """The law of some trainings, and of resamples of it.

    Two kinds of chance are drawn, together: in the images that were measured on, the same ones for all trainings; and
    in the training itself (the seed, and which images it learned from), a relative error whose size is found from how
    far the trainings lie from the law, with the degrees of freedom that leaves.

    Args:
        sizes: images of each of T trainings, `FEWEST` different ones at least.
        errors: of each training (1 + R,): as measured, then of R resamples of the images.
        labels: likewise (K, 1 + R).
    """
    rng = np.random.default_rng(seed)
    distinct = sorted(set(sizes))
    members = [[t for t, size in enumerate(sizes) if size == one] for one in distinct]
    law = fit(distinct, _means(errors, members)[:, :1], whole)
    off = np.array([max(error[0], LEAST) / law.at(size)[0] - 1 for size, error in zip(sizes, errors)])
    freedom = max(1, len(sizes) - 3)
    draws = max(DRAWS, len(errors[0]) - 1)
    which = 1 + np.arange(draws) % (len(errors[0]) - 1)
    spread = np.sqrt(freedom / rng.chisquare(freedom, draws))  # what so few trainings leave open of their own spread
    noise = math.sqrt(float((off**2).sum()) / freedom) * spread
    counts = np.array([len(some) for some in members])
    moved = rng.normal(size=(len(distinct), draws)) / np.sqrt(counts)[:, None]
    drawn = _means(errors, members)[:, which] * np.maximum(1 + noise * moved, LEAST)
    many = fit(distinct, drawn, whole)
    columns = _means(labels, members).swapaxes(0, 1)  # (K, P, 1 + R)
    own = _of_labels(distinct, columns[..., :1], law)
    scatter = _label_scatter(sizes, labels, own, freedom)
    jitter = rng.normal(size=(len(columns), len(distinct), draws)) / np.sqrt(counts)[:, None]
    every = _of_labels(distinct, np.maximum(columns[..., which] + scatter * spread * jitter, LEAST), many)
    return Fitted(law, many, noise, own, every, _misfit(off, members), seed)


def _misfit(off: np.ndarray, members: Sequence[Sequence[int]]) -> float:
    """
    Args:
        off: (T,) relative distances of the trainings from the law.
        members: of each size.
    """
    from scipy.stats import f

    means = np.array([off[some].mean() for some in members])
    within = sum(float(((off[some] - mean) ** 2).sum()) for some, mean in zip(members, means))
    between = sum(len(some) * float(mean) ** 2 for some, mean in zip(members, means))
    freedom = len(members) - 3, len(off) - len(members)
    if not all(freedom) or within < TINY:
        return 1.0
    return float(f.sf(between / freedom[0] / (within / freedom[1]), *freedom))


def _means(rows: Sequence[np.ndarray], members: Sequence[Sequence[int]]) -> np.ndarray:
    """(P, …) over the trainings of each size."""
    return np.stack([np.mean([rows[t] for t in some], axis=0) for some in members])


def _of_labels(sizes: Sequence[int], errors: np.ndarray, law: Law) -> Law:
    """(K, P, R) errors, with the exponents of the whole: those of one label alone are too uncertain."""
    a, c = _linear(sizes, np.maximum(errors, LEAST), law.whole, law.b)
    return Law(a, law.b, c, law.whole)


def _label_scatter(sizes: Sequence[int], labels: Sequence[np.ndarray], law: Law, freedom: int) -> float:
    """How far, over all labels, a training's error lies from the label's law: what one label alone would say is little.
    The images' own chance is in it, too."""
    off = [label[:, 0] - law.at(size)[:, 0] for size, label in zip(sizes, labels)]
    squares = np.nanmean(np.square(off).sum(axis=0)) if np.isfinite(np.sum(off, axis=0)).any() else 0.0
    return math.sqrt(float(squares) / freedom)
