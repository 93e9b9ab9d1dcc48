"""Files made to break a decoder, sent to the server."""

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from crafted import chunk, png, saved, tiff
from hostile import UNREADABLE, make_hostile_folder
from serving import problem_of


def many_frames(count: int) -> bytes:
    frames = [Image.new("L", (1, 1), k % 256) for k in range(2)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    frame = data.index(b"\x21\xf9", 20)
    one = data[frame:-1]
    return data[:-1] + one * count + b";"


def many_scans(count: int) -> bytes:
    """Its last scan again and again, 75 bytes each."""
    data = saved(Image.new("L", (5480, 5480)), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + b"\xff\xd9"


def tiff_of(jpeg: bytes) -> bytes:
    """One strip of JPEG, 5480 pixels each way, gray."""
    values = {256: 5480, 257: 5480, 258: 8, 259: 7, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 1, 278: 5480, 279: len(jpeg)}
    return tiff({tag: (1, value) for tag, value in values.items()}) + jpeg


WHY = {
    "png of 10 gigapixels": "too large",
    "png with a text bomb": "damaged PNG",
    "png with a profile bomb": "damaged PNG",
    "png that is cut": "truncated",
    "gif of 4 gigapixels": "truncated",
    "tiff of 40 gigapixels": "too large",
    "tiff that is its own next": "damaged TIFF",
    "jpeg of 30 megapixels in 400 scans": "too costly",
    "tiff of 30 megapixels in 400 scans": "too costly",
    "jpeg of 4 gigapixels": "too large",
    "ppm that promises more": "too large",
    "bmp of 2 gigapixels": "too large",
}
BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 10 gigapixels": lambda: png(
        width=100_000, height=100_000, pixels=chunk(b"IDAT", zlib.compress(bytes(1000)))
    ),
    "png of 30 megapixels in 90 kB": lambda: png(
        width=5480, height=5480, pixels=chunk(b"IDAT", zlib.compress(bytes(5480 * 16441), 9))
    ),
    "png with a text bomb": lambda: png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 22)))] * 30),
    "png with a profile bomb": lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
    "png that is cut": lambda: saved(Image.new("RGB", (300, 300)), "PNG")[:200],
    "gif of 4 gigapixels": lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
    "gif of 20,000 frames": lambda: many_frames(20_000),
    "tiff of 40 gigapixels": lambda: saved(Image.new("L", (4, 4)), "TIFF").replace(
        struct.pack("<HHII", 256, 4, 1, 4) + struct.pack("<HHII", 257, 4, 1, 4),
        struct.pack("<HHII", 256, 4, 1, 200_000) + struct.pack("<HHII", 257, 4, 1, 200_000),
    ),
    "tiff that is its own next": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "tiff of 30 megapixels, packed": lambda: saved(Image.new("L", (5480, 5480)), "TIFF", compression="tiff_lzw"),
    "jpeg of 30 megapixels, progressive": lambda: saved(Image.new("RGB", (5480, 5480)), "JPEG", progressive=True),
    "jpeg of 30 megapixels in 400 scans": lambda: many_scans(400),
    "tiff of 30 megapixels in 400 scans": lambda: tiff_of(many_scans(400)),
    "jpeg of 4 gigapixels": lambda: saved(Image.new("L", (8, 8)), "JPEG").replace(
        b"\xff\xc0\0\x0b\x08\0\x08\0\x08", b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff"
    ),
    "webp of 30 megapixels": lambda: saved(Image.new("RGB", (5480, 5480)), "WEBP", lossless=True),
    "ppm that promises more": lambda: b"P6 60000 60000 255\n" + bytes(100),
    "long and thin": lambda: saved(Image.new("L", (1, 60_000)), "PNG"),
    "bmp of 2 gigapixels": lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 46000, 46000, 1, 24, *[0] * 6),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(client: TestClient, name: str) -> None:
    data = BOMBS[name]()
    assert len(data) < 1 << 20
    began = time.process_time()  # of all threads: others may be at work on this machine
    response = client.post("/v1/predict", content=data, headers={"content-type": "image/png"})
    assert time.process_time() - began < 2
    if name in WHY:
        assert WHY[name] in problem_of(response, 422)["detail"]
    else:
        response.raise_for_status()


def test_files_as_they_come_from_real_disks(tmp_path: Path, client: TestClient) -> None:
    make_hostile_folder(tmp_path)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.stat().st_size < 1 << 20]
    refused = set()
    for path in files:
        response = client.post("/v1/predict", content=path.read_bytes(), headers={"content-type": "image/png"})
        if response.status_code != 200:
            problem_of(response, 422)
            refused.add(str(path.relative_to(tmp_path)))
    assert refused >= {name for name in UNREADABLE if (tmp_path / name).is_file()}
    assert len(files) - len(refused) > 40
