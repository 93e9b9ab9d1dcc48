"""Pictures of a report as text: SVG for curves, PNG data URIs for pixels. Each is legible on white and on black."""

import base64
import io
import re
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["TRAIN", "VALIDATION", "Curve", "confusion_uri", "curves_svg", "thumbnail_uri"]

Curve = Sequence[tuple[int, float]]
"""(epoch, value) pairs."""

VALIDATION, TRAIN = "#2b7bba", "#c2702f"  # contrast 4.5 and 3.7 on white, 4.0 and 4.8 on the dark page
RIGHT_RGB, WRONG_RGB = (43, 123, 186), (214, 96, 38)
INK = "#010203"  # stands for the colour of the text around, which SVG calls currentColor and matplotlib cannot
POINTS_SHOWN = 30
LARGEST_THUMBNAIL = 128

# matplotlib reads these from its one global table, so two threads must not draw at once.
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
}
_DRAWING = Lock()


def curves_svg(title: str, train: Curve, validation: Curve, *, falling: bool) -> str:
    """One panel of learning curves, an `<svg>` that takes the width it is given.

    The best value on validation has a ring: the lowest when `falling`, otherwise the highest.
    """
    # Imported here, as jinja2 in page.py: reading a report must not wait for what draws one.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with _DRAWING, rc_context({**_SETTINGS, "svg.hashsalt": f"foveal {title}"}):
        figure = Figure(figsize=(4.4, 3), layout="constrained")
        axes = figure.add_subplot()
        for name, curve, color, style in (
            ("training", train, TRAIN, "--"),
            ("validation", validation, VALIDATION, "-"),
        ):
            if curve:
                marker = "o" if len(curve) <= POINTS_SHOWN else ""
                axes.plot(*zip(*curve), style, color=color, label=name, marker=marker, markersize=3, linewidth=1.5)
        if validation:
            best = (min if falling else max)(validation, key=lambda point: point[1])
            axes.plot(*best, "o", color=VALIDATION, markersize=10, fillstyle="none")
        if falling:
            axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
        axes.set_xlabel("epoch")
        axes.set_title(title, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)
        drawn = io.StringIO()
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=metadata)
    return _inline(drawn.getvalue(), f"{title} by epoch, on training and on validation images")


def _inline(svg: str, label: str) -> str:
    """The `<svg>` alone, as wide as its place, in the colour of the text around, named for screen readers."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'<g id="[^"]+">', "<g>", svg)  # named alike in every figure, and a page has several
    return re.sub(r'<svg [^>]*?(viewBox="[^"]+")[^>]*>', rf'<svg \1 role="img" aria-label="{label}">', svg, count=1)


def confusion_uri(shares: np.ndarray) -> str:
    """A heat map, one pixel a cell, of (K, K) shares of a row: blue right, orange wrong, opacity √share."""
    pixels = np.empty((*shares.shape, 4), np.uint8)
    pixels[..., :3] = WRONG_RGB
    diagonal = np.arange(len(shares))
    pixels[diagonal, diagonal, :3] = RIGHT_RGB
    pixels[..., 3] = np.round(np.sqrt(shares) * 255)
    return _png(Image.fromarray(pixels))


def thumbnail_uri(image: np.ndarray) -> str:
    """uint8 H×W×C, C = 1 or 3, as a PNG of at most 128 pixels a side."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((LARGEST_THUMBNAIL, LARGEST_THUMBNAIL))
    return _png(picture)


def _png(picture: Image.Image) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()
