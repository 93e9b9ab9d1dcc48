"""From the wish to the line of `predict`: settled on validation, kept in the run, measured on test, applied."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.api.settling import check_wish, outdated_bundles
from foveal.cli.commands import app
from foveal.report import Report
from foveal.run import Run
from foveal.tasks import TASKS
from foveal.wishes import Wish

QUICK: dict[str, Any] = {"net": "4c3-gap-8n", "epochs": 3, "batch_size": 16}
DIM = {"dark": 120, "light": 120}
SECOND = "light:sensitivity=0.95"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels that overlap, so that the net cannot be right of all."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("photos")
    for k, (label, count) in enumerate(DIM.items()):
        (root / label).mkdir()
        for i in range(count):
            pixels = np.clip(rng.normal(rng.normal(100 + 40 * k, 30), 25, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return foveal.train(photos, at=SECOND, out=tmp_path_factory.mktemp("runs") / "run", **QUICK)


def test_it_is_kept_measured_and_applied(run: Run, photos: Path) -> None:
    (point,) = run.settled["at"]
    assert (point["label"], point["quantity"], point["value"]) == ("light", "sensitivity", 0.95)
    report = Report.read(run.report / "report.json")
    (measured,) = report.operating
    assert measured.threshold == point["threshold"]
    assert set(measured.scores) == {"sensitivity", "specificity", "precision"}
    assert measured.scores["sensitivity"].method == "wilson"
    assert measured.scores["sensitivity"] == report.per_label["light"]["recall"]
    light = json.loads((run.path / "report" / "report.json").read_text())["settled"]
    assert light["look"].keys() == {"level", "threshold", "n"}, "hundreds of numbers are not for a report"
    page = (run.report / "report.html").read_text()
    for told in ("Operating point", "sensitivity 0.95", "How sure it is, and how right"):
        assert told in page
    assert "When it says nothing" not in page
    for answer in foveal.predict(run, photos):
        assert answer.prediction is not None
        line = answer.prediction.as_dict()
        said = line["probabilities"]["light"] >= point["threshold"]
        assert line["label"] == ("light" if said else "dark")
        assert isinstance(line["abstained"], bool)


def test_an_image_unlike_the_training_images_is_marked(run: Run) -> None:
    predictor = foveal.load(run)
    rng = np.random.default_rng(0)
    strange = predictor(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    stripes = predictor(np.full((12, 12, 3), 255, np.uint8) * (np.arange(12) % 2)[:, None, None].astype(np.uint8))
    for prediction in (strange, stripes):
        assert prediction.as_dict()["abstained"] is True
        assert prediction.as_dict()["reason"] == "unlike the training images"
    many = list(predictor.many([rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)] * 3))
    assert [one.abstained for one in many if not isinstance(one, foveal.FovealError)] == [True] * 3
    report = Report.read(run.report / "report.json")
    assert report.unlike is not None
    assert report.unlike.value < 0.2


def test_evaluate_settles_another_one_and_takes_it_away(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    first = Report.read(run.report / "report.json")
    assert (first.operating, first.selective is not None) == ([], True)
    silent = foveal.evaluate(run, coverage=0.5)
    assert silent.selective is not None
    assert silent.selective.wanted == {"coverage": 0.5}
    assert silent.selective.answered is not None
    assert silent.selective.answered.low < 0.5 < silent.selective.answered.high
    lines = [answer.as_dict() for answer in foveal.predict(run.path, photos)]
    assert 0.3 < np.mean([line["abstained"] for line in lines]) < 0.7
    assert Run.open(run.path).settled["abstain"]["coverage"] == 0.5
    assert silent.scores["accuracy"] == first.scores["accuracy"]
    again = foveal.evaluate(run, at="none")
    assert again.settled == first.settled
    assert again.looks == 3


def test_a_wish_that_means_nothing_stops_before_anything_is_trained(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(foveal.FovealError, match=r"found 'grey' in grey:precision=0\.9") as error:
        foveal.train(photos, at="grey:precision=0.9", out=tmp_path / "run", **QUICK)
    assert "--at" in error.value.remedy
    assert not (tmp_path / "run").exists()


def test_no_validation_images_nothing_to_choose_on(photos: Path) -> None:
    dataset = foveal.look(photos)
    dataset = dataset.with_splits(np.full(len(dataset), "train"))
    with pytest.raises(foveal.FovealError, match="chosen on the validation images, and there are none"):
        check_wish(Wish(risk=0.1), TASKS["classification"], dataset)
    check_wish(Wish(), TASKS["classification"], dataset)


def test_a_resumed_run_settles_what_was_wished(photos: Path, tmp_path: Path, run: Run) -> None:
    events = foveal.training(photos, at=SECOND, out=tmp_path / "run", **QUICK)
    for _ in range(3):
        next(events)
    events.close()
    resumed = foveal.resume(tmp_path / "run")
    assert resumed.settled == run.settled


def test_runs_of_before_load_predict_and_evaluate(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    for settled in ({}, None):
        if settled is None:
            (run.path / "settled.json").unlink()
        else:
            run.write_settled(settled)
        old = Run.open(run.path)
        assert "abstained" not in foveal.load(old)(sorted(photos.rglob("*.png"))[0]).as_dict()
        report = foveal.evaluate(old)
        assert report.calibration is not None
        assert report.calibration.temperature == 1
        assert report.unlike is None
    renewed = foveal.evaluate(run.path, at="none")
    assert renewed.unlike is not None
    assert renewed.calibration is not None
    assert renewed.calibration.temperature != 1


def test_on_the_command_line(photos: Path, tmp_path: Path) -> None:
    call = CliRunner()
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    told = call.invoke(app, ["evaluate", str(run.path), "--at", "light:specificity=0.9"])
    assert told.exit_code == 0
    assert "Asked for a specificity of 0.9, it says “light” from" in told.stdout
    assert f"{run.path} answers otherwise from now on; bundles of it that lie elsewhere answer as it did" in told.stderr
    for place, kind in (("bundle", "onnx"), ("own", "int8"), ("docker/bundle", "onnx")):
        (run.path / place).mkdir(parents=True)
        exported = {"kind": kind, "settled": Run.open(run.path).settled}
        (run.path / place / "bundle.json").write_text(json.dumps(exported))
    (run.path / "own" / "bundle.json").write_text(json.dumps({"kind": "int8", "settled": {}}))
    assert outdated_bundles(Run.open(run.path)) == [(run.path / "own", "int8")]
    told = call.invoke(app, ["evaluate", str(run.path), "--risk", "0.2", "--json"])
    assert json.loads(told.stdout)["selective"]["wanted"] == {"risk": 0.2}
    named = [f"{run.path / place} ({kind})" for place, kind in (("bundle", "onnx"), ("own", "int8"))]
    assert all(name in told.stderr for name in named)
    again = f"foveal export {run.path}"
    assert f"remove them and run {again}, {again} --to docker and {again} --to int8 --out {run.path}/own" in told.stderr
    assert "otherwise" not in call.invoke(app, ["evaluate", str(run.path)]).stderr, "nothing was asked for"
    assert Run.open(run.path).settled["abstain"]
    assert call.invoke(app, ["evaluate", str(run.path), "--coverage", "none"]).exit_code == 0
    assert "risk" not in Run.open(run.path).settled.get("abstain", {})
    told = call.invoke(app, ["evaluate", str(run.path), "--coverage", "some"])
    assert told.exit_code == 2
    assert "or none, found 'some'" in " ".join(told.stderr.replace("│", " ").split())
    told = call.invoke(app, ["predict", str(run.path), str(photos / "light"), "--json"])
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert {type(line["abstained"]) for line in lines} == {bool}
    told = call.invoke(app, ["evaluate", str(run.path), "--cost", "light:dark=20"])
    assert "Decided by what mistakes cost (“light” answered “dark” 20, any other mistake 1)" in told.stdout
    limit = Run.open(run.path).settled["costs"]["threshold"]
    assert limit < 0.5
    told = call.invoke(app, ["predict", str(run.path), str(photos), "--json"])
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    for line in lines:
        assert line["label"] == ("light" if line["probabilities"]["light"] >= limit else "dark")
    assert any(line["label"] == "light" and line["probability"] < 0.5 for line in lines)
    told = call.invoke(app, ["evaluate", str(run.path), "--cost", "light:grey=20"])
    assert isinstance(told.exception, foveal.FovealError)
    assert "found 'light:grey' in light:grey=20" in str(told.exception)
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(noise)
    told = call.invoke(app, ["predict", str(run.path), str(noise)])
    assert "abstained: unlike the training images" in told.stdout


def test_groups_of_the_source_are_parts_of_the_report(photos: Path, tmp_path: Path) -> None:
    lines = ["path,label,patient,split"]
    for label in DIM:
        for i in range(120):
            patient = f"patient {i // 20}"
            split = {"patient 0": "test", "patient 1": "test", "patient 2": "validation"}.get(patient, "train")
            lines.append(f"{label}/{i:03}.png,{label},{patient},{split}")
    table = photos / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    run = foveal.train(table, out=tmp_path / "run", **QUICK)
    table.unlink()
    parts = {part.name: part for part in Report.read(run.report / "report.json").slices if part.kind == "group"}
    assert {name: part.images for name, part in parts.items()} == {"patient 0": 40, "patient 1": 40}
