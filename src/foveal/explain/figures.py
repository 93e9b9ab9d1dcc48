"""What is inside a network, drawn: maps, filters, histograms, the spread of dropout."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foveal.explain.activity import LayerActivity
from foveal.explain.drawing import ACCENT, GRAY, WIDTH, bare, colours, style
from foveal.explain.spread import DropoutSpread
from foveal.explain.watching import Filters, LayerAtWork
from foveal.phrasing import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_filters", "draw_histogram", "draw_maps", "draw_spread"]

ACROSS = 8  # tiles
MOST = 64  # of tiles
GAP, HEAD = 0.06, 0.17  # beside a tile, of its width; above it, inches: its number stands there
NAMED = 16  # channels of a filter that are drawn
OUTPUTS = 40


def draw_maps(layer: LayerAtWork, *, shared: bool = True, most: int = MOST) -> "Figure":
    """The feature maps of a layer as a contact sheet, each with its number; numbers in a row as bars.

    Where a layer gives negative numbers, purple is positive, orange negative and white zero; otherwise black is zero.

    Args:
        shared: one scale for all maps, so that a weak map looks weak; otherwise each has its own, so that it can be
            seen.
        most: maps drawn, the first of them.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    values = np.where(np.isfinite(layer.values), layer.values, np.nan)
    if values.ndim != 3:
        return _bars(values.ravel(), str(layer.place))
    drawn = values[:most]
    signed = bool(np.nanmin(values, initial=0) < 0)
    limits = np.array([np.nanmax(np.abs(one), initial=0) for one in drawn])
    if shared:
        limits[:] = limits.max()
    shades = [colours(one, limit, signed) for one, limit in zip(drawn, limits)]
    scale = f"one scale, up to {limits.max():.3g}" if shared else "each map on its own scale"
    return _sheet(shades, _title(str(layer.place), len(drawn), len(values), "maps", scale))


def draw_filters(filters: Filters, most: int = MOST) -> "Figure":
    """The filters of the first layer as images, where it has one channel or three (see `Filters.as_images`); others one
    row each with its first 16 channels side by side, purple positive, orange negative, on one scale a filter.

    Raises:
        NetError: the weights of a dense layer, which have no places.
        MissingExtra: matplotlib is not installed.
    """
    weights = filters.weights
    if weights.ndim != 4 or (filters.first and weights.shape[1] in (1, 3)):
        images = filters.as_images()
        text = _title(filters.path, min(most, len(images)), len(images), "filters", "gray is 0, each on its own scale")
        return _sheet(list(images[:most]), text)
    few = weights[: min(most, NAMED)]
    shades = [colours(one, float(np.abs(kernel).max()), True) for kernel in few for one in kernel[:NAMED]]
    across = min(NAMED, weights.shape[1])
    scale = f"each a row of {across} of its {weights.shape[1]} channels"
    text = _title(filters.path, len(few), len(weights), "filters", scale)
    numbers = [str(index // across) if index % across == 0 else "" for index in range(len(shades))]
    return _sheet(shades, text, across, numbers)


def draw_histogram(layer: LayerActivity) -> "Figure":
    """How often a layer gave which values, on a logarithmic axis, with how many of its units are dead or saturated.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH / 2, 2.2))
        axes = figure.subplots()
        axes.stairs(layer.counts, layer.edges, fill=True, color=ACCENT)
        axes.set_yscale("symlog", linthresh=1)
        axes.set(ylim=(0, None), xlabel="value", ylabel="how often")
        axes.set_title(f"{layer.place}\n{_told(layer)}", loc="left")
    return figure


def draw_spread(spread: DropoutSpread, names: Sequence[str] = ()) -> "Figure":
    """Each output in every pass with dropout, and without dropout as a ring; the first 40 outputs.

    Args:
        names: of the outputs.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    without = spread.without.ravel()[:OUTPUTS]
    passes = spread.passes.reshape(len(spread.passes), -1)[:, :OUTPUTS]
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH / 2, 0.7 + 0.22 * len(without)))
        axes = figure.subplots()
        rows = np.arange(len(without))
        axes.plot(passes.T, rows, ".", color=ACCENT, alpha=0.3, markersize=5)
        axes.plot(without, rows, "o", color=GRAY, markerfacecolor="none", markersize=7)
        axes.set(yticks=rows, yticklabels=names[:OUTPUTS] or rows, xlabel="raw output", ylim=(len(without) - 0.5, -0.5))
        axes.set_title(f"{len(passes)} passes with dropout; ring: without", loc="left")
    return figure


def _told(layer: LayerActivity) -> str:
    told = f"{counted(layer.images, 'image')}, {counted(len(layer.mean), 'unit')}"
    for name, units in (("dead", layer.dead), ("saturated", layer.saturated)):
        if units is not None:
            told += f", {len(units):,} {name}"
    return told + (f", {layer.not_finite:,} values not finite" if layer.not_finite else "")


def _title(name: str, drawn: int, all_of_them: int, what: str, scale: str) -> str:
    count = f"{all_of_them} {what}" if drawn == all_of_them else f"the first {drawn} of {all_of_them} {what}"
    return f"{name}\n{count}, {scale}"


def _sheet(tiles: Sequence[np.ndarray], title: str, across: int = ACROSS, names: Sequence[str] = ()) -> "Figure":
    """Tiles (H, W, 3 or 4) in reading order, each below its name, or else its number."""
    across = min(across, len(tiles))
    tall = tiles[0].shape[0] / tiles[0].shape[1]
    side = WIDTH / max(across, ACROSS) / (1 + GAP)  # inches
    head = HEAD / side
    down = math.ceil(len(tiles) / across) * (tall + head)
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(side * across * (1 + GAP), side * down))
        axes = figure.add_axes((0, 0, 1, 1))
        for index, tile in enumerate(tiles):
            row, column = divmod(index, across)
            x, y = column * (1 + GAP), row * (tall + head)
            axes.imshow(tile, extent=(x, x + 1, y + tall, y), interpolation="none")
            axes.text(x, y - 0.02 / side, names[index] if names else str(index), fontsize=6.5, va="bottom")
        axes.set(xlim=(0, across * (1 + GAP) - GAP), ylim=(down - head, -head), aspect="equal")
        bare(axes)
        axes.set_title(title, loc="left")
    return figure


def _bars(values: np.ndarray, title: str) -> "Figure":
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 1.6))
        axes: Axes = figure.subplots()
        axes.bar(np.arange(len(values)), values, width=0.8 if len(values) <= 128 else 1.0, color=ACCENT)
        axes.axhline(0, color=GRAY, linewidth=0.6)
        axes.set(xlabel="number", ylabel="value", xlim=(-0.7, len(values) - 0.3))
        axes.set_title(f"{title}\n{len(values)} numbers", loc="left")
    return figure
