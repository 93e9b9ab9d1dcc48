"""What a random split would have claimed: of frames that hardly differ, and of groups in general."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.api import begin_random_split, resuming
from foveal.cli.commands import app
from foveal.data import divide
from foveal.data.split import divide_at_random
from foveal.errors import RecipeError, RunError
from foveal.events import Step
from foveal.examples import Examples
from foveal.measure import random_split as module
from foveal.measure.intervals import wilson
from foveal.measure.random_split import Answered, claim_of, of_groups, recalled, together
from foveal.measured import Score
from foveal.report import Report
from foveal.report.random_split import told_random_split
from foveal.report.schema_part import ReportGroups
from foveal.run import Run
from foveal.tasks import named_task
from foveal.types import SPLITS, Reading

VIDEOS, FRAMES, SIDE = 60, 5, 16


def film(path: Path, seed: int = 0) -> Path:
    """`path/LABEL/video07-3.png`: each video has a background of its own that all of its frames show, moved by little.
    The label is a slight warmth of it, weaker than the differences of the backgrounds."""
    rng = np.random.default_rng(seed)
    for video in range(VIDEOS):
        warm = video % 2
        scene = rng.uniform(40, 215, (SIDE // 4, SIDE // 4, 3)).repeat(4, axis=0).repeat(4, axis=1)
        scene[..., 0] += 7 * (2 * warm - 1)
        folder = path / ("cold", "warm")[warm]
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            pixels = scene + rng.normal(0, 3, scene.shape)
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(folder / f"video{video:02}-{frame}.png")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("films")
    reading = Reading(group_pattern=r"(?P<video>video\d+)")
    how = {"epochs": 12, "batch_size": 16, "learning_rate": 0.01, "test": 0.3}
    net = "16c3s2same-32c3s2same-64n"
    return foveal.train(film(folder / "frames"), reading=reading, out=folder / "run", net=net, **how)


@pytest.fixture
def own(run: Run, tmp_path: Path) -> Run:
    """A run that may be written to."""
    return Run(Path(shutil.copytree(run.path, tmp_path / "own")))


def test_memory_is_told_at_the_end_of_training(run: Run) -> None:
    report = Report.read(run.report / "report.json")
    found = report.random_split
    assert found is not None
    assert (found.score, found.kind, found.parted, found.network) == ("accuracy", "video", 0, None)
    test = report.scores["accuracy"].n
    assert found.groups * FRAMES == found.images == report.data.splits["train"] + test
    assert found.own == report.scores["accuracy"]
    accuracy = report.scores["accuracy"]
    alone = wilson(round(accuracy.value * test), test)
    assert accuracy.high - accuracy.low > 1.5 * (alone.high - alone.low), "counts videos, not frames"
    assert report.groups == ReportGroups(kind="video", count=test // FRAMES)
    methods = {score.method for row in [report.scores, *report.baselines.values()] for score in row.values()}
    assert methods == {"wilson-groups", "group-bootstrap"}
    claim = found.pixels
    assert claim is not None
    assert claim.own == report.baselines["nearest_pixels"]["accuracy"]
    assert (claim.draws, claim.own.n, claim.random.n) == (5, test, test)
    assert claim.random.low > 0.9 > 0.8 > claim.own.high
    assert claim.difference.low > 0.1
    assert claim.difference.value == pytest.approx(claim.random.value - claim.own.value)
    page = (run.report / "report.html").read_text()
    assert "What a random split would have claimed" in page
    assert "foveal evaluate RUN --random-split" in page
    assert f"the intervals count {test // FRAMES} videos, not {test} images" in page


def test_both_splits_stand_side_by_side_and_the_grouped_one_is_the_headline(own: Run) -> None:
    before = Report.read(own.report / "report.json")
    told = CliRunner().invoke(app, ["evaluate", str(own.path), "--random-split", "--json"])
    assert told.exit_code == 0, told.output
    report = Report.model_validate(json.loads(told.stdout))
    assert report.scores == before.scores, "the headline is the grouped score"
    assert report.looks == before.looks + 1
    found = report.random_split
    assert found is not None
    assert found.network is not None
    assert found.network.own == found.own
    assert found.network.random.low > 0.85 > found.own.high
    assert found.network.difference.low > 0.05
    random, grouped = (f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in (found.network.random, found.own))
    words = (
        f"A random split would have claimed an accuracy of {random}; on images of a video that it has not seen it is "
        f"{grouped}."
    )
    assert found.words[0].startswith(words)
    assert words in (own.report / "README.md").read_text()
    page = (own.report / "report.html").read_text()
    assert page.index("test images right") < page.index(words) < page.index("random split</small>")
    divided = dict(line.split(",")[::2] for line in (own.path / "random-split/split.csv").read_text().split()[1:])
    assert Counter(divided.values()) == report.data.splits
    parted = {file[:-6] for file, split in divided.items() if split == "test"}
    assert len(parted) > VIDEOS // 2, "at random nearly every video has a frame in test"

    weights = (own.path / "random-split/weights.safetensors").stat().st_mtime_ns
    shown = CliRunner().invoke(app, ["evaluate", str(own.path)])
    assert words in shown.output, "what was trained is measured again, not trained again"
    assert (own.path / "random-split/weights.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(RunError, match="parts what belongs together"):
        foveal.evaluate(own.path / "random-split")


def test_one_that_was_stopped_goes_on(own: Run) -> None:
    other = begin_random_split(own)
    events = resuming(other)
    for event in events:
        if isinstance(event, Step) and event.step == 3:
            events.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not other.finished
    steps: list[tuple[str, int, int]] = []
    report = foveal.evaluate(own, random_split=True, progress=lambda *told: steps.append(told))
    assert report.random_split is not None
    assert report.random_split.network is not None
    trained = [done for what, done, _ in steps if what == "training on a random split, step"]
    assert trained[0] == 4


def test_who_cannot_be_asked(own: Run, image_folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/run.json").write_text((own.path / "run.json").read_text())
    with pytest.raises(RunError, match="has not finished"):
        begin_random_split(Run(tmp_path / "begun"))
    for changes, error, message in (
        ({"net": "custom"}, RecipeError, "no seed"),
        ({"begin": "0" * 64}, RunError, "went on from"),
    ):
        changed = Run(Path(shutil.copytree(own.path, tmp_path / message)))
        changed.write_recipe(own.recipe.changed(**changes))
        (changed.path / "run.json").write_text(json.dumps({**own.info, "start": "runs/first"}))
        with pytest.raises(error, match=message):
            begin_random_split(changed)
    alone = foveal.train(image_folder({"a": 9, "b": 9}), out=tmp_path / "alone", net="4c3-gap", epochs=1)
    assert Report.read(alone.report / "report.json").random_split is None
    with pytest.raises(RunError, match=r"No image of .* belongs with another"):
        foveal.evaluate(alone, random_split=True)
    assert alone.looks() == 1, "that of the end of training"


def test_a_random_division_has_the_sizes_of_the_one_there_is(tmp_path: Path) -> None:
    dataset = foveal.look(film(tmp_path / "f"), reading=Reading(group_pattern=r"(video\d+)"))
    divided = divide(dataset, validation=0.2, test=0.3, seed=1)
    random = divide_at_random(divided, 4)
    sizes = [[len(one.rows(name)) for name in SPLITS] for one in (divided, random)]
    assert sizes[0] == sizes[1]
    for name in SPLITS:
        assert np.ptp(np.bincount(random.targets[random.rows(name)])) <= 1, "stratified"
    assert (divide_at_random(divided, 4).splits == random.splits).all()
    assert (divide_at_random(divided, 5).splits != random.splits).any()
    assert not together(*(divided.groups[divided.rows(name)] for name in ("train", "test"))).parted
    told = together(*(random.groups[random.rows(name)] for name in ("train", "test")))
    assert told.parted > 0.8 * sizes[0][2]


def share(right: np.ndarray, groups: np.ndarray) -> Answered:
    hits = right.astype(np.float64)
    return Answered(lambda weights: hits @ weights / weights.sum(axis=0), groups)


def test_intervals_count_groups_not_images() -> None:
    rng = np.random.default_rng(0)
    alone = rng.random(300) < 0.8
    found = of_groups(share(alone, np.arange(300)), 0, error=False)
    expected = wilson(int(alone.sum()), 300)
    assert found is not None
    assert (found.value, found.n, found.method) == (expected.value, 300, "group-bootstrap")
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=0.008)
    ten = of_groups(share(alone.repeat(10), np.arange(300).repeat(10)), 0, error=False)
    assert ten is not None
    np.testing.assert_allclose([ten.low, ten.high], [found.low, found.high])
    perfect = of_groups(share(np.ones(50, bool), np.arange(50) % 5), 0, error=False)
    assert perfect is not None
    assert (perfect.low, perfect.high, perfect.n) == (wilson(5, 5).low, 1.0, 50)


def test_the_difference_is_how_much_better_the_random_split_looks() -> None:
    rng = np.random.default_rng(0)
    groups = np.arange(400) // 10
    low, high = rng.random(400) < 0.5, rng.random(400) < 0.9
    claim = claim_of(share(low, groups), [share(high, groups), share(~low, groups)], 0, error=False)
    assert claim is not None
    assert claim.random.value == pytest.approx((high.mean() + (~low).mean()) / 2)
    assert claim.difference.value == pytest.approx(claim.random.value - low.mean())
    assert claim.own == of_groups(share(low, groups), 0, error=False)
    errors = claim_of(share(low, groups), [share(high, groups)], 0, error=True)
    assert errors is not None
    assert errors.difference.value == pytest.approx(low.mean() - high.mean())
    assert errors.difference.high < 0
    few = claim_of(share(low[:20], groups[:20]), [share(high, groups)], 0, error=False)
    assert few is not None, "some resamples draw neither of the two groups"
    assert few.difference.low < few.difference.value < few.difference.high
    none = Answered(lambda weights: np.full(weights.shape[1], np.nan), groups)
    assert claim_of(share(low, groups), [none], 0, error=False) is None
    assert of_groups(none, 0, error=False) is None


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_pairs_are_memory_whatever_the_answer(task: str) -> None:
    """Fifty images of noise, each there twice, and targets that have nothing to do with them."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8).repeat(2, axis=0)
    targets = {
        "classification": rng.integers(0, 2, 50),
        "multilabel": rng.integers(0, 2, (50, 3)).astype(np.float32),
        "regression": rng.normal(size=(50, 1)).astype(np.float32),
    }[task].repeat(2, axis=0)
    groups = np.arange(50).repeat(2)
    test = groups < 15
    asked, known = (Examples([str(row) for row in np.flatnonzero(on)], pixels[on], targets[on]) for on in (test, ~test))
    labels = ["a", "b", "c"][: {"classification": 2, "multilabel": 3, "regression": 1}[task]]
    claim = recalled(named_task(task), asked, known, (groups[test], groups[~test]), labels, 0)
    assert claim is not None
    assert claim.difference.low > 0
    assert recalled(named_task("detection"), asked, known, (groups[test], groups[~test]), labels, 0) is None


