"""A small sketch of an image by which near-duplicates are found: its lowest frequencies."""

from functools import cache

import numpy as np
from PIL import Image

__all__ = ["CHROMA", "CHROMA_SIDE", "LUMA", "LUMA_SIDE", "SIZE", "cosines", "eight_bits", "sketch"]

SIDE = 32  # pixels that an image is shrunk to
LUMA_SIDE, CHROMA_SIDE = 16, 8  # frequencies kept along each axis
LUMA, CHROMA = LUMA_SIDE**2, CHROMA_SIDE**2
SIZE = LUMA + 2 * CHROMA
SMALLEST = 16  # pixels; smaller images of one kind (digits of 8×8) are all alike
# Every luma gets the contrast of a usual photograph: copies are darker or paler, and pale X-rays of different people
# are alike only in being pale. Below FAINT, a fifth of it, there is little but noise to be raised.
CONTRAST, FAINT = 1500.0, 300.0
# ITU-R 601-2, as in JPEG: luma, blue and red difference.
COLORS = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)


def sketch(array: np.ndarray) -> bytes:
    """The lowest frequencies of the image shrunk to 32×32, whatever its shape: the discrete cosine transform of its
    luma (16×16, at one contrast) and of its two color differences (8×8 each), as float16; 768 bytes. Nothing of images
    below 16 pixels.

    A perceptual hash (Zauner 2010) keeps the signs of such numbers; the numbers themselves tell a copy from what only
    looks like it (benchmarks/twins.py).

    Args:
        array: uint8 or uint16, H×W×C with C = 1 or 3.
    """
    if min(array.shape[:2]) < SMALLEST:
        return b""
    array = eight_bits(array)
    if array.shape[:2] != (SIDE, SIDE):
        image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        array = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)).reshape(SIDE, SIDE, -1)
    if array.shape[2] == 1:
        luma, chroma = array[..., 0].astype(np.float32), np.zeros(2 * CHROMA, np.float32)
    else:
        planes = COLORS @ array.reshape(-1, 3).T.astype(np.float32)
        luma = planes[0].reshape(SIDE, SIDE)
        rows = cosines(CHROMA_SIDE)
        chroma = (rows @ planes[1:].reshape(2, SIDE, SIDE) @ rows.T).ravel()
    rows = cosines(LUMA_SIDE)
    found = rows @ luma @ rows.T
    found[0, 0] = 0.0  # how bright it is: copies differ in it
    found *= CONTRAST / np.hypot(np.linalg.norm(found), FAINT)
    return np.concatenate([found.ravel(), chroma]).astype("<f2").tobytes()


def eight_bits(array: np.ndarray) -> np.ndarray:
    """uint16 as uint8, by the highest bit that is set in it; uint8 as it is."""
    if array.dtype == np.uint16:
        return (array >> max(0, int(array.max()).bit_length() - 8)).astype(np.uint8)
    return array


@cache
def cosines(count: int) -> np.ndarray:
    """(count, 32) float32: the first rows of the orthonormal DCT-II."""
    places = (np.arange(SIDE) + 0.5) / SIDE
    rows = np.cos(np.pi * np.arange(count)[:, None] * places) * np.sqrt(2 / SIDE)
    rows[0] = np.sqrt(1 / SIDE)
    return rows.astype(np.float32)
