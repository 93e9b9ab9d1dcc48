"""What every task must hold, from its images to a report. A new task is added in `everytask`, and nowhere else."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import foveal
from everytask import FAST, MAKERS, QUICK, refused, with_what
from foveal.engine.checkpoint import load_weights, weights_sha256
from foveal.events import EpochEnded, Finished, Saved, Started, Step
from foveal.measure.corruptions import CORRUPTIONS
from foveal.report import Report
from foveal.tasks import TASKS
from foveal.wishes import Aim, Wish


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, foveal.Run]]:
    """Images of a task and a run of QUICK on them, made once."""

    @cache
    def trained(task: str) -> tuple[Path, foveal.Run]:
        folder = tmp_path_factory.mktemp(task)
        source = MAKERS[task](folder / "images", {"dark": 24, "light": 24})
        return source, foveal.train(source, task=task, out=folder / "run", **with_what(task, QUICK))

    return trained


@pytest.fixture
def trained(task: str, trainings: Callable[[str], tuple[Path, foveal.Run]], tmp_path: Path) -> tuple[Path, foveal.Run]:
    """The images, and a run of QUICK on them of one's own."""
    source, run = trainings(task)
    return source, foveal.Run.open(shutil.copytree(run.path, tmp_path / "run"))


def files_of(source: Path) -> list[Path]:
    return sorted((source if source.is_dir() else source.parent).rglob("*.png"))


