"""Image files written byte by byte, as no encoder would: for tests, and for benchmarks/bombs.py."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from PIL import Image

__all__ = ["bmp", "chunk", "directory", "gif", "jpeg", "page", "pages", "png", "saved", "segment", "tiff"]

Tags = Mapping[int, tuple[int, int]]


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """As Pillow writes it."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    *before: bytes,
    width: int = 4,
    height: int = 4,
    bits: int = 8,
    color: int = 2,
    pixels: bytes = chunk(b"IDAT", zlib.compress(bytes(4 * (1 + 3 * 4)))),
    after: bytes = b"",
) -> bytes:
    """
    Args:
        before, after: chunks around those with the pixels.
        pixels: IDAT chunks; those of a black image, where nothing else is said of it.
    """
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + pixels + after + chunk(b"IEND", b"")


def segment(marker: int, data: bytes) -> bytes:
    """Of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(more: bytes, at: int = 2) -> bytes:
    """A small one with more bytes in it: behind its first marker, or behind its first segment, at 20."""
    data = saved(Image.new("RGB", (32, 32)), "JPEG")
    return data[:at] + more + data[at:]


def directory(tags: Tags, after: int = 0, order: str = "<") -> bytes:
    """Of a TIFF: tag to count and value, all of the type LONG, and where the next one stands."""
    entries = b"".join(struct.pack(order + "HHII", tag, 4, *tags[tag]) for tag in sorted(tags))
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", after)


def tiff(tags: Tags, after: int = 0, order: str = "<") -> bytes:
    """One directory, at 8; what the tags point to may follow."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "I", 8) + directory(tags, after, order)


def page(height: int = 1) -> dict[int, tuple[int, int]]:
    """Tags of gray pixels, uncompressed, one below the other: their strip is the file's own bytes from 8 on."""
    values = {256: 1, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    return {tag: (1, value) for tag, value in values.items()}


def pages(count: int) -> bytes:
    """A TIFF of so many pages of one pixel."""
    size = len(directory(page()))
    following = [*range(8 + size, 8 + size * count, size), 0]
    return tiff(page(), following[0]) + b"".join(directory(page(), after) for after in following[1:])


def gif(before: bytes = b"", after: bytes = b"") -> bytes:
    """A small one with blocks before its frame and after it."""
    data = saved(Image.new("L", (4, 4)), "GIF")
    place = data.index(b",", 13)
    return data[:place] + before + data[place:-1] + after + b";"


def bmp(side: int, runs: bytes) -> bytes:
    """One whose pixels are packed in runs."""
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + head + bytes(1024) + runs
