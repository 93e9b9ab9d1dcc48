"""From what Pillow decoded to uint8 or uint16, H×W×1 or H×W×3: in bands, as all of it would be held five times."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from foveal.errors import UnreadableImage

__all__ = ["on_white", "to_array"]

GRAY = ("1", "L", "LA", "La")
BAND = 1 << 20  # pixels


def to_array(image: Image.Image) -> np.ndarray:
    """Decoded pixels to uint8 or uint16, H×W×1 or H×W×3; transparent ones laid on white.

    Raises:
        UnreadableImage: numbers that are no brightness.
    """
    if image.mode == "F":
        return _from_float(np.asarray(image))[..., None]
    if image.mode.startswith("I"):
        return _from_integers(np.asarray(image), image.info.get("transparency"))[..., None]
    if image.has_transparency_data:
        return _in_bands(image, on_white, 1 if image.mode in GRAY else 3)
    if image.mode in GRAY:
        return np.asarray(image.convert("L"))[..., None]
    if image.mode == "LAB":
        return _in_bands(image, _from_lab, 3)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))  # converting RGB to RGB would copy


def on_white(image: Image.Image) -> np.ndarray:
    """uint8, H×W×3."""
    image = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], np.ndarray], channels: int) -> np.ndarray:
    if image.width * image.height <= BAND:
        return convert(image)[..., :channels]
    array = np.empty((image.height, image.width, channels), np.uint8)
    for top, bottom in _bands(image.height, image.width):
        array[top:bottom] = convert(image.crop((0, top, image.width, bottom)))[..., :channels]
    return array


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row of each, and the one after its last."""
    rows = max(1, BAND // max(1, width))
    return ((top, min(top + rows, height)) for top in range(0, height, rows))


def _from_lab(image: Image.Image) -> np.ndarray:
    return np.asarray(ImageCms.applyTransform(image, _lab_to_srgb()) or image)


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _from_integers(values: np.ndarray, transparent: Any) -> np.ndarray:
    """16 bits, or 32 bits that fit into 16. PNG can name one gray value as transparent: white, then."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnreadableImage(f"values out of range: whole numbers from {low} to {high}, expected 0 to 65535")
    array = values.astype(np.uint16)
    if isinstance(transparent, int):
        array[array == transparent] = 65535
    return array


def _from_float(values: np.ndarray) -> np.ndarray:
    """Floats are read as 0 to 1, or as whole numbers of 8 or 16 bits; nothing else can be guessed safely."""
    bands = [values[top:bottom] for top, bottom in _bands(*values.shape)]
    if not all(np.isfinite(band).all() for band in bands):
        raise UnreadableImage("values out of range: floats with NaN or infinity")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        array = np.empty(values.shape, np.uint16)
        for band, (top, bottom) in zip(bands, _bands(*values.shape), strict=True):
            array[top:bottom] = np.round(band * np.float64(65535))
        return array
    if low >= 0 and high <= 65535 and all((band == np.round(band)).all() for band in bands):
        return values.astype(np.uint8 if high <= 255 else np.uint16)
    raise UnreadableImage(
        f"values out of range: floats from {low:g} to {high:g}, expected 0 to 1, or whole numbers from 0 to 65535"
    )
