"""Numbers an image: one value or several in the user's own units, each with an interval where validation allows."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.answers.columns import quoted, texts_of
from foveal.answers.deciding import NO_WISH, refused, silence
from foveal.chosen import Chosen, no_boxes, number_of
from foveal.task import Link
from foveal.types import Geometry
from foveal.wishes import Wish

__all__ = ["LEVEL", "Value", "ValuePrediction", "shown"]

LEVEL = 0.9
WRONG = 0.1  # share of the cells that may be no targets, and are then told as such
FEW = 20  # distinct whole numbers that may still be names of classes
STRATA = 10
IN_A_STRATUM = 10  # images, at least
LARGEST = float(np.finfo(np.float32).max)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ValuePrediction:
    """The values.

    Args:
        values: by name.
        intervals: by name, lower and upper bound; empty where there was too little to validate on.
        abstained, reason: as of `LabelPrediction`.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    abstained: bool | None = None
    reason: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        return ()

    def as_dict(self) -> dict[str, Any]:
        intervals = {name: list(bounds) for name, bounds in self.intervals.items()}
        return {"values": self.values, "intervals": intervals, **silence(self.abstained, self.reason)}

    def rows(self) -> list[dict[str, str | float]]:
        """Each value, and where it has an interval `NAME_low` and `NAME_high`."""
        row: dict[str, str | float] = {}
        for name, value in self.values.items():
            row[name] = value
            if name in self.intervals:
                row[f"{name}_low"], row[f"{name}_high"] = self.intervals[name]
        return [row]

    def __str__(self) -> str:
        return "  ".join(f"{name} {self._told(name)}" for name in self.values)

    def _told(self, name: str) -> str:
        value = self.values[name]
        if name not in self.intervals:
            return shown(value, abs(value) / 100)
        low, high = self.intervals[name]
        half = (high - low) / 2
        return f"{shown(value, half)} [{shown(low, half)}, {shown(high, half)}]"


