"""Two runs and two series: the same test images or none, each task alike, killed and gone on with."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.api import begin_repeats, resume_repeats, trainings
from foveal.errors import RecipeError, RunError
from foveal.events import Finished
from foveal.run import Run
from foveal.series import Series, is_series

QUICK = {"epochs": 1, "batch_size": 8, "net": "4c3same-mp2-8n", "translate": 1}
Folder = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEAL_STATE", str(tmp_path / "state"))


@pytest.fixture
def photos(image_folder: Folder) -> Path:
    return image_folder({"dark": 30, "light": 30})


def test_two_networks_on_the_same_images(photos: Path, tmp_path: Path) -> None:
    good = foveal.train(photos, out=tmp_path / "good", **{**QUICK, "epochs": 6})
    poor = foveal.train(photos, out=tmp_path / "poor", **{**QUICK, "learning_rate": 1e-9})
    found = foveal.compare(poor, good)
    networks = found.networks
    accuracy = networks.scores["accuracy"]
    assert (accuracy.n, networks.images) == (9, 9)
    for run, value in ((poor, accuracy.first), (good, accuracy.second)):
        assert value == pytest.approx(foveal.Report.read(run.report / "report.json").scores["accuracy"].value)
    right, wrong = networks.to_right, networks.to_wrong
    assert accuracy.value == pytest.approx((right - wrong) / 9)
    assert len(networks.changed) == right + wrong
    assert {image.second_wrong - image.first_wrong for image in networks.changed} <= {-1, 1}
    assert networks.looks == [2, 2]
    assert [run.looks() for run in (good, poor)] == [2, 2]
    assert found.recipes is None
    assert "another seed" in found.recipes_words
    assert json.loads(json.dumps(found.as_dict()))["networks"]["label_score"] == "recall"


def test_a_network_and_itself(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    networks = foveal.compare(run, run.path).networks
    assert networks.words == "The two networks give every test image the same answer."
    assert (networks.differ, networks.better, networks.changed) == (False, None, [])


def test_what_one_has_learned_from_is_no_test(photos: Path, tmp_path: Path) -> None:
    one = foveal.train(photos, out=tmp_path / "one", **QUICK)
    other = foveal.train(photos, out=tmp_path / "other", seed=1, **QUICK)
    with pytest.raises(RunError, match=r"other has learned from, or chosen on, \d of the 9 test images of .*one"):
        foveal.compare(one, other)
    assert (one.looks(), other.looks()) == (1, 1), "a look that was refused is no look"


def test_the_same_pixels_elsewhere_are_the_same_images(photos: Path, tmp_path: Path) -> None:
    def listed(name: str, folder: str, test: range) -> Path:
        """A table of copies of the images under other names."""
        table, place = tmp_path / f"{name}.csv", tmp_path / folder
        place.mkdir(exist_ok=True)
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "target", "split"])
            for number, image in enumerate(sorted(photos.rglob("*.png"))):
                Image.open(image).save(place / f"{name}-{number}.bmp")
                split = "test" if number in test else ("train", "validation")[number % 5 == 0]
                rows.writerow([f"{folder}/{name}-{number}.bmp", image.parent.name, split])
        return table

    runs = {
        name: foveal.train(listed(name, "copies", test), out=tmp_path / name, **QUICK)
        for name, test in (("a", range(20, 40)), ("b", range(20, 40)), ("c", range(21, 40)), ("d", range(10, 30)))
    }
    assert foveal.compare(runs["a"], runs["b"]).networks.images == 20
    with pytest.raises(RunError, match=r"chosen on, 1 of the 20 test images of .*a \(copies/a-20.bmp\)"):
        foveal.compare(runs["a"], runs["c"])
    with pytest.raises(RunError, match="10 of the 20 test images"):
        foveal.compare(runs["d"], runs["a"])


def test_other_labels_and_test_images_are_refused(photos: Path, image_folder: Folder, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    named = foveal.train(image_folder({"dark": 20, "pale": 20}, name="named"), out=tmp_path / "run-2", **QUICK)
    with pytest.raises(RunError, match="labels of the first: dark, light; of the second: dark, pale"):
        foveal.compare(run, named)
    others = foveal.train(image_folder({"dark": 30, "light": 30}, name="b", seed=9), out=tmp_path / "run-3", **QUICK)
    with pytest.raises(RunError, match=r"test images differ \(9 and 9\): 9 are only in .*run"):
        foveal.compare(run, others)


def test_repeats_share_their_split_and_differ_in_their_seed(photos: Path, tmp_path: Path) -> None:
    repeats = foveal.repeat(photos, 3, out=tmp_path / "series", **QUICK)
    assert is_series(repeats.series)
    runs = Series.open(repeats.series).runs
    assert [run.recipe.seed for run in runs] == repeats.seeds == [0, 1, 2]
    assert len({run.split.read_text() for run in runs}) == 1
    assert len({run.weights.read_bytes() for run in runs}) == 3
    score = repeats.scores["accuracy"]
    values = [foveal.Report.read(run.report / "report.json").scores["accuracy"].value for run in runs]
    assert score.values == values
    assert score.mean == pytest.approx(np.mean(values))
    assert score.deviation == pytest.approx(np.std(values, ddof=1))
    assert "about the recipe" in repeats.words
    assert json.loads((tmp_path / "series" / "repeats.json").read_text())["seeds"] == [0, 1, 2]
    report = foveal.Report.read(runs[2].report / "report.json")
    assert report.all_looks is not None
    assert (report.looks, report.all_looks.runs) == (1, 3)


def test_a_killed_series_goes_on_to_the_same_bits(photos: Path, tmp_path: Path) -> None:
    whole = foveal.repeat(photos, 3, out=tmp_path / "whole", **QUICK)
    series, first = begin_repeats(photos, 3, out=tmp_path / "part", **QUICK)
    every = trainings(series, first)
    *_, last = next(every)
    assert isinstance(last, Finished)
    second = next(every)
    next(second)
    second.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert [run.finished for run in Series.open(tmp_path / "part").runs] == [True, False]
    part = resume_repeats(tmp_path / "part")
    for one, other in zip(whole.runs, part.runs):
        assert Run(Path(one)).weights.read_bytes() == Run(Path(other)).weights.read_bytes()
    assert part.scores == whole.scores


def test_two_series_answer_for_the_recipes(photos: Path, tmp_path: Path) -> None:
    poor = foveal.repeat(photos, 3, out=tmp_path / "poor", **{**QUICK, "learning_rate": 1e-9})
    good = foveal.repeat(photos, 2, out=tmp_path / "good", **{**QUICK, "epochs": 6})
    found = foveal.compare(poor.series, good.series)
    assert found.recipes is not None
    assert found.recipes.trainings == [3, 2]
    accuracy = found.recipes.scores["accuracy"]
    assert (accuracy.first, accuracy.second) == (poor.scores["accuracy"].mean, good.scores["accuracy"].mean)
    assert found.networks.first == poor.runs[0]
    other = found.recipes.other_images["accuracy"]
    assert (other.value, other.method) == (accuracy.value, "welch, bootstrap")
    assert [run.looks() for run in Series.open(poor.series).runs] == [2, 2, 2]
    with pytest.raises(RunError, match="is a series of trainings"):
        foveal.evaluate(poor.series)


def test_what_cannot_be_repeated(photos: Path, tmp_path: Path) -> None:
    import torch

    with pytest.raises(RecipeError, match="two repeats or more"):
        foveal.repeat(photos, 1)
    with pytest.raises(RecipeError, match="module of your own"):
        foveal.repeat(photos, 2, net=torch.nn.Flatten())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(RunError, match="already there"):
        foveal.repeat(photos, 2, out=tmp_path / "taken")
    series, first = begin_repeats(photos, 2, out=tmp_path / "begun", **QUICK)
    first.close()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(RunError, match=r"has not finished: 0 of 2"):
        foveal.compare(series.path, series.path)
