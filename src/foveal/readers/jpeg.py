"""Plain JPEG files, decoded straight into RGB or gray bytes, at a fraction of their size where that is enough.

simplejpeg and Pillow both wrap libjpeg-turbo and give the same bits; simplejpeg needs 0.7 of the time at full size, and
a third of it for small images, where Pillow spends most of its time in Python.
"""

from dataclasses import dataclass

import numpy as np

try:
    import simplejpeg
except ImportError:  # the base install predicts and serves without it
    simplejpeg = None

__all__ = ["Header", "decode", "header", "scans"]

FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; all with Huffman codes (ITU-T T.81, table B.1)
METADATA, ADOBE, SCAN = 0xE1, 0xEE, 0xDA
TABLES = (0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xED), ADOBE, 0xEF)  # not Photoshop's 0xED, which Pillow parses
COLORS = {"Gray": (1, "GRAY"), "YCbCr": (3, "RGB")}


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the first scan.

    Args:
        channels: 1 or 3.
        metadata: whether there is an EXIF or XMP block, which can hold an orientation.
    """

    width: int
    height: int
    channels: int
    metadata: bool


def header(data: bytes) -> Header | None:
    """None where anything is unusual (CMYK, 12 bits, Adobe's RGB, odd segments): such a file is left to Pillow."""
    place, frame, metadata = 2, None, False
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == SCAN:
            return Header(*frame, metadata) if frame else None
        if marker in FRAMES and length >= 8 and frame is None:
            bits, channels = data[place + 4], data[place + 9]
            height, width = (int.from_bytes(data[place + k : place + k + 2]) for k in (5, 7))
            if bits != 8 or channels not in (1, 3) or not height or not width:
                return None
            frame = width, height, channels
        elif marker not in TABLES or length < 2 or (marker == ADOBE and data[place + 15 : place + 16] != b"\x01"):
            return None  # of Adobe's color transforms only YCbCr
        metadata |= marker == METADATA
        place += 2 + length
    return None


def scans(data: bytes) -> int:
    """How often a progressive file goes over its image, and a little more where it holds a thumbnail: within a scan
    the marker cannot occur (ITU-T T.81, B.1.1.5)."""
    return data.count(b"\xff\xda")


def decode(data: bytes, seen: Header, shrink: int) -> np.ndarray | None:
    """uint8, H×W×1 or H×W×3, as stored (not upright), with one in `shrink` pixels each way, rounded up.

    None where simplejpeg is missing, or sees anything that Pillow should judge.
    """
    if simplejpeg is None:
        return None
    shape = (-(-seen.height // shrink), -(-seen.width // shrink), seen.channels)
    try:
        color = simplejpeg.decode_jpeg_header(data)[2]
        if color not in COLORS or COLORS[color][0] != seen.channels:
            return None
        height, width = (0, 0) if shrink == 1 else shape[:2]
        array = simplejpeg.decode_jpeg(data, COLORS[color][1], min_height=height, min_width=width, min_factor=shrink)
    except ValueError:
        return None
    return array if array.shape == shape else None
