"""One value an image, or several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.answers import Value
from foveal.examples import Examples, Rated
from foveal.measured import Measurement
from foveal.readers import ImageReader
from foveal.suspicion import Suspected, Suspicion, Telling
from foveal.task import Head, Task
from foveal.types import Dataset, Geometry

__all__ = ["REGRESSION"]


# As for one label: what is heavy is imported when it is first used.
def _head(
    in_features: int | tuple[int, ...] | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto"
) -> Head:
    from foveal.nets.heads import RegressionHead

    assert not isinstance(in_features, tuple)
    return RegressionHead(in_features, outputs, label_smoothing, loss)


def _measure(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    from foveal.measure.value import measure_values

    return measure_values(outputs, test, train, labels, seed, settled)


def _rate(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    from foveal.measure.value import rate_values

    return rate_values(outputs, test, labels, settled)


def _recall(targets: np.ndarray, labels: int) -> np.ndarray:
    from foveal.measure.nearest import said_values

    return said_values(targets)


def _kept(outputs: np.ndarray, geometries: Sequence[Geometry]) -> Sequence[np.ndarray]:
    from foveal.measure.value_suspects import kept_values

    return kept_values(outputs, geometries)


def _suspected(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    from foveal.measure.value_suspects import suspected_values

    return suspected_values(kept, dataset, seed)


def _telling() -> Telling:
    from foveal.measure.telling import VALUES

    return VALUES


REGRESSION = Task(
    name="regression",
    summary="one value an image, or several",
    reader=ImageReader(),
    answer=Value(),
    head=_head,
    measure=_measure,
    rate=_rate,
    kept_together="exact and near-duplicates, and named groups",
    recipe="default",
    headline=("mae", "rmse", "r2"),
    recall=_recall,
    suspicion=Suspicion("values", _kept, _suspected),
    telling=_telling,
)
