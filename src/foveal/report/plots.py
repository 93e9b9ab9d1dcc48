"""Pictures of a report as text: SVG for curves, PNG data URIs for pixels. Each is legible on white and on black."""

import base64
import html
import io
import math
from collections.abc import Sequence
from itertools import count

import numpy as np
from PIL import Image

__all__ = [
    "BOX_KINDS",
    "FROM_LEFT",
    "FROM_TOP",
    "SIDE",
    "THIN",
    "TRAIN",
    "VALIDATION",
    "Curve",
    "box_sample_svg",
    "boxes_svg",
    "confusion_uri",
    "curves_svg",
    "photo_uri",
    "picture_uri",
    "png_uri",
    "precision_recall_svg",
    "scatter_svg",
    "square",
    "thumbnail_uri",
    "tick_label",
    "ticks",
    "unit_square",
]

Curve = Sequence[tuple[int, float]]
"""(epoch, value) pairs."""

VALIDATION, TRAIN = "#2b7bba", "#c2702f"  # contrast 4.5 and 3.7 on white, 4.0 and 4.8 on the dark page
RIGHT_RGB, WRONG_RGB = (43, 123, 186), (214, 96, 38)
POINTS_SHOWN = 30
LARGEST_THUMBNAIL = 128
LARGEST_PICTURE = 400  # pixels a side of one that boxes are drawn over
JPEG_QUALITY, LINES_QUALITY = 80, 88
TO_THE_PIXEL = 64  # pixels a side of a picture whose single pixels count

# Of the curves, in units of the view box: the panel, and where the axes stand in it.
WIDTH, HEIGHT = 320, 220
LEFT, RIGHT, ABOVE, BELOW = 42, 312, 28, 184
MOST_TICKS = 6
ROUNDING = 1e-9  # of a tick

# Of predicted against true: width and height, and the side and the left and upper edge of the panel, which is a square.
SQUARE, SIDE, FROM_LEFT, FROM_TOP = (320, 306), 256, 56, 8

# Of boxes over a picture: colour and dashes of each kind; below each line lies a white one. Kinds differ in both, for
# those who see no difference between colours.
BOX_KINDS = {
    "right": ("#1565a8", "none"),
    "missed": ("#d45500", "7 4"),
    "false": ("#8e0152", "2 2.5"),
    "given": ("#1565a8", "none"),
    "suggested": ("#8e0152", "2 2.5"),
}
BOXES_ACROSS = 400  # units that a picture is wide
LONGEST_NAME = 14  # letters of a label in a picture
THIN = '<path d="{}" fill="none" stroke="currentColor" stroke-width=".6"/>'


def curves_svg(title: str, train: Curve, validation: Curve, *, falling: bool) -> str:
    """One panel of learning curves, an `<svg>` that takes the width it is given.

    The best value on validation has a ring: the lowest when `falling`, otherwise the highest.

    Args:
        title: text of ours, not of a user.
    """
    points = [*train, *validation]
    last = max(1, *(epoch for epoch, _ in points))
    epochs = [epoch for epoch in ticks(0, last, smallest=1) if epoch <= last]
    values = ticks(0 if falling else min(value for _, value in points), max(value for _, value in points))

    def at(epoch: float, value: float) -> tuple[float, float]:
        share = (value - values[0]) / (values[-1] - values[0])
        return round(LEFT + (RIGHT - LEFT) * epoch / (1.03 * last), 1), round(BELOW - (BELOW - ABOVE) * share, 1)

    parts = [f'<text x="{LEFT}" y="14" font-size="13">{title}</text>', THIN.format(f"M{LEFT} {ABOVE}V{BELOW}H{RIGHT}")]
    for value in values:
        _, y = at(0, value)
        parts.append(f'<g opacity=".15">{THIN.format(f"M{LEFT} {y}H{RIGHT}")}</g>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{tick_label(value, values)}</text>')
    for epoch in epochs:
        x, _ = at(epoch, values[0])
        parts.append(THIN.format(f"M{x} {BELOW}v4"))
        parts.append(f'<text x="{x}" y="{BELOW + 16}" text-anchor="middle">{epoch:g}</text>')
    parts.append(f'<text x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 4}" text-anchor="middle">epoch</text>')
    for name, curve, color, dash, x in (
        ("training", train, TRAIN, "5 3", 160),
        ("validation", validation, VALIDATION, "none", 236),
    ):
        if not curve:
            continue
        places = [at(*point) for point in curve]
        parts += [_line([(x, 10), (x + 18, 10)], color, dash), f'<text x="{x + 22}" y="14">{name}</text>']
        parts.append(_line(places, color, dash))
        if len(curve) <= POINTS_SHOWN:
            parts += [f'<circle cx="{x}" cy="{y}" r="2" fill="{color}"/>' for x, y in places]
    if validation:
        x, y = at(*(min if falling else max)(validation, key=lambda point: point[1]))
        parts.append(f'<circle cx="{x}" cy="{y}" r="6" fill="none" stroke="{VALIDATION}"/>')
    label = f"{title} by epoch, on training and on validation images"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="11" fill="currentColor"'
    return "\n".join([f'<svg {size} role="img" aria-label="{label}">', *parts, "</svg>"])


