"""Every way an image can be stored becomes the right pixels; every way it can be broken has its reason."""

import io
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, TiffImagePlugin

from crafted import chunk, png
from foveal.errors import UnreadableImage
from foveal.readers import ImageReader
from foveal.recipe import InputContract

READER = ImageReader()
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (7, 5), dtype=np.uint8)
RGB = RNG.integers(0, 256, (7, 5, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (7, 5), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (7, 5), dtype=np.uint16)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rows_of(values: np.ndarray) -> bytes:
    """IDAT, a byte before each row: no filter."""
    return chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in values)))


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = alpha[..., None] / 255
    return np.round(rgb * a + 255 * (1 - a))


def reason(data: bytes | np.ndarray, reader: ImageReader = READER) -> str:
    with pytest.raises(UnreadableImage) as caught:
        reader.read(data)
    return caught.value.message


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_rgb_is_exact(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    array, facts = READER.inspect(encoded(Image.fromarray(RGB), kind, **options))
    assert np.array_equal(array, RGB)
    assert (facts.width, facts.height, facts.mode, facts.frames, facts.format) == (5, 7, "RGB", 1, kind)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_gray_has_one_channel(kind: str) -> None:
    array, facts = READER.inspect(encoded(Image.fromarray(GRAY), kind))
    assert np.array_equal(array, GRAY[..., None])
    assert facts.mode == "L"


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "GIF"])
def test_lossy_formats_are_close(kind: str) -> None:
    flat = np.full((16, 16, 3), (200, 60, 30), np.uint8)
    array, facts = READER.inspect(encoded(Image.fromarray(flat), kind))
    assert array.shape == (16, 16, 3)
    assert np.abs(array.astype(int) - flat).max() <= 8
    assert facts.format == kind


def test_one_bit() -> None:
    bits = RNG.integers(0, 2, (7, 5)).astype(bool)
    array, facts = READER.inspect(encoded(Image.fromarray(bits)))
    assert np.array_equal(array[..., 0], bits * np.uint8(255))
    assert facts.mode == "1"


@pytest.mark.parametrize("stored", ["PNG", "TIFF", "big-endian TIFF", "PGM"])
def test_sixteen_bit_gray(stored: str) -> None:
    if stored == "PGM":
        data = b"P5 5 7 65535\n" + GRAY16.astype(">u2").tobytes()
    elif stored == "big-endian TIFF":
        data = encoded(Image.frombytes("I;16B", (5, 7), GRAY16.astype(">u2").tobytes()), "TIFF")
        assert data.startswith(b"MM")
    else:
        data = encoded(Image.fromarray(GRAY16), stored)
    array, facts = READER.inspect(data)
    assert array.dtype == np.uint16
    assert np.array_equal(array[..., 0], GRAY16)
    assert facts.mode in ("I;16", "I")
    assert facts.notes == ()


def test_thirty_two_bit_integers_must_fit() -> None:
    fits = encoded(Image.fromarray(GRAY16.astype(np.int32)), "TIFF")
    assert np.array_equal(READER.read(fits)[..., 0], GRAY16)
    assert "from 0 to 65536, expected" in reason(encoded(Image.fromarray(np.array([[0, 65536]], np.int32)), "TIFF"))
    assert "from -1 to 7" in reason(encoded(Image.fromarray(np.array([[-1, 7]], np.int32)), "TIFF"))


def test_twelve_bits_in_sixteen_are_noted() -> None:
    assert READER.inspect(encoded(Image.fromarray(GRAY16 % 4096)))[1].notes == ("narrow-range",)


def test_sixteen_bit_color_keeps_its_high_byte() -> None:
    values = RNG.integers(0, 65536, (7, 5, 3), dtype=np.uint16)
    array, facts = READER.inspect(png(width=5, height=7, bits=16, pixels=rows_of(values.astype(">u2"))))
    assert array.dtype == np.uint8
    assert np.array_equal(array, values >> 8)
    assert facts.mode == "RGB;16"


def test_transparent_gray_value_of_sixteen_bits_is_white() -> None:
    clear = chunk(b"tRNS", struct.pack(">H", int(GRAY16[2, 3])))
    data = png(clear, width=5, height=7, bits=16, color=0, pixels=rows_of(GRAY16.astype(">u2")))
    key = GRAY16[2, 3]
    expected = np.where(key == GRAY16, np.uint16(65535), GRAY16)
    assert np.array_equal(READER.read(data)[..., 0], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5, 1.0]], [[0, 32768, 65535]]),
        ([[0.0, 17.0, 255.0]], [[0, 17, 255]]),
        ([[0.0, 17.0, 4095.0]], [[0, 17, 4095]]),
    ],
)
def test_floats(values: list[list[float]], expected: list[list[int]]) -> None:
    array, facts = READER.inspect(encoded(Image.fromarray(np.array(values, np.float32)), "TIFF"))
    assert array[..., 0].tolist() == expected
    assert array.dtype == (np.uint8 if expected[0][-1] == 255 else np.uint16)
    assert facts.mode == "F"


