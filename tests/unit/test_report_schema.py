"""report.json: its shape, what it refuses, and the page that documents it."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from foveal.errors import RunError
from foveal.looks import Looks
from foveal.measured import Confusion, DrawnBox, ErrorKind, Measurement, Mistake, Points, PrecisionRecall, Score
from foveal.report import Report, build_report, reference_page, words_on_looks
from foveal.tasks import TASKS

SCORE = Score(0.75, 0.7, 0.8, 0.95, 300, "wilson")
DATA = {
    "source": "photos",
    "images": 7,
    "labels": {"b": 3, "a": 4},
    "splits": {"train": 4, "validation": 1, "test": 2},
    "given": ["test"],
    "sizes": {"smallest": [8, 8], "median": [9, 8], "largest": [10, 12]},
    "channels": 3,
    "modes": {"RGB": 7},
    "findings": [
        {"kind": "unreadable", "files": ["x"], "message": "", "remedy": ""},
        {"kind": "exact-duplicate", "files": ["y", "z"], "message": "", "remedy": ""},
        {"kind": "exact-duplicate", "files": ["v", "w"], "message": "", "remedy": ""},
    ],
    "fingerprint": "ab" * 32,
}
EPOCH = {"epoch": 1, "learning_rate": 0.001, "train_loss": 1.5, "train_accuracy": 0.5, "seconds": 2.5}


def build(measurement: Measurement | None = None, **changes: Any) -> Report:
    measurement = measurement or Measurement(
        scores={"macro_f1": SCORE, "accuracy": SCORE},
        baselines={"majority": {"accuracy": SCORE}},
        per_label={"b": {"precision": SCORE, "support": 2}, "a": {"support": 0}},
        confusion=Confusion(("b", "a"), ((1, 1), (0, 0))),
        mistakes=(Mistake("b/1.png", "b", "a", 0.9),),
    )
    fields: dict[str, Any] = {
        "task": TASKS["classification"],
        "looks": 2,
        "recipe": {"name": "default", "seed": 3},
        "data": DATA,
        "environment": {"foveal": "0.1.0", "threads": 2},
        "history": [EPOCH],
    }
    return build_report(measurement, **(fields | changes))


def test_the_shape_of_the_file(tmp_path: Path) -> None:
    path = build().write(tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "report.json"
    got = json.loads(path.read_text())
    assert list(got) == list(Report.model_fields)
    assert got["version"] == 1
    assert (got["task"], got["split"], got["looks"]) == ("classification", "test", 2)
    assert got["headline"] == ["accuracy", "macro_f1"]
    assert got["scores"] == {"macro_f1": asdict(SCORE), "accuracy": asdict(SCORE)}
    assert got["baselines"] == {"majority": {"accuracy": asdict(SCORE)}}
    assert got["per_label"] == {"b": {"precision": asdict(SCORE), "support": 2}, "a": {"support": 0}}
    assert got["confusion"] == {"labels": ["b", "a"], "counts": [[1, 1], [0, 0]]}
    assert got["mistakes"] == [{"file": "b/1.png", "truth": "b", "predicted": "a", "probability": 0.9, "boxes": []}]
    there = {"findings": {"unreadable": 1, "exact-duplicate": 4}}
    assert got["data"] == {**DATA, **there, "known": {}, "values": {}, "boxes": {}, "empty": 0}
    assert (got["points"], got["curves"], got["errors"], got["settled"]) == ([], [], {}, {})
    assert list(got["data"]["labels"]) == ["b", "a"]
    assert got["recipe"] == {"name": "default", "seed": 3}
    assert got["history"] == [{**EPOCH, "passes": None, "validation_loss": None, "validation_accuracy": None}]
    created = datetime.fromisoformat(got["created"])
    assert created.tzinfo == UTC
    assert abs((datetime.now(UTC) - created).total_seconds()) < 60


def test_the_shape_of_a_report_on_values(tmp_path: Path) -> None:
    measurement = Measurement(
        scores={"mae": SCORE},
        per_label={"age": {"mae": SCORE, "support": 2}},
        mistakes=(Mistake("1.png", "31", "45.2", None),),
        points=(Points("age", (31.0, 35.5), (45.2, 36.0), 7.5),),
    )
    settled = {"level": 0.9, "half_width": {"age": 7.5}, "n": 40}
    about = {"smallest": 1.0, "median": 30.0, "mean": 31.5, "largest": 90.0}
    data = {**DATA, "labels": {}, "values": {"age": about}}
    report = build(measurement, task=TASKS["regression"], data=data, settled=settled)
    got = json.loads(report.write(tmp_path).read_text())
    assert Report.read(tmp_path / "report.json") == report
    assert (got["task"], got["headline"], got["confusion"]) == ("regression", ["mae"], None)
    assert got["mistakes"] == [{"file": "1.png", "truth": "31", "predicted": "45.2", "probability": None, "boxes": []}]
    assert got["points"] == [{"name": "age", "truth": [31.0, 35.5], "predicted": [45.2, 36.0], "half_width": 7.5}]
    assert got["settled"] == settled
    assert (got["data"]["labels"], got["data"]["values"]) == ({}, {"age": about})


def test_the_shape_of_a_report_on_boxes(tmp_path: Path) -> None:
    box = DrawnBox((0.0, 0.1, 0.25, 1.0), "b", "missed")
    measurement = Measurement(
        scores={"ap50": SCORE},
        per_label={"b": {"ap50": SCORE, "support": 2, "boxes": 5}},
        mistakes=(Mistake("1.png", "1 box", "0 right, 1 missed", None, (box,)),),
        curves=(PrecisionRecall("b", (1.0, 0.5), 0.4, (0.01, 0.5)), PrecisionRecall("a", (), 0.5, None)),
        errors={"missed": ErrorKind(1, 0.25)},
    )
    data = {**DATA, "boxes": {"b": 9, "a": 4}, "empty": 1}
    report = build(measurement, task=TASKS["detection"], data=data)
    got = json.loads(report.write(tmp_path).read_text())
    assert Report.read(tmp_path / "report.json") == report
    assert (got["task"], got["headline"]) == ("detection", ["ap50"])
    assert got["per_label"] == {"b": {"ap50": asdict(SCORE), "support": 2, "boxes": 5}}
    assert got["mistakes"][0]["boxes"] == [{"xyxy": [0.0, 0.1, 0.25, 1.0], "label": "b", "kind": "missed"}]
    assert got["curves"] == [
        {"label": "b", "precision": [1.0, 0.5], "threshold": 0.4, "at": [0.01, 0.5]},
        {"label": "a", "precision": [], "threshold": 0.5, "at": None},
    ]
    assert got["errors"] == {"missed": {"count": 1, "ap50_gain": 0.25}}
    assert (got["data"]["boxes"], got["data"]["empty"]) == ({"b": 9, "a": 4}, 1)


def test_a_report_of_before_there_were_points_and_boxes_is_read(tmp_path: Path) -> None:
    path = build().write(tmp_path)
    old = json.loads(path.read_text())
    for name in ("points", "settled", "curves", "errors"):
        del old[name]
    for name in ("calibration", "operating", "selective", "slices", "unlike"):
        del old[name]
    for name in ("known", "values", "boxes", "empty"):
        del old["data"][name]
    del old["mistakes"][0]["boxes"]
    path.write_text(json.dumps(old))
    assert Report.read(path).scores == build().scores


def test_round_trip(tmp_path: Path) -> None:
    report = build()
    assert Report.read(report.write(tmp_path)) == report
    assert report.as_dict() == json.loads((tmp_path / "report.json").read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_writing_again_replaces(tmp_path: Path) -> None:
    build().write(tmp_path)
    assert Report.read(build(looks=3).write(tmp_path)).looks == 3


def test_no_test_images(tmp_path: Path) -> None:
    got = Report.read(build(Measurement(scores={})).write(tmp_path))
    assert (got.scores, got.headline, got.confusion) == ({}, [], None)


def test_history_of_another_score_and_without_nan(tmp_path: Path) -> None:
    row = {"epoch": 1, "learning_rate": 0.1, "train_loss": math.nan, "validation_mae": 4.5, "seconds": 1.0}
    row["validation_loss"] = math.inf
    text = build(history=[row]).write(tmp_path).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    epoch = json.loads(text)["history"][0]
    assert (epoch["train_loss"], epoch["validation_loss"], epoch["validation_mae"]) == (None, None, 4.5)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    broken = "caf\udce9"
    measurement = Measurement(
        scores={"accuracy": SCORE},
        per_label={broken: {"support": 1}},
        mistakes=(Mistake(f"{broken}/日本.png", broken, "ok", 0.5),),
    )
    got = Report.read(build(measurement).write(tmp_path))
    assert got.mistakes[0].file == "caf\\udce9/日本.png"
    assert list(got.per_label) == ["caf\\udce9"]
    assert "日本" in (tmp_path / "report.json").read_text(encoding="utf-8")


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    path = build().write(tmp_path)
    later = {**json.loads(path.read_text()), "fairness": {"gap": 0.1}}
    path.write_text(json.dumps(later))
    assert Report.read(path) == build().model_copy(update={"created": Report.read(path).created})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:50], "JSON"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version"),
        (lambda text: text.replace('"looks": 2', '"looks": "many"'), "looks"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, change: Any, told: str) -> None:
    path = build().write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(RunError, match=told) as caught:
        Report.read(path)
    assert str(path) in caught.value.message
    assert "foveal evaluate" in caught.value.remedy


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        Report.read(tmp_path / "report.json")


def test_what_the_looks_of_all_runs_do_to_the_number() -> None:
    report = build(all_looks=Looks(looks=9, runs=5))
    assert report.all_looks is not None
    deviation = (SCORE.high - SCORE.low) / 2 / 1.959964
    assert report.all_looks.too_good == pytest.approx(deviation * 1.180, rel=1e-3)
    told = words_on_looks(report)
    assert told.startswith("5 runs have looked at test images of this set, 9 times in all")
    assert f"accuracy is too high by up to about {report.all_looks.too_good:.3f}" in told
    assert words_on_looks(build(all_looks=Looks(looks=3, runs=1))) == ""
    assert words_on_looks(build()) == ""


def test_json_schema_describes_every_field() -> None:
    schema = Report.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    assert len(models) == 33
    assert all(field.get("description") for model in models for field in model["properties"].values())
    assert set(schema["required"]) >= {"scores", "baselines", "per_label", "looks", "recipe", "data", "environment"}


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "report.md"
    assert page.read_text(encoding="utf-8") == reference_page(), (
        "write it again: python -c 'from foveal.report import reference_page; print(reference_page(), end=str())' "
        "> docs/reference/report.md"
    )


def test_the_reference_page_names_every_field() -> None:
    page = reference_page()
    schema = Report.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        assert all(f"| `{name}` |" in page for name in model["properties"])
    assert "| `scores` | object: name to [score](#score) |" in page
    assert "\n## score\n" in page
