"""What keeps a decoder busy for longer than the bytes and pixels of a file account for, found before it is decoded.

Pillow reads headers in Python, part by part: a file of 16 MB that has little else can take it seconds, and longer where
that is quadratic. Each walk here ends at its limit, so that it takes some tens of milliseconds at the most.
"""

import re
import struct
from collections.abc import Callable

from foveal.errors import UnreadableImage

__all__ = ["check_parts", "check_run_lengths", "frames_of"]

PARTS = 100_000  # chunks, segments, strips or pages; each takes Pillow 1 to 6 µs
EXIF_PARTS = 256  # of JPEG, which Pillow joins one by one: as much as 16 MB in segments of 64 kB
PROFILES = 4  # of PNG, which may have one; each is unpacked to as much as 1 MB
JUNK = 1 << 16  # bytes between segments, and of a header of PNM
PLAIN = 8 << 20  # bytes of numbers as text; 0.14 µs each
RUN_BYTES, RUN_PIXELS = 4 << 20, 8e6  # of a BMP with run lengths, which are read in Python
SHORT_BLOCKS = 300_000  # of a GIF, that are not full

FILL = re.compile(rb"\xff+")
COMMENT = re.compile(rb"#[^\r\n]*")
STRIPS = (273, 324)  # TIFF 6.0: StripOffsets, TileOffsets


def check_parts(form: str, data: bytes) -> None:
    """
    Args:
        form: as Pillow calls it; a format without such parts passes.

    Raises:
        UnreadableImage: it has more parts than any encoder writes.
    """
    if form in _CHECKS:
        _CHECKS[form](data)


def check_run_lengths(width: int, height: int, data: bytes) -> None:
    """Of a BMP that is packed by run lengths.

    Raises:
        UnreadableImage: it is too large for that.
    """
    if width * height > RUN_PIXELS or len(data) > RUN_BYTES:
        raise _costly(f"{width}×{height} pixels and {len(data):,} bytes of run lengths in a BMP")


def frames_of(form: str, data: bytes) -> int | None:
    """How many frames a GIF or pages a TIFF has, as far as the file goes; None for other formats, whose headers say it.

    Raises:
        UnreadableImage: a GIF in more pieces than any encoder writes.
    """
    if form == "GIF":
        return max(1, _gif_frames(data))
    return max(1, len(_directories(data))) if form == "TIFF" else None


def _costly(what: str) -> UnreadableImage:
    return UnreadableImage(f"too costly: {what}")


def _check_jpeg(data: bytes) -> None:
    """The markers up to the first scan (ITU-T T.81, annex B), as leniently as Pillow."""
    at, segments, exif, junk = 2, 0, 0, 0
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            found = data.find(b"\xff", at)
            junk, at = junk + (found if found >= 0 else len(data)) - at, found if found >= 0 else len(data)
        elif (end := FILL.match(data, at).end()) > at + 1:  # pyright: ignore[reportOptionalMemberAccess]
            junk, at = junk + end - 1 - at, end - 1
        elif data[at + 1] == 0xDA:
            return
        else:
            marker = data[at + 1]
            alone = marker in (0, 1) or 0xD0 <= marker <= 0xD9
            exif += marker == 0xE1
            segments += 1
            at += 2 if alone else 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
        if segments > PARTS or exif > EXIF_PARTS or junk > JUNK:
            raise _costly("more segments, or more bytes between them, than any encoder writes into a JPEG")


def _check_png(data: bytes) -> None:
    at, chunks, profiles = 8, 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at, chunks, profiles = at + 12 + length, chunks + 1, profiles + (kind == b"iCCP")
        if chunks > PARTS or profiles > PROFILES:
            raise _costly(f"more than {PROFILES} color profiles or {PARTS:,} chunks in a PNG")


def _check_tiff(data: bytes) -> None:
    """Only the first page, which is decoded."""
    order, large, first = _tiff_head(data)
    entry, width = (order + "HHQQ", 20) if large else (order + "HHII", 12)
    place, entries = first + (8 if large else 2), _entries(data, order, large, first)
    if entries > PARTS:
        raise _costly(f"{entries:,} tags in a TIFF, expected {PARTS:,} or fewer")
    for at in range(place, min(place + width * entries, len(data) - width + 1), width):
        tag, _, count, _ = struct.unpack_from(entry, data, at)
        if tag in STRIPS and count > PARTS:
            raise _costly(f"{count:,} strips or tiles in a TIFF, expected {PARTS:,} or fewer")


def _check_pnm(data: bytes) -> None:
    words = COMMENT.sub(b" ", data[:JUNK]).split(None, 4)
    if len(data) > JUNK and len(words) < (3 if data[1:2] in b"14" else 4):
        raise _costly(f"a PNM whose header does not end in its first {JUNK:,} bytes")
    if data[1:2] in b"123" and len(data) > PLAIN:
        raise _costly(f"a PNM of {len(data):,} bytes of text, expected {PLAIN:,} or fewer; write it in its binary form")


def _tiff_head(data: bytes) -> tuple[str, bool, int]:
    """Byte order for `struct`, whether it is a BigTIFF, and where its first directory is."""
    order = "<" if data[:2] == b"II" else ">"
    large = 43 in data[2:4]
    return order, large, _number(data, order, 8 if large else 4, large)


def _number(data: bytes, order: str, at: int, large: bool) -> int:
    """0 where the file has ended."""
    size = 8 if large else 4
    return int.from_bytes(data[at : at + size], "little" if order == "<" else "big") if at + size <= len(data) else 0


def _entries(data: bytes, order: str, large: bool, at: int) -> int:
    return int.from_bytes(data[at : at + (8 if large else 2)], "little" if order == "<" else "big")


def _directories(data: bytes) -> set[int]:
    """Where the pages' directories are, until they end, leave the file or come back; PARTS at the most."""
    order, large, at = _tiff_head(data)
    found: set[int] = set()
    while 0 < at < len(data) and at not in found and len(found) < PARTS:
        found.add(at)
        entries = _entries(data, order, large, at)
        at = _number(data, order, at + (8 + 20 * entries if large else 2 + 12 * entries), large)
    return found


def _gif_frames(data: bytes) -> int:
    """By its blocks (GIF89a, section 15 on)."""
    if len(data) < 13:
        return 0
    at, frames, short = 13 + _colors(data[10]), 0, 0
    while at < len(data):
        if data[at] == 0x2C and at + 10 < len(data):
            frames, at = frames + 1, at + 11 + _colors(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            short += data[at] < 255
            if short > SHORT_BLOCKS:
                raise _costly(f"more than {SHORT_BLOCKS:,} pieces in a GIF that are not full")
            at += data[at] + 1
        at += 1
    return frames


def _colors(packed: int) -> int:
    """Bytes of a table of colors, by the byte that tells of it."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


_CHECKS: dict[str, Callable[[bytes], object]] = {
    "GIF": _gif_frames,
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "PPM": _check_pnm,
    "TIFF": _check_tiff,
}