def same(one: Any, other: Any) -> bool:
    """As JSON, numbers up to rounding."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == pytest.approx(other, abs=1e-6, rel=1e-5) if isinstance(one, float) else one == other


def test_trains_reports_and_predicts(task: str, trained: tuple[Path, foveal.Run]) -> None:
    source, run = trained
    report = Report.read(run.report / "report.json")
    assert report.looks == 1
    for name in report.headline:
        if name in report.scores:
            score = report.scores[name]
            assert score.low <= score.value <= score.high
            assert score.n == len(foveal.look(source, task=task)) - sum(
                line.endswith((",train", ",validation")) for line in run.split.read_text().splitlines()
            )
    assert report.baselines
    page = (run.report / "report.html").read_text()
    assert "://" not in page.replace("http://www.w3.org", ""), "the page loads nothing from outside"
    answers = list(foveal.predict(run, files_of(source)))
    assert [answer.error for answer in answers] == [None] * 48
    json.dumps([answer.as_dict() for answer in answers])
    assert all(str(answer.prediction) for answer in answers)


def test_evaluating_again_counts_and_repeats(trained: tuple[Path, foveal.Run]) -> None:
    _, run = trained
    first = Report.read(run.report / "report.json")
    second = foveal.evaluate(run)
    assert (first.looks, second.looks) == (1, 2)
    assert first.scores == second.scores


def test_what_worse_images_do_is_told_by_the_first_score(trained: tuple[Path, foveal.Run]) -> None:
    _, run = trained
    report = foveal.evaluate(run, robustness=True)
    found = report.robustness
    assert found is not None
    assert found.score == report.headline[0]
    assert found.clean.value == pytest.approx(report.scores[found.score].value, abs=1e-6)
    assert {*found.corruptions, *found.left_out} - {"shifts"} == set(CORRUPTIONS)
    assert bool(found.shifts) == ("shifts" not in found.left_out)
    for kind in found.corruptions.values():
        for level in kind.levels:
            assert level.score.low <= level.score.value <= level.score.high
            assert level.difference.value == pytest.approx(level.score.value - found.clean.value, abs=1e-9)
    assert "When images get worse" in (run.report / "report.html").read_text()


def test_evaluating_for_a_wish_settles_it_or_says_why_not(task: str, trained: tuple[Path, foveal.Run]) -> None:
    source, run = trained
    label = run.info["labels"][0]
    wish = Wish((Aim(label, "sensitivity", 0.5),))
    if refused(TASKS[task], wish, tuple(run.info["labels"])):
        with pytest.raises(foveal.FovealError, match=f"cannot be done for {task}"):
            foveal.evaluate(run, at=str(wish.at[0]))
        assert foveal.Run.open(run.path).looks() == 1
        return
    report = foveal.evaluate(run, at=str(wish.at[0]))
    assert [(point.label, point.wanted) for point in report.operating] == [(label, 0.5)]
    assert "Operating point" in (run.report / "report.html").read_text()
    for answer in foveal.predict(run.path, files_of(source)[:3]):
        assert answer.as_dict()["abstained"] in (True, False)


def test_predictions_do_not_depend_on_the_batch(trained: tuple[Path, foveal.Run]) -> None:
    source, run = trained
    predictor = foveal.load(run)
    files = files_of(source)[:9]
    together = [answer.as_dict() for answer in predictor.many(files)]
    for file, answer in zip(files, together, strict=True):
        assert same(predictor(file).as_dict(), answer)


def test_events_come_in_order(task: str, source: Path, tmp_path: Path) -> None:
    events = list(foveal.training(source, task=task, out=tmp_path / "run", **with_what(task, QUICK)))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    steps = [event for event in events if isinstance(event, Step)]
    assert len(steps) == 2 * events[0].steps
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2]
    assert sum(isinstance(event, Saved) for event in events) >= 2


@pytest.mark.parametrize("recipe", [QUICK, FAST], ids=["quick", "fast"])
def test_closed_at_any_step_and_resumed_it_ends_the_same(
    task: str, source: Path, tmp_path: Path, recipe: dict[str, Any]
) -> None:
    recipe = with_what(task, recipe)
    undisturbed = list(foveal.training(source, task=task, out=tmp_path / "whole", **recipe))
    expected = undisturbed[-1]
    assert isinstance(expected, Finished)
    # In the first epoch, before and after a save; in the last, a part of one where there is; just before the end.
    for stop in (0, 5, 8, *(len(undisturbed) - back for back in (4, 2))):
        out = tmp_path / f"stopped-{stop}"
        events = foveal.training(source, task=task, out=out, **recipe)
        for _ in range(stop + 1):
            next(events)
        events.close()
        torch.manual_seed(stop)  # The state of the generators must not matter.
        *_, last = foveal.resuming(out)
        assert isinstance(last, Finished)
        assert last.weights_sha256 == expected.weights_sha256
        assert weights_sha256(load_weights(out / "weights.safetensors")) == expected.weights_sha256
        whole, part = foveal.Run.open(tmp_path / "whole").history(), foveal.Run.open(out).history()
        assert [{**row, "seconds": 0} for row in whole] == [{**row, "seconds": 0} for row in part]


def test_killed_within_a_part_of_an_epoch_it_ends_the_same(task: str, source: Path, tmp_path: Path) -> None:
    undisturbed = []
    copies: list[Path] = []
    for event in foveal.training(
        source, task=task, out=tmp_path / "whole", **with_what(task, {**FAST, "save_every": 1e9})
    ):
        undisturbed.append(event)
        if isinstance(event, Step):
            # The folder as SIGKILL would leave it at this moment: its last checkpoint is the one of the epoch's end.
            copies.append(shutil.copytree(tmp_path / "whole", tmp_path / f"killed-{len(copies)}"))
    expected = undisturbed[-1]
    assert isinstance(expected, Finished)
    started = undisturbed[0]
    assert isinstance(started, Started)
    assert started.steps < len(copies) == started.total < 2 * started.steps
    for out in (copies[1], copies[started.steps], copies[-1]):
        torch.manual_seed(3)
        *_, last = foveal.resuming(out)
        assert isinstance(last, Finished)
        assert last.weights_sha256 == expected.weights_sha256
        whole, again = foveal.Run.open(tmp_path / "whole").history(), foveal.Run.open(out).history()
        assert [{**row, "seconds": 0} for row in whole] == [{**row, "seconds": 0} for row in again]


def test_one_sample_is_a_clear_error(task: str, tmp_path: Path) -> None:
    source = MAKERS[task](tmp_path / "images", {"dark": 1})
    with pytest.raises(foveal.FovealError, match="images") as error:
        foveal.train(source, task=task, out=tmp_path / "run", **with_what(task, QUICK))
    assert error.value.remedy
    assert not (tmp_path / "run").exists()


def test_one_class_is_a_clear_error(task: str, tmp_path: Path) -> None:
    source = MAKERS[task](tmp_path / "images", {"dark": 30})
    with pytest.raises(foveal.FovealError, match="images") as error:
        foveal.train(source, task=task, out=tmp_path / "run", **with_what(task, QUICK))
    assert error.value.remedy
    assert not (tmp_path / "run").exists()


def test_class_missing_from_a_split(task: str, tmp_path: Path) -> None:
    rows = {"train/dark": 20, "train/light": 20, "train/middle": 20, "val/dark": 4, "test/dark": 5, "test/light": 5}
    source = MAKERS[task](tmp_path / "images", rows)
    run = foveal.train(source, task=task, out=tmp_path / "run", **with_what(task, QUICK))
    report = Report.read(run.report / "report.json")
    assert report.scores[report.headline[0]].n == 10
    assert report.data.splits == {"train": 60, "validation": 4, "test": 10}


def test_two_networks_are_compared(task: str, trained: tuple[Path, foveal.Run], tmp_path: Path) -> None:
    source, run = trained
    copy = shutil.copytree(run.path, tmp_path / "copy")
    networks = foveal.compare(run, copy).networks
    assert networks.words == "The two networks give every test image the same answer."
    other = foveal.train(source, task=task, out=tmp_path / "other", **{**with_what(task, QUICK), "epochs": 4})
    found = foveal.compare(run, other)
    networks = found.networks
    assert networks.headline[0] == TASKS[task].headline[0]
    for one, side in ((run, "first"), (other, "second")):
        report = Report.read(one.report / "report.json")
        for name in networks.headline:
            assert getattr(networks.scores[name], side) == pytest.approx(report.scores[name].value, abs=1e-6)
    for score in (*networks.scores.values(), *networks.per_label.values()):
        assert score.low <= score.value <= score.high
        assert 0 <= score.p <= 1
    assert networks.looks == [3, 2]
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_learning_curve(task: str, source: Path, tmp_path: Path) -> None:
    recipe = {name: value for name, value in with_what(task, QUICK).items() if name != "save_every"}
    found = foveal.curve(source, task=task, shares=(0.4, 0.6, 0.8, 1.0), repeats=1, out=tmp_path / "curve", **recipe)
    assert found.score == TASKS[task].headline[0]
    assert len(found.points) == 4
    assert all(one.low <= one.score <= one.high for one in found.expected)
    json.dumps(found.as_dict(), allow_nan=False)
    assert (tmp_path / "curve" / "curve.html").is_file()
