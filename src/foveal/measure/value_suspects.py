"""Which values look wrong: those that lie much farther from what networks say, out of fold, than others like them.

How far is usual depends on the value: ages of children are told to a year, of the old to ten. So the distance is
counted in the median one of the images for which about the same value was said, which a wrong value among them hardly
moves.
"""

from collections.abc import Sequence

import numpy as np

from foveal.answers.value import shown
from foveal.measure.told import told_values
from foveal.suspicion import Suspected
from foveal.types import Dataset, Finding, Geometry

__all__ = ["FARTHEST_USUAL", "VALUE_SUSPECT", "kept_values", "suspected_values", "times_usual"]

VALUE_SUSPECT = "value-suspect"
LIKE = 0.4  # of the images, whose predicted value is nearest
FEWEST, MOST = 30, 1000  # of them
SMALLEST = 0.1  # of the median distance of all images, below which that of some counts as this
ROUNDING = 1e-6  # of the spread of the values
FARTHEST_USUAL = 3.0  # median distances; of normal ones 4% lie beyond
CHUNK = 4_000_000  # numbers sorted at once
REMEDY = (
    "Look at the image. Where the value is wrong, correct it and train again; where it is right, leave it: rare "
    "images are worth more than usual ones."
)


def times_usual(predicted: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) how many times as far the given value is from the predicted one as is usual, and (N,) that usual distance.

    It is the median of those images, two in five (30 to 1,000), whose predicted values are nearest; never below a tenth
    of the median of all images.

    Args:
        predicted: (N,) out of fold.
        given: (N,).
    """
    far = np.abs(given.astype(np.float64) - predicted)
    order = np.argsort(predicted, kind="stable")
    smallest = max(SMALLEST * float(np.median(far)), ROUNDING * float(np.std(given)), float(np.finfo(np.float32).tiny))
    usual = np.empty(len(far))
    usual[order] = np.maximum(_running_median(far[order]), smallest)
    return far / usual, usual


def _running_median(values: np.ndarray) -> np.ndarray:
    """Of each value and as many before as after it; at the ends of the nearest that have as many."""
    count = min(len(values), max(FEWEST, min(MOST, round(LIKE * len(values)))))
    windows = np.lib.stride_tricks.sliding_window_view(values, count)
    step = max(1, CHUNK // count)
    parts = [np.median(windows[start : start + step], axis=1) for start in range(0, len(windows), step)]
    place = np.clip(np.arange(len(values)) - count // 2, 0, len(windows) - 1)
    return np.concatenate(parts)[place]


def kept_values(outputs: np.ndarray, geometries: Sequence[Geometry] = ()) -> list[np.ndarray]:
    """Raw outputs (B, K) as they are, (K,) of each image."""
    return list(outputs)


def suspected_values(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    """What looks wrong of one value an image, or several, each by itself: what is more than three times as
    far from what is predicted as is usual (`times_usual`), the farthest first.

    The facts of a finding: `score`, the share of the distance that is beyond the usual, 0.67 to 1 (1 - 1 / times);
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
