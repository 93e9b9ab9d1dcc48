"""How good the `value` answer is: K true numbers an image against K outputs an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.answers.value import shown
from foveal.examples import Examples, Rated
from foveal.measure.baselines import value_baselines
from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import DRAWS, ERROR, R_SQUARED, interval, resampled, share_of, wilson
from foveal.measure.label import MOST_MISTAKES
from foveal.measured import Measurement, Mistake, Points, Score

__all__ = ["measure_values", "rate_values"]

QUANTITIES = {"mae": ERROR, "rmse": ERROR, "r2": R_SQUARED, "median_error": ERROR}
MOST_POINTS = 2000  # of a value
MOST_POINTS_IN_ALL = 20_000
ALIKE = 1e-9  # of the variance of the truth: what is below is rounding


def measure_values(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    """Scores, baselines, each value on its own, the largest errors, and predicted against true of outputs (N, K).

    Errors are in the user's unit. The scores of several values are the mean of theirs, except `coverage`: the share of
    all values that lie in their interval, with the interval of as many images. All others have a bootstrap interval
    over images, drawn with `seed` (with normal errors and 5 to 300 images, a nominal 95% held the truth 92 to 99 times
    in 100). R² is left out where the truth is always the same. Without test images there are no
    scores, no baselines and no points, every support is 0 and nothing is raised.
    """
    if not len(test.files):
        return Measurement(scores={}, per_label={name: {"support": 0} for name in labels})
    shape = len(test.files), len(labels)
    truth = test.targets.reshape(shape).astype(np.float64)
    guesses = {"": outputs, **value_baselines(test, train, seed)}
    errors = {name: _Errors.of(guess.reshape(shape), truth) for name, guess in guesses.items()}
    groups = groups_of(test.groups)
    drawn = _drawn(errors, seed, groups)
    found = {name: _scores(one, of_one, groups) for (name, one), of_one in zip(errors.items(), drawn)}
    (scores, columns), rivals = found.pop(""), found
    half = np.array([settled.get("half_width", {}).get(name, np.nan) for name in labels])
    if not np.isnan(half).any():
        within = errors[""].size <= half
        held = float(within.sum()) / len(labels)
        scores["coverage"] = wilson(held, len(within)) if groups is None else share_of(within.mean(axis=1), groups)
        columns = [{**row, "coverage": share_of(own, groups)} for row, own in zip(columns, within.T)]
    return Measurement(
        scores=scores,
        baselines={name: row for name, (row, _) in rivals.items()},
        per_label={name: {**row, "support": len(truth)} for name, row in zip(labels, columns)},
        mistakes=_mistakes(outputs.reshape(shape), truth, test.files, labels),
        points=_points(outputs.reshape(shape), truth, labels, half, seed),
    )


def rate_values(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    """Of outputs (N, K): the scores of `QUANTITIES`, together and of each value."""
    shape = len(test.files), len(labels)
    truth = test.targets.reshape(shape).astype(np.float64)
    errors = _Errors.of(outputs.reshape(shape), truth)
    spread = np.where(np.ptp(truth, axis=0) > 0, truth.std(axis=0), 1.0)
    defined = np.isfinite(errors.under(np.ones((shape[0], 1)))[..., 0])  # (4, K)

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        drawn = errors.under(weights)
        named = [(name, part, own) for name, part, own in zip(QUANTITIES, drawn, defined) if own.any()]
        return {name: part[own].mean(axis=0) for name, part, own in named}, {name: part for name, part, _ in named}

    mean = errors.size.mean(axis=1)
    return Rated(
        wrong=(errors.size / spread).mean(axis=1) if len(labels) > 1 else mean,
        first=lambda weights: mean @ weights / weights.sum(axis=0),
        under=under,
        said=outputs.reshape(shape) / spread,
    )


@dataclass(frozen=True, eq=False)
class _Errors:
    """Errors to be averaged again for every resample.

    Args:
        size: (N, K) absolute errors.
        truth: (N, K) true values, less their mean.
        order: (N, K) rows by rising error, a column each.
    """

    size: np.ndarray
    truth: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray, truth: np.ndarray) -> "_Errors":
        size = np.abs(outputs - truth)
        centered = np.where(np.ptp(truth, axis=0) > 0, truth - truth.mean(axis=0), 0.0)
        return cls(size, centered, np.argsort(size, axis=0, kind="stable"))

    def under(self, weights: np.ndarray) -> np.ndarray:
        """(4, K, R) `QUANTITIES` where image i counts weights[i, r] times; NaN where not defined."""
        count = weights.sum(axis=0)
        squared = (self.size**2).T @ weights / count
        variance = (self.truth**2).T @ weights / count - (self.truth.T @ weights / count) ** 2
        least = ALIKE * (self.truth**2).mean(axis=0)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            explained = np.where(variance > least, 1 - squared / variance, np.nan)
        return np.stack([self.size.T @ weights / count, np.sqrt(squared), explained, self._median(weights)])

    def _median(self, weights: np.ndarray) -> np.ndarray:
        half, medians = weights.sum(axis=0) / 2, np.empty((self.size.shape[1], weights.shape[1]))
        for k, order in enumerate(self.order.T):
            rising, summed = self.size[order, k], np.cumsum(weights[order], axis=0)
            medians[k] = (rising[(summed < half).sum(axis=0)] + rising[(summed <= half).sum(axis=0)]) / 2
        return medians


def _drawn(errors: dict[str, _Errors], seed: int, groups: Groups) -> list[np.ndarray]:
    """(4, K, R) of the resamples, which are the same for all."""
    images, columns = next(iter(errors.values())).size.shape
    parts: list[list[np.ndarray]] = [[] for _ in errors]
    for weights in resampled(images, seed, DRAWS // columns, groups):
        for part, one in zip(parts, errors.values()):
            part.append(one.under(weights))
    return [np.concatenate(part, axis=2) for part in parts]


def _scores(errors: _Errors, drawn: np.ndarray, groups: Groups) -> tuple[dict[str, Score], list[dict[str, Score]]]:
    """Of all values together, and of each."""
    n, values = len(errors.size), errors.under(np.ones((len(errors.size), 1)))[..., 0]  # (4, K)
    together: dict[str, Score] = {}
    columns: list[dict[str, Score]] = [{} for _ in values[0]]
    for (name, scale), of_value, of_drawn in zip(QUANTITIES.items(), values, drawn):
        defined = np.flatnonzero(np.isfinite(of_value))
        for k in defined:
            columns[k][name] = interval(float(of_value[k]), of_drawn[k], n, scale, freedom=n - 1, groups=groups)
        if len(defined):
            mean, mean_drawn = float(of_value[defined].mean()), of_drawn[defined].mean(axis=0)
            together[name] = interval(mean, mean_drawn, n, scale, freedom=n - 1, groups=groups)
    return together, columns


def _mistakes(
    outputs: np.ndarray, truth: np.ndarray, files: Sequence[str], labels: Sequence[str]
) -> tuple[Mistake, ...]:
    """The largest errors, one an image; of several values in units of how much the true ones spread."""
    size = np.abs(outputs - truth)
    relative = size / np.where(np.ptp(truth, axis=0) > 0, truth.std(axis=0), 1.0)
    worst = np.argsort(-relative.max(axis=1), kind="stable")[:MOST_MISTAKES]
    mistakes = []
    for row in map(int, worst):
        k = int(relative[row].argmax())
        what = f"{labels[k]} " if len(labels) > 1 else ""
        told = shown(float(outputs[row, k]), float(size[:, k].mean()))
        if size[row, k] > 0:
            mistakes.append(Mistake(files[row], f"{what}{truth[row, k]:.7g}", f"{what}{told}", None))
    return tuple(mistakes)


def _points(
    outputs: np.ndarray, truth: np.ndarray, labels: Sequence[str], half: np.ndarray, seed: int
) -> tuple[Points, ...]:
    most = max(1, min(MOST_POINTS, MOST_POINTS_IN_ALL // len(labels)))
    rows = np.sort(np.random.default_rng(seed).permutation(len(truth))[:most])
    points = []
    for k, name in enumerate(labels):
        true, said = (tuple(float(f"{value:.7g}") for value in of[rows, k]) for of in (truth, outputs))
        points.append(Points(name, true, said, None if np.isnan(half[k]) else float(half[k])))
    return tuple(points)
