"""One label an image: class names in, a name with its probability out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.types import Geometry

__all__ = ["Label", "LabelPrediction", "softmax"]

SHOWN = 5


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The likeliest label.

    Args:
        probability: of `label`, 0 to 1.
        probabilities: the likeliest labels with theirs, at most five, falling.
    """

    label: str
    probability: float
    probabilities: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {"label": self.label, "probability": self.probability, "probabilities": self.probabilities}


class Label:
    """The `label` answer: the head gives one logit a label; softmax makes them probabilities."""

    def labels(self, cells: Sequence[str]) -> tuple[str, ...]:
        """The names in natural order: `9` before `10`."""
        return tuple(sorted(set(cells), key=_natural))

    def outputs(self, labels: Sequence[str]) -> int:
        return len(labels)

    def parse(self, cell: str, labels: Sequence[str]) -> int:
        """The index of a name.

        Raises:
            ValueError: the name is none of `labels`.
        """
        return labels.index(cell)

    def warp(self, target: int, geometry: Geometry) -> int:
        """A label is the same wherever the image was moved."""
        return target

    def decode(self, outputs: np.ndarray, geometry: Geometry | None, labels: Sequence[str]) -> LabelPrediction:
        """Logits (K,) to the likeliest label."""
        probabilities = softmax(outputs)
        order = [int(k) for k in np.argsort(-probabilities, kind="stable")[:SHOWN]]
        shown = {labels[k]: float(probabilities[k]) for k in order}
        return LabelPrediction(labels[order[0]], float(probabilities[order[0]]), shown)

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """`accuracy` of logits (N, K) against indices (N,)."""
        return {"accuracy": float((outputs.argmax(axis=1) == targets).mean())}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, in float64; infinities and large values are safe."""
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
