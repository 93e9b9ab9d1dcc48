"""What is seen of one image when it is decoded for the first time."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from foveal.data.photos import SMALL
from foveal.data.sketch import eight_bits, sketch
from foveal.data.traits import traits
from foveal.task import Reader

__all__ = ["Seen", "alike", "see"]


class Seen(NamedTuple):
    """One file that decoded.

    Args:
        content: a hash of shape, depth and pixels; files with the same one are the same image, however stored.
        sketch: by which near-duplicates are found (see `foveal.data.sketch`); empty where it is not needed any more.
        traits: by which outliers are found (see `foveal.data.traits`), little-endian float32; empty likewise.
    """

    height: int
    width: int
    channels: int
    mode: str
    notes: tuple[str, ...]
    content: str
    sketch: bytes = b""
    traits: bytes = b""

    def told(self) -> list[Any]:
        """JSON-ready, sketch and traits as text."""
        return [*self[:-2], *(base64.b64encode(part).decode() for part in self[-2:])]

    @classmethod
    def of(cls, told: Sequence[Any]) -> "Seen":
        """From what `told` gave."""
        height, width, channels, mode, notes, content, *parts = told
        return cls(height, width, channels, mode, tuple(notes), content, *map(base64.b64decode, parts))


def see(reader: Reader, source: bytes | np.ndarray) -> tuple[Seen, np.ndarray]:
    """And the pixels.

    Raises:
        UnreadableImage: with the reason.
    """
    array, facts = reader.inspect(source)
    content = hashlib.sha256(f"{array.shape} {array.itemsize} ".encode())
    content.update(np.ascontiguousarray(array).data)
    about = facts.height, facts.width, array.shape[-1], facts.mode, facts.notes
    shown = eight_bits(array)
    return Seen(*about, content.hexdigest()[:32], sketch(shown), traits(shown).astype("<f4").tobytes()), array


def alike(arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """Small images of one shape as one array, (n, H, W, C) uint8; None where they are not that."""
    if not arrays or arrays[0].shape[0] * arrays[0].shape[1] > SMALL:
        return None
    same = all(array.shape == arrays[0].shape and array.dtype == np.uint8 for array in arrays)
    return np.stack(arrays) if same else None
