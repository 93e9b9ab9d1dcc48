"""The arithmetic of one number of a network, as data and as text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import nn

from foveal.explain.places import Place

__all__ = ["TOLERANCE", "Arithmetic", "Caught", "Operation", "named"]

TOLERANCE = 1e-5
LINES = 8  # of the text, for products or numbers of a patch


@dataclass(frozen=True, eq=False)
class Caught:
    """What one layer got and gave in a pass.

    Args:
        x: what it got, (C, H, W) or (F,), double precision.
        output: what it gave.
        inner: what each module right inside it gave, by name; empty for a module without others.
    """

    place: Place
    module: nn.Module
    x: np.ndarray
    output: np.ndarray
    inner: Mapping[str, np.ndarray]


Operation = Literal["sum", "maximum", "formula", "copy"]


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """How one number of a layer comes about.

    A *sum* is of the products patch × kernel and the bias; an average has the kernel 1/n, and a residual sum none. A
    *maximum* is the largest number of the patch. A *formula* takes the numbers of the patch and the constants. A *copy*
    is the patch, one number, as it is.

    Args:
        place: the layer.
        position: of the number in what the layer gives: (channel, row, column) or (unit,), from 0.
        operation: see above.
        formula: in the letters of the constants.
        patch: what goes in: (C, h, w) of an image or maps, (F,) of numbers in a row. Padding is in it as the layer sees
            it: 0, or −∞ for max pooling.
        padding: (h, w), true where the patch lies outside of what the layer gets; None where nothing can.
        rows, columns: (h,) and (w,), where the patch lies in what the layer gets; below 0 or beyond its end in the
            padding. None for numbers in a row.
        channels: (C,) or, for numbers in a row, (F,): which channels or numbers the patch has.
        labels: names of the numbers of the patch where they come from several places, such as both ways of a residual
            sum; otherwise empty.
        kernel: in the shape of the patch; None where nothing is multiplied.
        bias: 0 where there is none.
        constants: of the formula, by name: mean and variance of a batch norm and what it has besides.
        result: of this arithmetic, in double precision.
        value: what the network computed.
        scale: the size of what was added: Σ |patch · kernel| + |bias| for a sum. Rounding errors of a sum are in
            proportion to it, whatever cancels.
    """

    place: Place
    position: tuple[int, ...]
    operation: Operation
    formula: str
    patch: np.ndarray
    result: float
    value: float
    scale: float
    channels: np.ndarray
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    padding: np.ndarray | None = None
    labels: tuple[str, ...] = ()
    kernel: np.ndarray | None = None
    bias: float = 0.0
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def products(self) -> np.ndarray | None:
        """patch × kernel, number by number; None where nothing is multiplied."""
        return None if self.kernel is None else self.patch * self.kernel

    @property
    def difference(self) -> float:
        """|result − value| / scale; 0 where they are equal, or both not a number."""
        if self.result == self.value or (math.isnan(self.result) and math.isnan(self.value)):
            return 0.0
        return abs(self.result - self.value) / self.scale if self.scale > 0 else math.inf

    @property
    def agrees(self) -> bool:
        """Whether the network computed the same, to 1e-5 of the scale."""
        return self.difference <= TOLERANCE

    @property
    def winner(self) -> tuple[int, int] | None:
        """Of a maximum: row and column, in what the layer gets, of the largest number, the first in reading order."""
        if self.operation != "maximum" or self.rows is None or self.columns is None:
            return None
        row, column = divmod(int(self.patch[0].argmax()), len(self.columns))
        return int(self.rows[row]), int(self.columns[column])

    def as_dict(self) -> dict[str, Any]:
        """For JSON; numbers that are not finite are null."""
        rows = {"rows": self.rows, "columns": self.columns, "channels": self.channels, "padding": self.padding}
        return {
            "layer": self.place.as_dict(),
            "position": list(self.position),
            "operation": self.operation,
            "formula": self.formula,
            "patch": _plain(self.patch),
            **{name: None if values is None else values.tolist() for name, values in rows.items()},
            "labels": list(self.labels),
            "kernel": _plain(self.kernel),
            "products": _plain(self.products),
            "bias": _finite(self.bias),
            "constants": {name: _finite(value) for name, value in self.constants.items()},
            "winner": self.winner,
            **{name: _finite(getattr(self, name)) for name in ("result", "value", "difference")},
        }

    def __str__(self) -> str:
        """Line by line: the largest products first, the others as one number."""
        lines = [str(self.place), f"{named(self.position)} = {self.formula}"]
        if self.operation == "sum":
            lines += self._summed()
        elif self.operation == "maximum":
            lines += self._compared()
        else:
            lines += [f"  {_number(value)}  x, {self._source(index)}" for index, value in np.ndenumerate(self.patch)]
            lines += [f"  {_number(value)}  {name}" for name, value in self.constants.items()]
        lines.append(f"= {_number(self.result)}")
        return "\n".join([*lines, f"  {_number(self.value)}  as the network computed it"])

    def _summed(self) -> list[str]:
        products = self.patch if self.products is None else self.products
        lines = []
        order, shown = _largest(np.abs(products))
        for flat in shown:
            index = np.unravel_index(flat, products.shape)
            factors = "" if self.kernel is None else f" = {_number(self.patch[index])} × {_number(self.kernel[index])}"
            lines.append(f"  {_number(products[index])}{factors}  {self._source(index)}")
        if others := order[len(shown) :]:
            lines.append(f"  {_number(float(products.ravel()[others].sum()))}  the other {len(others)} products")
        return [*lines, f"  {_number(self.bias)}  bias"] if self.bias else lines

    def _compared(self) -> list[str]:
        order, shown = _largest(self.patch)
        lines = []
        for flat in shown:
            index = np.unravel_index(flat, self.patch.shape)
            lines.append(f"  {_number(self.patch[index])}  {self._source(index)}")
        if others := len(order) - len(shown):
            lines.append(f"  {others:,} others, none of them larger")
        return lines

    def _source(self, index: tuple[Any, ...]) -> str:
        """Where a number of the patch comes from."""
        if self.labels:
            return self.labels[index[0]]
        if self.rows is None or self.columns is None:
            return f"number {self.channels[index[0]]}"
        channel, row, column = index
        if self.padding is not None and self.padding[row, column]:
            return "padding"
        return f"map {self.channels[channel]}, row {self.rows[row]}, column {self.columns[column]}"


def named(position: tuple[int, ...]) -> str:
    """A position in words."""
    if len(position) == 3:
        return "map {}, row {}, column {}".format(*position)
    return f"number {position[0]}" if len(position) == 1 else f"number {position}"


def _largest(values: np.ndarray) -> tuple[list[int], list[int]]:
    """Flat places from the largest to the smallest, and those that a text shows."""
    order = np.argsort(-values, axis=None, kind="stable").tolist()
    return order, order if len(order) <= LINES + 1 else order[:LINES]


def _plain(values: np.ndarray | None) -> Any:
    """Lists for JSON, which has no infinite numbers."""
    if values is None or np.isfinite(values).all():
        return None if values is None else values.tolist()
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    """Ten characters at least: four decimals, or an exponent where they would not do."""
    if math.isinf(value):
        return f"{'−∞' if value < 0 else '∞':>10}"
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:>10.3e}"
    return f"{value + 0.0:>10.4f}"  # of −0 it makes 0
