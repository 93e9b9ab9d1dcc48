"""From decoded pixels to what a net takes: channels, size, and where each pixel went."""

import numpy as np
from PIL import Image

from foveal.recipe import InputContract
from foveal.task import Resize
from foveal.types import Geometry

__all__ = ["fit", "largest_shrink", "pillow_resize", "unshrunk"]

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SHRINKS = (8, 4, 2)  # what libjpeg decodes to quickly, and Pillow offers


def fit(array: np.ndarray, contract: InputContract, resize: Resize) -> tuple[np.ndarray, Geometry]:
    """uint8, height × width × channels, and how the image was mapped there.

    uint16 becomes 8 bits by rounding v / 257; RGB becomes gray by ITU-R 601-2 luma; `pad` fills with black. An image
    of the right size already keeps its pixels bit for bit.
    """
    pixels = _to_channels(_to_eight_bits(array), contract.channels)
    height, width = pixels.shape[:2]
    if (height, width) == (contract.height, contract.width):
        return pixels, Geometry(width, height, 1.0, 1.0, 0.0, 0.0)
    return _RULES[contract.resize](pixels, contract, resize)


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


def _stretch(array: np.ndarray, contract: InputContract, resize: Resize) -> tuple[np.ndarray, Geometry]:
    height, width = array.shape[:2]
    pixels = resize(array, contract.width, contract.height, contract.interpolation)
    return pixels, Geometry(width, height, contract.width / width, contract.height / height, 0.0, 0.0)


def _crop(array: np.ndarray, contract: InputContract, resize: Resize) -> tuple[np.ndarray, Geometry]:
    """The largest centred part of the right shape, in whole pixels, so both scales can differ a little: any fast
    resize takes whole pixels, and only Pillow's takes parts of them."""
    height, width = array.shape[:2]
    scale = max(contract.width / width, contract.height / height)
    left = min(round((width - contract.width / scale) / 2), (width - 1) // 2)
    top = min(round((height - contract.height / scale) / 2), (height - 1) // 2)
    part = array[top : height - top, left : width - left]
    scale_x, scale_y = contract.width / part.shape[1], contract.height / part.shape[0]
    pixels = resize(part, contract.width, contract.height, contract.interpolation)
    return pixels, Geometry(width, height, scale_x, scale_y, -left * scale_x, -top * scale_y)


def _pad(array: np.ndarray, contract: InputContract, resize: Resize) -> tuple[np.ndarray, Geometry]:
    """The whole image, centred on black; its size is rounded to whole pixels, so both scales can differ a little."""
    height, width = array.shape[:2]
    scale = min(contract.width / width, contract.height / height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (contract.width - inner_width) // 2, (contract.height - inner_height) // 2
    pixels = np.zeros((contract.height, contract.width, array.shape[2]), np.uint8)
    inner = resize(array, inner_width, inner_height, contract.interpolation)
    pixels[top : top + inner_height, left : left + inner_width] = inner
    return pixels, Geometry(width, height, inner_width / width, inner_height / height, float(left), float(top))


_RULES = {"stretch": _stretch, "crop": _crop, "pad": _pad}
