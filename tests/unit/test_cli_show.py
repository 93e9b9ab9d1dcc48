"""What a person sees in a terminal, whatever the task."""

import io
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import foveal
from foveal.answers import LabelPrediction, LabelsPrediction, ValuePrediction
from foveal.answers.boxes import Box, BoxesPrediction
from foveal.api import describe
from foveal.api.explaining import Explanation
from foveal.chosen import Chosen
from foveal.cli import main, show, show_answers
from foveal.cli.terminal import Stream
from foveal.data import summary
from foveal.examples import Examples
from foveal.explain import attribution
from foveal.measure import measure_label_sets, measure_values
from foveal.measured import Measurement
from foveal.report import Report, build_report
from foveal.task import FileAnswer, Prediction
from foveal.tasks import TASKS
from foveal.types import Reading

BELOW = (
    "images: train* 0, validation* 0, test* 0; 0 without a box",
    "* as training would divide it: stratified, seeded, duplicates and near-duplicates kept together",
    "30 different images are too few to say which look unlike the rest (50 are needed)",
)
Told = Callable[[], str]
DATA = {
    "source": "photos",
    "images": 80,
    "labels": {},
    "splits": {"train": 40, "validation": 0, "test": 40},
    "given": [],
    "sizes": {key: [4, 4] for key in ("smallest", "median", "largest")},
    "channels": 1,
    "modes": {"L": 80},
    "findings": [],
    "fingerprint": "ab" * 32,
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Told]:
    """Stdout as wide as asked for; what was printed."""

    def make(width: int) -> Told:
        file = io.StringIO()
        console = Console(file=file, width=width, highlight=False, emoji=False, force_terminal=True, color_system=None)
        for room in (show, show_answers):
            monkeypatch.setattr(room, "out", console)
        return file.getvalue

    return make


def examples(targets: np.ndarray) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (len(targets), 4, 4, 1), dtype=np.uint8)
    return Examples([str(k) for k in range(len(targets))], pixels, targets)


def report(task: str, measurement: Measurement) -> Report:
    return build_report(measurement, task=TASKS[task], looks=1, recipe={}, data=DATA, environment={}, history=[])


def several_labels() -> Report:
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 2)) < 0.4).astype(np.float32)
    found = measure_label_sets(rng.normal(size=(40, 2)), examples(truth), examples(truth), ["[red]", "b"], 0)
    return report("multilabel", found)


@pytest.mark.parametrize(("width", "intervals", "lines"), [(160, True, 1), (100, True, 2), (80, False, 1)])
def test_intervals_of_labels_are_shown_where_they_fit(
    terminal: Callable[[int], Told], width: int, intervals: bool, lines: int
) -> None:
    told, found = terminal(width), several_labels()
    show.scores(found)
    text = told()
    assert all(len(line) <= width for line in text.splitlines())
    rows = [line for line in text.splitlines() if line.startswith("[red]")]
    score = found.per_label["[red]"]["ap"]
    assert not isinstance(score, int)
    shown = f"[{score.low:.3f}, {score.high:.3f}]"
    assert (shown in text) == intervals
    assert (shown in rows[0]) == (lines == 1 and intervals)
    assert ("those of the labels in the report" in " ".join(text.split())) != intervals
    for name in ("mAP", "macro AUROC", "prevalence", "linear pixels", "AUROC", "precision", "images", "known"):
        assert name in text


def test_a_single_value_is_not_told_twice(terminal: Callable[[int], Told]) -> None:
    truth = np.random.default_rng(0).normal(30, 10, (40, 1)).astype(np.float32)
    told = terminal(80)
    show.scores(report("regression", measure_values(truth + 1, examples(truth), examples(truth), ["age"], 0)))
    text = told()
    assert text.count("MAE") == 1
    assert "median error" in text
    assert "1.00 [" in text
    assert "-0.000" not in text


def test_nothing_measured_is_said(terminal: Callable[[int], Told]) -> None:
    told, unknown = terminal(80), np.full((3, 1), np.nan, np.float32)
    show.scores(report("multilabel", measure_label_sets(np.zeros((3, 1)), *[examples(unknown)] * 2, ["a"], 0)))
    assert "no test image has any of the labels" in told()


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (LabelPrediction("[b]cat", 0.9834, {}), "1.png  [b]cat  0.983"),
        (ValuePrediction({"age": 31.2}, {"age": (24.0, 38.4)}), "1.png  age 31.2 [24.0, 38.4]"),
        (LabelsPrediction(("a", "b"), {"a": 0.9, "b": 0.8}), "1.png  a 0.900  b 0.800"),
        (LabelsPrediction((), {"a": 0.1}), "1.png  (none)"),
    ],
)
def test_answers(terminal: Callable[[int], Told], prediction: Prediction, line: str) -> None:
    told = terminal(80)
    show_answers.answer(FileAnswer("1.png", prediction))
    assert told() == f"{line}\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["path,age,cat,dog"]
    for k in range(30):
        Image.fromarray(np.full((4, 4), 8 * k, np.uint8)).save(tmp_path / f"{k}.png")
        lines.append(f"{k}.png,{k}.5,{k % 2},{'' if k % 3 else 1}")
    (tmp_path / "people.csv").write_text("\n".join(lines))
    return tmp_path / "people.csv"


