"""A map over its image, as a figure: what speaks for the answer, what against it, and whether it can be believed."""

import io
import textwrap
from typing import TYPE_CHECKING, Literal

import numpy as np

from foveal.explain.attribution import Tested
from foveal.types import Geometry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["drawn", "figure_of"]

# Orange speaks for, blue against: they differ for those who see no difference between red and green.
SIGNED, UNSIGNED = "PuOr_r", "Oranges"
STRONGEST = 0.85  # opacity of the largest number; of none it is 0, so that the image shows where nothing counts
QUANTILE = 0.995  # of the absolute map, at which the colours end: a single pixel must not make all others pale
NAMES = {"grad-cam": "Grad-CAM", "integrated-gradients": "integrated gradients"}
WRAPPED = 112  # letters of a line


def figure_of(tested: Tested, image: np.ndarray, geometry: Geometry | None = None) -> "Figure":
    """The image, and beside it the map over the image in gray, with the scale of its colours; below, in words, what it
    is and what the tests say. What failed is crossed out and says so.

    Args:
        image: (H, W, C) uint8 with C = 1 or 3: what the network took; the original where a geometry is given.
        geometry: how the original was mapped to what the network took: the map is drawn over the original.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    found = tested.attribution
    array = found.map if geometry is None else found.at_original(geometry)
    reach = float(np.nanquantile(np.abs(array), QUANTILE)) or float(np.nanmax(np.abs(array))) or 1.0
    scale = Normalize(-reach if found.signed else 0.0, reach)
    figure = Figure(figsize=(7.6, 4.7), facecolor="white")
    plain, over = (figure.add_axes((left, 0.30, 0.40, 0.56)) for left in (0.03, 0.45))
    bar = figure.add_axes((0.875, 0.30, 0.022, 0.56))
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    plain.imshow(image if image.shape[2] == 3 else image[..., 0], cmap=None if image.shape[2] == 3 else "gray")
    over.imshow(gray)
    strength = np.nan_to_num(np.clip(np.abs(array) / reach, 0, 1)) * STRONGEST
    colours = SIGNED if found.signed else UNSIGNED
    over.imshow(np.nan_to_num(array), cmap=colours, norm=scale, alpha=strength, interpolation="nearest")
    for axes in (plain, over):
        axes.set_xticks([])
        axes.set_yticks([])
    plain.set_title("the image", fontsize=10)
    over.set_title(f"{NAMES.get(found.method, found.method)}: {_target(tested)}", fontsize=10)
    ticks = figure.colorbar(ScalarMappable(scale, colours), cax=bar, format="%.2g")
    ticks.ax.tick_params(labelsize=8)
    ticks.set_label("speaks for it  →" if not found.signed else "against it  ←   →  for it", fontsize=8)
    if not tested.passed:
        over.plot([0, 1], [0, 1], transform=over.transAxes, color="#b00020", linewidth=1.5)
        over.plot([0, 1], [1, 0], transform=over.transAxes, color="#b00020", linewidth=1.5)
    _say(figure, tested)
    return figure


def drawn(figure: "Figure", form: Literal["png", "svg"] = "png") -> bytes:
    """The figure as a file, the same bytes for the same figure."""
    import matplotlib

    stored, metadata = io.BytesIO(), {"Date": None} if form == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "foveal", "svg.fonttype": "none"}):
        figure.savefig(stored, format=form, dpi=130, metadata=metadata)
    return stored.getvalue()


def _target(tested: Tested) -> str:
    found = tested.attribution
    if not found.chosen.either_way:
        return f"what speaks for {found.chosen}"
    return f"what makes {found.chosen} {'high' if found.direction > 0 else 'low'}"


def _say(figure: "Figure", tested: Tested) -> None:
    found = tested.attribution
    badge, colour = ("TESTED", "#1b6e3c") if tested.passed else ("NOT AN EXPLANATION", "#b00020")
    figure.text(0.03, 0.935, badge, fontsize=12, fontweight="bold", color=colour)
    marks = "   ".join(f"{'✓' if check.passed else '✗'} {check.name}" for check in tested.checks)
    figure.text(0.90, 0.935, marks, fontsize=10, ha="right", color="#333333")
    lines = (
        textwrap.wrap(tested.sentence, WRAPPED)[:5]
        + textwrap.wrap(f"Made from: {found.how}." if found.how else "", WRAPPED)[:1]
    )
    figure.text(0.03, 0.25, "\n".join(lines), fontsize=8.5, va="top", linespacing=1.5)
