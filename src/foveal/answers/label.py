"""One label an image: class names in, a name with its probability out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.answers.columns import quoted
from foveal.types import Geometry

__all__ = ["Label", "LabelPrediction", "natural", "softmax"]

SHOWN = 5
NAMED = 10  # labels that a message lists


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

    def __str__(self) -> str:
        return f"{self.label}  {self.probability:.3f}"


class Label:
    """The `label` answer: the head gives one logit a label; softmax makes them probabilities."""

    larger_is_better = True
    placed = False
    exclusive = True
    every_step = True

    def suits(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """Whatever suits no other answer is a name."""
        return True

    def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
        """The names in natural order: `9` before `10`. An empty cell names none.

        Raises:
            ValueError: there are several columns.
        """
        if len(columns) > 1:
            raise ValueError(f"expected one column of labels, found {len(columns)}: {', '.join(columns)}")
        return tuple(sorted({cell for cell in cells if cell.strip()}, key=natural))

    def outputs(self, labels: Sequence[str]) -> int:
        return len(labels)

    def parse(self, cell: str, labels: Sequence[str]) -> int:
        """The index of a name.

        Raises:
            ValueError: the cell is empty, or the name is none of `labels`.
        """
        if not cell.strip():
            raise ValueError("expected a label, found nothing")
        if cell not in labels:
            more = ", …" if len(labels) > NAMED else ""
            raise ValueError(f"expected a label ({', '.join(labels[:NAMED])}{more}), found {quoted(cell)}")
        return labels.index(cell)

    def stack(self, parsed: Sequence[int]) -> np.ndarray:
        """(N,) int64."""
        return np.array(parsed)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """A division keeps the share of each label."""
        return targets.astype(np.int64)

    def within(self, targets: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """The images of these labels."""
        return targets < labels, targets

    def summary(self, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """`labels`: name to number of images."""
        counts = np.bincount(targets.astype(np.int64), minlength=len(labels))
        return {"labels": dict(zip(labels, counts.tolist()))}

    def settle(self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """Nothing: the likeliest label is the answer."""
        return {}

    def warp(self, target: int, geometry: Geometry, height: int, width: int) -> int:
        """A label is the same wherever the image was moved."""
        return target

    def decode(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
    ) -> LabelPrediction:
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


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by, `9` before `10`."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
