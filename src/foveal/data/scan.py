"""Decode every file of a source once, and remember what was seen for the next time."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import PIL

from foveal.data.machine import cache_folder, digest, in_threads, prune
from foveal.errors import UnreadableImage
from foveal.files import write_atomic
from foveal.task import Reader
from foveal.types import Entry, Progress, Source

__all__ = ["Seen", "scan"]

VERSION = "1"  # of what is remembered; a change makes every source be decoded again
CHUNK = 64


@dataclass(frozen=True, slots=True)
class Seen:
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


def scan(source: Source, entries: Sequence[Entry], reader: Reader, progress: Progress | None) -> list[Seen | str]:
    """For each entry what was seen, or the reason why it cannot be read.

    Remembered under the cache folder, by the source's signature, the reader and Pillow's version.
    """
    memo = cache_folder("looks") / f"{digest(VERSION, source.signature, repr(reader), PIL.__version__)}.json"
    seen = _recall(memo, len(entries))
    if seen is None:
        seen = _decode(source, entries, reader, progress)
        _remember(memo, seen)
    return seen


def _decode(source: Source, entries: Sequence[Entry], reader: Reader, progress: Progress | None) -> list[Seen | str]:
    def decode(chunk: Sequence[Entry]) -> list[Seen | str]:
        return [_decode_one(source, entry.file, reader) for entry in chunk]

    seen: list[Seen | str] = []
    for part in in_threads(decode, (entries[k : k + CHUNK] for k in range(0, len(entries), CHUNK))):
        seen += part
        if progress:
            progress("decoding", len(seen), len(entries))
    return seen


def _decode_one(source: Source, file: str, reader: Reader) -> Seen | str:
    try:
        array, facts = reader.inspect(source.read(file))
    except UnreadableImage as error:
        return error.message
    content = hashlib.sha256(f"{array.shape} {array.itemsize} ".encode())
    content.update(np.ascontiguousarray(array).data)
    return Seen(facts.height, facts.width, array.shape[-1], facts.mode, facts.notes, content.hexdigest()[:32])


def _recall(memo: Path, count: int) -> list[Seen | str] | None:
    try:
        rows = json.loads(memo.read_bytes())
        seen = [row if isinstance(row, str) else _seen(*row) for row in rows]
        os.utime(memo)
    except (OSError, ValueError, TypeError, LookupError):
        return None  # not there, or damaged: what it held can be seen again
    return seen if len(seen) == count else None


def _seen(height: int, width: int, channels: int, mode: str, notes: Sequence[str], content: str) -> Seen:
    return Seen(height, width, channels, mode, tuple(notes), content)


def _remember(memo: Path, seen: Sequence[Seen | str]) -> None:
    rows = [row if isinstance(row, str) else astuple(row) for row in seen]
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(memo, json.dumps(rows))
    except OSError:
        return  # a full disk or a home that cannot be written to costs time at the next look, nothing else
    prune(using=memo)
