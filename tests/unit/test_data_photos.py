"""Photographs: the fast way and Pillow's give the same pixels to two levels, at any scale that libjpeg decodes to."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.data import photos
from foveal.data.photos import resize
from foveal.errors import UnreadableImage
from foveal.readers import ImageReader, jpeg
from foveal.readers.fit import largest_shrink, pillow_resize
from foveal.recipe import InputContract

READER = ImageReader()
SIZES = ((500, 375), (300, 401), (131, 130))
TARGETS = ((64, 64), (96, 160), (224, 224))


def photograph(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Noise at several scales, and a white and a black disc."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 128.0)
    for spots in (4, 16, 64, 200):
        noise = Image.fromarray(rng.integers(0, 256, (spots, spots, 3), dtype=np.uint8))
        pixels += (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) - 128.0) * 0.5
    y, x = np.ogrid[:height, :width]
    for level, place in ((255, 0.3), (0, 0.7)):
        pixels[(y - place * height) ** 2 + (x - place * width) ** 2 < (height / 6) ** 2] = level
    return np.clip(pixels, 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options, **({"exif": exif} if orientation > 1 else {}))
    return buffer.getvalue()


def contract(height: int, width: int, **fields: Any) -> InputContract:
    return InputContract(height=height, width=width, **{"channels": 3, **fields})


def apart(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(int) - other).max())


KINDS = [
    {"quality": 90},
    {"quality": 40, "progressive": True},
    {"quality": 75, "subsampling": 0},
    {"quality": 95, "subsampling": 1, "restart_marker_rows": 2},
]


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_simplejpeg_and_pillow_give_the_same_bits(size: tuple[int, int], gray: bool, options: dict[str, Any]) -> None:
    pytest.importorskip("simplejpeg")
    pixels = photograph(*size)
    if gray:
        options = {name: value for name, value in options.items() if name != "subsampling"}
    data = encoded(pixels[..., 0] if gray else pixels, **options)
    seen = jpeg.header(data)
    assert seen == jpeg.Header(*size, 1 if gray else 3, False)
    for shrink in (1, 2, 4, 8):
        image = Image.open(io.BytesIO(data))
        image.draft(None, (size[0] // shrink, size[1] // shrink))
        expected = np.asarray(image).reshape(-(-size[1] // shrink), -(-size[0] // shrink), -1)
        found = jpeg.decode(data, seen, shrink)
        assert found is not None
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("rule", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_training_and_serving_pixels(
    size: tuple[int, int], interpolation: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training has simplejpeg and torch, serving neither."""
    for orientation, options in zip((1, 3, 6, 8), KINDS):
        data = encoded(photograph(*size), orientation, **options)
        for target in TARGETS:
            asked = contract(*target, resize=rule, interpolation=interpolation)
            trained, geometry = READER.load(data, asked, resize)
            with monkeypatch.context() as without:
                without.setattr(jpeg, "simplejpeg", None)
                served, the_same = READER.load(data, asked)
            assert apart(trained, served) <= (2 if interpolation == "bilinear" else 0)
            assert geometry == the_same
            upright = size if orientation in (1, 3) else size[::-1]
            assert (geometry.width, geometry.height) == upright
            if largest_shrink(*upright, asked) == 1:
                whole, its_geometry = READER.prepare(READER.read(data), asked)
                assert np.array_equal(served, whole)
                assert geometry == its_geometry


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    shares=st.tuples(st.floats(0.02, 1), st.floats(0.02, 1)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_both_ways_end_within_a_level_of_the_exact_value_and_within_two_of_each_other(
    height: int, width: int, shares: tuple[float, float], channels: int, seed: int
) -> None:
    array = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    out = max(1, round(height * shares[0])), max(1, round(width * shares[1]))
    down = np.tensordot(triangles(height, out[0]), array.astype(float), 1)
    exact = np.moveaxis(np.tensordot(triangles(width, out[1]), down, (1, 1)), 0, 1)
    found, expected = (how(array, out[1], out[0], "bilinear").astype(int) for how in (resize, pillow_resize))
    assert np.abs(found - exact).max() <= 1.06, "weights of 16 bits"
    assert np.abs(expected - exact).max() <= 1.001
    levels = np.abs(found - expected)
    assert levels.max() <= 2
    assert (levels > 1).sum() <= 1, "a few in a billion"


def triangles(inside: int, outside: int) -> np.ndarray:
    """(outside, inside) weights of antialiased bilinear resampling, each row's sum 1."""
    scale = inside / outside
    support = max(scale, 1.0)
    middles = (np.arange(outside) + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(inside) + 0.5 - middles[:, None]) / support)
    return weights / weights.sum(axis=1, keepdims=True)


