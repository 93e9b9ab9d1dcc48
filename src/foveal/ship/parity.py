"""Whether an export answers as the network it was made of: both answer the same images, all numbers are compared."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foveal.answers.deciding import tempered
from foveal.answers.detections import LEAST
from foveal.answers.label import softmax
from foveal.answers.labels import sigmoid
from foveal.bundle import Agreement
from foveal.bundle.predictor import Network
from foveal.examples import PixelRows
from foveal.recipe import InputContract
from foveal.task import Answer
from foveal.types import Geometry

__all__ = ["ALLOWED", "TIE", "Compared", "Told", "compare", "told"]

ALLOWED = 1e-3  # of a probability
TIE, PLACED_TIE = 1e-6, 1e-5  # what rounding may do; hundreds of boxes and their overlaps are more to round
ODD = (
    1,
    2,
    7,
)  # images in the batches that are answered besides, since a graph can hold on to the batch it was made of
ALONE = 20  # images answered one at a time, for the time that takes
FEWEST_WORST = 8


@dataclass(frozen=True, eq=False)
class Told:
    """How raw outputs are to be read.

    Args:
        labels: names of the outputs, as whoever reads them has been told.
        scale: (K,) in which values are compared: their standard deviation over the training images.
    """

    answer: Answer
    contract: InputContract
    labels: Sequence[str]
    settled: Mapping[str, Any]
    scale: np.ndarray | None = None

    def numbers(self, raw: np.ndarray) -> np.ndarray:
        """(B, …) what a probability of two networks is compared in: probabilities; of boxes scores, and corners in
        shares of the longer side, at places with a score of 0.001 or more; values over their scale."""
        if self.answer.placed:
            scores = sigmoid(raw[..., 4:])
            seen = scores.max(axis=-1, keepdims=True, initial=0) >= LEAST
            longer = max(self.contract.height, self.contract.width)
            corners = np.where(seen, raw[..., :4].astype(np.float64), 0) / longer
            return np.concatenate([corners, scores], axis=-1)
        if self.answer.link == "none":
            return raw.astype(np.float64) / (1.0 if self.scale is None else self.scale)
        return (softmax if self.answer.link == "softmax" else sigmoid)(tempered(raw, self.settled))

    def said(self, raw: np.ndarray, geometry: Geometry | None) -> tuple[Any, ...]:
        """What an answer says, without its numbers."""
        (prediction,) = self.answer.decode(raw[None], [geometry], self.labels, self.settled)
        return *prediction.said, prediction.abstained


def told(
    answer: Answer, contract: InputContract, labels: Sequence[str], settled: Mapping[str, Any], learned: np.ndarray
) -> Told:
    """
    Args:
        learned: (N, …) targets of the training images.
    """
    if answer.link != "none":
        return Told(answer, contract, labels, settled)
    spread = learned.reshape(len(learned), len(labels)).astype(np.float64).std(axis=0) if len(learned) else np.ones(1)
    return Told(answer, contract, labels, settled, np.where(spread > 0, spread, 1.0))


@dataclass(frozen=True, eq=False)
class Compared:
    """An export beside its network.

    Args:
        difference: the largest of a number that is compared; None where there was no image.
        changed: images whose answer differs.
        ties: images whose answer differs though no number does by more than rounding makes.
        worst: row numbers of the images that differ most, at most eight, the worst first.
        raw: (N, …) of the network and of the export, where they were to be kept.
        seconds: an image in a batch, and alone (median), of the network and of the export.
    """

    images: int
    difference: float | None
    changed: int
    ties: int
    worst: np.ndarray
    batch: int
    raw: tuple[np.ndarray, np.ndarray] | None = None
    seconds: tuple[float, float] | None = None
    alone: tuple[float, float] | None = None

    def agrees(self, allowed: float = ALLOWED) -> bool:
        """Whether every number is as near as allowed, and every answer the same, ties aside."""
        return self.difference is None or (self.difference <= allowed and not self.changed)

    def record(self, allowed: float | None, split: str, **more: Any) -> Agreement:
        """As `bundle.json` has it."""
        seconds, alone = self.seconds or (None, None), self.alone or (None, None)
        return Agreement(
            images=self.images,
            split=split,
            difference=self.difference,
            allowed=allowed,
            changed=self.changed,
            ties=self.ties,
            torch_seconds=seconds[0],
            export_seconds=seconds[1],
            torch_latency=alone[0],
            export_latency=alone[1],
            batch=self.batch,
            **more,
        )


@dataclass(eq=False)
class _Tally:
    """What a comparison has seen so far."""

    first: Told
    second: Told
    differences: list[np.ndarray] = field(default_factory=list)
    changed: int = 0
    ties: int = 0

    def add(self, one: np.ndarray, other: np.ndarray, geometries: Sequence[Geometry | None]) -> None:
        apart = np.abs(self.first.numbers(one) - self.second.numbers(other)).reshape(len(one), -1)
        apart = np.nan_to_num(apart, nan=np.inf)  # what is no number agrees with nothing
        largest = apart.max(axis=1, initial=0)
        tie = PLACED_TIE if self.first.answer.placed else TIE
        tie = tie if tuple(self.first.labels) == tuple(self.second.labels) else -1.0  # then rounding is not the reason
        for raws, geometry, difference in zip(zip(one, other), geometries, largest.tolist()):
            if self.first.said(raws[0], geometry) != self.second.said(raws[1], geometry):
                self.changed += difference > tie
                self.ties += difference <= tie
        self.differences.append(largest)


def compare(
    network: Network,
    export: Network,
    told: Told,
    exported: Told,
    pixels: np.ndarray | PixelRows,
    geometries: Sequence[Geometry] = (),
    *,
    batch: int,
    keep: bool = False,
    tick: Callable[[int], object] = int,
) -> Compared:
    """Let both answer all images, in batches of `batch`; the first ones in batches of 1, 2 and 7, too.

    Args:
        network: the one that was trained.
        told, exported: how the outputs of each are to be read.
        pixels: (N, H, W, C) uint8.
        geometries: N of them where answers are placed.
        keep: all raw outputs.
        tick: is told how many images both have answered.
    """
    tally, count = _Tally(told, exported), len(pixels)
    places: Sequence[Geometry | None] = geometries or [None] * count
    raws, spent = ([], []), [0.0, 0.0]
    for size in ODD if count else ():
        chosen = np.ascontiguousarray(pixels[np.arange(min(size, count))])
        tally.add(network(chosen), export(chosen), places[: len(chosen)])
    odd = len(tally.differences)
    odd_faults, tally.changed, tally.ties = (tally.changed, tally.ties), 0, 0
    for start in range(0, count, batch):
        rows = np.arange(start, min(start + batch, count))
        chosen = np.ascontiguousarray(pixels[rows])
        found = [_timed(one, chosen, spent, k) for k, one in enumerate((network, export))]
        tally.add(found[0], found[1], places[start : start + len(rows)])
        for kept, raw in zip(raws, found):
            kept.append(raw) if keep else None
        tick(len(rows))
    every = np.concatenate(tally.differences[odd:]) if count else np.zeros(0)
    return Compared(
        images=count,
        difference=float(np.concatenate(tally.differences).max()) if count else None,
        changed=max(tally.changed, odd_faults[0]),  # the odd batches hold some of the same images
        ties=tally.ties,
        worst=np.argsort(-every, kind="stable")[:FEWEST_WORST],
        batch=batch,
        raw=(np.concatenate(raws[0]), np.concatenate(raws[1])) if keep and count else None,
        seconds=(spent[0] / count, spent[1] / count) if count else None,
        alone=_alone(network, export, pixels) if count else None,
    )


def _timed(network: Network, pixels: np.ndarray, spent: list[float], at: int) -> np.ndarray:
    began = time.perf_counter()
    raw = network(pixels)
    spent[at] += time.perf_counter() - began
    return raw


def _alone(network: Network, export: Network, pixels: np.ndarray | PixelRows) -> tuple[float, float]:
    """Seconds for one image by itself: the median, in turns, so that what else the machine does meets both."""
    taken: tuple[list[float], list[float]] = ([], [])
    for row in range(min(ALONE, len(pixels))):
        image = np.ascontiguousarray(pixels[np.array([row])])
        for one, times in zip((network, export), taken):
            spent = [0.0]
            _timed(one, image, spent, 0)
            times.append(spent[0])
    return float(np.median(taken[0])), float(np.median(taken[1]))
