"""Shortcuts that were planted are found, and what fills the image is none."""

import numpy as np
import pytest

from foveal.measure.shortcuts import (
    RING,
    SHORTCUT,
    SIDE,
    FileFacts,
    file_features,
    find_shortcuts,
    histogram,
    name_pattern,
    one_hot,
    shortcut_findings,
    views_of,
)
from foveal.measure.telling import LABEL, LABELS, VALUES

N = 300


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8), rng.integers(0, 3, N)


def found_in(pixels: np.ndarray, labels: np.ndarray, **more: np.ndarray) -> tuple[str, ...]:
    views = views_of(pixels, np.stack([histogram(image) for image in pixels])) | more
    return find_shortcuts(views, labels, np.arange(len(labels)), LABEL).telling()


def test_noise_tells_nothing() -> None:
    pixels, labels = images()
    views = views_of(pixels, np.stack([histogram(image) for image in pixels]))
    found = find_shortcuts(views, labels, np.arange(N), LABEL)
    assert found.telling() == ()
    assert all(score.low < found.constant.value + 0.05 for score in found.views.values())
    assert found.images == N
    assert found.constant.value == np.bincount(labels).max() / N


def test_a_marker_at_the_border_is_found_in_the_border_and_not_in_the_centre() -> None:
    pixels, labels = images()
    for k in range(3):
        pixels[labels == k, 0, 4 * k : 4 * k + 3] = 255
    assert found_in(pixels, labels) == ("border", "without_centre")


def test_what_fills_the_image_is_no_shortcut() -> None:
    pixels, labels = images()
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, 120, (3, SIDE, SIDE, 1))
    pixels = np.clip(pixels // 2 + patterns[labels], 0, 255).astype(np.uint8)
    views = views_of(pixels, np.stack([histogram(image) for image in pixels]))
    found = find_shortcuts(views, labels, np.arange(N), LABEL)
    assert found.views["centre"].value > 0.95
    assert "border" not in found.telling() or found.views["border"].value >= found.views["centre"].value


def test_a_light_that_one_class_has_to_itself_is_found_in_the_colours() -> None:
    pixels, labels = images()
    pixels[..., 0] = pixels[..., 0] // 4 + 60 * labels[:, None, None].astype(np.uint8)
    assert "colours" in found_in(pixels, labels)


def test_groups_are_not_torn_apart() -> None:
    """Copies of an image give its label away where they lie on both sides."""
    rng = np.random.default_rng(0)
    features, labels = np.repeat(rng.normal(size=(50, 80)), 4, axis=0), np.repeat(rng.integers(0, 2, 50), 4)
    views = {"whole": features, "centre": features}
    apart = find_shortcuts(views, labels, np.arange(200), LABEL).whole.value
    together = find_shortcuts(views, labels, np.repeat(np.arange(50), 4), LABEL).whole.value
    assert apart > 0.95
    assert together < 0.7


def test_the_form_of_a_file() -> None:
    _, labels = images()
    rng = np.random.default_rng(0)
    facts = [FileFacts(int(rng.integers(9_000, 11_000)), 640, 480, "RGB", "JPEG", bool(k == 1)) for k in labels]
    pixels, _ = images()
    assert found_in(pixels, labels, file=file_features(facts)) == ()  # one of three labels: 1/3 to 2/3 is not enough …
    facts = [
        FileFacts(one.size * (3 if k else 1), 640 + 2 * int(k), 480, *one_of(one)) for one, k in zip(facts, labels)
    ]
    assert found_in(pixels, labels, file=file_features(facts)) == ("file",)


def one_of(facts: FileFacts) -> tuple[str, str, bool]:
    return facts.mode, facts.format, facts.exif


@pytest.mark.parametrize(
    ("file", "label", "pattern"),
    [
        ("train/cats/cat.123.jpg", "cats", ".0"),
        ("dog/IMG_0042.JPG", "dog", "img_0"),
        ("a/1-s2.0-S0140673620303706-fx1_lrg.jpg", "covid", "0-s0.0-s0-fx0_lrg"),
        ("golden retriever/retriever-7.png", "golden retriever", "-0"),
        ("5/00017.png", "5", "0"),
    ],
)
def test_a_name_is_taken_without_its_label_and_its_number(file: str, label: str, pattern: str) -> None:
    assert name_pattern(file, label) == pattern


def test_rare_words_share_a_column() -> None:
    columns = one_hot(["a", "b", "a", "c", "b", "d"])
    np.testing.assert_array_equal(columns.argmax(axis=1), [0, 1, 0, 2, 1, 2])


def test_a_finding_says_how_much_and_what_it_means() -> None:
    pixels, labels = images()
    pixels[labels == 0, :RING] = 255
    pixels[labels == 1, -RING:] = 255
    views = views_of(pixels, np.stack([histogram(image) for image in pixels]))
    findings = shortcut_findings(find_shortcuts(views, labels, np.arange(N), LABEL))
    border = next(finding for finding in findings if finding.facts["view"] == "border")
    assert border.kind == SHORTCUT
    assert border.message.startswith("100% right from the outer eighth")
    assert "background" in border.message
    assert border.as_dict()["low"] > 0.95 > border.as_dict()["constant"]


def test_one_of_several_labels_is_told_by_a_marker_at_the_border() -> None:
    pixels, labels = images()
    rng = np.random.default_rng(2)
    targets = np.stack([labels == 0, rng.random(N) < 0.3, rng.random(N) < 0.5], axis=1).astype(np.float32)
    targets[:20, 1] = np.nan
    pixels[targets[:, 0] == 1, 0, :4] = 255
    views = views_of(pixels, np.stack([histogram(image) for image in pixels]))
    names = ("marked", "b", "c")
    found = find_shortcuts(views, targets, np.arange(N), LABELS, (targets[:, 0] == 1).astype(np.int64), names)
    assert found.constant.value == 0.5
    assert found.views["border"].value < 0.83  # the mean alone would hide it
    assert found.told_by("border") == ("marked",)
    assert not found.tells("border")
    assert found.telling() == ("border", "without_centre")
    border = shortcut_findings(found)[0]
    assert "on average over 3" in border.message
    assert "most of marked: AUROC 1.00" in border.message
    assert border.facts["labels"] == ["marked"]
    assert set(found.as_dict()["by_label"]["border"]) == set(names)


def test_a_value_is_told_by_how_bright_the_border_is() -> None:
    pixels, _ = images()
    rng = np.random.default_rng(3)
    values = rng.uniform(0, 200, (N, 1))
    pixels[:, :RING] = values[:, :, None, None].astype(np.uint8)
    views = views_of(pixels, np.stack([histogram(image) for image in pixels]))
    found = find_shortcuts(views, values, np.arange(N), VALUES, (values[:, 0] > 100).astype(np.int64), ("age",))
    assert (found.constant.value, found.by_label) == (0.0, {})
    assert found.views["border"].value > 0.95
    assert found.views["centre"].value < 0.1
    assert "border" in found.telling()
    assert shortcut_findings(found)[0].message.startswith("R² 1.00 from the outer eighth")
