"""One label an image: class names in, a name with its probability out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

import numpy as np

from foveal.answers.columns import quoted
from foveal.answers.costs import cheapest, priced, settled_costs
from foveal.answers.deciding import (
    FEWEST,
    NO_WISH,
    UNSURE,
    abstention,
    aimed,
    refused,
    silence,
    temperature,
    temperature_of,
    tempered,
    unsure,
)
from foveal.chosen import Chosen, no_boxes, number_of
from foveal.task import Link
from foveal.types import Geometry
from foveal.wishes import QUANTITIES, Aim, Wish

__all__ = ["Label", "LabelPrediction", "decided", "natural", "softmax"]

SHOWN = 5
FEW = 32  # labels, which Python's own numbers are as fast for
NAMED = 10  # labels that a message lists


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The likeliest label, or the one that the operating point or the costs decide for.

    Args:
        probability: of `label`, 0 to 1.
        probabilities: the likeliest labels with theirs, at most five, falling; `label` is always among them.
        abstained: whether this is no answer to rely on; None where nothing was settled that could tell.
        reason: why not; empty where it is one.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    abstained: bool | None = None
    reason: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        return (self.label,)

    def as_dict(self) -> dict[str, Any]:
        told = {"label": self.label, "probability": self.probability, "probabilities": self.probabilities}
        return {**told, **silence(self.abstained, self.reason)}

    def rows(self) -> list[dict[str, str | float]]:
        return [{"label": self.label, "probability": self.probability}]

    def __str__(self) -> str:
        return f"{self.label}  {self.probability:.3f}"


class Label:
    """The `label` answer: the head gives one logit a label; softmax makes them probabilities."""

    larger_is_better = True
    placed = False
    exclusive = True
    every_step = True
    link: Link = "softmax"

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

    def told(self, target: int, labels: Sequence[str]) -> str:
        """The name of the label."""
        return labels[int(target)]

    def check(self, wish: Wish, labels: Sequence[str]) -> None:
        """One operating point, silence where the likeliest label is not likely enough, or costs.

        Raises:
            ValueError: there are several operating points, or it does not say whose it is; or a cost is that of no
                mistake.
        """
        refused(wish, labels, quantities=tuple(QUANTITIES))
        priced(wish.cost, labels, pairs=True)
        if len(wish.at) > 1:
            raise ValueError(
                "an image has one label, so that only one operating point can decide, and several are given"
            )
        if wish.at and wish.at[0].label is None and len(labels) != 2:
            raise ValueError(f"expected LABEL:{wish.at[0]} where there are {len(labels)} labels, found {wish.at[0]}")

    def settle(
        self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], wish: Wish = NO_WISH
    ) -> dict[str, Any]:
        """`temperature`, which makes the probabilities of `n` images the likeliest ones, where there are 20 and two
        labels; `at`, the operating point that is wished, `abstain`, from which probability on an answer is given, and
        `costs`, by which the answer is chosen.
        """
        n, settled = len(targets), {}
        if n >= FEWEST and len(labels) > 1 and np.ptp(outputs) > 0:
            settled = {"temperature": temperature(outputs, targets.astype(np.int64)), "n": n}
        probabilities = softmax(tempered(outputs, settled))
        for aim in wish.at if n else ():
            k = positive(aim, labels)
            true = targets == k
            settled["at"] = [aimed(probabilities[:, k], true, int(true.sum()), aim, labels[k])]
        if n and wish.abstains:
            settled["abstain"] = abstention(probabilities.max(axis=1), probabilities.argmax(axis=1) == targets, wish)
        if n and wish.cost:
            settled["costs"] = settled_costs(probabilities, targets, labels, wish.cost)
        return settled

    def warp(self, target: int, geometry: Geometry, height: int, width: int) -> int:
        """A label is the same wherever the image was moved."""
        return target

    def decode(
        self,
        outputs: np.ndarray,
        geometries: Sequence[Geometry | None],
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
    ) -> list[LabelPrediction]:
        """Logits (B, K) to the likeliest label of each, or to the one that the operating point or the costs decide for.

        Few calls of numpy, for few labels none: after a network has run each is slow, its code out of the processor's
        caches. With twenty of them one image took 90 µs, half of what a small network takes, with six 60, without any
        20."""
        if len(labels) <= FEW and not settled.keys() & {"at", "costs"}:
            warmth = temperature_of(settled)
            return [_likeliest([value / warmth for value in row], labels, settled) for row in outputs.tolist()]
        scaled = tempered(outputs, settled)
        probabilities = softmax(scaled)
        said = silent = None
        if settled.keys() & {"at", "costs"}:
            said = decided(outputs, labels, settled).argmax(axis=1).tolist()
        if "costs" in settled:
            silent = cheapest(scaled, probabilities, labels, settled["costs"])[1].tolist()
        found = []
        for row, (logits, values) in enumerate(zip(scaled.tolist(), probabilities.tolist())):
            order = nlargest(SHOWN, range(len(values)), key=logits.__getitem__)
            k = order[0] if said is None else said[row]
            order = order if k in order else [*order[:-1], k]
            shown = {labels[number]: values[number] for number in order}
            mute = unsure(values[k], settled) if silent is None else silent[row]
            found.append(LabelPrediction(labels[k], values[k], shown, mute, UNSURE if mute else ""))
        return found

    def columns(self, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> tuple[str, ...]:
        """`label` and `probability`."""
        return "label", "probability"

    def choose(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
        target: str | None = None,
        box: int | None = None,
    ) -> Chosen:
        """The label that is named, or the one that `decode` gives.

        Raises:
            ValueError: the target is none of them, or a box is asked for.
        """
        no_boxes(box)
        number = (
            int(decided(outputs[None], labels, settled)[0].argmax()) if target is None else number_of(target, labels)
        )
        return Chosen(number, labels[number])

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """`accuracy` of logits (N, K) against indices (N,)."""
        return {"accuracy": float((outputs.argmax(axis=1) == targets).mean())}


def _likeliest(logits: list[float], labels: Sequence[str], settled: Mapping[str, Any]) -> LabelPrediction:
    """Of the few logits of an image, over the temperature."""
    order = sorted(range(len(logits)), key=logits.__getitem__, reverse=True)[:SHOWN]
    highest = logits[order[0]]
    powers = [math.exp(value - highest) for value in logits]
    total = math.fsum(powers)
    shown = {labels[number]: powers[number] / total for number in order}
    mute = unsure(1 / total, settled)
    return LabelPrediction(labels[order[0]], 1 / total, shown, mute, UNSURE if mute else "")


def decided(outputs: np.ndarray, labels: Sequence[str], settled: Mapping[str, Any]) -> np.ndarray:
    """(N, K) float64: the outputs over the temperature. Where an operating point decides otherwise than the likeliest
    label, its label is moved just above all others, or just below the first of them; where costs do, the label that
    they decide for just above all others: the largest is the answer."""
    scaled = tempered(outputs, settled)
    for point in settled.get("at", ()):
        k = list(labels).index(point["label"])
        said = softmax(scaled)[:, k] >= point["threshold"]
        others = np.delete(scaled, k, axis=1).max(axis=1)
        above, below = np.nextafter(others, np.inf), np.nextafter(others, -np.inf)
        scaled[:, k] = np.where(said, np.maximum(scaled[:, k], above), np.minimum(scaled[:, k], below))
    if "costs" in settled:
        said, _ = cheapest(scaled, softmax(scaled), labels, settled["costs"])
        rows = np.flatnonzero(said != scaled.argmax(axis=1))
        scaled[rows, said[rows]] = np.nextafter(scaled[rows].max(axis=1), np.inf)
    return scaled


def positive(aim: Aim, labels: Sequence[str]) -> int:
    """The index of the label whose operating point it is; of two, the second where none is named."""
    return 1 if aim.label is None else list(labels).index(aim.label)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, in float64; infinities and large values are safe."""
    logits = logits.astype(np.float64, copy=False)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by, `9` before `10`."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
