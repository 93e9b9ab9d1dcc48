"""One label an image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.answers import Label
from foveal.examples import Examples, Rated
from foveal.measured import Measurement
from foveal.readers import ImageReader
from foveal.suspicion import Suspected, Suspicion, Telling
from foveal.task import Head, Task
from foveal.types import Dataset, Geometry

__all__ = ["CLASSIFICATION"]


# Looking at images must not wait for torch and scikit-learn to load: both are imported when first used.
def _head(
    in_features: int | tuple[int, ...] | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto"
) -> Head:
    from foveal.nets.heads import ClassificationHead

    assert not isinstance(in_features, tuple)
    return ClassificationHead(in_features, outputs, label_smoothing, loss)


def _measure(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    from foveal.measure.label import measure_labels

    return measure_labels(outputs, test, train, labels, seed, settled)


def _rate(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    from foveal.measure.label import rate_labels

    return rate_labels(outputs, test, labels, settled)


def _kept(outputs: np.ndarray, geometries: Sequence[Geometry]) -> Sequence[np.ndarray]:
    from foveal.measure.suspects import kept_probabilities

    return kept_probabilities(outputs, geometries)


def _suspected(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    from foveal.measure.suspects import suspected_labels

    return suspected_labels(kept, dataset, seed)


def _recall(targets: np.ndarray, labels: int) -> np.ndarray:
    from foveal.measure.nearest import said_label

    return said_label(targets, labels)


def _telling() -> Telling:
    from foveal.measure.telling import LABEL

    return LABEL


CLASSIFICATION = Task(
    name="classification",
    summary="one label an image",
    reader=ImageReader(),
    answer=Label(),
    head=_head,
    measure=_measure,
    rate=_rate,
    kept_together="exact and near-duplicates, and named groups",
    recipe="default",
    headline=("accuracy", "top5_accuracy", "macro_f1"),
    recall=_recall,
    pipeline="image-classification",
    suspicion=Suspicion("labels", _kept, _suspected),
    telling=_telling,
)
