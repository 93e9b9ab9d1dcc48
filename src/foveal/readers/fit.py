"""From decoded pixels to what a net takes: channels, size, and where each pixel went."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from foveal.recipe import InputContract
from foveal.task import Resize
from foveal.types import Geometry

__all__ = ["fit", "geometry", "largest_shrink", "pillow_resize", "unshrunk"]

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SHRINKS = (8, 4, 2)  # what libjpeg decodes to quickly, and Pillow offers


@dataclass(frozen=True, slots=True)
class _Placed:
    """Which part of an image goes where in what the net takes, in whole pixels: any fast resize takes whole pixels, and
    only Pillow's takes parts of them, so both scales can differ a little."""

    left: int
    top: int
    width: int
    height: int
    x: int
    y: int
    inner_width: int
    inner_height: int


def fit(array: np.ndarray, contract: InputContract, resize: Resize) -> tuple[np.ndarray, Geometry]:
    """uint8, height × width × channels, and how the image was mapped there.

    uint16 becomes 8 bits by rounding v / 257; RGB becomes gray by ITU-R 601-2 luma; `pad` fills with black. An image
    of the right size already keeps its pixels bit for bit.
    """
    pixels = _to_channels(_to_eight_bits(array), contract.channels)
    height, width = pixels.shape[:2]
    mapped = geometry(width, height, contract)
    if (height, width) == (contract.height, contract.width):
        return pixels, mapped
    at = _RULES[contract.resize](width, height, contract)
    part = pixels[at.top : at.top + at.height, at.left : at.left + at.width]
    inner = resize(part, at.inner_width, at.inner_height, contract.interpolation)
    if (at.inner_width, at.inner_height) == (contract.width, contract.height):
        return inner, mapped
    padded = np.zeros((contract.height, contract.width, pixels.shape[2]), np.uint8)
    padded[at.y : at.y + at.inner_height, at.x : at.x + at.inner_width] = inner
    return padded, mapped


def geometry(width: int, height: int, contract: InputContract) -> Geometry:
    """How `fit` maps an image of that size."""
    if (height, width) == (contract.height, contract.width):
        return Geometry(width, height, 1.0, 1.0, 0.0, 0.0)
    at = _RULES[contract.resize](width, height, contract)
    scale_x, scale_y = at.inner_width / at.width, at.inner_height / at.height
    return Geometry(width, height, scale_x, scale_y, at.x - at.left * scale_x, at.y - at.top * scale_y)


def largest_shrink(width: int, height: int, contract: InputContract) -> int:
    """By how much (1, 2, 4 or 8) an image of that size can be decoded smaller and still has the pixels that `fit`
    needs: it never has to be enlarged again."""
    ratios = (width / contract.width, height / contract.height)
    spare = max(ratios) if contract.resize == "pad" else min(ratios)
    return next((shrink for shrink in SHRINKS if shrink <= spare), 1)


def unshrunk(geometry: Geometry, width: int, height: int, shrink: int, reversed_axes: tuple[bool, bool]) -> Geometry:
    """The same mapping in the pixels of the whole image, of which one in `shrink` was decoded each way.

    Args:
        reversed_axes: whether x and y run against those of the file. The decoded image ends with a pixel that lies
            partly outside the whole one, and turned it begins with it.
    """
    beyond_x, beyond_y = (
        (-side % shrink) * against for side, against in zip((width, height), reversed_axes, strict=True)
    )
    scale_x, scale_y = geometry.scale_x / shrink, geometry.scale_y / shrink
    offset_x, offset_y = geometry.offset_x + beyond_x * scale_x, geometry.offset_y + beyond_y * scale_y
    return Geometry(width, height, scale_x, scale_y, offset_x, offset_y)


def pillow_resize(array: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """Antialiased when shrinking; uint8, H×W×C with C = 1 or 3."""
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    return np.asarray(image.resize((width, height), FILTERS[interpolation])).reshape(height, width, -1)


def _to_eight_bits(array: np.ndarray) -> np.ndarray:
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8) if array.dtype == np.uint16 else array


def _to_channels(array: np.ndarray, channels: int) -> np.ndarray:
    if array.shape[2] == channels:
        return array
    if channels == 3:
        return np.repeat(array, 3, axis=2)
    return np.asarray(Image.fromarray(array).convert("L"))[..., None]


def _stretch(width: int, height: int, contract: InputContract) -> _Placed:
    return _Placed(0, 0, width, height, 0, 0, contract.width, contract.height)


def _crop(width: int, height: int, contract: InputContract) -> _Placed:
    """The largest centred part of the right shape."""
    scale = max(contract.width / width, contract.height / height)
    left = min(round((width - contract.width / scale) / 2), (width - 1) // 2)
    top = min(round((height - contract.height / scale) / 2), (height - 1) // 2)
    return _Placed(left, top, width - 2 * left, height - 2 * top, 0, 0, contract.width, contract.height)


def _pad(width: int, height: int, contract: InputContract) -> _Placed:
    """The whole image, centred on black."""
    scale = min(contract.width / width, contract.height / height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (contract.width - inner_width) // 2, (contract.height - inner_height) // 2
    return _Placed(0, 0, width, height, left, top, inner_width, inner_height)


_RULES = {"stretch": _stretch, "crop": _crop, "pad": _pad}