@pytest.mark.parametrize(
    ("values", "words"),
    [([0, np.nan], "NaN or infinity"), ([-0.5, 1], "floats from -0.5 to 1"), ([0.5, 3], "from 0.5 to 3")],
)
def test_floats_that_cannot_be_guessed_are_refused(values: list[float], words: str) -> None:
    assert words in reason(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"))


def test_rgba_and_la_are_laid_on_white() -> None:
    rgba = READER.read(encoded(Image.fromarray(np.dstack([RGB, ALPHA]))))
    assert rgba.shape == (7, 5, 3)
    assert np.abs(rgba - on_white(RGB, ALPHA)).max() <= 1
    la = READER.read(encoded(Image.fromarray(np.dstack([GRAY, ALPHA]))))
    assert la.shape == (7, 5, 1)
    assert np.abs(la - on_white(GRAY[..., None], ALPHA)).max() <= 1
    opaque = np.dstack([RGB, np.full_like(ALPHA, 255)])
    assert np.array_equal(READER.read(encoded(Image.fromarray(opaque))), RGB)


def test_palettes() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    assert READER.read(encoded(image)).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    clear = READER.read(encoded(image, transparency=bytes([255, 0, 255])))
    assert clear.tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]
    assert READER.read(encoded(image, transparency=1)).tolist() == clear.tolist()


def test_a_color_named_as_transparent_is_white() -> None:
    image = Image.fromarray(np.array([[[9, 8, 7], [1, 2, 3]]], np.uint8))
    assert READER.read(encoded(image, transparency=(9, 8, 7))).tolist() == [[[255, 255, 255], [1, 2, 3]]]


def test_cmyk_and_ycbcr_jpeg() -> None:
    flat = np.full((16, 16, 3), (200, 60, 30), np.uint8)
    array, facts = READER.inspect(encoded(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=95))
    assert facts.mode == "CMYK"
    assert np.abs(array.astype(int) - flat).max() <= 6


def test_lab_becomes_srgb() -> None:
    flat = Image.new("RGB", (4, 4), (200, 60, 30))
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(flat, to_lab)
    assert lab is not None
    array, facts = READER.inspect(encoded(lab, "TIFF"))
    assert facts.mode == "LAB"
    assert np.abs(array.astype(int) - np.asarray(flat)).max() <= 3


def stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels a camera stores so that viewing them by EXIF's table gives `upright`: row 0 and column 0 of the
    stored image are the sides of the scene that the standard names."""
    rows_columns = {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.transpose(1, 0, 2),  # left, top
        6: upright[:, ::-1].transpose(1, 0, 2),  # right, top
        7: upright[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
        8: upright[::-1].transpose(1, 0, 2),  # left, bottom
    }
    return np.ascontiguousarray(rows_columns[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(stored_for(RGB, orientation)), kind, exif=exif, **options)
    array, facts = READER.inspect(data)
    assert np.array_equal(array, RGB)
    assert (facts.width, facts.height) == (5, 7)
    assert array.flags.c_contiguous


def test_xmp_orientation_and_sixteen_bits_turn_too() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    stored = stored_for(RGB, 6)
    assert np.array_equal(READER.read(encoded(Image.fromarray(stored), "WEBP", lossless=True, xmp=xmp)), RGB)
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encoded(Image.fromarray(np.ascontiguousarray(GRAY16[::-1, ::-1])), exif=exif)
    assert np.array_equal(READER.read(data)[..., 0], GRAY16)


def test_broken_exif_is_no_reason_to_refuse() -> None:
    for exif in (b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40), b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        data = encoded(Image.fromarray(RGB), "JPEG", exif=exif)
        assert READER.read(data).shape == (7, 5, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_many(kind: str) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    array, facts = READER.inspect(data)
    assert (array == (255, 0, 0)).all()
    assert facts.frames == 3
    assert facts.notes == ("animated",)


def test_names_do_not_matter_and_trailing_garbage_is_harmless() -> None:
    assert np.array_equal(READER.read(encoded(Image.fromarray(RGB)) + b"<script>" * 100), RGB)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_truncated_at_any_place(kind: str) -> None:
    """A file cut off is refused, or gives every pixel (when only its end mark is missing); never gray filler."""
    data = encoded(Image.fromarray(RNG.integers(0, 256, (24, 16, 3), dtype=np.uint8)), kind)
    whole = READER.read(data)
    refused = 0
    for end in range(0, len(data), max(1, len(data) // 40)):
        try:
            assert np.array_equal(READER.read(data[:end]), whole)
        except UnreadableImage as error:
            refused += error.message.split(":")[0] in ("truncated", "empty", "not an image", f"damaged {kind}")
    assert refused >= 39
    assert reason(data[: len(data) // 2]).startswith("truncated") or kind == "AVIF"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty: the file has 0 bytes"),
        (b"hello world\nmore", 'not an image: it starts with the text "hello world more"'),
        (b"\xef\xbb\xbf<!DOCTYPE html><html>", 'text "<!DOCTYPE html><html>"'),
        ("über".encode("utf-16"), 'text "über"'),
        (bytes(100), "not an image: it starts with the bytes 00 00 00 00 00 00 00 00"),
        (b"8BPS\0\1" + bytes(50), "unsupported format: Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF", "unsupported format: PostScript"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "unsupported format: HEIC"),
        (bytes(128) + b"DICM" + bytes(9), "unsupported format: DICOM"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "unsupported format: video"),
        (b"PK\x03\x04" + bytes(30), "unsupported format: ZIP archive"),
    ],
)
def test_not_an_image(data: bytes, words: str) -> None:
    assert words in reason(data)


def test_bad_checksum_is_damage() -> None:
    data = bytearray(encoded(Image.fromarray(RGB)))
    data[16] ^= 0xFF  # inside IHDR, whose CRC then fails
    assert reason(bytes(data)).startswith("damaged PNG")


def test_pixel_limit_is_checked_before_decoding() -> None:
    bomb = png(width=30_000, height=30_000, color=0, pixels=b"")  # a header, and nothing to decode
    assert reason(bomb) == "too large: 30000×30000 pixels, the limit is 100 megapixels"
    small = encoded(Image.fromarray(RGB))
    assert "too large: 5×7" in reason(small, ImageReader(megapixels=34e-6))
    assert np.array_equal(ImageReader(megapixels=35e-6).read(small), RGB)


def test_pillow_global_limit_is_untouched_and_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 34)
    assert np.array_equal(READER.read(encoded(Image.fromarray(RGB))), RGB)
    assert Image.MAX_IMAGE_PIXELS == 34


def test_odd_metadata_is_silent_in_threads() -> None:
    """Pillow warns of this TIFF's tags; warnings are errors here, and their filters are the same afterwards."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[315] = "somebody"
    data = encoded(Image.fromarray(RGB), "TIFF", tiffinfo=tags)
    where = data.index(struct.pack("<HH", 315, 2))
    data = data[: where + 8] + struct.pack("<I", 10**6) + data[where + 12 :]  # the text lies outside the file
    with pytest.warns(UserWarning, match="Truncated"):
        Image.open(io.BytesIO(data)).load()
    before = list(warnings.filters)
    barrier = threading.Barrier(4)

    def read() -> np.ndarray:
        barrier.wait()
        return READER.read(data)

    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(future.result(), RGB) for future in [pool.submit(read) for _ in range(4)])
    assert warnings.filters == before


def test_arrays() -> None:
    assert READER.read(GRAY).shape == (7, 5, 1)
    assert np.array_equal(READER.read(RGB), RGB)
    assert READER.inspect(GRAY16)[1].mode == "I;16"
    assert np.abs(READER.read(np.dstack([RGB, ALPHA])) - on_white(RGB, ALPHA)).max() <= 1
    deep = READER.read(np.dstack([GRAY16] * 3 + [np.zeros_like(GRAY16)]))
    assert deep.dtype == np.uint16
    assert (deep == 65535).all()
    assert "float32 and shape (2, 2), expected uint8 or uint16" in reason(np.zeros((2, 2), np.float32))
    assert "shape (2, 2, 2)" in reason(np.zeros((2, 2, 2), np.uint8))
    assert "shape (0, 2)" in reason(np.zeros((0, 2), np.uint8))


def contract(height: int, width: int, **fields: Any) -> InputContract:
    return InputContract(height=height, width=width, **{"channels": 3, **fields})


def test_prepare_changes_nothing_when_the_size_is_right() -> None:
    for rule in ("stretch", "crop", "pad"):
        pixels, geometry = READER.prepare(RGB, contract(7, 5, resize=rule))
        assert np.array_equal(pixels, RGB)
        assert (geometry.scale_x, geometry.scale_y, geometry.offset_x, geometry.offset_y) == (1, 1, 0, 0)


