"""Images and labels as arrays in one .npz."""

import io
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.data import look
from foveal.data.sources import npz as module
from foveal.data.sources import open_source
from foveal.errors import SourceError
from foveal.tasks import named_task
from foveal.types import Reading


def medmnist(counts: dict[str, int], *, channels: int = 0, labels: int = 1) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(0), {}
    for split, count in counts.items():
        shape = (count, 9, 7, *([channels] if channels else []))
        found[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        found[f"{split}_labels"] = rng.integers(0, 2, (count, labels), dtype=np.uint8)
    return found


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_the_official_split_is_the_given_one_and_pixels_are_those_of_the_array(tmp_path: Path, channels: int) -> None:
    arrays = medmnist({"train": 12, "val": 5, "test": 6}, channels=channels)
    source = open_source(save(tmp_path / "blood.npz", **arrays))
    assert source.name == "blood"
    assert source.columns == ()
    found = {entry.file: entry for entry in source.entries()}
    assert list(found) == sorted(found)
    assert Counter(entry.split for entry in found.values()) == {"train": 12, "validation": 5, "test": 6}
    assert found["val/00003"].cell == str(arrays["val_labels"][3, 0])
    assert (source.read("test/00004") == arrays["test_images"][4].reshape(9, 7, channels or 1)).all()
    dataset = look(source, named_task("classification"))
    assert dataset.given == ("train", "validation", "test")
    assert dataset.channels == (channels or 1)
    assert dataset.sizes.tolist() == [[9, 7]] * 23
    assert open_source(source.spec).signature == source.signature


def test_several_labels_at_once(tmp_path: Path) -> None:
    arrays = medmnist({"train": 12, "val": 5, "test": 6}, labels=3)
    source = open_source(save(tmp_path / "chest.npz", **arrays))
    assert source.columns == ("label_0", "label_1", "label_2")
    task = named_task("multilabel")
    assert task.answer.suits([entry.cell for entry in source.entries()], source.columns)
    dataset = look(source, task)
    assert (dataset.targets[dataset.rows("train")] == arrays["train_labels"]).all()


def test_keras_form_names_and_numbers_with_decimals(tmp_path: Path) -> None:
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    keras = save(tmp_path / "mnist.npz", x_train=images, y_train=np.array([10, 9, 9, 2]), x_test=images, y_test=[1] * 4)
    source = open_source(keras)
    assert [(entry.file, entry.cell, entry.split) for entry in source.entries()][4:6] == [
        ("train/00000", "10", "train"),
        ("train/00001", "9", "train"),
    ]
    assert named_task("classification").answer.labels([e.cell for e in source.entries()]) == ("1", "2", "9", "10")
    plain = open_source(save(tmp_path / "one.npz", images=images, labels=np.array(["a", "b", "b", "c"]), ids=[1]))
    assert [(entry.file, entry.cell, entry.split) for entry in plain.entries()][3] == ("images/00003", "c", None)
    assert [(finding.kind, finding.files) for finding in plain.findings] == [("extra-file", ("ids",))]
    ages = open_source(save(tmp_path / "ages.npz", images=images, labels=np.array([1.0, 2.5, 3, np.nan])))
    assert ages.columns == ("label",)
    assert [entry.cell for entry in ages.entries()] == ["1", "2.5", "3", "nan"]


def test_paths_can_say_what_belongs_together_and_nothing_else_can_be_said(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", **medmnist({"train": 12, "test": 4}))
    dataset = look(path, named_task("classification"), reading=Reading(group_pattern=r"(\d)$"))
    groups = dict(zip(dataset.files, dataset.groups))
    assert groups["train/00001"] == groups["train/00011"] == groups["test/00001"] != groups["train/00002"]
    with pytest.raises(SourceError, match="Expected a table"):
        open_source(path, Reading(target=("age",)))


IMAGES, LABELS = np.zeros((4, 5, 5), np.uint8), np.zeros((4, 1), np.uint8)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no label": ({"train_images": IMAGES}, "Expected train_labels in .* beside"),
    "a split without images": (
        {"train_images": IMAGES, "train_labels": LABELS, "val_labels": LABELS},
        "Expected val_images",
    ),
    "no train": ({"test_images": IMAGES, "test_labels": LABELS}, "one of these sets"),
    "another form": ({"pictures": IMAGES}, "one of these sets of arrays .* Found pictures"),
    "fewer labels": ({"images": IMAGES, "labels": LABELS[:3]}, "each of the 4 images .* found 3"),
    "floats": ({"images": IMAGES / 255, "labels": LABELS}, "uint8 in images .* found float64"),
    "a volume": ({"images": np.zeros((4, 5, 5, 5), np.uint8), "labels": LABELS}, "found 4 × 5 × 5 × 5"),
    "flat": ({"images": np.zeros((4, 25), np.uint8), "labels": LABELS}, "found 4 × 25"),
    "images of no width": ({"images": np.zeros((4, 5, 0), np.uint8), "labels": LABELS}, "found 4 × 5 × 0"),
    "complex labels": ({"images": IMAGES, "labels": np.zeros(4, complex)}, "found complex128"),
    "labels of labels": ({"images": IMAGES, "labels": np.zeros((4, 1, 1))}, "found float64, 4 × 1 × 1"),
    "more labels in test": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": np.zeros((4, 2))},
        "1 in y_train, 2 in y_test",
    ),
    "objects": ({"images": np.array([{}, None], object), "labels": LABELS}, "images .* holds Python objects"),
    "objects in labels": ({"images": IMAGES, "labels": np.array([1, "a", 2, 3], object)}, "labels .* Python objects"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: str) -> None:
    arrays, message = WRONG[wrong]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / "wrong.npz")


