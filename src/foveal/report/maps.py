"""Numbers of a network as pictures: PNG data URIs, the same on a light and on a dark page."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from foveal.report.plots import THIN, VALIDATION, photo_uri, png_uri, tick_label, ticks

__all__ = [
    "boxed",
    "colored",
    "framed_uri",
    "histogram_svg",
    "overlay_uri",
    "rgb",
    "sheet_uri",
    "tile_uri",
    "tiles_uri",
    "winners_uri",
]

# Below zero orange, zero near white, above purple, which those who see colours otherwise can tell, too (ColorBrewer).
SCALE = "PuOr"
SHADES = 127  # odd: zero has one of its own
NO_NUMBER, NOTHING = SHADES, SHADES + 1  # of the palette: what is not finite, and what is between the maps
AGAINST, FOR = 0.15, 0.85  # of the scale: a map over an image
TILE = 56  # pixels a side, about
SHEET = 640  # pixels across
GAP = 3
LARGE = 240  # pixels a side of a picture by itself, about
LINE = 255, 60, 0
DIMMED = 0.6
STRONGEST = 0.65  # of a map over a picture, opacity
WIDTH, HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 320, 120, 10, 310, 8, 92


def colored(values: np.ndarray, limit: float) -> np.ndarray:
    """(…) numbers to (…, 3) uint8; ±limit and beyond are the ends of the scale, numbers that are none are gray."""
    return _palette()[_steps(values, limit)]


def _steps(values: np.ndarray, limit: float) -> np.ndarray:
    """(…) numbers to (…) uint8, the number of their colour in the palette: as many steps below zero as above."""
    share = np.clip(np.nan_to_num(values / limit if limit > 0 else values * 0.0), -1, 1)
    steps = np.rint((share + 1) / 2 * (SHADES - 1)).astype(np.uint8)
    steps[~np.isfinite(values)] = NO_NUMBER
    return steps


@cache
def _palette() -> np.ndarray:
    """(SHADES + 2, 3) uint8: the scale; gray; and what is to be transparent."""
    return np.concatenate([_shades(np.linspace(0, 1, SHADES)), np.full((2, 3), 128, np.uint8)])


def _shades(at: np.ndarray | float) -> np.ndarray:
    """(…) numbers from 0 to 1 to (…, 3) uint8, the colours there."""
    from matplotlib import colormaps

    return np.asarray(colormaps[SCALE](at, bytes=True))[..., :3].copy()


def sheet_uri(maps: np.ndarray, *, own: bool = False) -> str:
    """Maps (N, h, w) in rows from left to right, on one scale, or each on its own."""
    limits = np.abs(maps).max(axis=(1, 2))
    tiles = [_steps(one, float(limit)) for one, limit in zip(maps, limits if own else [limits.max()] * len(maps))]
    picture = Image.fromarray(_sheet(tiles, np.uint8(NOTHING)))
    picture.putpalette(_palette().ravel().tolist())  # a byte a pixel: a third of what three colours take
    return png_uri(picture, transparency=NOTHING)


def tiles_uri(tiles: Sequence[np.ndarray]) -> str:
    """Pictures (h, w, 3) uint8 of one size in rows, small ones enlarged by whole numbers, large ones thinned out;
    transparent between them."""
    opaque = [np.dstack([tile, np.full(tile.shape[:2], 255, np.uint8)]) for tile in tiles]
    return png_uri(Image.fromarray(_sheet(opaque, np.zeros(4, np.uint8))))


def _sheet(tiles: Sequence[np.ndarray], between: np.ndarray | np.uint8) -> np.ndarray:
    """Tiles (h, w, …) in rows, about `TILE` pixels a side each.

    Args:
        between: a pixel between them.
    """
    step = max(1, max(tiles[0].shape[:2]) // TILE)
    tiles = [tile[step // 2 :: step, step // 2 :: step] for tile in tiles]
    height, width = tiles[0].shape[:2]
    zoom = max(1, round(TILE / max(height, width)))
    height, width = height * zoom, width * zoom
    across = max(1, min(len(tiles), (SHEET + GAP) // (width + GAP)))
    down = -(-len(tiles) // across)
    size = down * (height + GAP) - GAP, across * (width + GAP) - GAP
    sheet = np.broadcast_to(between, (*size, *np.shape(between))).copy()
    for number, tile in enumerate(tiles):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[top : top + height, left : left + width] = tile.repeat(zoom, 0).repeat(zoom, 1)
    return sheet


def tile_uri(values: np.ndarray, limit: float) -> str:
    """One map (h, w), enlarged."""
    return png_uri(Image.fromarray(_large(colored(values, limit), TILE * 2)))


def winners_uri(values: np.ndarray, winners: np.ndarray) -> str:
    """A map (h, w) that max pooling gets: what it passed on as it is, the others faded.

    Args:
        winners: (…, 2) rows and columns.
    """
    picture = colored(values, float(np.abs(values).max())).astype(float)
    won = np.zeros(values.shape, bool)
    rows, columns = winners.reshape(-1, 2).T
    won[rows, columns] = True
    picture[~won] = (1 - DIMMED) * picture[~won] + DIMMED * 128
    return png_uri(Image.fromarray(_large(picture.astype(np.uint8))))


def framed_uri(pixels: np.ndarray, box: tuple[int, int, int, int], mask: np.ndarray | None = None) -> str:
    """An image (h, w, C) uint8 with a box (top, left, bottom, right; the last two excluded) around a part of it.

    Args:
        mask: (h, w) bool; what lies outside is faded.
    """
    picture = rgb(pixels).astype(float)
    if mask is not None:
        picture[~mask] = (1 - DIMMED) * picture[~mask] + DIMMED * 128
    large = _large(picture.astype(np.uint8))
    zoom = len(large) // len(pixels)
    image = Image.fromarray(large)
    top, left, bottom, right = (side * zoom for side in box)
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline=LINE, width=2)
    return photo_uri(image)


def boxed(pixels: np.ndarray, xyxy: Sequence[float] | None) -> np.ndarray:
    """An image (h, w, C) uint8 with a line around a part of it (left, top, right, bottom); None: as it is."""
    if xyxy is None:
        return pixels
    picture, width = Image.fromarray(rgb(pixels).copy()), max(2, max(pixels.shape[:2]) // 160)
    ImageDraw.Draw(picture).rectangle(tuple(xyxy), outline=LINE, width=width)
    return np.asarray(picture)


def overlay_uri(pixels: np.ndarray, values: np.ndarray, xyxy: Sequence[float] | None = None) -> str:
    """What counted in an image, over the image in gray: the more, the stronger the colour.

    Args:
        pixels: (h, w, C) uint8.
        values: (h, w); NaN where the network did not see the image.
        xyxy: of a box to be drawn.
    """
    gray = rgb(pixels).mean(axis=2, keepdims=True).repeat(3, axis=2)
    known = np.nan_to_num(values)
    limit = float(np.abs(known).max())
    opacity = STRONGEST * np.sqrt(np.abs(known) / limit if limit > 0 else known * 0.0)[..., None]
    ends = np.where(known[..., None] > 0, _shades(FOR), _shades(AGAINST)).astype(float)
    mixed = (1 - opacity) * (96 + 0.62 * gray) + opacity * ends
    mixed[np.isnan(values)] = 128
    return photo_uri(Image.fromarray(_large(boxed(np.rint(mixed).astype(np.uint8), xyxy))))


def histogram_svg(edges: np.ndarray, counts: np.ndarray, label: str) -> str:
    """How often a layer gives which number, an `<svg>` that takes the width it is given; heights are square roots, so
    that few numbers can be seen beside many.

    Args:
        label: text of ours.
    """
    low, high, most = float(edges[0]), float(edges[-1]), max(1, int(counts.max()))
    span = high - low or 1.0

    def across(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (value - low) / span, 2)

    bars = []
    for start, end, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist()):
        top = round(BELOW - (BELOW - ABOVE) * (count / most) ** 0.5, 2)
        bars.append(f"M{across(start)} {BELOW}V{top}H{across(end)}V{BELOW}Z")
    parts = [f'<path d="{"".join(bars)}" fill="{VALIDATION}"/>', THIN.format(f"M{LEFT} {BELOW}H{RIGHT}")]
    marks = ticks(low, high) if high > low else [low]
    for mark in marks:
        if low <= mark <= high:
            parts.append(THIN.format(f"M{across(mark)} {BELOW}v4"))
            parts.append(
                f'<text x="{across(mark)}" y="{BELOW + 17}" text-anchor="middle">{tick_label(mark, marks)}</text>'
            )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="11" fill="currentColor"'
    return "\n".join([f'<svg {size} role="img" aria-label="{label}">', *parts, "</svg>"])


def rgb(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) of an image with one channel or three."""
    return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)


def _large(picture: np.ndarray, side: int = LARGE) -> np.ndarray:
    zoom = max(1, round(side / max(picture.shape[:2])))
    return picture.repeat(zoom, 0).repeat(zoom, 1)
