"""The report's page of boxes."""

import re
from pathlib import Path

import numpy as np
import pytest

from foveal.examples import Examples
from foveal.measure import ERROR_KINDS, measure_boxes
from foveal.report import Report, write_page
from foveal.report.words import named
from foveal.types import Geometry
from paged import HOSTILE, Page, of_task, page_of


def of_boxes(names: list[str], folder: Path, *, found: bool = True, shift: float = 0.5) -> tuple[Report, Page]:
    """Twelve images, each with a box of every label beside the others; every third image has boxes elsewhere, too."""
    spread, half = 100 / len(names), 40 / len(names)
    true = np.array([[spread * k, 10, spread * k + 2 * half, 60, k, 0] for k in range(len(names))], np.float32)
    targets = np.tile(true, (12, 1, 1))
    outputs = np.full((12, 2 * len(names), 4 + len(names)), -50.0, np.float32)
    outputs[:, : len(names), :4] = true[:, :4] + [0, shift, 0, shift]
    outputs[:, len(names) :, :4] = true[:, :4] + [0, 30, 0, 40]
    if found:
        for k in range(len(names)):
            outputs[:, k, 4 + k] = 1.0
            outputs[::3, len(names) + k, 4 + k] = 0.5
    same = [Geometry(100, 100, 1.0, 1.0, 0.0, 0.0)] * 12
    examples = Examples([f"{i}/{names[0]}.png" for i in range(12)], np.zeros((12, 8, 8, 3), np.uint8), targets, same)
    settled = {"thresholds": dict.fromkeys(names, 0.55)}
    measurement = measure_boxes(outputs, examples, examples, names, 0, settled)
    report = of_task("detection", measurement, names, settled)
    boxes = report.data.model_copy(update={"boxes": dict.fromkeys(names, 24)})
    report = report.model_copy(update={"data": boxes})
    pictures = {mistake.file: np.full((30, 60, 3), 200, np.uint8) for mistake in measurement.mistakes}
    write_page(report, pictures, folder / "report.html")
    return report, Page((folder / "report.html").read_text(encoding="utf-8"))


def test_boxes_are_told_as_found_and_right(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert report.scores["recall"].value == 1
    shown = report.scores["precision"]
    assert shown.value == pytest.approx(24 / 32)
    told = f"75.0% [{100 * shown.low:.1f}, {100 * shown.high:.1f}]"
    assert re.search(
        rf"Finds 100\.0% \[\d\d\.\d, 100\.0\] of the true boxes; of those it shows, {re.escape(told)} are right",
        page.said,
    )
    assert "Detection: 400 images with 48 boxes of 2 labels, measured" in page.said
    assert "AP50 beside guesses that need no network" in page.said
    assert "mean boxes : draws as many boxes of each label" in page.said
    assert "lies to the right of all others" in page.said
    assert "Only 12 test images" in page.said
    assert "label AP AP, from" in page.said
    assert "AP50 precision recall images boxes cat" in page.said
    assert "test images with a box of this label" in page.said
    assert "What is taken for what" not in page.said


def test_a_baseline_as_good_as_the_boxes_is_told(tmp_path: Path) -> None:
    _, page = of_boxes(["cat", "dog"], tmp_path)
    assert "The interval overlaps that of the baseline “mean boxes”" in page.said
    _, page = of_boxes(["cat", "dog"], tmp_path, shift=40.0)
    assert "The baselines “mean box” and “mean boxes” do better than the network." in page.said


def test_boxes_that_are_never_shown(tmp_path: Path) -> None:
    _, page = of_boxes(["cat"], tmp_path, found=False)
    assert re.search(r"Finds 0\.0% \[0\.0, \d\d\.\d\] of the true boxes, for it shows none", page.said)
    assert "48 boxes" not in page.said
    assert "with 24 boxes of 1 label," in page.said
    assert "cat : no box has a score of 0.550 or more" in page.said


def test_kinds_of_wrong_boxes_are_counted(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert [kind for kind, row in report.errors.items() if row.count] == ["misplaced"]
    for kind, row in report.errors.items():
        assert f"{named(kind)} {ERROR_KINDS[kind]} {row.count} +{row.ap50_gain:.3f}" in page.said
    assert "misplaced and wrong class" in page.said


def test_worst_images_have_their_boxes_drawn_over_them(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert "Images with the most wrong boxes" in page.said
    assert "Largest errors" not in page.said
    assert page.said.count("2 boxes → 2 right, 2 false") == len(report.mistakes) == 4
    overlays = [svg for svg in page.all("svg") if svg.get("viewbox") == "0 0 400 200.0"]
    assert len(overlays) == 4, "as wide as the picture and half as high"
    assert len({(rect.get("stroke"), rect.get("stroke-dasharray")) for rect in page.all("rect")}) == 4
    for kind in ("right: found", "missed: there, and not found", "false: found, and not there"):
        assert kind in page.said
    assert [image["alt"] for image in page.all("img")] == ["2 boxes: 2 right, 2 false"] * 4
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.all("img"))


def test_hostile_labels_of_boxes(tmp_path: Path) -> None:
    report, page = of_boxes(HOSTILE, tmp_path)
    assert report.mistakes[0].boxes
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    for name in HOSTILE:
        assert f"{' '.join(name.split())} : from a score of 0.550 on" in page.said
        assert f"{' '.join(name.split())}, false" in page.said


def test_no_true_box_in_the_test_images(tmp_path: Path) -> None:
    report, _ = of_boxes(["cat"], tmp_path)
    nothing = {"scores": {}, "headline": [], "baselines": {}, "curves": [], "errors": {}}
    write_page(report.model_copy(update=nothing), {}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "No test image has any of the labels, so nothing could be measured." in page.said
    assert "Precision over recall" not in page.said
    assert page.said.count("no picture") == len(report.mistakes)


def test_many_labels_have_the_curves_of_the_worst(tmp_path: Path) -> None:
    report, _ = of_boxes(["cat"], tmp_path)
    curves = [
        report.curves[0].model_copy(update={"label": f"kind {k}", "precision": [0.5] * (100 - k)}) for k in range(20)
    ]
    page = page_of(report.model_copy(update={"curves": curves}), tmp_path)
    panels = [svg["aria-label"] or "" for svg in page.all("svg") if "Precision over" in (svg.get("aria-label") or "")]
    assert [label.split(" of ")[1].split(",")[0] for label in panels] == [f"kind {k}" for k in range(19, 7, -1)]
    assert "Of 20 labels, the 12 with the lowest." in page.said
