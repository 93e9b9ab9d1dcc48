"""From a run to a bundle and its answers, as a user goes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

import foveal
from foveal.api import exporting
from foveal.bundle import Bundle, is_bundle
from foveal.bundle.folder import CARD, MANIFEST, MODEL, WEIGHTS
from foveal.bundle.guard import check_onnx
from foveal.cli import main
from foveal.errors import BundleError, ExportRefused, RecipeError, RunError
from foveal.run import Run
from foveal.ship import plain
from foveal.ship.whole import WHOLE


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Learnt to tell dark from light, from photographs of three sizes."""
    root, rng = tmp_path_factory.mktemp("export"), np.random.default_rng(0)
    for label, level in {"dark": 60, "light": 190}.items():
        (root / "photos" / label).mkdir(parents=True)
        for i in range(60):
            pixels = np.clip(rng.normal(level, 40, (15 + i % 3, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{i:02}.png")
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "translate": 0, "flip": False}
    return foveal.train(root / "photos", out=root / "run", net="8c3same-mp2-16c3same-gap", seed=1, **settings)


@pytest.fixture(scope="module")
def shipped(trained: Run) -> Path:
    """The bundle in its run, with a graph that resizes."""
    return foveal.export(trained, whole=True).path


def run_command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def test_the_bundle_is_whole_and_says_so(trained: Run, shipped: Path) -> None:
    assert shipped == trained.path / "bundle"
    assert {path.name for path in shipped.iterdir()} == {MODEL, WHOLE, WEIGHTS, MANIFEST, CARD}
    assert is_bundle(shipped)
    told = json.loads((shipped / MANIFEST).read_text())
    agreement = told["agreement"]
    assert agreement["images"] == len(foveal.look(trained.info["source"])) * 15 // 100
    assert (agreement["split"], agreement["changed"], agreement["ties"]) == ("test", 0, 0)
    assert 0 <= agreement["difference"] < 1e-5
    assert agreement["whole"]["images"] == agreement["images"]
    assert agreement["whole"]["difference"] < 0.05
    assert min(agreement["torch_seconds"], agreement["export_latency"]) > 0
    assert told["settled"] == trained.settled
    assert (shipped / WEIGHTS).read_bytes() == trained.weights.read_bytes()
    card = (shipped / CARD).read_text()
    assert 'foveal.load("BUNDLE")' in card
    assert "`probabilities`" in card
    assert "its numbers differ from those of torch by at most" in card
    for name in (MODEL, WHOLE):
        check_onnx((shipped / name).read_bytes(), shipped / name)


def test_exporting_counts_no_look(trained: Run, shipped: Path) -> None:
    assert is_bundle(shipped)
    assert trained.looks() == 1


def test_predict_says_the_same_of_a_bundle_as_of_its_run(
    trained: Run, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = Path(trained.info["source"])
    lines = []
    for place in (trained.path, shipped):
        assert run_command("predict", place, photos, "--json") == 0
        lines.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert len(lines[0]) == 120
    for one, other in zip(*lines, strict=True):
        assert list(one) == list(other)
        for key in ("file", "label", "abstained"):
            assert one[key] == other[key]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_nothing_is_overwritten(trained: Run, shipped: Path) -> None:
    before = (shipped / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match="already there, and nothing is overwritten"):
        foveal.export(trained)
    assert (shipped / MANIFEST).read_bytes() == before


def test_wrong_use_is_said_before_anything_takes_time(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match="Expected one of onnx, int8, bf16, openvino, torch to export to, found 'tflite'"
    ):
        foveal.export(trained, to="tflite", out=tmp_path / "new")
    with pytest.raises(RecipeError, match="ONNX in float32 alone, not with int8"):
        foveal.export(trained, to="int8", whole=True, out=tmp_path / "new")
    with pytest.raises(RunError, match="Expected a run"):
        foveal.export(tmp_path, out=tmp_path / "new")
    unfinished = shutil.copytree(trained.path, tmp_path / "run")
    (unfinished / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="has not finished"):
        foveal.export(unfinished, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_refused_export_leaves_nothing_behind(
    trained: Run, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(shipped / MODEL)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4 and tensor.dims[0] > 1:
            tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    graph = Bundle.open(shipped).manifest.graph
    monkeypatch.setattr(plain, "exported_model", lambda subject: (model.SerializeToString(), graph))
    assert run_command("export", trained.path, "--out", tmp_path / "new") == 1
    said = capsys.readouterr().err
    assert "disagrees with the network and was not kept" in " ".join(said.split())
    assert "part at 8c3same (token 1)" in " ".join(said.split())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportRefused):
        foveal.export(trained, out=tmp_path / "new")


def test_torch_alone(trained: Run, shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("export", trained.path, "--to", "torch", "--out", tmp_path / "plain", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bundle"] == str(tmp_path / "plain")
    assert told["kind"] == "torch"
    assert told["agreement"]["difference"] < 1e-6
    assert set(told["files"]) == {"program.pt2", WEIGHTS}
    image = np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    one, other = (foveal.load(place)(image).as_dict() for place in (tmp_path / "plain", trained.path))
    assert one == other
    ours = foveal.load(shipped)(image).as_dict()
    assert ours["probability"] == pytest.approx(one["probability"], abs=1e-5)


def test_of_many_test_images_some_are_drawn() -> None:
    rows = np.arange(100)
    found = exporting._some(rows, 7)
    assert len(found) == 7
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found, exporting._some(rows, 7))
    np.testing.assert_array_equal(exporting._some(rows, 200), rows)


def test_bfloat16_from_the_command_line(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looks = trained.looks()
    assert run_command("export", trained.path, "--to", "bf16", "--out", tmp_path / "half") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "test images are too few to say" not in said
    assert "18 images are too few to say what rounding does: accuracy may be worse by" in said
    assert trained.looks() == looks + 1
    assert "too few to say what rounding does" in (tmp_path / "half" / CARD).read_text()
    image = np.full((12, 12, 3), 60, np.uint8)
    assert foveal.load(tmp_path / "half")(image).as_dict()["label"] == "dark"


NODE = Path(__file__).parents[2] / "examples" / "shipping"


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_example_in_javascript(trained: Run, shipped: Path) -> None:
    if not (NODE / "node_modules").is_dir():
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        done = subprocess.run(install, cwd=NODE, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"npm cannot install onnxruntime-node and sharp here: {done.stderr[-200:]}")
    photos = sorted(Path(trained.info["source"]).rglob("1*.png"))
    command = ["node", "answer.mjs", str(shipped), *map(str, photos)]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    predictor = foveal.load(shipped)
    for file, theirs in zip(photos, answers, strict=True):
        ours = predictor(file).as_dict()
        assert (theirs["file"], theirs["label"]) == (str(file), ours["label"])
        assert theirs["probability"] == pytest.approx(ours["probability"], abs=0.02)  # it resizes by itself