def test_prepare_rounds_sixteen_bits_to_eight() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    pixels = READER.prepare(values, contract(256, 256, channels=1))[0]
    assert np.array_equal(pixels, np.round(values / 257))


def test_prepare_converts_channels() -> None:
    gray = READER.prepare(RGB, contract(7, 5, channels=1))[0]
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert gray.shape == (7, 5, 1)
    assert np.abs(gray[..., 0] - luma).max() <= 1
    assert np.array_equal(READER.prepare(GRAY[..., None], contract(7, 5))[0], np.dstack([GRAY] * 3))


def test_stretch_equals_pillow() -> None:
    for name, rule in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
        pixels = READER.prepare(RGB, contract(3, 9, resize="stretch", interpolation=name))[0]
        assert np.array_equal(pixels, np.asarray(Image.fromarray(RGB).resize((9, 3), rule)))


def test_pad_is_black_around_the_whole_image() -> None:
    white = np.full((10, 20, 3), 255, np.uint8)
    pixels, geometry = READER.prepare(white, contract(16, 16, resize="pad"))
    assert (pixels[4:12] == 255).all()
    assert (pixels[:4] == 0).all()
    assert (pixels[12:] == 0).all()
    assert (geometry.offset_x, geometry.offset_y, geometry.scale_x) == (0, 4, 0.8)


def test_crop_takes_the_centre() -> None:
    stripes = np.repeat(np.array([10, 20, 200, 200, 30, 40], np.uint8), 4)[None].repeat(8, axis=0)[..., None]
    pixels = READER.prepare(stripes, contract(8, 8, channels=1, resize="crop"))[0]
    assert (pixels == 200).all()


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rule=st.sampled_from(["stretch", "crop", "pad"]),
)
def test_geometry_maps_the_corners(height: int, width: int, target: tuple[int, int], rule: Any) -> None:
    array = np.zeros((height, width, 1), np.uint8)
    pixels, geometry = READER.prepare(array, contract(*target, channels=1, resize=rule))
    assert pixels.shape == (*target, 1)
    assert pixels.dtype == np.uint8
    assert (geometry.width, geometry.height) == (width, height)
    left, right = (x * geometry.scale_x + geometry.offset_x for x in (0, width))
    top, bottom = (y * geometry.scale_y + geometry.offset_y for y in (0, height))
    near = 1e-6
    if rule == "stretch":
        assert np.allclose([left, top, right, bottom], [0, 0, target[1], target[0]])
    elif rule == "crop":  # covers the target, symmetrically, and touches it in one direction
        assert left <= near
        assert top <= near
        assert right >= target[1] - near
        assert bottom >= target[0] - near
        parts = target[1] / geometry.scale_x, target[0] / geometry.scale_y
        scale = max(target[1] / width, target[0] / height)
        assert np.allclose(parts, np.round(parts))  # whole pixels, less than two off the right shape
        assert max(abs(parts[0] - target[1] / scale), abs(parts[1] - target[0] / scale)) < 2
        assert np.allclose([left + right, top + bottom], [target[1], target[0]])
        assert min(right - left - target[1], bottom - top - target[0]) <= near
    else:  # lies inside, and touches in one direction
        assert left >= -near
        assert top >= -near
        assert right <= target[1] + near
        assert bottom <= target[0] + near
        assert max(right - left - target[1], bottom - top - target[0]) >= -near


@given(
    rule=st.sampled_from(["stretch", "crop", "pad"]),
    target=st.tuples(st.integers(24, 64), st.integers(24, 64)),
    centre=st.tuples(st.integers(20, 28), st.integers(28, 36)),
)
def test_geometry_follows_a_spot(rule: Any, target: tuple[int, int], centre: tuple[int, int]) -> None:
    """A bright spot's centre of mass lies where the geometry says, to half a pixel."""
    array = np.zeros((48, 64, 1), np.uint8)
    array[centre[0] - 4 : centre[0] + 4, centre[1] - 4 : centre[1] + 4] = 255
    pixels, geometry = READER.prepare(array, contract(*target, channels=1, resize=rule))
    weight = pixels[..., 0] / pixels.sum()
    y, x = (np.arange(side) + 0.5 for side in target)
    assert abs(weight.sum(axis=0) @ x - (centre[1] * geometry.scale_x + geometry.offset_x)) < 0.5
    assert abs(weight.sum(axis=1) @ y - (centre[0] * geometry.scale_y + geometry.offset_y)) < 0.5
