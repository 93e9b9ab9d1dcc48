"""Images made worse and shifted: as strong as said, the same every time, and boxes follow what moves."""

import numpy as np
import pytest
from PIL import Image

from foveal.examples import Examples, PixelRows
from foveal.measure.corruptions import CORRUPTIONS, GRAY, LEVELS, Corrupted
from foveal.measure.shifts import SHIFTS, Shifted, distances
from foveal.types import Geometry

FILES = [f"a/{k}.png" for k in range(40)]


def photographs(side: int = 48, channels: int = 3, count: int = 40) -> np.ndarray:
    """Smooth random colours with some texture."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 215, (count, 6, 6, channels), dtype=np.uint8)
    pictures = [Image.fromarray(image.squeeze()).resize((side, side), Image.Resampling.BICUBIC) for image in small]
    smooth = np.stack([np.asarray(picture).reshape(side, side, channels) for picture in pictures])
    return np.clip(smooth + rng.normal(0, 10, smooth.shape), 0, 255).astype(np.uint8)


def worse(name: str, level: int, pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    return Corrupted(FILES, pixels, CORRUPTIONS[name], level, seed)[np.arange(len(pixels))]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_level_is_farther_from_the_image_than_the_one_before(name: str, channels: int) -> None:
    pixels = photographs(channels=channels)
    before = pixels.copy()
    off = [np.abs(worse(name, level, pixels).astype(float) - pixels).mean() for level in range(1, LEVELS + 1)]
    assert off[0] > 0.1
    assert (np.diff(off) > 0).all()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_changed_alike_in_any_order_and_by_other_files_not(name: str) -> None:
    pixels = photographs()
    images = Corrupted(FILES, pixels, CORRUPTIONS[name], 3, seed=1)
    every = images[np.arange(40)]
    np.testing.assert_array_equal(images[np.array([7, 3])], every[[7, 3]])
    rows = np.array([20, 3])
    some = Corrupted([FILES[20], FILES[3]], PixelRows(pixels, rows), CORRUPTIONS[name], 3, seed=1)
    assert some.shape == (2, 48, 48, 3)
    np.testing.assert_array_equal(some[np.array([1])], every[[3]])


def test_strengths_are_those_of_the_papers_at_32_and_224_pixels_and_between_them_elsewhere() -> None:
    def of(name: str, side: int) -> list[float]:
        return [CORRUPTIONS[name].strength(level, side, 2 * side) for level in range(1, LEVELS + 1)]

    assert of("jpeg", 32) == [80, 65, 58, 50, 40] == of("jpeg", 8)
    assert of("jpeg", 224) == [25, 18, 15, 10, 7] == of("jpeg", 640)
    assert of("blur", 32) == [0.4, 0.6, 0.7, 0.8, 1]
    assert of("blur", 224) == [1, 2, 3, 4, 6]
    assert of("blur", 448) == [2, 4, 6, 8, 12]
    assert of("noise", 96) == [0.059, 0.089, 0.13, 0.16, 0.21]
    assert of("rotation", 32) == of("rotation", 224) == [5, 10, 15, 20, 30]


def test_noise_has_the_spread_that_is_said() -> None:
    gray = np.full((40, 64, 64, 3), 128, np.uint8)
    strength = CORRUPTIONS["noise"].strength(1, 64, 64)
    off = worse("noise", 1, gray).astype(float) - 128
    assert off.std() == pytest.approx(255 * strength, rel=0.01)
    assert abs(off.mean()) < 0.1


def test_half_of_the_images_become_brighter_and_the_others_darker() -> None:
    gray = np.full((40, 32, 32, 1), 100, np.uint8)
    levels = worse("brightness", 2, gray)[:, 0, 0, 0]
    strength = CORRUPTIONS["brightness"].strength(2, 32, 32)
    assert sorted(set(levels.tolist())) == pytest.approx([100 - 255 * strength, 100 + 255 * strength], abs=0.51)
    assert 10 <= (levels > 100).sum() <= 30


def test_contrast_is_what_is_kept_of_it() -> None:
    pixels = photographs()
    kept = CORRUPTIONS["contrast"].strength(2, 48, 48)
    flat = worse("contrast", 2, pixels)
    assert flat.std(axis=(1, 2)).mean() / pixels.std(axis=(1, 2)).mean() == pytest.approx(kept, rel=0.02)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), pixels.mean(axis=(1, 2)), atol=0.6)


def test_a_rotation_turns_about_the_middle_and_leaves_no_black_corner() -> None:
    image = np.full((1, 65, 65, 1), 200, np.uint8)
    image[0, 30:35, 50:60] = 90  # 22.5 pixels to the right of the middle
    turned = worse("rotation", LEVELS, image)[0, ..., 0]
    assert turned.min() > 85
    rows, columns = np.nonzero(turned < 145)
    assert columns.mean() - 32 == pytest.approx(22.5 * np.cos(np.pi / 6), abs=0.7)
    assert abs(rows.mean() - 32) == pytest.approx(22.5 * np.sin(np.pi / 6), abs=0.7)
    assert worse("rotation", LEVELS, np.full((1, 20, 90, 3), 255, np.uint8)).min() == 255


def test_a_rectangle_hides_the_share_of_the_area_that_is_said() -> None:
    image = np.full((40, 100, 50, 3), 7, np.uint8)
    for level in (1, 5):
        hidden = (worse("occlusion", level, image) == GRAY).all(axis=3)
        share = CORRUPTIONS["occlusion"].strength(level, 100, 50)
        np.testing.assert_allclose(hidden.mean(axis=(1, 2)), share, rtol=0.1)
    assert len({tuple(np.argwhere(one)[0]) for one in hidden}) > 20


def test_boxes_follow_an_image_that_is_shrunk() -> None:
    image = np.zeros((1, 80, 120, 3), np.uint8)
    image[0, 20:40, 30:90] = 255
    here = Geometry(width=240, height=160, scale_x=0.5, scale_y=0.5, offset_x=0, offset_y=0)
    test = Examples(["a"], image, np.zeros((1, 1, 6)), [here])
    images = Corrupted(["a"], image, CORRUPTIONS["scale"], LEVELS, seed=0)
    (there,) = images.examples(test).geometries
    rows, columns = np.nonzero(images[np.array([0])][0, ..., 0] > 127)
    left, top = 60 * there.scale_x + there.offset_x, 40 * there.scale_y + there.offset_y
    right, bottom = 180 * there.scale_x + there.offset_x, 80 * there.scale_y + there.offset_y
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    np.testing.assert_allclose((left, top, right, bottom), found, atol=0.51)
    assert Corrupted(["a"], image, CORRUPTIONS["blur"], 1, seed=0).examples(test) is test


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_shift_moves_the_image_by_what_it_says(kind: str) -> None:
    pixels = photographs()
    for distance in (1, 4):
        images = Shifted(FILES, pixels, kind, distance, seed=0)
        moved, offsets = images[np.arange(40)], [images.offset(file) for file in FILES]
        for image, before, (down, right) in zip(moved, pixels, offsets):
            np.testing.assert_array_equal(image[5:-5, 5:-5], np.roll(before, (down, right), axis=(0, 1))[5:-5, 5:-5])
        sizes = {tuple(sorted((abs(down), abs(right)))) for down, right in offsets}
        assert (0, 0) not in sizes
        if kind == "straight":
            assert sizes == {(0, distance)}
            assert len(set(offsets)) == 4
        elif kind == "diagonal":
            assert sizes == {(distance, distance)}
            assert len(set(offsets)) == 4
        else:
            assert max(max(size) for size in sizes) == distance
            assert len(set(offsets)) >= 6


def test_small_images_are_shifted_less() -> None:
    assert distances(8, 8) == (1,)
    assert distances(4, 100) == (1,)
    assert distances(28, 28) == (1, 2, 3)
    assert distances(32, 224) == (1, 2, 3, 4)
