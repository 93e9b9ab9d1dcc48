"""The report's page of values, and of several labels at once."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.examples import Examples
from foveal.measure import measure_label_sets, measure_values
from foveal.report import Report
from foveal.report.page import cautions
from foveal.report.schema_part import ReportGroups
from foveal.report.words import counted_groups, number
from paged import HOSTILE, of_task, page_of

SETTLED = {"level": 0.9, "half_width": {"age": 7.25, "height": 0.5}, "n": 60}


def of_values(names: list[str], *, error: float = 4.0, settled: dict[str, Any] | None = None) -> Report:
    rng = np.random.default_rng(0)
    settled = SETTLED if settled is None else settled
    truth = rng.normal(30, 10, (200, len(names))).astype(np.float32)
    pixels = rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    test, train = (Examples([f"{i}.png" for i in range(200)], some, truth) for some in (pixels, pixels[::-1]))
    outputs = truth + rng.normal(0, error, truth.shape).astype(np.float32)
    measurement = measure_values(outputs, test, train, names, 0, settled)
    rows = [
        {"epoch": e, "learning_rate": 0.1, "train_loss": 1 / e, "train_mae": 40 / e, "seconds": e}
        | {"validation_loss": 1 / e, "validation_mae": 41 / e}
        for e in (1, 2, 3)
    ]
    return of_task("regression", measurement, names, settled, rows)


def test_a_value_is_told_in_its_unit(tmp_path: Path) -> None:
    report = of_values(["age"])
    page, mae = page_of(report, tmp_path), report.scores["mae"]
    told = [number(bound, "mae") for bound in (mae.value, mae.low, mae.high)]
    assert f"Age is off by {told[0]} [{told[1]}, {told[2]}] on average, on 200 test images" in page.said
    assert all(len(text) == 4 for text in told), "three digits"
    assert "Regression: 400 images to age, measured" in page.said
    assert "MAE beside guesses that need no network" in page.said
    assert "Less is better here: a network is worth having when its bar lies to the left of all others." in page.said
    assert "to the right" not in page.said.replace("A dot is a test image: to the right", "")
    assert "Before you quote this" not in page.said
    for name in ("mean", "ridge pixels", "RMSE", "R²", "median error", "coverage"):
        assert name in page.said
    assert "Largest errors" in page.said
    assert "Most confident" not in page.said
    assert (
        f"{report.mistakes[0].truth} → {report.mistakes[0].predicted} {report.mistakes[0].file[:-4]} .png" in page.said
    )
    assert "What is taken for what" not in page.said
    assert "Value by value" not in page.said, "the scores are above"
    assert "Settled on the validation images" in page.said
    assert "Validation MAE: best and last 13.7 (epoch 3)" in page.said


def test_the_axis_of_errors_begins_at_0_and_holds_all_bars(tmp_path: Path) -> None:
    report = of_values(["age"])
    page = page_of(report, tmp_path)
    (scale,) = [span for span in page.all("span") if span.get("class") == "scale"]
    end = float((scale["aria-label"] or "").removeprefix("from 0 to "))
    assert end >= max(row["mae"].high for row in report.baselines.values())
    dots = [float(x) for x in re.findall(r'<b style="left:([\d.]+)%"', page.text)]
    values = [report.scores["mae"].value, *(row["mae"].value for row in report.baselines.values())]
    assert dots == pytest.approx([100 * value / end for value in values], abs=0.06)


def test_cautions_about_values(tmp_path: Path) -> None:
    worse = page_of(of_values(["age"], error=30.0), tmp_path).said
    assert "The baselines “mean”, “colour histogram”, “nearest pixels” and “ridge pixels” do" in worse
    assert "The intervals around the answers were made to hold 90% of the true values. On the test images" in worse
    near = page_of(of_values(["age"], error=9.0), tmp_path).said
    assert "The interval overlaps those of the baselines “mean”, “colour histogram” and “ridge pixels”" in near
    without = page_of(of_values(["age"], settled={}), tmp_path)
    assert "The band is" not in without.said
    assert "± " not in without.said


def test_several_values_and_hostile_names(tmp_path: Path) -> None:
    names = [HOSTILE[0], HOSTILE[1], "height", "weight"]
    report = of_values(names)
    page = page_of(report, tmp_path)
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert page.said.count("Predicted against true") == 1
    panels = [svg for svg in page.all("svg") if "Predicted against true" in (svg.get("aria-label") or "")]
    assert len(panels) == 4
    assert "Value by value" in page.said
    assert "R², from 0.7 to 1" in page.said
    assert f"{HOSTILE[0]}, {' '.join(HOSTILE[1].split())}, height and 1 more are off by" in page.said


def test_several_labels_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["cat", "dog", "ghost"]
    truth = (rng.random((200, 3)) < [0.5, 0.2, 0]).astype(np.float32)
    truth[:50, 1] = np.nan
    examples = Examples([f"{i}.png" for i in range(200)], rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8), truth)
    outputs = rng.normal(0, 1, (200, 3)) + 4 * np.nan_to_num(truth) - 2
    settled = {"thresholds": {"cat": 0.5, "dog": 0.4, "ghost": 0.5}}
    report = of_task("multilabel", measure_label_sets(outputs, examples, examples, names, 0, settled), names, settled)
    page = page_of(report, tmp_path)
    best = report.scores["map"]
    tells = report.scores["macro_auroc"]
    share = f"{tells.value:.1%} [{100 * tells.low:.1f}, {100 * tells.high:.1f}]"
    assert f"one with a label and one without, it tells which is which {share} of the time" in page.said
    assert f"mAP {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]" in page.said
    assert "Multilabel: 400 images into 3 labels" in page.said
    assert "mAP beside guesses" in page.said
    assert "lies to the right of all others" in page.said
    start = 0.1 * int(10 * min(row["ap"].low for row in report.per_label.values() if "ap" in row))
    assert f"label AP AP, from {start:g} to 1 AUROC precision recall F1 images known" in page.said
    assert re.search(r"ghost (– |\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\] ){5}0 200", page.said)
    assert "1 label has no test image" in page.said
    assert "What is taken for what" not in page.said
    assert "Most confident mistakes" in page.said
    assert "not cat" in page.said
    assert "thresholds cat: 0.5, dog: 0.4, ghost: 0.5" in page.said


def test_what_belongs_together_is_counted_in_words() -> None:
    told = {("patient", 38): "38 patients", ("video", 1): "1 video", ("", 1200): "1,200 groups"}
    told |= {("study", 3): "3 groups (study)", ("study and patient", 1): "1 group (study and patient)"}
    assert {key: counted_groups(ReportGroups(kind=key[0], count=key[1])) for key in told} == told
    report = of_values(["age"])
    few, many = (report.model_copy(update={"groups": ReportGroups(kind="patient", count=n)}) for n in (19, 20))
    assert any(text.startswith("Only 19 patients among the test images: ") for text in cautions(few))
    assert cautions(many) == cautions(report)