def scatter_svg(name: str, truth: Sequence[float], predicted: Sequence[float], half_width: float | None) -> str:
    """Predicted against true, an `<svg>` that takes the width it is given: a dot a pair, the diagonal where an answer
    is right, and the band where it is at most `half_width` away from the truth.

    Args:
        name: of the value; any text.
    """
    values = [*truth, *predicted]
    marks = ticks(min(values), max(values))
    low, high = marks[0], marks[-1]

    def at(x: float, y: float) -> str:
        across, up = (SIDE * (value - low) / (high - low) for value in (x, y))
        return f"{FROM_LEFT + across:.1f} {FROM_TOP + SIDE - up:.1f}"

    parts = []
    if half_width is not None:
        w = min(half_width, high - low)
        corners = (low, low), (low, low + w), (high - w, high), (high, high), (high, high - w), (low + w, low)
        path = "L".join(at(*corner) for corner in corners)
        parts.append(f'<path d="M{path}Z" fill="{VALIDATION}" fill-opacity=".15"/>')
    right, bottom = FROM_LEFT + SIDE, FROM_TOP + SIDE
    parts.append(THIN.format(f"M{FROM_LEFT} {FROM_TOP}V{bottom}H{right}"))
    parts.append(THIN.format(f"M{at(low, low)}L{at(high, high)}"))
    for mark in marks:
        x, y = at(mark, mark).split()
        parts.append(THIN.format(f"M{x} {bottom}v4M{FROM_LEFT} {y}h-4"))
        told = tick_label(mark, marks)
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{told}</text>')
        parts.append(f'<text x="{FROM_LEFT - 7}" y="{float(y) + 4:.1f}" text-anchor="end">{told}</text>')
    dots = "".join(f"M{at(*pair)}h0" for pair in zip(truth, predicted))
    look = f'fill="none" stroke="{VALIDATION}" stroke-opacity=".55" stroke-width="4" stroke-linecap="round"'
    parts.append(f'<path d="{dots}" {look}/>')
    return square(parts, "true", "predicted", f"Predicted against true {name} of {len(truth)} test images")


def precision_recall_svg(label: str, precision: Sequence[float], at: Sequence[float] | None) -> str:
    """Precision over recall, an `<svg>` that takes the width it is given: the area under the curve is shaded, the
    operating point a dot.

    Args:
        label: any text.
        precision: at recalls of 0, 0.01, 0.02, …
        at: recall and precision.
    """
    bottom = FROM_TOP + SIDE

    def place(recall: float, value: float) -> str:
        return f"{FROM_LEFT + SIDE * recall:.1f} {bottom - SIDE * value:.1f}"

    parts = unit_square()
    if precision:
        line = "L".join(place(step / 100, value) for step, value in enumerate(precision))
        foot = f"L{place((len(precision) - 1) / 100, 0)}L{place(0, 0)}Z"
        parts.append(f'<path d="M{line}{foot}" fill="{VALIDATION}" fill-opacity=".15"/>')
        parts.append(f'<path d="M{line}" fill="none" stroke="{VALIDATION}" stroke-width="1.5"/>')
    if at is not None:
        x, y = place(*at).split()
        parts.append(f'<circle cx="{x}" cy="{y}" r="4.5" fill="{VALIDATION}"/>')
    return square(parts, "recall", "precision", f"Precision over recall of {label}, at an IoU of 0.5")


