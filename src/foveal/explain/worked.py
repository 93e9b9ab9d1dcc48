"""The arithmetic of one number, drawn: patch × kernel = products, with the numbers written in."""

import math
from typing import TYPE_CHECKING

import numpy as np

from foveal.explain.drawing import ACCENT, WIDTH, bare, colours, style
from foveal.explain.terms import Arithmetic, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_arithmetic"]

CHANNELS = 3  # of a patch that are drawn
TERMS = 8  # of numbers in a row, or of a 1×1 patch
ROOMY, WRITTEN = 5, 7  # cells of a side in which numbers are easily read, and can still be read
LUMINANCE, BRIGHT = np.array([0.2126, 0.7152, 0.0722]), 0.45  # of a colour; on brighter ones numbers are written dark
LINE = 0.19  # inches of a line of text
CELL, LARGEST_GRID = 0.42, 2.1  # inches


def draw_arithmetic(found: Arithmetic) -> "Figure":
    """A sum as patch × kernel = products, for the three channels that add most to it, with what the others add; of
    numbers in a row and of 1×1 patches the eight largest products. A maximum as its patch with the winner framed.
    Anything else as text. Purple is positive, orange negative.

    Numbers are written into the cells of windows up to 7×7.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with style():
        if found.operation == "maximum":
            return _maximum(found)
        if found.operation != "sum" or found.kernel is None:
            return _written(str(found).splitlines(), 0)[0]
        return _row(found) if math.prod(found.patch.shape[1:]) == 1 else _windows(found)


def _windows(found: Arithmetic) -> "Figure":
    assert found.kernel is not None
    assert found.rows is not None
    assert found.columns is not None
    products = found.patch * found.kernel
    sums = products.sum(axis=(1, 2))
    shown = np.argsort(-np.abs(sums), kind="stable")[:CHANNELS]
    side, tall = _size(found.patch.shape[1:])
    last = _last(found, float(sums.sum() - sums[shown].sum()), len(sums) - len(shown), "channels")
    figure, top = _written(_head(found), len(shown) * (tall + 2.2 * LINE) + 1.5 * LINE)
    wide, high = figure.get_size_inches()
    parts = [("patch", found.patch), ("kernel", found.kernel), ("products", products)]
    for number, channel in enumerate(shown):
        bottom = high - top - number * (tall + 2.2 * LINE) - tall - LINE
        for place, (name, values) in enumerate(parts):
            axes = figure.add_axes((place * (side + 0.3) / wide, bottom / high, side / wide, tall / high))
            _grid(axes, values[channel], float(np.abs(values[shown]).max()))
            where = f", map {found.channels[channel]}" if place == 0 else ""
            axes.set_title(name + where, loc="left", pad=3)
            if place:
                middle = (place * (side + 0.3) - 0.15) / wide, (bottom + tall / 2) / high
                figure.text(*middle, "×="[place - 1], ha="center", va="center", fontsize=12)
        figure.text(
            (3 * (side + 0.3) - 0.15) / wide, (bottom + tall / 2) / high, f"Σ = {sums[channel]:.4g}", va="center"
        )
    figure.text(0, 0, last, va="bottom")
    return figure


def _row(found: Arithmetic) -> "Figure":
    """Numbers side by side: patch above kernel above products."""
    assert found.kernel is not None
    patch, kernel = found.patch.ravel(), found.kernel.ravel()
    products = patch * kernel
    shown = np.argsort(-np.abs(products), kind="stable")[:TERMS]
    side = 0.6 * len(shown)
    figure, top = _written(_head(found), 3 * (CELL + 0.08) + 3 * LINE)
    wide, high = figure.get_size_inches()
    names = ("input", "× weight") if found.rows is None else ("patch", "× kernel")
    for place, (name, values) in enumerate(zip((*names, "= products"), (patch, kernel, products))):
        bottom = high - top - LINE - place * (CELL + 0.08) - CELL
        axes = figure.add_axes((0.9 / wide, bottom / high, side / wide, CELL / high))
        _grid(axes, values[None, shown], float(np.abs(values[shown]).max()))
        figure.text(0.8 / wide, (bottom + CELL / 2) / high, name, ha="right", va="center")
        for column, index in enumerate(shown if place == 0 else ()):
            axes.text(column, -0.6, str(found.channels[index]), ha="center", va="bottom", fontsize=7.5)
        if place == 0:
            what = "number" if found.rows is None else "map"
            figure.text(0.8 / wide, (bottom + CELL + 0.04) / high, what, ha="right", va="bottom", fontsize=7.5)
    rest = float(products.sum() - products[shown].sum())
    figure.text(0, 0, _last(found, rest, len(products) - len(shown), "products"), va="bottom")
    return figure


def _maximum(found: Arithmetic) -> "Figure":
    from matplotlib.patches import Rectangle

    side, tall = _size(found.patch.shape[1:])
    figure, top = _written(_head(found), tall + 3 * LINE)
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((0, (high - top - tall) / high, side / wide, tall / high))
    finite = found.patch[np.isfinite(found.patch)]
    _grid(axes, found.patch[0], float(np.abs(finite).max(initial=0)))
    row, column = divmod(int(found.patch[0].argmax()), found.patch.shape[2])
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ACCENT, linewidth=3, clip_on=False))
    figure.text(0, 0, f"{found.result:.5g} wins; the network computed {found.value:.5g}", va="bottom")
    return figure


def _head(found: Arithmetic) -> list[str]:
    lines = [str(found.place), f"{named(found.position)} = {found.formula}"]
    if found.rows is not None and found.columns is not None:
        spans = (f"{name} {_span(at)}" for name, at in (("rows", found.rows), ("columns", found.columns)))
        lines.append("patch: " + ", ".join(spans) + (", edges padded" if np.any(found.padding) else ""))
    return lines


def _span(at: np.ndarray) -> str:
    step = f" in steps of {at[1] - at[0]}" if len(at) > 1 and at[1] - at[0] > 1 else ""
    return f"{at[0]} to {at[-1]}{step}"


def _last(found: Arithmetic, rest: float, left: int, what: str) -> str:
    others = f"{left} other {what}: {rest:.4g}; " if left else ""
    bias = f"bias: {found.bias:.4g}; " if found.bias else ""
    return f"{others}{bias}{found.result:.5g} in all; the network computed {found.value:.5g}"


def _size(window: tuple[int, ...]) -> tuple[float, float]:
    """Width and height of a grid, in inches."""
    cell = min(CELL, LARGEST_GRID / max(window)) if max(window) <= WRITTEN else 1.6 / max(window)
    return cell * window[1], cell * window[0]


def _written(lines: list[str], below: float) -> tuple["Figure", float]:
    """A figure that begins with lines of text and has so many inches below them; and how many these lines take."""
    from matplotlib.figure import Figure

    taken = LINE * len(lines) + (LINE if below else 0)
    figure = Figure(figsize=(WIDTH, taken + below))
    for number, line in enumerate(lines):
        family = "monospace" if not below else None
        figure.text(0, 1 - LINE * number / (taken + below), line, va="top", family=family)
    return figure, taken


def _grid(axes: "Axes", values: np.ndarray, limit: float) -> None:
    """(h, w) as coloured cells, the numbers in them where there is room."""
    shades = colours(values, limit, True)
    axes.imshow(shades, interpolation="none", aspect="auto")
    bare(axes)
    if max(values.shape) > WRITTEN + 1:
        return
    roomy = max(values.shape) <= ROOMY or len(values) == 1
    bright = shades[..., :3] @ LUMINANCE > BRIGHT
    for (row, column), value in np.ndenumerate(values):
        color = "#222" if bright[row, column] else "white"
        shown = _number(value, 3 if roomy else 2)
        axes.text(column, row, shown, ha="center", va="center", fontsize=7.5 if roomy else 6, color=color)


def _number(value: float, most: int) -> str:
    """With so many decimals at most; fewer, the larger it is."""
    if not np.isfinite(value):
        return ""
    decimals = next((digits for least, digits in ((99.5, 0), (9.95, 1), (0.0995, 2)) if abs(value) >= least), 3)
    shown = f"{value:.{min(decimals, most)}f}"
    return shown if float(shown) else "0"
