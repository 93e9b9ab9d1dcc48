"""Maps over their image, as a figure: what speaks for the answer, what against it, and whether it can be believed."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foveal.errors import NetError
from foveal.explain.attribution import Tested
from foveal.explain.drawing import WIDTH, bare, style
from foveal.types import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_tested"]

# As everywhere: purple is positive and speaks for, orange against.
SIGNED, UNSIGNED = "PuOr", "Purples"
PASSED, FAILED = "#3d9159", "#d4494f"  # contrast above 3.7 on white and on the dark page
STRONGEST = 0.85  # opacity of the largest number; of none it is 0, so that the image shows where nothing counts
QUANTILE = 0.995  # of the absolute map, at which the colours end: a single pixel must not make all others pale
NAMES = {"grad-cam": "Grad-CAM", "integrated-gradients": "integrated gradients", "occlusion": "occlusion"}
WRAPPED = 130  # letters of a line
LINE, SMALL, GAP = 0.165, 8, 0.12  # inches of a line; points of its letters; inches between pictures
ACROSS = 4  # pictures


def draw_tested(maps: Sequence[Tested], image: np.ndarray, geometry: Geometry | None = None) -> "Figure":
    """The image, and beside it each map over the image in gray, purple where it speaks for the answer and orange where
    against it, each on its own scale; below, the badge and which tests it stood, then in words what the tests say. What
    failed is crossed out.

    Args:
        maps: of one image and one answer.
        image: (H, W, C) uint8 with C = 1 or 3: what the network took; the original where a geometry is given.
        geometry: how the original was mapped to what the network took: the maps are drawn over the original.

    Raises:
        NetError: no maps.
        MissingExtra: matplotlib is not installed.
    """
    if not maps:
        raise NetError("Expected maps to draw, found none.", remedy="explain_answer(network, pixels) makes them.")
    said = [line for one in maps for line in _said(one)]
    side = (WIDTH - GAP * (ACROSS - 1)) / ACROSS
    rows = -(-(1 + len(maps)) // ACROSS)
    tall = side * min(1.5, image.shape[0] / image.shape[1])
    row = tall + (2 + 1 + max(len(one.checks) for one in maps)) * LINE + GAP
    high = rows * row + GAP + len(said) * LINE
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, high))
        for place, one in enumerate([None, *maps]):
            left, top = place % ACROSS * (side + GAP), high - place // ACROSS * row
            bottom = top - 2 * LINE - tall
            axes = figure.add_axes((left / WIDTH, bottom / high, side / WIDTH, tall / high))
            bare(axes)
            if one is None:
                axes.imshow(_three(image))
                axes.set_title("the image", loc="left", pad=4)
                continue
            _over(axes, one, image, geometry)
            axes.set_title(f"{_name(one)}:\n{_target(one)}", loc="left", fontsize=SMALL, pad=4)
            colour = PASSED if one.passed else FAILED
            x, y = left / WIDTH, bottom - GAP / 2
            figure.text(x, y / high, one.badge, color=colour, fontsize=SMALL, fontweight="bold", va="top")
            for number, check in enumerate(one.checks, 1):
                told = f"{'✓' if check.passed else '✗'} {check.name}"
                figure.text(x, (y - number * LINE) / high, told, fontsize=SMALL, va="top")
        for number, line in enumerate(said, 1):
            figure.text(0, (len(said) - number) * LINE / high, line, fontsize=SMALL, va="bottom")
    return figure


def _over(axes: "Axes", one: Tested, image: np.ndarray, geometry: Geometry | None) -> None:
    """The map over the image in gray, the more it counts the less can be seen through it."""
    found = one.attribution
    values = found.map if geometry is None else found.at_original(geometry)
    strength = np.abs(values)
    reach = float(np.nanquantile(strength, QUANTILE)) or float(np.nanmax(strength)) or 1.0
    axes.imshow(_three(image.mean(axis=2, keepdims=True).astype(np.uint8)))
    axes.imshow(
        np.nan_to_num(values),
        cmap=SIGNED if found.signed else UNSIGNED,
        vmin=-reach if found.signed else 0,
        vmax=reach,
        alpha=np.nan_to_num(np.clip(strength / reach, 0, 1)) * STRONGEST,
        interpolation="nearest",
    )
    if not one.passed:
        for ends in ((0, 1), (1, 0)):
            axes.plot([0, 1], ends, transform=axes.transAxes, color=FAILED, linewidth=1.2)


def _three(image: np.ndarray) -> np.ndarray:
    return image if image.shape[2] == 3 else image.repeat(3, axis=2)


def _name(one: Tested) -> str:
    return NAMES.get(one.attribution.method, one.attribution.method)


def _target(one: Tested) -> str:
    found = one.attribution
    if not found.chosen.either_way:
        return f"what speaks for {found.chosen}"
    return f"what makes {found.chosen} {'high' if found.direction > 0 else 'low'}"


def _said(one: Tested) -> list[str]:
    """Lines of what the badge rests on and what the map was made from."""
    made = f" Made from: {one.attribution.how}." if one.attribution.how else ""
    return textwrap.wrap(f"{_name(one)}: {one.sentence}{made}", WRAPPED)