class Value:
    """The `value` answer: the head gives one number a column, in the unit that the targets are written in."""

    larger_is_better = False
    placed = False
    exclusive = False
    every_step = True
    link: Link = "none"

    def suits(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """Columns of numbers, not all of them a few whole numbers: those may be names. One cell in ten may be something
        else, which is told later. Empty cells say nothing either way, but every column must have a number."""
        found: list[set[float]] = [set() for _ in columns]
        wrong = 0
        for cell, count in Counter(cells).items():
            try:
                numbers = [{_number(text)} if text else set() for text in texts_of(cell, len(columns))]
            except ValueError:
                wrong += count
                continue
            found = [values | more for values, more in zip(found, numbers)]
        if wrong > WRONG * len(cells):
            return False
        finer = (len(values) > FEW or not all(value.is_integer() for value in values) for values in found)
        return all(found) and any(finer)

    def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
        """The columns; `value` where there are none."""
        return tuple(columns) or ("value",)

    def outputs(self, labels: Sequence[str]) -> int:
        return len(labels)

    def parse(self, cell: str, labels: Sequence[str]) -> np.ndarray:
        """(K,) float32 of a number such as `31`, `31.5` or `1e3`; of a JSON array of such texts for several columns.

        Raises:
            ValueError: one of them is no number, or none that float32 holds.
        """
        values = []
        for name, text in zip(labels, texts_of(cell, len(labels))):
            try:
                values.append(_number(text))
            except ValueError as error:
                raise ValueError(f"{name}: {error}" if len(labels) > 1 else str(error)) from None
        return np.array(values, np.float32)

    def stack(self, parsed: Sequence[np.ndarray]) -> np.ndarray:
        """(N, K) float32."""
        return np.array(parsed)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Tenths of the images by the first column; fewer parts where values repeat or images are few."""
        if not len(targets):
            return np.zeros(0, np.int64)
        first = targets.reshape(len(targets), -1)[:, 0]
        parts = max(1, min(STRATA, len(first) // IN_A_STRATUM))
        edges = np.unique(np.quantile(first, np.arange(1, parts) / parts))
        return np.searchsorted(edges, first, side="right").astype(np.int64)

    def within(self, targets: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """All images, and of each these values."""
        return np.ones(len(targets), bool), targets[:, :labels]

    def summary(self, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """`values`: name to its `smallest`, `median`, `mean` and `largest`; no `labels`."""
        if not len(targets):
            return {"labels": {}, "values": {}}
        columns = targets.reshape(len(targets), len(labels)).astype(np.float64)
        kinds = {"smallest": np.min, "median": np.median, "mean": np.mean, "largest": np.max}
        told = {name: {kind: float(f(column)) for kind, f in kinds.items()} for name, column in zip(labels, columns.T)}
        return {"labels": {}, "values": told}

    def told(self, target: np.ndarray, labels: Sequence[str]) -> str:
        """The value; of several each with its name."""
        values = [f"{value:.7g}" for value in np.ravel(target).tolist()]
        return values[0] if len(labels) == 1 else ", ".join(map(" ".join, zip(labels, values)))

    def check(self, wish: Wish, labels: Sequence[str]) -> None:
        """No wish: a number comes with its interval, as wide for one image as for another.

        Raises:
            ValueError: something is wished.
        """
        silent = "a value comes with its interval, and nothing says of which images it is surer"
        costs = "a value is not right or wrong but off by something, and a cost is that of a wrong label"
        refused(wish, labels, silence=silent, costs=costs)

    def settle(
        self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], wish: Wish = NO_WISH
    ) -> dict[str, Any]:
        """Half the width of the interval around an answer, so that it holds the truth of `level` of all images like
        the n of validation: the ⌈(n + 1) · level⌉-th smallest absolute error (split conformal prediction). That the
        best epoch was chosen on the same images makes it a little too narrow; the test images tell by how much.

        Empty where n is too small: for the level 0.9 it takes nine images.

        Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), section 4.2; Lei et al.,
        "Distribution-free predictive inference for regression", JASA 113 (2018) 1094-1111, algorithm 2.
        """
        n = len(targets)
        rank = math.ceil(round((n + 1) * LEVEL, 9))
        if rank > n:
            return {}
        errors = np.sort(np.abs(outputs - targets.reshape(outputs.shape)).astype(np.float64), axis=0)
        return {"level": LEVEL, "half_width": dict(zip(labels, errors[rank - 1].tolist())), "n": n}

    def warp(self, target: np.ndarray, geometry: Geometry, height: int, width: int) -> np.ndarray:
        """A value is the same wherever the image was moved."""
        return target

    def decode(
        self,
        outputs: np.ndarray,
        geometries: Sequence[Geometry | None],
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
    ) -> list[ValuePrediction]:
        """Values (B, K) by name, each with its interval where `settled` has its width."""
        half, answers = settled.get("half_width", {}), []
        for row in outputs.tolist():
            values = dict(zip(labels, row))
            bounds = {name: (value - half[name], value + half[name]) for name, value in values.items() if name in half}
            answers.append(ValuePrediction(values, bounds))
        return answers

    def columns(self, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> tuple[str, ...]:
        """Each value, and where `settled` has the width of its interval `NAME_low` and `NAME_high`."""
        half = settled.get("half_width", {})
        ends = {name: (f"{name}_low", f"{name}_high") if name in half else () for name in labels}
        return tuple(column for name in labels for column in (name, *ends[name]))

    def choose(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
        target: str | None = None,
        box: int | None = None,
    ) -> Chosen:
        """The value that is named, or the first.

        Raises:
            ValueError: the target is none of them, or a box is asked for.
        """
        no_boxes(box)
        number = 0 if target is None else number_of(target, labels)
        return Chosen(number, labels[number], either_way=True)

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """`mae`: the mean absolute error of values (N, K), over images and columns, in the user's unit."""
        return {"mae": float(np.abs(outputs - targets.reshape(outputs.shape)).mean())}


def shown(value: float, size: float) -> str:
    """A number with the decimals that show two digits of `size`: what it may be wrong by, or a hundredth of it."""
    if not math.isfinite(value) or not math.isfinite(size) or abs(value) >= 1e15:
        return f"{value:.4g}"
    decimals = 1 - math.floor(math.log10(size)) if size > 0 else 1
    return f"{value:,.{min(max(decimals, 0), 9)}f}"


def _number(text: str) -> float:
    if COMMA.fullmatch(text):
        raise ValueError(f"expected a number such as 31.5, found {quoted(text)}: a comma is no decimal point")
    if not NUMBER.fullmatch(text) or abs(float(text)) > LARGEST:
        raise ValueError(f"expected a finite number such as 31.5, found {quoted(text)}")
    return float(text)
