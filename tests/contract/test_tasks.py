"""What every task must hold. A new task adds its image maker here, and nothing else."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.engine.checkpoint import load_weights, weights_sha256
from foveal.events import EpochEnded, Finished, Saved, Started, Step
from foveal.examples import Examples
from foveal.measure.corruptions import CORRUPTIONS
from foveal.measured import Score
from foveal.report import Report
from foveal.task import Task
from foveal.tasks import TASKS
from foveal.types import Geometry
from foveal.wishes import Aim, Wish

Rows = dict[str, int]


def draw_labelled(root: Path, rows: Rows) -> Path:
    """Class folders: `{"train/dark": 8}` draws eight images; the label's brightness is what can be learned."""
    rng = np.random.default_rng(0)
    levels = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
    for folder, count in rows.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            level = 40 + 160 * levels[Path(folder).name] / max(1, len(levels) - 1)
            pixels = np.clip(rng.normal(level, 20, (10, 10)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i:03}.png")
    return root


def draw_boxes(root: Path, rows: Rows) -> Path:
    """Images with as many bright boxes as their label has for a number, and a table of the boxes beside them."""
    rng = np.random.default_rng(0)
    numbers = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
    lines = ["path,label,xmin,ymin,xmax,ymax,split"]
    for folder, count in rows.items():
        split, _, label = folder.rpartition("/")
        (root / folder).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(60, 20, (32, 32))
            file = f"{folder}/{i:03}.png"
            for k in range(numbers[label]):
                x, y = 2 + 14 * k, int(rng.integers(2, 18))
                pixels[y : y + 12, x : x + 12] += 150
                lines.append(f"{file},bright,{x},{y},{x + 12},{y + 12},{split}")
            if not numbers[label]:
                lines.append(f"{file},,,,,,{split}")
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / file)
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root / "boxes.csv"


