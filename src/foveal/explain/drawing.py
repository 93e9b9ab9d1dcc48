"""How figures look and how they are saved. They can be read on a light and on a dark page."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACCENT", "GRAY", "WIDTH", "bare", "colours", "png", "style", "svg"]

WIDTH = 7.6  # inches, of a page of text
GRAY = "#808691"  # contrast 3.6 on white, 4.9 on the dark page
ACCENT = "#4a8fc9"

STYLE: dict[Any, Any] = {
    "axes.edgecolor": GRAY,
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": GRAY,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": GRAY,
    "axes.titlesize": 9,
    "figure.autolayout": False,  # each figure has its own layout, whatever a notebook has set
    "figure.constrained_layout.use": False,
    "figure.facecolor": "none",
    "font.size": 9,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "foveal",
    "text.color": GRAY,
    "xtick.color": GRAY,
    "xtick.labelsize": 8,
    "ytick.color": GRAY,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Figures that are made or saved inside look as ours do.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with extra("train"):
        import matplotlib
    with matplotlib.rc_context(STYLE):
        yield


def svg(figure: "Figure") -> str:
    """An `<svg>` with text as text; the same figure gives the same bytes."""
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: "Figure", dpi: int = 144) -> bytes:
    """On a transparent ground."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, bbox_inches="tight")
    return buffer.getvalue()


def bare(axes: "Axes") -> None:
    """Without frame and ticks."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def colours(values: np.ndarray, limit: float, signed: bool) -> np.ndarray:
    """(…, 4) floats 0 to 1 of values from −limit to limit: purple is positive, orange negative, and nothing drawn where
    a value is not finite. Without a sign, from black at 0 to white at the limit.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with extra("train"):
        from matplotlib import colormaps

    scaled = values / limit if limit > 0 else np.zeros_like(values)
    shades = colormaps["PuOr"]((scaled + 1) / 2) if signed else colormaps["gray"](scaled)
    shades[~np.isfinite(values)] = 0
    return shades