def unit_square() -> list[str]:
    """Axes and a grid from 0 to 1, across and up."""
    right, bottom = FROM_LEFT + SIDE, FROM_TOP + SIDE
    parts = [THIN.format(f"M{FROM_LEFT} {FROM_TOP}V{bottom}H{right}")]
    for mark in (0, 0.25, 0.5, 0.75, 1):
        x, y = FROM_LEFT + SIDE * mark, bottom - SIDE * mark
        parts.append(f'<g opacity=".15">{THIN.format(f"M{FROM_LEFT} {y:.1f}H{right}M{x:.1f} {FROM_TOP}V{bottom}")}</g>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{mark:g}</text>')
        parts.append(f'<text x="{FROM_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
    return parts


def square(parts: Sequence[str], across: str, up: str, label: str) -> str:
    """A square panel with the names of its axes.

    Args:
        across, up: texts of ours.
        label: any text.
    """
    x, y = FROM_LEFT + SIDE // 2, FROM_TOP + SIDE // 2
    below = f'<text x="{x}" y="{FROM_TOP + SIDE + 36}" text-anchor="middle">{across}</text>'
    beside = f'<text x="{-y}" y="12" transform="rotate(-90)" text-anchor="middle">{up}</text>'
    size = f'viewBox="0 0 {SQUARE[0]} {SQUARE[1]}" font-size="11" fill="currentColor"'
    return "\n".join([f'<svg {size} role="img" aria-label="{html.escape(label)}">', *parts, below, beside, "</svg>"])


def boxes_svg(boxes: Sequence[tuple[Sequence[float], str, str]], height: float, *, named: bool) -> str:
    """Boxes to lay over a picture, an `<svg>` of its shape. When `named`, the label of one that is missed, or given,
    stands in its upper corner, that of one that is false, or suggested, in its lower: one may lie on the other.

    Args:
        boxes: left, top, right and bottom as shares of the picture's sides, the label (any text), and the kind.
        height: of the picture, as a share of its width.
    """
    tall = BOXES_ACROSS * height
    parts, names = [], []
    for (left, top, right, bottom), label, kind in boxes:
        x, y, beyond, under = BOXES_ACROSS * left, tall * top, BOXES_ACROSS * right, tall * bottom
        place = f'x="{x:.1f}" y="{y:.1f}" width="{beyond - x:.1f}" height="{under - y:.1f}"'
        parts.append(f"<g><title>{html.escape(label)}, {kind}</title>{_outlined(place, kind)}</g>")
        if named and kind != "right":
            short = label if len(label) <= LONGEST_NAME else f"{label[: LONGEST_NAME - 1]}…"
            foot = y + 12 if kind in ("missed", "given") else under - 4
            at = f'x="{x + 4:.1f}" y="{foot:.1f}" fill="{BOX_KINDS[kind][0]}"'
            names.append(f"<text {at}>{html.escape(short)}</text>")
    look = (
        'font-size="11" font-weight="600" stroke="#fff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
    )
    view = f'viewBox="0 0 {BOXES_ACROSS} {tall:.1f}"'
    return "\n".join([f'<svg {view} aria-hidden="true">', *parts, f"<g {look}>", *names, "</g></svg>"])


def box_sample_svg(kind: str) -> str:
    """A small box of that kind, for a legend."""
    drawn = _outlined('x="2" y="2" width="24" height="12"', kind)
    return f'<svg viewBox="0 0 28 16" width="28" height="16" aria-hidden="true">{drawn}</svg>'


def _outlined(place: str, kind: str) -> str:
    color, dash = BOX_KINDS[kind]
    below = f'<rect {place} fill="none" stroke="#fff" stroke-width="4" stroke-opacity=".75"/>'
    line = f'stroke="{color}" stroke-width="2" stroke-dasharray="{dash}" pointer-events="all"'
    return f'{below}<rect {place} fill="none" {line}/>'


def ticks(low: float, high: float, smallest: float = 0) -> list[float]:
    """Two to six round numbers, 1, 2 or 5 times a power of ten apart, from `low` or just below to `high` or just above.

    Args:
        smallest: distance between two.
    """
    spread = (high - low) or abs(high) or 1.0
    for power in count(math.floor(math.log10(spread)) - 1):
        for step in (1 * 10.0**power, 2 * 10.0**power, 5 * 10.0**power):
            first = math.floor(low / step + ROUNDING)
            last = max(math.ceil(high / step - ROUNDING), first + 1)
            if last - first < MOST_TICKS and step >= smallest:
                return [k * step for k in range(first, last + 1)]
    raise AssertionError


def tick_label(value: float, among: Sequence[float]) -> str:
    """With the decimals that tell ticks apart."""
    decimals = max(0, -math.floor(math.log10(among[1] - among[0]) + ROUNDING))
    return f"{value:.{decimals}f}" if decimals <= 4 and abs(among[-1]) < 1e5 else f"{value:.2g}"


def _line(places: Sequence[tuple[float, float]], color: str, dash: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5" stroke-dasharray="{dash}"/>'


def confusion_uri(shares: np.ndarray) -> str:
    """A heat map, one pixel a cell, of (K, K) shares of a row: blue right, orange wrong, opacity √share."""
    pixels = np.empty((*shares.shape, 4), np.uint8)
    pixels[..., :3] = WRONG_RGB
    diagonal = np.arange(len(shares))
    pixels[diagonal, diagonal, :3] = RIGHT_RGB
    pixels[..., 3] = np.round(np.sqrt(shares) * 255)
    return png_uri(Image.fromarray(pixels))


def thumbnail_uri(image: np.ndarray) -> str:
    """uint8 H×W×C, C = 1 or 3, of at most 128 pixels a side: a small one to the pixel, a larger one as a photograph."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((LARGEST_THUMBNAIL, LARGEST_THUMBNAIL))
    return png_uri(picture) if max(picture.size) <= TO_THE_PIXEL else photo_uri(picture)


def picture_uri(image: np.ndarray, largest: int = LARGEST_PICTURE) -> str:
    """uint8 H×W×C, C = 1 or 3, as a JPEG of at most so many pixels a side, for boxes to lie on."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((largest, largest))
    return photo_uri(picture, JPEG_QUALITY, "4:2:0")


def photo_uri(picture: Image.Image, quality: int = LINES_QUALITY, colours: str = "4:4:4") -> str:
    """A JPEG: of a photograph a tenth of a PNG.

    Args:
        colours: how they are thinned out; unless said, not at all, so that lines that are drawn in stay sharp.
    """
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality, subsampling=colours)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()


def png_uri(picture: Image.Image, **options: int) -> str:
    """A PNG.

    Args:
        options: as Pillow's writer takes them.
    """
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()
