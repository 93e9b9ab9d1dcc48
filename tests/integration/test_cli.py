"""The command line: exit codes, one JSON object on stdout, and errors that say what to do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from foveal.cli import main

Outcome = tuple[int, str, str]
QUICK = ["--epochs", "1", "--net", "8c3-mp2-16n", "--set", "batch_size=8"]


@pytest.fixture
def foveal(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def photos(image_folder: Callable[..., Path]) -> Path:
    return image_folder({"dark": 20, "light": 20})


def test_look_json(foveal: Callable[..., Outcome], photos: Path) -> None:
    (photos / "dark" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but not really")
    code, out, _ = foveal("look", photos, "--json")
    seen = json.loads(out)
    assert code == 0
    assert seen["labels"] == {"dark": 20, "light": 20}
    assert seen["splits"] == {"train": 28, "validation": 6, "test": 6}
    assert [set(finding) for finding in seen["findings"]] == [{"kind", "files", "message", "remedy"}]
    assert seen["findings"][0]["files"] == ["dark/broken.png"]


def test_look_table(foveal: Callable[..., Outcome], photos: Path) -> None:
    code, out, _ = foveal("look", photos)
    assert code == 0
    assert "40 images, 2 labels" in out
    assert "12×12" in out


def test_train_evaluate_predict_json(foveal: Callable[..., Outcome], photos: Path, in_tmp: Path) -> None:
    code, out, err = foveal("train", photos, *QUICK, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["run"] == "runs/photos-1"
    assert "epoch 1/1" in err
    assert {"scores", "baselines", "per_label", "looks", "recipe", "data", "environment"} <= set(result["report"])
    assert set(result["report"]["scores"]["accuracy"]) == {"value", "low", "high", "level", "n", "method"}
    assert result["report"] == json.loads(Path("runs/photos-1/report/report.json").read_text())

    code, out, _ = foveal("evaluate", "runs/photos-1", "--json")
    assert code == 0
    assert json.loads(out)["looks"] == 2

    (in_tmp / "no.jpg").write_text("hello")
    code, out, _ = foveal("predict", "runs/photos-1", photos / "light", "no.jpg", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1, "a file that cannot be read is a failure, and the rest is answered"
    assert len(lines) == 21
    assert {"file", "label", "probability"} <= set(lines[0])
    assert set(lines[-1]) == {"file", "error"}


def test_runs_are_numbered_and_never_overwritten(foveal: Callable[..., Outcome], photos: Path, in_tmp: Path) -> None:
    for expected in ("runs/photos-1", "runs/photos-2"):
        _, out, _ = foveal("train", photos, *QUICK, "--json")
        assert json.loads(out)["run"] == expected
    before = Path("runs/photos-1/run.json").read_bytes()
    code, out, err = foveal("train", photos, *QUICK, "--out", "runs/photos-1")
    assert (code, out) == (1, "")
    assert "already there" in err
    assert "foveal resume runs/photos-1" in err
    assert Path("runs/photos-1/run.json").read_bytes() == before


def test_resume_of_a_reported_run_does_not_look_again(
    foveal: Callable[..., Outcome], photos: Path, in_tmp: Path
) -> None:
    foveal("train", photos, *QUICK)
    code, out, _ = foveal("resume", "runs/photos-1", "--json")
    assert code == 0
    assert json.loads(out)["report"]["looks"] == 1


def test_tables(foveal: Callable[..., Outcome], photos: Path, in_tmp: Path) -> None:
    code, out, _ = foveal("train", photos, *QUICK)
    assert code == 0
    assert "this network" in out
    assert "majority" in out
    assert "runs/photos-1/report/report.html" in out
    code, out, _ = foveal("predict", "runs/photos-1", photos / "dark" / "dark-000.png")
    assert code == 0
    assert "dark-000.png" in out


def test_scores_are_printed_before_the_page_is_drawn(
    foveal: Callable[..., Outcome],
    photos: Path,
    in_tmp: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    monkeypatch.setattr("foveal.report.write_page", lambda *page: drawn.append(capsys.readouterr().out))
    for command in (["train", photos, *QUICK], ["evaluate", "runs/photos-1"]):
        code, out, _ = foveal(*command)
        assert code == 0
        assert "this network" in drawn[-1]
        assert "report.html" not in drawn[-1]
        assert out == "report: runs/photos-1/report/report.html\n"
    assert len(drawn) == 2
    _, out, _ = foveal("evaluate", "runs/photos-1", "--json")
    assert drawn[-1] == ""
    assert json.loads(out)["looks"] == 3


def test_describe(foveal: Callable[..., Outcome]) -> None:
    code, out, _ = foveal("describe", "cookbook", "--input", "32x32x3")
    assert code == 0
    assert "356,810" in out
    assert "10.67 MFLOP" in out
    code, out, _ = foveal("describe", "cookbook", "--json")
    assert json.loads(out)["parameters"] == 356_810


@pytest.mark.parametrize(
    ("net", "places"), [(["detector"], 84), (["ssdlite"], None), (["timm/mobilenetv2_100", "--task", "detection"], 84)]
)
def test_describe_nets_for_boxes(foveal: Callable[..., Outcome], net: list[str], places: int | None) -> None:
    code, out, _ = foveal("describe", *net, "--input", "64x64x3", "--outputs", "3", "--json")
    rows = json.loads(out)["rows"]
    assert code == 0
    assert rows[-1]["kind"].startswith("boxes, from maps at strides")
    assert rows[-1]["shape"][-1] == 4 + 3
    assert places is None or rows[-1]["shape"][0] == places


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "nowhere"], 1, "nowhere"),
        (["train", "digits", "--recipe", "cook"], 1, "cookbook"),
        (["train", "digits", "--net", "32c3-mp9"], 1, "mp9"),
        (["train", "digits", "--epochs", "0"], 1, "epochs"),
        (["train", "digits", "--set", "nothing=1"], 1, "no such field"),
        (["train", "digits", "--set", "epochs"], 2, "FIELD=VALUE"),
        (["train", "digits", "--set", "net=8c3"], 2, "cannot be set here"),
        (["train", "digits", "--set", "learning_rate=Infinity"], 1, "learning_rate"),
        (["train", "digits", "--task", "segmentation"], 2, "classification"),
        (["predict", ".", "x.png", "--format", "xml"], 2, "voc"),
        (["train", "digits", "--net", "timm/mobilenetv2_10"], 1, "timm/mobilenetv2_100"),
        (["train", "digits", "--device", "toaster"], 1, "toaster"),
        (["export", ".", "--to", "tflite"], 2, "docker"),
        (["look", "digits", "--minutes", "2"], 2, "--suspects"),
        (["resume", "nowhere"], 1, "run.json"),
        (["evaluate", "."], 1, "run.json"),
        (["predict", ".", "x.png"], 1, "x.png"),
        (["describe", "32q3"], 1, "32q3"),
        (["describe", "cookbook", "--input", "32x32"], 2, "32x32x3"),
        (["describe", "cookbook", "--input", "4x4x3"], 1, "mp2"),
        (["fly"], 2, "fly"),
        (["train", "--fast"], 2, "--fast"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(foveal: Callable[..., Outcome], in_tmp: Path, arguments: list[str], code: int, said: str) -> None:
    found, out, err = foveal(*arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert not list(in_tmp.iterdir()), "a mistake leaves nothing behind"


def test_help_has_examples_and_needs_no_torch() -> None:
    for verb in ([], ["look"], ["train"], ["resume"], ["evaluate"], ["predict"], ["describe"]):
        code = (
            "import sys; from foveal.cli import main; "
            f"\ntry: main({[*verb, '--help']!r})\nexcept SystemExit as done: code = done.code\n"
            "sys.exit(code or any(m in sys.modules for m in ('torch', 'numpy', 'PIL')))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, verb
        assert f"foveal {verb[0]}" in done.stdout if verb else "foveal train" in done.stdout


def test_module_and_version() -> None:
    done = subprocess.run([sys.executable, "-m", "foveal", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("foveal 0.")


def test_ctrl_c_saves_and_resumes(image_folder: Callable[..., Path], in_tmp: Path) -> None:
    photos = image_folder({"dark": 60, "light": 60})
    command = [sys.executable, "-m", "foveal", "train", str(photos), "--epochs", "2000", "--out", "run"]
    process = subprocess.Popen([*command, "--net", "8c3-16n"], stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "foveal resume run" in err
    assert "Traceback" not in err
    assert len(list(Path("run/checkpoints").glob("e*"))) == 1


def test_look_fix_and_decisions(foveal: Callable[..., Outcome], photos: Path, in_tmp: Path) -> None:
    copy = photos / "light" / "copy.png"
    copy.write_bytes(next((photos / "dark").glob("*.png")).read_bytes())
    code, out, err = foveal("look", photos, "--fix", "moves.csv", "--json")
    assert code == 0
    assert "wrote moves.csv: 2 proposals" in err
    assert {finding["kind"] for finding in json.loads(out)["findings"]} == {"exact-duplicate", "contradicting-label"}
    code, out, _ = foveal("look", photos, "--decisions", "moves.csv", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 39
    assert foveal("look", photos, "--fix", "moves.csv")[0] == 1, "nothing is overwritten"
    Path("moves.csv").write_text("file,action\nlight/copy.png,remove\n")
    code, _, err = foveal("train", photos, "--decisions", "moves.csv", *QUICK)
    assert code == 1
    assert "line 2: the action 'remove'" in err


def test_groups_in_paths(foveal: Callable[..., Outcome], photos: Path) -> None:
    code, out, _ = foveal("look", photos, "--group-pattern", "/(.)", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 40
    code, _, err = foveal("look", photos, "--group-level", "5")
    assert code == 1
    assert "finds a group, found none" in err