def draw_table(target: Callable[[int], object]) -> Callable[[Path, Rows], Path]:
    """The same images with a table beside them, its targets a function of the label's number."""

    def draw(root: Path, rows: Rows) -> Path:
        draw_labelled(root, rows)
        numbers = {label: k for k, label in enumerate(sorted({Path(folder).name for folder in rows}))}
        with (root / "labels.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "target", "split"])
            for folder, count in rows.items():
                split, _, label = folder.rpartition("/")
                for i in range(count):
                    table.writerow([f"{folder}/{i:03}.png", target(numbers[label]), split])
        return root / "labels.csv"

    return draw


MAKERS: dict[str, Callable[[Path, Rows], Path]] = {
    "classification": draw_labelled,
    "regression": draw_table(lambda number: 31.5 + 10 * number),
    "multilabel": draw_table(lambda number: ["dark", "light|bright", "middle|bright"][number]),
    "detection": draw_boxes,
}
# Cells that are targets, and their columns, for what needs no images.
CELLS: dict[str, tuple[list[str], list[str]]] = {
    "classification": (["a", "b", "c"], []),
    "regression": (["1.5", "-2", "3e2"], ["age"]),
    "multilabel": (["a|b", "b", "c"], ["tags"]),
    "detection": (['[["a",0,0,2,2]]', "[]", '[["b",1,1,3,3],["c",0,0,1,1]]'], ["boxes"]),
}
QUICK = {
    "epochs": 2,
    "batch_size": 8,
    "net": "8c3same-mp2-r(8c3same:none-bn:relu)-16n-do0.3",
    "translate": 1,
    "save_every": 0.0,
}
# Everything that a step can depend on, and a last epoch that is a part of one.
FAST = {
    "epochs": 1.6,
    "batch_size": 8,
    "net": "w2:gelu-8c3same:none-mp2-bn:gelu-r(8c3same:none-bn)-gmp-do0.3",
    "init": "dirac",
    "norm_momentum": 0.4,
    "optimizer": "muon",
    "learning_rate": 0.05,
    "head_learning_rate": 0.2,
    "norm_learning_rate": 0.01,
    "schedule": "linear",
    "label_smoothing": 0.2,
    "flip": True,
    "translate": 1,
    "cutout": 3,
    "growth": [[0.3, 0.6], [0.8, 0.8]],
    "mirror_test": True,
    "save_every": 0.0,
}
# What a task's head and answer need instead.
OTHERWISE: dict[str, dict[str, Any]] = {
    "detection": {
        "net": "-".join(["8c3s2same"] * 4 + ["8c3s2same:none-bn:relu"]),
        "translate": 0,
        "label_smoothing": 0.0,
        "cutout": 0,
        "growth": [],
        "mirror_test": False,
        "crop": 0.5,
        "zoom": 1.5,
        "mosaic": 0.5,
        "colour": 0.2,
    },
}


def with_what(task: str, recipe: dict[str, Any]) -> dict[str, Any]:
    return {**recipe, **OTHERWISE.get(task, {})}


def raw_outputs(record: Task, labels: tuple[str, ...], count: int, seed: int = 0) -> np.ndarray:
    """As the network gives them: a row an image, or rows of a box with logits."""
    rng, outputs = np.random.default_rng(seed), record.answer.outputs(labels)
    if not record.strides:
        return rng.normal(size=(count, outputs)).astype(np.float32)
    corners = rng.uniform(0, 3, (count, 9, 2))
    return np.concatenate([corners, corners + 1, rng.normal(size=(count, 9, outputs))], axis=2).astype(np.float32)


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> str:
    assert set(MAKERS) == set(TASKS), "every task passes this suite"
    return request.param


@pytest.fixture
def source(task: str, tmp_path: Path) -> Path:
    return MAKERS[task](tmp_path / "images", {"dark": 24, "light": 24})


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


def examples(files: list[str], pixels: np.ndarray, targets: np.ndarray) -> Examples:
    return Examples(files, pixels, targets, [Geometry(*pixels.shape[2:0:-1], 1.0, 1.0, 0.0, 0.0) for _ in files])


def cells_of(task: str) -> tuple[Task, list[str], tuple[str, ...]]:
    cells, columns = CELLS[task]
    return TASKS[task], cells, TASKS[task].answer.labels(cells, columns)


def test_measuring_nothing_is_no_crash(task: str) -> None:
    record, cells, labels = cells_of(task)
    pixels = np.zeros((3, 6, 6, 1), np.uint8)
    train = examples(["1", "2", "3"], pixels, record.targets(cells, labels))
    empty = examples([], pixels[:0], record.targets([], labels))
    outputs = raw_outputs(record, labels, 0)
    assert record.measure(outputs, empty, train, labels, 0).scores == {}
    assert record.answer.strata(empty.targets).shape == (0,)
    assert record.answer.settle(outputs, empty.targets, labels) == {}
    assert set(record.answer.summary(empty.targets, labels)) >= {"labels"}


def test_answer_contract(task: str) -> None:
    record, cells, labels = cells_of(task)
    answer, targets = record.answer, record.targets(cells, labels)
    assert len(targets) == len(cells)
    strata = answer.strata(targets)
    assert (strata.shape, strata.dtype) == ((len(cells),), np.int64)
    told = answer.summary(targets, labels)
    assert json.loads(json.dumps(told)) == told
    outputs = raw_outputs(record, labels, len(cells))
    scores = answer.score(outputs, targets)
    assert scores
    assert all(isinstance(value, float) for value in scores.values())
    settled = answer.settle(np.concatenate([outputs] * 9), np.concatenate([targets] * 9), labels)
    assert json.loads(json.dumps(settled)) == settled
    three = examples(["1", "2", "3"], np.zeros((3, 4, 4, 1), np.uint8), targets)
    measured = record.measure(outputs, three, three, labels, 0, settled)
    assert set(record.headline) & set(measured.scores)
    none = examples([], np.zeros((0, 4, 4, 1), np.uint8), targets[:0])
    alone = record.measure(outputs, three, none, labels, 0, settled)
    assert (alone.scores, alone.baselines) == (measured.scores, {}), "without training images, as without twins"
    with pytest.raises(ValueError, match=r"^expected .*found 'no such thing'"):
        answer.parse("no such thing", labels)


def refused(record: Task, wish: Wish, labels: tuple[str, ...]) -> str:
    try:
        record.answer.check(wish, labels)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "wish", [Wish((Aim(None, "sensitivity", 0.5),)), Wish((Aim(None, "precision", 0.5),)), Wish(coverage=0.5)], ids=str
)
def test_a_wish_is_settled_and_applied_or_refused_with_a_reason(task: str, wish: Wish) -> None:
    record, cells, labels = cells_of(task)
    wish = replace(wish, at=tuple(replace(aim, label=labels[0]) for aim in wish.at))
    outputs, targets = raw_outputs(record, labels, 9 * len(cells)), record.targets(cells * 9, labels)
    if refusal := refused(record, wish, labels):
        assert len(refusal) > 20
        return
    settled = record.answer.settle(outputs, targets, labels, wish)
    assert json.loads(json.dumps(settled)) == settled
    assert ("at" in settled) == bool(wish.at)
    assert record.answer.decode(outputs[:1], [None], labels, settled)[0].abstained in (True, False)
    assert record.answer.decode(outputs[:1], [None], labels)[0].abstained is None
    many = examples(list(map(str, range(len(targets)))), np.zeros((len(targets), 4, 4, 1), np.uint8), targets)
    measured = record.measure(outputs, many, many, labels, 0, settled)
    assert [point.label for point in measured.operating] == [aim.label for aim in wish.at]
    assert all(set(point.scores) >= {"sensitivity"} for point in measured.operating)


