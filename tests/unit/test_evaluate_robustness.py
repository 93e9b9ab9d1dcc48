"""`evaluate --robustness`: in report.json, on the page, and in a terminal."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import foveal
from foveal.cli.commands import app
from foveal.measure.corruptions import CORRUPTIONS
from foveal.report import Report
from foveal.report.plots import TRAIN
from foveal.report.robustness import levels_svg
from foveal.report.schema_part import ReportScore
from foveal.report.schema_robustness import ReportCorruption, ReportLevel
from foveal.run import Run


@pytest.fixture
def run(image_folder: Callable[..., Path], tmp_path: Path) -> Run:
    folder = image_folder({"dark": 40, "light": 40}, side=16)
    return foveal.train(folder, out=tmp_path / "run", net="4c3-gap-8n", epochs=8, batch_size=8, learning_rate=0.01)


def test_the_report_has_it_when_it_is_asked_for_and_a_second_time_the_same(run: Run) -> None:
    assert Report.read(run.report / "report.json").robustness is None
    steps: list[tuple[int, int]] = []
    report = foveal.evaluate(run, robustness=True, progress=lambda what, done, total: steps.append((done, total)))
    found = report.robustness
    assert found is not None
    assert list(found.corruptions) == list(CORRUPTIONS)
    assert found.clean == report.scores["accuracy"]
    assert list(found.shifts) == ["straight", "diagonal", "random"]
    assert all(len(scores) == 2 for scores in found.shifts.values())  # of 16 pixels
    assert steps[-1] == (12 * 46, 12 * 46)
    assert Report.read(run.report / "report.json") == report
    again = foveal.evaluate(run, robustness=True).robustness
    assert again == found
    page = (run.report / "report.html").read_text()
    assert len(re.findall(r'<svg [^>]*aria-label="Score by', page)) == 8
    assert "When images are shifted" in page


def test_on_the_command_line(run: Run) -> None:
    told = CliRunner().invoke(app, ["evaluate", str(run.path), "--robustness", "--json"])
    assert told.exit_code == 0, told.output
    levels = json.loads(told.stdout)["robustness"]["corruptions"]["rotation"]["levels"]
    assert [level["strength"] for level in levels] == [5, 10, 15, 20, 30]
    shown = CliRunner().invoke(app, ["evaluate", str(run.path), "--robustness"]).output
    for word in ("blur", "σ in pixels", "worse from", "straight", "stays the same"):
        assert word in shown
    assert "worse from" not in CliRunner().invoke(app, ["evaluate", str(run.path)]).output


def test_a_panel_draws_what_is_worse_with_a_full_dot() -> None:
    def score(value: float) -> ReportScore:
        return ReportScore(value=value, low=value - 0.05, high=value + 0.05, level=0.95, n=10, method="wilson")

    levels = [
        ReportLevel(
            level=k, strength=k, score=score(1 - k / 10), difference=score(-k / 10), p=0, adjusted=0, worse=k > 3
        )
        for k in range(1, 6)
    ]
    kind = ReportCorruption(parameter="<σ>", levels=levels, first_worse=4)
    svg = levels_svg("<blur>", kind, score(0.95), [0, 0.5, 1])
    assert svg.count(f'fill="{TRAIN}"') == 2
    assert svg.count("<circle") == 6
    assert "<σ>" not in svg
    assert "<blur>" not in svg
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    assert heights == sorted(heights)
