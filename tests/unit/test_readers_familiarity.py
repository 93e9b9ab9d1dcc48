"""Whether an image looks like the training images: what must be noticed, what must not, and where nothing is said."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from foveal.answers.label import LabelPrediction
from foveal.readers.familiarity import UNLIKE, familiar, looks, strangeness, with_familiarity

SIDE = 24


def patches(seed: int, count: int, gray: bool = False) -> np.ndarray:
    """Parts of two photographs, at several scales."""
    rng = np.random.default_rng(seed)
    pictures = [Image.fromarray(picture) for picture in load_sample_images().images]
    found = []
    for _ in range(count):
        picture, side = pictures[rng.integers(2)], int(rng.integers(2, 10)) * SIDE
        x, y = (int(rng.integers(whole - side)) for whole in picture.size)
        part = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
        found.append(np.asarray(part))
    stacked = np.stack(found)
    return stacked.mean(axis=3, keepdims=True).astype(np.uint8) if gray else stacked


def digits() -> np.ndarray:
    small = (load_digits().images[:300] * 255 / 16).astype(np.uint8)
    return np.repeat(small.repeat(3, axis=1).repeat(3, axis=2)[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def settled() -> dict[str, object]:
    return familiar(patches(0, 1200), np.arange(1000), np.arange(1000, 1200))


def test_digits_and_noise_are_noticed_and_photographs_pass(settled: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    like = strangeness(patches(1, 600), settled)
    assert like is not None
    assert 0.0 <= (like > 1).mean() <= 0.03
    unlike = {
        "digits": digits(),
        "uniform": rng.integers(0, 256, (200, SIDE, SIDE, 3), dtype=np.uint8),
        "gaussian": np.clip(rng.normal(128, 50, (200, SIDE, SIDE, 3)), 0, 255).astype(np.uint8),
        "black": np.zeros((5, SIDE, SIDE, 3), np.uint8),
    }
    for name, pixels in unlike.items():
        far = strangeness(pixels, settled)
        assert far is not None
        assert (far > 1).mean() > 0.95, name
        assert (far[:, None] > like).mean() > 0.99, name


def test_what_is_settled_is_json_and_small(settled: dict[str, object]) -> None:
    again = json.loads(json.dumps(settled))
    assert again == settled
    assert len(json.dumps(settled)) < 6000
    assert again["look"]["n"] == 1200


def test_the_threshold_lets_99_in_100_pass() -> None:
    """Over ten sets of 200 images each."""
    passed = []
    for seed in range(10):
        pixels = patches(10 + seed, 500)
        far = strangeness(pixels[200:], familiar(pixels[:200], np.arange(150), np.arange(150, 200)))
        assert far is not None
        passed.append((far <= 1).mean())
    assert 0.97 <= np.mean(passed) <= 1


def test_fewer_than_99_images_say_nothing() -> None:
    pixels = patches(0, 99)
    assert familiar(pixels[:98], np.arange(80), np.arange(80, 98)) == {}
    assert familiar(pixels, np.arange(80), np.arange(80, 99))["look"]["n"] == 99
    assert familiar(pixels, np.arange(0), np.arange(0)) == {}
    assert strangeness(pixels, {}) is None


def test_colour_is_noticed_where_all_was_gray() -> None:
    gray = np.repeat(patches(0, 300, gray=True), 3, axis=3)
    settled = familiar(gray, np.arange(250), np.arange(250, 300))
    far = strangeness(patches(1, 100), settled)
    assert far is not None
    assert (far > 1).mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (2, 7, 1), (40, 3, 3)])
def test_any_size_has_a_finite_look(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, *shape), dtype=np.uint8)
    assert np.isfinite(looks(pixels)).all()
    assert looks(pixels).shape == (120, 15 if shape[2] == 3 else 11)
    far = strangeness(pixels, familiar(pixels, np.arange(100), np.arange(100, 120)))
    assert far is not None
    assert np.isfinite(far).all()


def test_one_image_at_a_time_is_as_far_as_among_others(settled: dict[str, object]) -> None:
    pixels = patches(3, 40)
    together = strangeness(pixels, settled)
    assert together is not None
    for image, far in zip(pixels, together):
        alone = strangeness(image[None], settled)
        assert alone is not None
        assert alone[0] == pytest.approx(far, rel=1e-4)


def test_a_prediction_is_withheld_with_all_its_reasons() -> None:
    sure = LabelPrediction("a", 0.9, {"a": 0.9})
    assert with_familiarity(sure, None) is sure
    assert with_familiarity(sure, False).as_dict()["abstained"] is False
    withheld = with_familiarity(sure, True).as_dict()
    assert (withheld["abstained"], withheld["reason"]) == (True, UNLIKE)
    unsure = LabelPrediction("a", 0.4, {"a": 0.4}, True, "not sure enough")
    assert with_familiarity(unsure, False) is unsure
    assert with_familiarity(unsure, True).reason == "unlike the training images; not sure enough"