def test_intervals_count_groups_where_images_belong_together(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = record.targets(cells * 9, labels)
    outputs, count = raw_outputs(record, labels, len(targets)), len(targets)
    settled = record.answer.settle(outputs, targets, labels)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    test = examples([str(k) for k in range(count)], pixels, targets)
    alone = record.measure(outputs, test, test, labels, 0, settled)
    single = record.measure(outputs, replace(test, groups=np.arange(count)[::-1]), test, labels, 0, settled)
    assert single == alone, "each image alone: not a bit is another"

    rows = np.arange(count).repeat(4)
    copies = replace(test.among(rows), groups=rows)
    grouped = record.measure(outputs[rows], copies, test, labels, 0, settled)
    every = [(grouped.scores, alone.scores)]
    every += [(grouped.baselines[name], row) for name, row in alone.baselines.items()]
    every += [(grouped.per_label[name], row) for name, row in alone.per_label.items()]
    checked = 0
    for own, others in every:
        for name, other in others.items():
            score = own[name]
            if isinstance(score, Score) and isinstance(other, Score):
                assert score.n == 4 * other.n, name
                assert score.value == pytest.approx(other.value), name
                width = other.high - other.low
                assert score.high - score.low >= 0.75 * width, f"{name}: four copies tell no more than one"
                assert score.method in ("wilson-groups", "group-bootstrap", "obuchowski", "wilson")
                checked += 1
    assert checked >= 5


def test_what_is_rated_is_what_is_measured(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = record.targets(cells * 8, labels)
    outputs, count = raw_outputs(record, labels, len(targets)), len(targets)
    settled = record.answer.settle(outputs, targets, labels)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    test = examples([str(k) for k in range(count)], pixels, targets)
    measured = record.measure(outputs, test, test, labels, 0, settled)
    rated = record.rate(outputs, test, labels, settled)
    scores, columns = rated.under(np.ones((count, 1)))
    assert next(iter(scores)) == record.headline[0]
    assert {name: float(value[0]) for name, value in scores.items() if np.isfinite(value[0])} == pytest.approx(
        {name: measured.scores[name].value for name in scores if name in measured.scores}
    )
    for name, column in columns.items():
        for label, value in zip(labels, column[:, 0], strict=True):
            score = measured.per_label[label].get(name)
            assert np.isnan(value) if score is None else value == pytest.approx(score.value)  # pyright: ignore
    assert rated.wrong.shape == (count,)
    assert (rated.wrong >= 0).all()

    # Images that count twice are images that are there twice.
    weights = np.random.default_rng(1).integers(0, 3, count)
    rows = np.repeat(np.arange(count), weights)
    again = record.rate(outputs[rows], examples(["?"] * len(rows), pixels[rows], targets[rows]), labels, settled)
    counted, repeated = rated.under(weights[:, None].astype(np.float64)), again.under(np.ones((len(rows), 1)))
    np.testing.assert_allclose(rated.first(weights[:, None].astype(np.float64)), counted[0][record.headline[0]])
    assert rated.said is None if record.answer.placed else rated.said is not None and len(rated.said) == count
    for part, other in zip(counted, repeated):
        for name in part:
            np.testing.assert_allclose(part[name], other[name], rtol=1e-9, err_msg=name)


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


def test_an_answer_that_suits_only_itself_is_found_first(task: str) -> None:
    cells, columns = CELLS[task]
    repeated = cells * 3
    assert next(name for name, record in TASKS.items() if record.answer.suits(repeated, columns)) == task


def test_head_contract(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = torch.from_numpy(record.targets([cells[0], cells[2]], labels))
    for loss in ("auto", "squared", "huber"):
        body = (5,) * len(record.strides) or 5
        maps = [torch.randn(2, 5, 32 // stride, 32 // stride, requires_grad=True) for stride in record.strides]
        head = record.head(body, record.answer.outputs(labels), 0.1, loss=loss)
        head.fit(targets.numpy())
        outputs = head(maps or torch.randn(2, 5, requires_grad=True))
        losses = head.loss(outputs, targets)
        assert all(value.ndim == 0 for value in losses.values())
        sum(losses.values(), torch.zeros(())).backward()
        assert head.spotlight(outputs).shape == (2,)
        for k, row in enumerate(outputs.detach()):
            chosen = record.answer.choose(row.numpy(), None, labels, target=labels[head.winner(row).number])
            for one in (chosen, head.winner(row)):
                assert head.spotlight(outputs, one)[k] == head.spotlight(outputs)[k]
        if not record.strides:
            passed = record.head(None, record.answer.outputs(labels))
            assert torch.equal(passed(outputs), outputs)


def test_decode_is_json_ready(task: str) -> None:
    record, cells, labels = cells_of(task)
    outputs = raw_outputs(record, labels, 1)[0]
    outputs.flat[-record.answer.outputs(labels) :] = np.array([1e30, -1e30, 3.0])[: record.answer.outputs(labels)]
    targets = record.targets(cells * 3, labels)
    settled = record.answer.settle(np.stack([outputs] * 9), targets, labels)
    for chosen in ({}, settled):
        (prediction,) = record.answer.decode(outputs[None], [None], labels, chosen)
        told = prediction.as_dict()
        assert json.loads(json.dumps(told)) == told
        assert len(str(prediction).splitlines()) == 1
