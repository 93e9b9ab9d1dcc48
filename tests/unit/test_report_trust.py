"""What the report says of calibration, operating points, silence and parts of the images."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.examples import Examples
from foveal.measure import measure_labels, wilson
from foveal.measured import Score
from foveal.report import (
    Report,
    build_report,
    model_card,
    number,
    trust_cautions,
    words_on_deciding,
    write_page,
)
from foveal.report.plots import FROM_LEFT, FROM_TOP, SIDE
from foveal.report.schema_part import ReportScore
from foveal.report.schema_trust import ReportBin
from foveal.report.trust_plots import reliability_svg, risk_coverage_svg
from foveal.tasks import TASKS
from foveal.trust import Slice

HOSTILE = '<b onmouseover="alert(1)">&'


def told(score: Score) -> ReportScore:
    return ReportScore(value=score.value, low=score.low, high=score.high, level=score.level, n=score.n, method="wilson")


def reported(
    settled: dict[str, Any], *, names: tuple[str, ...] = ("no", "yes"), parts: tuple[Slice, ...] = ()
) -> Report:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    outputs = rng.normal(size=(400, 2)) + 2 * np.eye(2)[truth]
    test = Examples([f"{i}.png" for i in range(400)], rng.integers(0, 256, (400, 8, 8, 3), dtype=np.uint8), truth)
    measured = measure_labels(outputs, test, test, names, 0, settled)
    data = {
        "source": "photos",
        "images": 800,
        "labels": dict.fromkeys(names, 400),
        "splits": {"train": 400, "validation": 0, "test": 400},
        "given": [],
        "sizes": {key: [8, 8] for key in ("smallest", "median", "largest")},
        "channels": 3,
        "modes": {"RGB": 800},
        "findings": [],
        "fingerprint": "ab" * 32,
    }
    report = build_report(
        measured,
        task=TASKS["classification"],
        looks=1,
        recipe={"name": "default"},
        data=data,
        environment={},
        history=[],
        settled=settled,
    )
    return Report.model_validate(report.as_dict() | {"slices": [asdict(part) for part in parts]})


def at(quantity: str, value: float, *, met: bool = True, label: str = "yes") -> dict[str, Any]:
    return {"at": [{"label": label, "quantity": quantity, "value": value, "threshold": 0.5, "met": met, "n": 100}]}


def test_dots_lie_where_the_numbers_say() -> None:
    bins = [
        ReportBin(low=0.6, high=2 / 3, confidence=0.65, share=told(wilson(5, 10))),
        ReportBin(low=14 / 15, high=1.0, confidence=0.98, share=told(wilson(30, 30))),
    ]
    svg = reliability_svg(bins, "for readers")
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    expected = [(FROM_LEFT + SIDE * x, FROM_TOP + SIDE * (1 - y)) for x, y in ((0.65, 0.5), (0.98, 1.0))]
    np.testing.assert_allclose(dots, expected, atol=0.06)
    low, high = (FROM_TOP + SIDE * (1 - bound) for bound in (wilson(5, 10).low, wilson(5, 10).high))
    assert f"V{high:.1f}" in svg
    assert f" {low:.1f}V" in svg
    heights = [float(height) for height in re.findall(r'<rect .*?height="([\d.]+)"', svg)]
    assert heights[1] == pytest.approx(3 * heights[0], abs=0.1)
    assert 'aria-label="for readers"' in svg


def test_error_over_coverage_ends_at_the_error_of_all() -> None:
    svg = risk_coverage_svg([0.0, 0.1, 0.1, 0.2], (0.75, 0.1))
    line = re.search(r'<path d="M([^"]+)" fill="none" stroke="#2b7bba"', svg)
    assert line is not None
    places = [tuple(map(float, place.split())) for place in line[1].split("L")]
    expected = [
        (FROM_LEFT + SIDE * (k + 1) / 4, FROM_TOP + SIDE * (1 - e / 0.2)) for k, e in enumerate((0, 0.1, 0.1, 0.2))
    ]
    np.testing.assert_allclose(places, expected, atol=0.06)
    assert f'<circle cx="{places[2][0]}" cy="{places[2][1]}"' in svg
    assert risk_coverage_svg([0.0] * 100, None).count("<circle") == 0


def test_an_operating_point_that_was_not_reached_is_said_first() -> None:
    assert trust_cautions(reported(at("sensitivity", 0.6))) == []
    (missed,) = trust_cautions(reported(at("sensitivity", 0.99)))
    assert re.fullmatch(
        r"Asked for was a sensitivity of 0\.99 of “yes”; on the test images it is 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]\.",
        missed,
    )
    (unmet,) = trust_cautions(reported(at("sensitivity", 0.99, met=False)))
    assert "The validation images are too few, or the network too weak" in unmet


def test_a_risk_that_was_not_kept_is_said() -> None:
    abstain = {"confidence": 0.0, "risk": 0.001, "met": True, "n": 100}
    (missed,) = trust_cautions(reported({"abstain": abstain}))
    assert missed.startswith("Asked for was a risk of 0.001; on the test images 0.")
    (unmet,) = trust_cautions(reported({"abstain": {**abstain, "met": False}}))
    assert "no threshold leaves so few answers wrong" in unmet
    assert trust_cautions(reported({"abstain": {**abstain, "risk": 0.5}})) == []


def test_a_part_that_does_worse_is_said_and_marked(tmp_path: Path) -> None:
    parts = (
        Slice("brightness", "darkest third, 0 to 60 of 255", 100, wilson(50, 100), True),
        Slice("group", HOSTILE, 100, wilson(90, 100), False),
    )
    report = reported(at("precision", 0.8) | {"temperature": 1.4, "n": 100}, names=("no", "yes"), parts=parts)
    (caution,) = trust_cautions(report)
    assert "darkest third, 0 to 60 of 255 (accuracy 0.500 [0.404, 0.596])" in caution
    write_page(report, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count('<strong class="worse">worse</strong>') == 1
    assert HOSTILE not in page
    assert "divided by a temperature of 1.400" in page
    assert page.count('ECE&nbsp;<span class="i">0') == 2
    assert "precision 0.8" in page


def test_a_hostile_label_stays_text(tmp_path: Path) -> None:
    report = reported(at("sensitivity", 0.99, label=HOSTILE), names=("no", HOSTILE))
    write_page(report, {}, tmp_path / "report.html")
    assert HOSTILE not in (tmp_path / "report.html").read_text()


def test_a_report_of_before_has_nothing_to_say(tmp_path: Path) -> None:
    fields = reported({}).as_dict()
    for name in ("calibration", "operating", "selective", "slices", "unlike"):
        del fields[name]
    old = Report.model_validate(fields)
    assert trust_cautions(old) == []
    write_page(old, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for told in ("How sure it is", "Operating point", "When it says nothing", "Parts of the test images"):
        assert told not in page


PRICES: dict[str, Any] = {
    "mistakes": [
        {"true": "yes", "answer": "no", "cost": 10.0},
        {"true": None, "answer": "yes", "cost": 0.5},
    ],
    "constant": "yes",
    "n": 100,
}


def test_what_mistakes_cost_is_told_on_the_page_and_the_card(tmp_path: Path) -> None:
    report = reported({"costs": {**PRICES, "threshold": 1 / 21}})
    found = report.costs
    assert found is not None
    (sentence,) = words_on_deciding(report)
    assert sentence.startswith(
        "Decided by what mistakes cost (“yes” answered “no” 10, “yes” said wrongly 0.5, any other mistake 1), an image "
        f"costs {number(found.mean.value, 'cost')} ["
    )
    assert f"the likeliest answer would cost {number(found.plain.value, 'cost')} [" in sentence
    assert f", always “yes” {number(found.always.value, 'cost')} [" in sentence
    write_page(report, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "What mistakes cost" in page
    assert "When it says nothing" not in page
    assert "## How it decides" in model_card(report)
    assert found.saved.low > 0
    assert not any("likeliest answer" in text for text in trust_cautions(report))


def test_costs_that_save_nothing_are_said() -> None:
    (missed,) = trust_cautions(reported({"costs": {**PRICES, "mistakes": [], "threshold": 0.5}}))
    assert missed == "By the test images it is not certain that the answers cost less than the likeliest answer would."


def test_no_answer_has_a_price_and_a_share(tmp_path: Path) -> None:
    report = reported({"costs": {**PRICES, "mistakes": [], "constant": None, "abstain": 0.25}})
    (sentence,) = words_on_deciding(report)
    assert "(no answer 0.25, any mistake 1)" in sentence
    assert re.search(r"where it answers \d\d\.\d% \[\d\d\.\d, \d\d\.\d\] of the test images and is wrong in", sentence)
    assert sentence.endswith("no answer at all 0.250.")
    write_page(report, {}, tmp_path / "report.html")
    assert "it is marked as abstained" in (tmp_path / "report.html").read_text()


def test_an_interval_is_not_parted_at_the_end_of_a_line(tmp_path: Path) -> None:
    report = reported(at("sensitivity", 0.99))
    write_page(report, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert re.search(r"it is 0\.\d{3}\u00a0\[0\.\d{3},\u00a00\.\d{3}\]\.", page)
