"""Repeats, comparisons and learning curves on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from foveal.cli import main

Outcome = tuple[int, str, str]
QUICK = ["--epochs", "1", "--net", "8c3-mp2-16n", "--set", "batch_size=8"]


@pytest.fixture
def foveal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    monkeypatch.setenv("FOVEAL_STATE", str(tmp_path / "state"))

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


def test_repeats_and_their_comparison(
    foveal: Callable[..., Outcome], image_folder: Callable[..., Path], in_tmp: Path
) -> None:
    photos = image_folder({"dark": 30, "light": 30})
    code, out, err = foveal("train", photos, *QUICK, "--repeats", "2", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["series"] == "runs/photos-1"
    assert told["repeats"]["runs"] == ["runs/photos-1/1", "runs/photos-1/2"]
    assert "training 2 of 2, seed 1" in err

    code, out, _ = foveal(
        "train", photos, *QUICK, "--set", "learning_rate=1e-9", "--repeats", "2", "--out", "runs/poor"
    )
    assert code == 0
    assert "is about the recipe" in " ".join(out.split())

    code, out, _ = foveal("compare", "runs/photos-1", "runs/poor")
    assert code == 0
    assert "Do these two networks differ?" in out
    assert "Do the two recipes differ?" in out
    assert "Welch" in out
    code, out, _ = foveal("compare", "runs/photos-1/1", "runs/poor/2", "--json")
    assert json.loads(out)["recipes"] is None

    code, out, _ = foveal("resume", "runs/poor", "--json")
    assert (code, json.loads(out)["series"]) == (0, "runs/poor"), "a finished series says again what it said"
    code, _, err = foveal("compare", "runs/photos-1", "nowhere")
    assert code == 1
    assert "Expected a run" in err


def test_a_curve(foveal: Callable[..., Outcome], image_folder: Callable[..., Path], in_tmp: Path) -> None:
    photos = image_folder({"dark": 30, "light": 30})
    shares = [part for share in (0.25, 0.5, 0.75, 1) for part in ("--share", share)]
    code, out, _ = foveal("curve", photos, *QUICK, *shares, "--repeats", 1, "--reach", 0.9)
    assert code == 0
    assert "Twice the training images (84 for 42)" in " ".join(out.split())
    assert "runs/photos-curve-1/curve.html" in out
    code, out, _ = foveal("resume", "runs/photos-curve-1", "--json")
    told = json.loads(out)
    assert (code, told["images"], len(told["points"])) == (0, 42, 4)
    code, _, err = foveal("curve", photos, "--share", 0.5)
    assert code == 1
    assert "Expected 4 different shares" in err
