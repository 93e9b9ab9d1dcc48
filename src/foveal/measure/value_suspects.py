"""Which values look wrong: those that lie much farther from what networks say, out of fold, than others like them.

How far is usual depends on the value: ages of children are told to a year, of the old to ten. So the distance is counted
in the median one of the images for which about the same value was said, less what it usually is for them.

Source: distances in median absolute deviations, as Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993),
section 3.3; here the median and the deviation are local.
"""

from collections.abc import Sequence

import numpy as np

from foveal.answers.value import shown
from foveal.measure.told import told_values
from foveal.task import Suspected
from foveal.types import Dataset, Finding, Geometry

__all__ = ["FARTHEST_USUAL", "VALUE_SUSPECT", "kept_values", "suspected_values", "times_usual"]

VALUE_SUSPECT = "value-suspect"
LIKE = 0.2  # of the images, whose predicted value is nearest
FEWEST, MOST = 30, 200  # of them
SMALLEST = 0.1  # of the median distance of all images, below which that of some counts as this
ROUNDING = 1e-6  # of the spread of the values
FARTHEST_USUAL = 4.0  # median distances; of normal ones 0.7% lie beyond
CHUNK = 4_000_000  # numbers sorted at once
REMEDY = (
    "Look at the image. Where the value is wrong, correct it and train again; where it is right, leave it: rare "
    "images are worth more than usual ones."
)


def times_usual(predicted: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) how many times as far the given value is from where it would usually be as is usual, and (N,) that usual
    distance.

    Of the fifth of the images (30 to 200) whose predicted values are nearest, the median of given less predicted is
    where it would usually be, and the median distance from there the usual one; that is never below a tenth of the one
    of all images.

    Args:
        predicted: (N,) out of fold.
        given: (N,).
    """
    residual = given.astype(np.float64) - predicted
    order = np.argsort(predicted, kind="stable")
    count = min(len(order), max(FEWEST, min(MOST, round(LIKE * len(order)))))
    middle, usual = _running(residual[order], count)
    everywhere = float(np.median(np.abs(residual - np.median(residual))))
    smallest = max(SMALLEST * everywhere, ROUNDING * float(np.std(given)), float(np.finfo(np.float32).tiny))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    usual = np.maximum(usual, smallest)[back]
    return np.abs(residual - middle[back]) / usual, usual


def _running(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each value, and those before and after it, `count` in all: the median, and the median distance from it."""
    windows = np.lib.stride_tricks.sliding_window_view(values, count)
    middle, usual = np.empty(len(windows)), np.empty(len(windows))
    step = max(1, CHUNK // count)
    for start in range(0, len(windows), step):
        some = windows[start : start + step]
        middle[start : start + step] = np.median(some, axis=1)
        usual[start : start + step] = np.median(np.abs(some - middle[start : start + step, None]), axis=1)
    place = np.clip(np.arange(len(values)) - count // 2, 0, len(windows) - 1)
    return middle[place], usual[place]


def kept_values(outputs: np.ndarray, geometries: Sequence[Geometry] = ()) -> list[np.ndarray]:
    """Raw outputs (B, K) as they are, (K,) of each image."""
    return list(outputs)


def suspected_values(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    """What looks wrong of one value an image, or several, each by itself: what is more than four times as far from where
    it would usually be as is usual (`times_usual`), the farthest first.

    The facts of a finding: `score`, the share of the distance that is beyond the usual, 0.75 to 1 (1 - 1 / times);
    `name` of the value; `given`; `suggested`, the value predicted out of fold; `usual`, how far off is usual there.
    """
    predicted = np.stack(kept).astype(np.float64)
    given = dataset.targets.reshape(predicted.shape).astype(np.float64)
    times, usual = (np.stack(part, axis=1) for part in zip(*map(times_usual, predicted.T, given.T)))
    rows, columns = np.nonzero(times > FARTHEST_USUAL)
    order = np.argsort(-times[rows, columns], kind="stable")
    findings = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist()):
        name, off = dataset.labels[column], float(usual[row, column])
        value, said = float(given[row, column]), float(predicted[row, column])
        far = float(times[row, column])
        message = (
            f"{name} {value:.7g}, looks like {shown(said, off)}: {far:.1f} times as far off as is usual there "
            f"({shown(off, off)})"
        )
        facts = {"score": round(1 - 1 / far, 4), "name": name, "given": float(f"{value:.7g}")}
        facts |= {"suggested": float(shown(said, off)), "usual": float(f"{off:.3g}")}
        findings.append(Finding(VALUE_SUSPECT, (dataset.files[row],), message, REMEDY, facts))
    score, _ = told_values(predicted, given, seed)
    return Suspected(tuple(findings), given.size, None, "r2", score)