def test_what_look_says_of_values_and_of_several_labels(terminal: Callable[[int], Told], table: Path) -> None:
    told = terminal(100)
    dataset = foveal.look(table, reading=Reading(target=("age",)))
    show.data(summary(dataset, TASKS[dataset.task]), dataset, "")
    assert "30 images, values: age" in told()
    assert " ".join(["age", "0.5", "15", "15", "29.5"]) in " ".join(told().split())
    told = terminal(100)
    dataset = foveal.look(table, reading=Reading(target=("cat", "dog")))
    show.data(summary(dataset, TASKS[dataset.task]), dataset, "")
    assert dataset.task == "multilabel"
    assert "30 images, 2 labels" in told()
    rows = [line.split() for line in told().splitlines()]
    assert ["cat", "0", "0", "0", "15"] in rows
    assert ["dog", "0", "0", "0", "10"] in rows


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_said_below_a_table_is_as_wide_as_the_terminal(
    terminal: Callable[[int], Told], tmp_path: Path, width: int
) -> None:
    rows = ["file,label,x0,y0,x1,y1"]
    for k in range(30):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (9, 9), dtype=np.uint8)).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,a,1,1,5,5")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    dataset = foveal.look(tmp_path / "boxes.csv")
    told = terminal(width)
    show.data(summary(dataset, TASKS[dataset.task]), dataset, "")
    lines = [line for text in BELOW for line in textwrap.wrap(text, width, break_on_hyphens=False)]
    assert [line.rstrip() for line in told().splitlines()][-len(lines) :] == lines


def test_boxes_are_listed_with_the_numbers_that_explain_takes(terminal: Callable[[int], Told]) -> None:
    boxes = tuple(Box("cell" if k else "[red]", 0.9 - 0.0001 * k, (1.4, 2.0, 1300.0, 4.0)) for k in range(1025))
    for listed, lines in ((False, 1), (True, 2 + show_answers.BOXES_LISTED)):
        told = terminal(80)
        show_answers.answer(FileAnswer("a.png", BoxesPrediction(boxes)), listed)
        text = told().splitlines()
        assert (text[0], len(text)) == ("a.png  1 [red]  1,024 cell", lines)
    assert text[1:3] == ["   1  [red]  0.90  1, 2 to 1,300, 4", "   2  cell   0.90  1, 2 to 1,300, 4"]
    assert text[-1].strip() == "and 1,005 more; --json has them all"


def test_a_map_that_failed_takes_one_line(terminal: Callable[[int], Told]) -> None:
    checks = tuple(
        attribution.Check(name, 1.0, 0.0, "below", "a very long sentence " * 20) for name in ("weights", "noise")
    )
    failed = attribution.Tested(attribution.Attribution("occlusion", Chosen(0, "cat"), np.zeros((2, 2)), True), checks)
    told = terminal(80)
    show.explanation(Explanation("a.png", LabelPrediction("cat", 0.9, {"cat": 0.9}), (failed,), Path("a.html")))
    assert "  occlusion             not an explanation: it failed the tests of weights and noise" in told().splitlines()
    assert all(len(line) <= 90 for line in told().splitlines())


@pytest.mark.parametrize("width", [100, 70, 40])
def test_no_interval_is_parted_by_the_end_of_a_line(terminal: Callable[[int], Told], width: int) -> None:
    told = terminal(width)
    show.scores(several_labels())
    assert not [line for line in told().splitlines() if line.count("[0") != line.count("]") - line.count("[red]")]


def test_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    net = "timm/efficientnet_lite0"
    with pytest.raises(SystemExit):
        main(["describe", net, "--input", "224x224x3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert any(line.startswith(f"{net}  ") and line.rstrip()[-1].isdigit() for line in lines)
    assert not [line for line in lines if "…" in line]
    terminal = Stream(force_terminal=True, file=io.StringIO(), highlight=False)
    assert terminal.width == 30, "a terminal has a width"
    monkeypatch.setattr(show, "out", terminal)
    show.description(describe(net, size=(224, 224, 3)))
    assert "…" not in terminal.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_signs_of_life_in_a_pipe_are_few(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("foveal.cli.terminal.time.monotonic", lambda: now[0])
    with show.working("looking at [x]") as progress:
        assert progress
        for done in range(50):
            now[0] += 1
            progress("decoding", 1000 * done, 50_000)
    assert capsys.readouterr().err.splitlines() == [
        "looking at [x]",
        "looking at [x]: decoding 19,000 of 50,000",
        "looking at [x]: decoding 39,000 of 50,000",
    ]
