"""Pictures, for people: receptive fields on an image, and what channels like. matplotlib figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foveal.errors import NetError
from foveal.explain.drawing import ACCENT, bare, style
from foveal.explain.field import EffectiveField, ReceptiveField
from foveal.explain.likes import Liking
from foveal.explain.maximise import Maximised

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_fields", "draw_likes", "draw_on"]

THEORETICAL, EFFECTIVE = "#d9803f", ACCENT  # they differ in lightness, too
HALO = "white"
DIM = 0.45  # of the image where no unit looks
ACROSS = 4  # fields in a row
SIDE = 1.9  # inches, of a field
CELL = 0.8  # inches, of a patch


def draw_on(axes: "Axes", image: np.ndarray, field: ReceptiveField, effective: EffectiveField | None = None) -> None:
    """The image, dimmed where the unit does not look; the field outlined, and with a thinner line the part that holds
    the share of the gradient.

    Args:
        image: (H, W, C) uint8, C = 1 or 3, as the net takes it.
    """
    shown = image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
    light = np.where(field.mask[..., None], shown, 255 - DIM * (255 - shown.astype(float)))
    axes.imshow(light.astype(np.uint8))
    _outline(axes, field.mask, THEORETICAL, 2)
    if effective is not None:
        _outline(axes, effective.mask, EFFECTIVE, 1)
    axes.set(xlim=(-0.9, image.shape[1] - 0.1), ylim=(image.shape[0] - 0.1, -0.9))
    bare(axes)


def draw_fields(image: np.ndarray, fields: Sequence[ReceptiveField | EffectiveField]) -> "Figure":
    """One picture a field, each on the image.

    Args:
        image: (H, W, C) uint8, C = 1 or 3, as the net takes it.

    Raises:
        NetError: no fields.
        MissingExtra: matplotlib is not installed.
    """
    if not fields:
        raise NetError(
            "Expected fields to draw, found none.", remedy="receptive_field(network, layer, shape) finds one."
        )
    with style():
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        columns = min(ACROSS, len(fields))
        rows = -(-len(fields) // columns)
        figure = Figure(figsize=(SIDE * columns, (SIDE + 0.35) * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(fields) :]:
            axes.set_visible(False)
        for axes, found in zip(grid, fields):
            effective = found if isinstance(found, EffectiveField) else None
            field = found.theoretical if isinstance(found, EffectiveField) else found
            draw_on(axes, image, field, effective)
            height, width = field.box.size
            told = f"{field.layer}: {height}×{width}"
            if effective is not None:
                told += f"\n{effective.share:.0%} in {effective.area.value:.0f} of {field.pixels} px"
            axes.set_title(told)
        handles = [Line2D([], [], color=THEORETICAL, linewidth=2), Line2D([], [], color=EFFECTIVE, linewidth=1)]
        names = ["what the unit can depend on", "the part that moves it most"]
        some = any(isinstance(found, EffectiveField) for found in fields)
        figure.legend(handles[: 1 + some], names[: 1 + some], loc="outside lower center", ncols=2, frameon=False)
    return figure


def draw_likes(likings: Sequence[Liking], made: Maximised | None = None) -> "Figure":
    """A row a channel: the image that was made for it, where there is one, and the patches that excite it most.

    Raises:
        NetError: no channels, or none with a patch.
        MissingExtra: matplotlib is not installed.
    """
    if not any(liking.top for liking in likings):
        raise NetError(
            "Expected patches that channels like, found none.", remedy="likings(…) finds them, for top=1 and more."
        )
    with style():
        from matplotlib.figure import Figure

        images = dict(zip(made.channels, made.images)) if made else {}
        first = int(made is not None)
        columns = first + max(len(liking.top) for liking in likings)
        figure = Figure(figsize=(CELL * columns + 0.5, CELL * len(likings) + 0.3), layout="constrained")
        grid = figure.subplots(len(likings), columns, squeeze=False)
        for liking, row in zip(likings, grid):
            row[0].set_ylabel(f"{liking.layer}\n{liking.channel}", rotation=0, ha="right", va="center")
            pictures = ([images.get(liking.channel)] if made else []) + [one.patch for one in liking.top]
            for axes, picture in zip(row, pictures + [None] * (columns - len(pictures))):
                bare(axes)
                if picture is not None:
                    axes.imshow(picture if picture.shape[2] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=255)
        if made:
            grid[0, 0].set_title("made")
        # A title wider than its picture would widen the column.
        head = grid[0, first].text(0, 1.08, "found, the most exciting first", transform=grid[0, first].transAxes)
        head.set_in_layout(False)
    return figure


def _outline(axes: "Axes", mask: np.ndarray, color: str, width: float) -> None:
    """Along the edges of the pixels in the mask."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Stroke

    around = np.pad(mask, 1)
    lines: list[list[tuple[float, float]]] = []
    for row, column in zip(*np.nonzero(around[1:, 1:-1] != around[:-1, 1:-1])):
        lines.append([(column - 0.5, row - 0.5), (column + 0.5, row - 0.5)])
    for row, column in zip(*np.nonzero(around[1:-1, 1:] != around[1:-1, :-1])):
        lines.append([(column - 0.5, row - 0.5), (column - 0.5, row + 0.5)])
    below = Stroke(linewidth=width + 1.6, foreground=HALO)
    axes.add_collection(
        LineCollection(lines, colors=color, linewidths=width, path_effects=[below], capstyle="projecting")
    )
    axes.add_collection(LineCollection(lines, colors=color, linewidths=width, capstyle="projecting"))
