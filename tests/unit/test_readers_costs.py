"""Files made to keep a decoder busy are refused before it sees them; what real encoders write passes."""

import importlib.util
import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crafted import bmp, chunk, gif, jpeg, page, pages, png, saved, segment, tiff
from foveal.errors import UnreadableImage
from foveal.readers import ImageReader, costs
from foveal.readers.image import size_of

READER = ImageReader()
SIZED = dict(list(page().items())[:5])  # size and form, and not yet where the pixels are


COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "png, chunks": (lambda: png(chunk(b"teSt", b"") * 100_001), "chunks in a PNG"),
    "png, profiles": (lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(9))) * 5), "color profiles"),
    "jpeg, segments": (lambda: jpeg(segment(0xFE, b"") * 100_001), "more segments"),
    "jpeg, exif": (lambda: jpeg(segment(0xE1, b"Exif\0\0a") * 257), "more segments"),
    "jpeg, fill": (lambda: jpeg(b"\xff" * 70_000, 20), "bytes between them"),
    "jpeg, junk": (lambda: jpeg(b"\x00" * 70_000, 20), "bytes between them"),
    "tiff, strips": (lambda: tiff({**page(), 273: (100_001, 8)}), "100,001 strips"),
    "tiff, tiles, the other order": (lambda: tiff({**SIZED, 324: (1 << 31, 8)}, order=">"), "2,147,483,648 strips"),
    "big tiff, tags": (lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + bytes(99), "tags in a TIFF"),
    "gif, comment": (lambda: gif(b"\x21\xfe" + b"\1a" * 300_001 + b"\0"), "pieces in a GIF"),
    "gif, frames": (lambda: gif(after=b",\0\0\0\0\1\0\1\0\0\x08\1a\1a\1a\0" * 100_001), "pieces in a GIF"),
    "bmp, runs": (lambda: bmp(2, b"\1\1" * (1 << 21)), "run lengths in a BMP"),
    "bmp, lines": (lambda: bmp(2829, b"\1\1\0\0" * 99), "run lengths in a BMP"),
    "pnm, spaces": (lambda: b"P6 " + b" " * 70_000 + b"1 1 255\nabc", "header does not end"),
    "pnm, comment": (lambda: b"P5 1 1 #" + b" " * 70_000 + b"\n255\nabc", "header does not end"),
    "pnm, text": (lambda: b"P2 4 4 255\n" + b"1 " * (1 << 22), "of text, expected 8,388,608 or fewer"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_files_made_to_keep_a_decoder_busy_are_refused(name: str) -> None:
    make, words = COSTLY[name]
    data = make()
    began = time.thread_time()
    with pytest.raises(UnreadableImage, match=r"^too costly: ") as refused:
        READER.read(data)
    assert words in refused.value.message
    assert time.thread_time() - began < 0.5
    if not name.startswith("bmp"):  # whose size stands at one place
        with pytest.raises(UnreadableImage, match=r"^too costly: "):
            size_of(data)


@pytest.mark.parametrize(
    "data",
    [
        png(chunk(b"teSt", b"") * 1000, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(9)))),
        jpeg(segment(0xFE, b"a") * 1000 + segment(0xE1, b"Exif\0\0a") * 200),
        jpeg(b"\xff" * 1000, 20),
        gif(b"\x21\xfe" + b"\1a" * 10_000 + b"\0"),
        bmp(100, b"\x64\1\0\0" * 100 + b"\0\1"),
        b"P6 # a\n#b\n 1\t1 # c\r255\nabc",
        b"P4 1 1\n\0",
        b"P5 1 1 255\n" + bytes(1 << 23),
    ],
)
def test_odd_files_pass(data: bytes) -> None:
    assert READER.read(data).ndim == 3


def test_frames_are_counted() -> None:
    frames = [Image.fromarray(np.full((9, 7), 20 * k, np.uint8)) for k in range(5)]
    for form in ("GIF", "TIFF"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        with Image.open(io.BytesIO(data)) as image:
            assert costs.frames_of(form, data) == image.n_frames == 5
        assert READER.inspect(data)[1].frames == 5
    large = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:], big_tiff=True)
    assert costs.frames_of("TIFF", large) == 5
    assert costs.frames_of("PNG", png()) is None


def test_pages_of_a_tiff_are_counted_in_no_time_and_may_come_back() -> None:
    data = pages(50_000)
    began = time.thread_time()
    assert READER.inspect(data)[1].frames == 50_000
    assert time.thread_time() - began < 1, "Pillow compares each page with all before it"
    assert READER.inspect(tiff(page(), after=8))[1].frames == 1


def test_large_images_are_converted_band_by_band() -> None:
    """To the same pixels: the bands end within the image."""
    rng = np.random.default_rng(0)
    tall = rng.integers(0, 256, (1100, 1000, 4), dtype=np.uint8)
    small = Image.fromarray(tall[1040:1060])
    for mode in ("RGBA", "LA"):
        whole = READER.read(saved(Image.fromarray(tall).convert(mode), "PNG", compress_level=0))
        part = READER.read(saved(small.convert(mode), "PNG"))
        assert np.array_equal(whole[1040:1060], part)
    floats = rng.random((1100, 1000), dtype=np.float32)
    read = READER.read(saved(Image.fromarray(floats), "TIFF"))
    assert np.array_equal(read[..., 0], np.round(floats * np.float64(65535)).astype(np.uint16))


def test_reasons_name_what_is_not_read() -> None:
    dicom = b"II*\0" + bytes(124) + b"DICM" + bytes(100)
    with pytest.raises(UnreadableImage, match=r"^unsupported format: DICOM$"):
        READER.read(dicom)
    head = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 2, 0, 0, 0, 0, 0, 0)
    with pytest.raises(UnreadableImage, match=r"^unsupported kind of BMP: Unsupported BMP pixel depth"):
        READER.read(b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + head + bytes(50))


def test_every_file_of_pydicoms_own_is_refused_with_its_reason() -> None:
    package = importlib.util.find_spec("pydicom")
    if package is None or package.origin is None:
        pytest.skip("needs pydicom, whose package has them")
    files = sorted((Path(package.origin).parent / "data").rglob("*.dcm"))
    assert len(files) > 60
    for path in files:
        with pytest.raises(UnreadableImage) as refused:
            READER.read(path.read_bytes())
        assert refused.value.message.startswith(("unsupported format: DICOM", "not an image", "empty")), path
