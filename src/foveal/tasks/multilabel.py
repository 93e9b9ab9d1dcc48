"""Several labels at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.answers import Labels
from foveal.examples import Examples, Rated
from foveal.measured import Measurement
from foveal.readers import ImageReader
from foveal.suspicion import Suspected, Suspicion, Telling
from foveal.task import Head, Task
from foveal.types import Dataset, Geometry

__all__ = ["MULTILABEL"]


# As for one label: what is heavy is imported when it is first used.
def _head(
    in_features: int | tuple[int, ...] | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto"
) -> Head:
    from foveal.nets.heads import MultiLabelHead

    assert not isinstance(in_features, tuple)
    return MultiLabelHead(in_features, outputs, label_smoothing, loss)


def _measure(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    from foveal.measure.labels import measure_label_sets

    return measure_label_sets(outputs, test, train, labels, seed, settled)


def _rate(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    from foveal.measure.labels import rate_label_sets

    return rate_label_sets(outputs, test, labels, settled)


def _recall(targets: np.ndarray, labels: int) -> np.ndarray:
    from foveal.measure.nearest import said_labels

    return said_labels(targets)


def _kept(outputs: np.ndarray, geometries: Sequence[Geometry]) -> Sequence[np.ndarray]:
    from foveal.measure.label_set_suspects import kept_logits

    return kept_logits(outputs, geometries)


def _suspected(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    from foveal.measure.label_set_suspects import suspected_label_sets

    return suspected_label_sets(kept, dataset, seed)


def _telling() -> Telling:
    from foveal.measure.telling import LABELS

    return LABELS


MULTILABEL = Task(
    name="multilabel",
    summary="several labels at once",
    reader=ImageReader(),
    answer=Labels(),
    head=_head,
    measure=_measure,
    rate=_rate,
    kept_together="exact and near-duplicates, and named groups",
    recipe="default",
    headline=("map", "macro_auroc", "macro_f1"),
    recall=_recall,
    pipeline="image-classification",
    suspicion=Suspicion("labels", _kept, _suspected),
    telling=_telling,
)
