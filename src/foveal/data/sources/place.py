"""Where the bytes of an image lie on the disk: what another process needs to read them without the source."""

import os
import zlib
from pathlib import Path
from typing import IO, NamedTuple, Protocol, runtime_checkable

from foveal.data.sources.layout import refuse_large

__all__ = ["DEFLATED", "STORED", "Located", "Place", "read_place"]

STORED, DEFLATED = 0, 8  # APPNOTE 4.4.5
LOCAL, NAMES = 30, 256  # bytes of a local file header before its names (APPNOTE 4.3.7), and of most names


class Place(NamedTuple):
    """A part of a file. A tuple, because a hundred thousand of them travel as JSON.

    Args:
        offset: where it starts; in a ZIP archive the local header.
        size: bytes there; -1 for a file of its own.
        method: in a ZIP archive how it is compressed (0 or 8), else -1.
        checksum: CRC-32 of what it holds, in a ZIP archive.
        whole: bytes of what it holds, in a ZIP archive.
    """

    path: str
    offset: int = 0
    size: int = -1
    method: int = -1
    checksum: int = 0
    whole: int = 0


@runtime_checkable
class Located(Protocol):
    """A source whose files can be read by others."""

    def place(self, file: str) -> Place | None:
        """None where only the source itself can read it."""
        ...


def read_place(place: Place) -> bytes:
    """
    Raises:
        OSError, ValueError, zlib.error: it cannot be read; the source itself knows why.
        UnreadableImage: too large for an image.
    """
    with Path(place.path).open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size if place.size < 0 else place.size
        refuse_large(max(size, place.whole))
        file.seek(place.offset)
        if place.method < 0:
            return _exactly(file.read(size), size)
        return _unzipped(place, file.read(LOCAL + NAMES + size), file)


def _unzipped(place: Place, start: bytes, file: IO[bytes]) -> bytes:
    """One member, without its archive's directory."""
    if start[:4] != b"PK\x03\x04":
        raise ValueError("no local header")
    begin = LOCAL + int.from_bytes(start[26:28], "little") + int.from_bytes(start[28:30], "little")
    if begin + place.size > len(start):
        start += file.read(begin + place.size - len(start))
    data = _exactly(start[begin : begin + place.size], place.size)
    if place.method == DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, place.whole + 1)
    if zlib.crc32(_exactly(data, place.whole)) != place.checksum:
        raise ValueError("another checksum")
    return data


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes of {size}")
    return data