def test_who_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch only what is large and becomes smaller: the rest is Pillow's to the bit."""
    asked: list[tuple[int, ...]] = []

    def spy(array: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
        asked.append((*array.shape[:2], height, width))
        return pillow_resize(array, width, height, interpolation)

    monkeypatch.setattr(photos, "pillow_resize", spy)
    large = photograph(200, 150)
    resize(large, 64, 64, "bilinear")
    assert asked == []
    resize(large, 64, 64, "bicubic")
    resize(large, 201, 64, "bilinear")
    resize(large[:128, :128], 64, 64, "bilinear")
    assert asked == [(150, 200, 64, 64), (150, 200, 64, 201), (128, 128, 64, 64)]


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    target=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    rule=st.sampled_from(["crop", "stretch", "pad"]),
)
def test_shrunk_images_still_have_every_pixel_that_is_needed(
    width: int, height: int, target: tuple[int, int], rule: Any
) -> None:
    asked = contract(*target, resize=rule)
    shrink = largest_shrink(width, height, asked)
    scales = asked.width / width, asked.height / height
    across, down = {"crop": (max(scales),) * 2, "pad": (min(scales),) * 2, "stretch": scales}[rule]
    most = min(1 / across, 1 / down)
    assert shrink in (1, 2, 4, 8)
    assert shrink == 1 or shrink <= most * (1 + 1e-9)
    assert shrink == 8 or 2 * shrink > most * (1 - 1e-9)


@pytest.mark.parametrize("rule", ["crop", "stretch", "pad"])
def test_geometry_of_a_shrunk_image_is_in_the_pixels_of_the_file(rule: Any) -> None:
    """A bright disc's centre of mass lies where the geometry says, to a third of a pixel, decoded at an eighth."""
    size, centre = (803, 611), (520.0, 260.0)
    y, x = np.ogrid[: size[1], : size[0]]
    disc = ((y + 0.5 - centre[1]) ** 2 + (x + 0.5 - centre[0]) ** 2 < 60**2).astype(np.uint8) * 255
    asked = contract(48, 56, channels=1, resize=rule)
    assert largest_shrink(*size, asked) == 8
    for orientation, middle in ((1, centre), (3, (size[0] - centre[0], size[1] - centre[1]))):
        pixels, geometry = READER.load(encoded(disc, orientation, quality=95), asked)
        assert (geometry.width, geometry.height) == size
        weight = np.where(pixels[..., 0] > 40, pixels[..., 0], 0) / np.where(pixels > 40, pixels, 0).sum()
        rows, columns = (np.arange(side) + 0.5 for side in (48, 56))
        assert abs(weight.sum(axis=0) @ columns - (middle[0] * geometry.scale_x + geometry.offset_x)) < 0.34
        assert abs(weight.sum(axis=1) @ rows - (middle[1] * geometry.scale_y + geometry.offset_y)) < 0.34


def test_the_size_of_the_file_is_told_sideways_too() -> None:
    data = encoded(photograph(640, 400), 6)
    assert READER.inspect(data)[1].width == 400
    geometry = READER.load(data, contract(32, 32))[1]
    assert (geometry.width, geometry.height) == (400, 640)
    assert np.isclose(geometry.scale_x, 32 / 400)


@pytest.mark.parametrize("damage", ["cut", "middle", "bytes between"])
def test_damaged_files_are_judged_by_pillow(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With simplejpeg and without, at any scale: the same pixels or the same reason."""
    data = encoded(photograph(300, 200), quality=80)
    middle = len(data) // 2
    data = {
        "cut": data[:middle],
        "middle": data[:middle] + b"\xff\xc4" + data[middle + 2 :],
        "bytes between": data[:2] + b"\0\0" + data[2:],
    }[damage]

    def outcome(size: int) -> object:
        try:
            return READER.load(data, contract(size, size))[0].tobytes()
        except UnreadableImage as error:
            return error.message

    first = [outcome(size) for size in (20, 200)]
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert first == [outcome(size) for size in (20, 200)]


def test_unusual_files_are_left_to_pillow() -> None:
    plain = encoded(photograph(40, 30))
    assert jpeg.header(plain) == jpeg.Header(40, 30, 3, False)
    turned = jpeg.header(encoded(photograph(40, 30), 6))
    assert turned is not None
    assert turned.metadata
    buffer = io.BytesIO()
    Image.fromarray(photograph(40, 30)).convert("CMYK").save(buffer, "JPEG")
    frame = plain.index(b"\xff\xc0")
    twelve = plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    adobe_rgb = plain[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + plain[2:]
    arithmetic = plain.replace(b"\xff\xc0", b"\xff\xc9")
    for data in (buffer.getvalue(), twelve, adobe_rgb, arithmetic, plain[:300], b"\xff\xd8\xff", plain[:frame]):
        assert jpeg.header(data) is None
    assert READER.load(buffer.getvalue(), contract(8, 8))[0].shape == (8, 8, 3)


def test_limits_hold_before_decoding() -> None:
    data = encoded(photograph(40, 30))
    with pytest.raises(UnreadableImage, match="too large: 40×30 pixels"):
        ImageReader(megapixels=0.001).load(data, contract(8, 8))


def test_pixels_and_other_formats_load_as_they_are_prepared(tmp_path: Path) -> None:
    array = photograph(120, 90)
    asked = contract(32, 32)
    expected = READER.prepare(array, asked)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    for source in (array, buffer.getvalue()):
        pixels, geometry = READER.load(source, asked)
        assert np.array_equal(pixels, expected[0])
        assert geometry == expected[1]
