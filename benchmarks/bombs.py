"""Files made to keep a decoder busy or to fill the memory, for benchmarks/hostile.py: each is below 16 MB.

python benchmarks/bombs.py FOLDER
"""

import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from crafted import bmp, chunk, directory, gif, jpeg, page, pages, png, saved, segment, tiff

BYTES = 15 << 20
SIDE = 5480  # 30 megapixels
RNG = np.random.default_rng(0)


def main() -> None:
    warnings.simplefilter("ignore")  # Pillow reads what it saves
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in BOMBS.items():
        (folder / name).write_bytes(make())


def claims(size: int, count: int) -> bytes:
    """Tags that all claim the whole block."""
    start = tiff({0x9000 + k: (size // 4 - 8, 8) for k in range(count)})
    return start + bytes(size - len(start))


def tiff_of_strips(count: int = 1_800_000) -> bytes:
    start = tiff({**page(count), 273: (count, 200), 279: (count, 200 + 4 * count)})
    return start.ljust(200, b"\0") + struct.pack("<I", 8) * count + struct.pack("<I", 1) * count


def blank(mode: str, form: str, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(Image.new(mode, (SIDE, SIDE)), form, **options)


def noise(form: str, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(Image.fromarray(RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)), form, **options)


PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
FRAME = b",\0\0\0\0\1\0\1\0\0\x08\2aa\1a\0"
BOMBS: dict[str, Callable[[], bytes]] = {
    "png, chunks before": lambda: png(chunk(b"teSt", b"") * (BYTES // 12)),
    "png, chunks after": lambda: png(after=chunk(b"teSt", b"") * (BYTES // 12)),
    "png, pixels byte by byte": lambda: png(width=SIDE, height=SIDE, pixels=chunk(b"IDAT", b"\x78") * (BYTES // 13)),
    "png, profiles": lambda: png(PROFILE * (BYTES // len(PROFILE))),
    "png, exif": lambda: png(chunk(b"eXIf", claims(BYTES, 300))),
    "png, 16 bits": lambda: png(
        width=SIDE,
        height=SIDE,
        bits=16,
        color=6,
        pixels=chunk(b"IDAT", zlib.compress(bytes(SIDE * (1 + 8 * SIDE)), 9)),
    ),
    "jpeg, segments": lambda: jpeg(segment(0xFE, b"") * (BYTES // 4)),
    "jpeg, fill": lambda: jpeg(b"\xff" * BYTES, 20),
    "jpeg, exif": lambda: jpeg(segment(0xE1, b"Exif\0\0a") * (BYTES // 11)),
    "jpeg, exif claims": lambda: jpeg(segment(0xE1, b"Exif\0\0" + claims(65_000, 5_000)), 20),
    "webp, exif": lambda: saved(Image.new("RGB", (4, 4)), "WEBP", exif=claims(BYTES, 300)),
    "avif, exif": lambda: saved(Image.new("RGB", (64, 64)), "AVIF", exif=claims(BYTES, 300)),
    "tiff, claims": lambda: tiff({**page(), **{0x9000 + k: (BYTES // 8, 8) for k in range(500)}}) + bytes(BYTES),
    "tiff, pages": lambda: pages(BYTES // len(directory(page()))),
    "tiff, strips": tiff_of_strips,
    "gif, comment": lambda: gif(b"\x21\xfe" + (b"\xff" + b"a" * 255) * (BYTES // 256) + b"\0"),
    "gif, comment in pieces": lambda: gif(b"\x21\xfe" + b"\1a" * (BYTES // 2) + b"\0"),
    "gif, frames": lambda: gif(after=FRAME * (BYTES // len(FRAME))),
    "bmp, lines": lambda: bmp(SIDE, b"\1\1\0\0" * SIDE + b"\0\1"),
    "bmp, lines at the limit": lambda: bmp(2800, b"\1\1\0\0" * 2800 + b"\0\1"),
    "bmp, runs": lambda: bmp(SIDE, b"\1\1" * (BYTES // 2)),
    "bmp, runs at the limit": lambda: bmp(2800, b"\1\1" * 2_000_000),
    "ppm, spaces": lambda: b"P6 " + b" " * BYTES + b"1 1 255\n" + bytes(3),
    "ppm, comment": lambda: b"P6 #" + b" " * BYTES + b"\n1 1 255\n" + bytes(3),
    "ppm, text": lambda: b"P3 1500 1500 255\n" + b"1 " * (BYTES // 2),
    "ppm, text at the limit": lambda: b"P3 1000 1300 255\n" + b"1 " * ((8 << 20) // 2 - 20),
    "tiff, floats": blank("F", "TIFF", compression="tiff_deflate"),
    "tiff, integers": blank("I", "TIFF", compression="tiff_deflate"),
    "tiff, cmyk": blank("CMYK", "TIFF", compression="tiff_lzw"),
    "tiff, lab": blank("LAB", "TIFF", compression="tiff_lzw"),
    "png, gray and alpha": blank("LA", "PNG"),
    "png, palette": blank("P", "PNG", transparency=0),
    "gif, large": blank("P", "GIF", transparency=0),
    "webp, alpha": blank("RGBA", "WEBP", lossless=True, method=0),
    "jpeg, cmyk": blank("CMYK", "JPEG"),
    "jpeg, noise": noise("JPEG", quality=30, progressive=True),
    "webp, noise": noise("WEBP", quality=20, method=0),
    "avif, noise": noise("AVIF", quality=20, speed=10),
}


if __name__ == "__main__":
    main()
