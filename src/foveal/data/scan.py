"""Decode every file of a source once. Small images of one shape are kept decoded: nothing is decoded a second time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from foveal.data.arrays import HEADER, aside, decoded_path
from foveal.data.crew import Ask, hirable, hired, spread
from foveal.data.machine import memory_budget
from foveal.data.seen import Seen, alike, see
from foveal.errors import UnreadableImage
from foveal.task import Reader
from foveal.types import Entry, Progress, Source

__all__ = ["scan"]

CHUNK = 64
MANY = 2000  # images that are worth keeping decoded
KEPT = 1 << 30  # bytes of them, at most

Result = tuple[list[Seen | str], np.ndarray | None]


def scan(source: Source, entries: Sequence[Entry], reader: Reader, progress: Progress | None) -> list[Seen | str]:
    """For each entry what was seen, or the reason why it cannot be read."""
    pieces = [entries[k : k + CHUNK] for k in range(0, len(entries), CHUNK)]
    hire = partial(hired, source, reader) if hirable(source, reader) else None
    seen: list[Seen | str] = []
    kept = _Kept(len(entries))
    for part, pixels in spread(pieces, partial(_here, source, reader), partial(_there, source, reader), hire):
        seen += part
        kept.add(part, pixels)
        if progress:
            progress("decoding", len(seen), len(entries))
    files = [entry.file for entry, facts in zip(entries, seen) if isinstance(facts, Seen)]
    kept.write(source, reader, files)
    return seen


def _here(source: Source, reader: Reader, piece: Sequence[Entry]) -> Result:
    seen = [_see(source, reader, entry.file) for entry in piece]
    return [one for one, _ in seen], alike([array for _, array in seen if array is not None])


def _see(source: Source, reader: Reader, file: str) -> tuple[Seen | str, np.ndarray | None]:
    try:
        return see(reader, source.read(file))
    except UnreadableImage as error:
        return error.message, None


def _there(source: Source, reader: Reader, ask: Ask, piece: Sequence[Entry]) -> Result:
    """In another process; again here, where that one could not read a file."""
    found, pixels = ask(0, [entry.file for entry in piece])
    if None in found:
        return _here(source, reader, piece)
    return [one if isinstance(one, str) else Seen.of(one) for one in found], pixels if pixels.size else None


class _Kept:
    """The decoded pixels, as long as they are small and all of one shape."""

    def __init__(self, count: int) -> None:
        self.blocks: list[np.ndarray] | None = [] if count >= MANY else None
        self.bytes = 0
        self.most = min(KEPT, memory_budget())

    def add(self, part: Sequence[Any], pixels: np.ndarray | None) -> None:
        if self.blocks is None or all(isinstance(one, str) for one in part):
            return
        self.bytes += 0 if pixels is None else pixels.nbytes
        if pixels is None or self.bytes > self.most or (self.blocks and pixels.shape[1:] != self.blocks[0].shape[1:]):
            self.blocks = None
        else:
            self.blocks.append(pixels)

    def write(self, source: Source, reader: Reader, files: Sequence[str]) -> None:
        if not self.blocks:
            return
        shape = (len(files), *self.blocks[0].shape[1:])
        try:
            with aside(decoded_path(source, reader, files), shape) as file:
                file.seek(HEADER)
                for block in self.blocks:
                    file.write(block.data)
        except OSError:
            return  # a full disk or a home that cannot be written to costs time later, nothing else