def test_of_many_images_whole_groups_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 400)
    groups = np.arange(500) // 2, 250 + np.arange(1500) // 50  # pairs, and films of 50
    some = module._some(groups, 0)
    assert [len(rows) for rows in some] == [100, 300]
    pairs, films = (np.unique(part[rows], return_counts=True)[1] for part, rows in zip(groups, some))
    assert pairs.tolist() == [2] * 50
    assert films.tolist() == [15] * 20, "of a film a twentieth of all that may take part"
    assert (np.diff(some[1]) > 0).all()
    assert (module._some(groups, 0)[1] == some[1]).all()
    assert [len(rows) for rows in module._some((groups[0][:50], groups[1][:60]), 0)] == [50, 60]


def test_a_division_of_ones_own_that_parts_groups() -> None:
    claim = {"own": score(0.7), "random": score(0.71), "difference": score(0.01, 0.1), "draws": 5}
    found = {"score": "mae", "kind": "", "groups": 3, "images": 9, "parted": 2, "own": score(0.7)}
    (words,) = told_random_split({**found, "pixels": claim, "network": None})
    assert "gives an MAE of 0.710 [0.610, 0.810] after random splits" in words
    assert "as the images are divided" in words
    assert "cannot be told" in words
    less = {**claim, "difference": score(-0.3, 0.1)}
    (words,) = told_random_split({**found, "parted": 0, "pixels": None, "network": less})
    assert "on images of groups that it has not seen" in words
    assert "looks worse, by 0.300 [0.200, 0.400]" in words


def score(value: float, half: float = 0.1) -> dict[str, Any]:
    low, high = round(value - half, 9), round(value + half, 9)
    return asdict(Score(value, low, high, 0.95, 9, "group-bootstrap"))
