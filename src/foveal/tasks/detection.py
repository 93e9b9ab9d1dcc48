"""Boxes around things, each with a label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.answers import Boxes
from foveal.examples import Examples, Rated
from foveal.extras import extra
from foveal.measured import Measurement
from foveal.readers import ImageReader
from foveal.suspicion import Suspected, Suspicion
from foveal.task import Head, Task
from foveal.types import Dataset, Geometry

__all__ = ["DETECTION"]

STRIDES = (8, 16, 32)


# As for one label: what is heavy is imported when it is first used.
def _head(
    in_features: int | tuple[int, ...] | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto"
) -> Head:
    from foveal.nets.detect import DetectionHead

    assert isinstance(in_features, tuple)
    return DetectionHead(in_features, outputs, label_smoothing, loss)


def _measure(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    from foveal.measure.boxes import measure_boxes

    return measure_boxes(outputs, test, train, labels, seed, settled)


def _rate(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    from foveal.measure.boxes import rate_boxes

    return rate_boxes(outputs, test, labels, settled)


def _kept(outputs: np.ndarray, geometries: Sequence[Geometry]) -> Sequence[np.ndarray]:
    from foveal.measure.box_suspects import kept_boxes

    return kept_boxes(outputs, geometries)


def _suspected(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    from foveal.measure.box_suspects import suspected_boxes

    return suspected_boxes(kept, dataset, seed)


def _ready() -> None:
    with extra("detection"):
        import faster_coco_eval  # noqa: F401


DETECTION = Task(
    name="detection",
    summary="boxes around things, each with a label",
    reader=ImageReader(),
    answer=Boxes(),
    head=_head,
    measure=_measure,
    rate=_rate,
    kept_together="exact and near-duplicates, and named groups",
    recipe="detection",
    headline=("ap50", "ap", "ap75"),
    pretrained="detection-pretrained",
    strides=STRIDES,
    ladder=False,
    ready=_ready,
    pipeline="object-detection",
    suspicion=Suspicion("boxes", _kept, _suspected),
)