def member(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip at all", "damaged or cut off"),
        (b"PK\x03\x04 cut", "damaged or cut off"),
        (member(b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 999, 999)}"), "tells of 9,980"),
        (member(b"{'descr': '|u1', 'fortran_order': False, 'shape': (4,"), "no header"),
        (member(b"__import__('os').system('false')"), "no header"),
        (member(b"((((((((" * 200), "no header"),
        (b"\x93NUMPY\x03\x00" + bytes(40), "no header .* version 3.0"),
        (b"GIF89a", "no header"),
    ],
)
def test_hostile_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.npz"
    if content.startswith((b"no", b"PK")):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", content)
    with pytest.raises(SourceError, match=message):
        open_source(path)


def test_more_than_the_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    monkeypatch.setattr(module, "memory_budget", lambda: 103)  # 100 of pixels and 4 of labels
    with pytest.raises(SourceError, match="more than a quarter of the memory"):
        open_source(path)


def test_pixels_that_are_damaged(tmp_path: Path) -> None:
    kept = io.BytesIO()
    images = np.random.default_rng(0).integers(0, 256, (4, 50, 50), dtype=np.uint8)
    np.savez(kept, images=images, labels=LABELS)
    content = bytearray(kept.getvalue())
    content[3000] ^= 1
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged or cut off"):
        open_source(path).read("images/00000")


@pytest.mark.real
def test_x_rays_that_are_there_twice(real_data: Path) -> None:
    """PneumoniaMNIST: the same pixels within train, within test, and in train and validation."""
    dataset = look(real_data / "pneumoniamnist.npz", named_task("classification"))
    assert [len(dataset.rows(name)) for name in ("train", "validation", "test")] == [4708, 524, 624]
    assert np.bincount(dataset.targets).tolist() == [1583, 4273]
    exact = dataset.twins.pairs[dataset.twins.alike >= 1]
    names = Counter(tuple(sorted(dataset.files[row].split("/")[0] for row in pair)) for pair in exact)
    assert names == {("train", "train"): 18, ("train", "val"): 8, ("test", "test"): 3}
    leaks = [finding for finding in dataset.findings if finding.kind == "leak"]
    assert len(leaks) == 8
    assert not [finding for finding in dataset.findings if finding.kind.startswith("contradicting")]
