"""What is seen of one image when it is decoded for the first time."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foveal.data.photos import SMALL
from foveal.task import Reader

__all__ = ["Seen", "alike", "see"]


class Seen(NamedTuple):
    """One file that decoded.

    Args:
        content: a hash of shape, depth and pixels; files with the same one are the same image, however stored.
    """

    height: int
    width: int
    channels: int
    mode: str
    notes: tuple[str, ...]
    content: str


def see(reader: Reader, source: bytes | np.ndarray) -> tuple[Seen, np.ndarray]:
    """And the pixels.

    Raises:
        UnreadableImage: with the reason.
    """
    array, facts = reader.inspect(source)
    content = hashlib.sha256(f"{array.shape} {array.itemsize} ".encode())
    content.update(np.ascontiguousarray(array).data)
    seen = Seen(facts.height, facts.width, array.shape[-1], facts.mode, facts.notes, content.hexdigest()[:32])
    return seen, array


def alike(arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """Small images of one shape as one array, (n, H, W, C) uint8; None where they are not that."""
    if not arrays or arrays[0].shape[0] * arrays[0].shape[1] > SMALL:
        return None
    same = all(array.shape == arrays[0].shape and array.dtype == np.uint8 for array in arrays)
    return np.stack(arrays) if same else None
