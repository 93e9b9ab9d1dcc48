"""Going on from a run with more labels: the old ones keep their place, their images their split, their weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.api.continuing import before_after
from foveal.engine.checkpoint import load_weights
from foveal.errors import RecipeError, RunError

QUICK = {"epochs": 2, "batch_size": 8, "net": "8c3same-mp2-16c3same:none-bn:relu-gap", "translate": 1}


def more(root: Path, label: str, level: int, count: int = 20) -> None:
    rng = np.random.default_rng(1)
    (root / label).mkdir()
    for i in range(count):
        pixels = np.clip(rng.normal(level, 20, (12, 12, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / label / f"{label}-{i:03}.png")


@pytest.fixture
def photos(image_folder) -> Path:
    return image_folder({"dark": 20, "light": 20})


@pytest.fixture
def first(photos: Path, tmp_path: Path) -> foveal.Run:
    return foveal.train(photos, out=tmp_path / "first", **QUICK)


def rows(run: foveal.Run) -> dict[str, str]:
    lines = run.split.read_text().splitlines()[1:]
    return {line.split(",")[0]: line.rsplit(",", 1)[1] for line in lines}


def test_old_labels_keep_their_place_and_old_images_their_split(
    first: foveal.Run, photos: Path, tmp_path: Path
) -> None:
    more(photos, "amber", 120)
    second = foveal.train(photos, start=first.path, out=tmp_path / "second")
    assert second.info["labels"] == ["dark", "light", "amber"]
    before, after = rows(first), rows(second)
    assert {file: after[file] for file in before} == before
    assert {split for file, split in after.items() if file.startswith("amber")} == {"train", "validation", "test"}
    assert (second.recipe.net, second.recipe.epochs) == (first.recipe.net, first.recipe.epochs)
    assert second.recipe.begin
    told = foveal.load(second)(photos / "amber" / "amber-000.png")
    assert set(told.as_dict()["probabilities"]) == {"dark", "light", "amber"}


def test_it_begins_with_the_weights_of_the_run(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    more(photos, "amber", 120)
    events = foveal.training(photos, start=first, out=tmp_path / "second", save_every=0.0, learning_rate=1e-12)
    list(events)
    old, new = load_weights(first.weights), load_weights(tmp_path / "second" / "weights.safetensors")
    for name, tensor in old.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(new[name][: len(tensor)], tensor, atol=1e-6), name
    assert len(new["head.output.weight"]) == 3


def test_the_old_labels_are_measured_before_and_after(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    more(photos, "amber", 120)
    second = foveal.train(photos, start=first, out=tmp_path / "second")
    found = before_after(second)
    assert found is not None
    assert found.labels == ("dark", "light")
    known = [file for file, split in rows(second).items() if split == "test" and not file.startswith("amber")]
    assert found.images == len(known)
    assert found.before.scores["accuracy"].n == found.after.scores["accuracy"].n == len(known)
    assert before_after(first) is None


def test_stopped_at_once_it_goes_on_from_the_same(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    *_, whole = foveal.training(photos, start=first, out=tmp_path / "whole")
    events = foveal.training(photos, start=first, out=tmp_path / "part")
    next(events)
    events.close()
    *_, last = foveal.resuming(tmp_path / "part")
    assert last.weights_sha256 == whole.weights_sha256


def test_a_label_without_images_is_noted(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    for file in (photos / "light").iterdir():
        file.unlink()
    (photos / "light").rmdir()
    more(photos, "amber", 120)
    started = next(foveal.training(photos, start=first, out=tmp_path / "second"))
    assert any("knew light, of which there is no image here" in note for note in started.notes)


def test_what_does_not_go_together_is_refused(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="decides the recipe"):
        next(foveal.training(photos, start=first, minutes=1))
    with pytest.raises(RunError, match="has another network"):
        next(foveal.training(photos, start=first, net="16c3-gap"))
    events = foveal.training(photos, out=tmp_path / "begun", **QUICK)
    next(events)
    events.close()
    with pytest.raises(RunError, match="has not finished"):
        next(foveal.training(photos, start=tmp_path / "begun"))


def test_images_are_known_by_their_pixels_under_any_name(
    first: foveal.Run, photos: Path, tmp_path: Path, image_folder
) -> None:
    moved = tmp_path / "moved"
    for file in rows(first):
        path = moved / ("night" if file.startswith("dark") else "light") / f"x-{Path(file).name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((photos / file).read_bytes())
    more(moved, "amber", 120)
    second = foveal.train(moved, start=first, out=tmp_path / "second")
    before, after = rows(first), rows(second)
    assert {Path(file).name.removeprefix("x-"): split for file, split in after.items() if "amber" not in file} == {
        Path(file).name: split for file, split in before.items()
    }
    # Nothing here is called dark any more: the network keeps its place, and everything can be measured.
    assert second.info["labels"] == ["dark", "light", "amber", "night"]
    assert foveal.evaluate(second).per_label["dark"]["support"] == 0
    assert foveal.resume(second).path == second.path


def test_old_images_that_are_gone_are_told(first: foveal.Run, photos: Path, tmp_path: Path) -> None:
    moved = photos.rename(tmp_path / "elsewhere")
    more(moved, "amber", 120)
    started = next(foveal.training(moved, start=first, out=tmp_path / "second"))
    assert any("known by their names alone" in note for note in started.notes)


def test_a_test_split_of_the_source_that_was_learned_from_is_told(
    first: foveal.Run, photos: Path, tmp_path: Path
) -> None:
    for file, split in rows(first).items():
        path = tmp_path / "given" / ("test" if split == "train" else "train") / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((photos / file).read_bytes())
    started = next(foveal.training(tmp_path / "given", start=first, out=tmp_path / "second", test=None))
    assert any("learned from or chose on" in note for note in started.notes)
