"""Several processes under torchrun: the losses of one, the resume of one, one report, one message."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import foveal
from foveal.engine.checkpoint import load_weights, weights_sha256

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
# 1,222 training images: the last batch has two, and one of three processes has nothing of it.
DROPOUT = {
    "recipe": "cookbook-dropout",
    "net": "8c3:none-bn:relu-mp2-do0.2-16n-do0.5",
    "batch_size": 122,
    "epochs": 2,
}
NORMS = {
    "net": "w2-8c3same:none-mp2-bn:relu-r(8c3same:none-bn)-gmp",
    "optimizer": "muon",
    "learning_rate": 0.05,
    "batch_size": 33,
    "epochs": 3,
}


def start(processes: int, *arguments: str) -> "subprocess.Popen[str]":
    command = [*TORCHRUN, str(processes), "-m", "foveal", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def train(out: Path, settings: dict[str, Any], *more: str) -> list[str]:
    fields = [f"--{name}={settings[name]}" for name in ("recipe", "net") if name in settings]
    fields += [f"--set={name}={value}" for name, value in settings.items() if name not in ("recipe", "net")]
    return ["train", "digits", *fields, "--set=precision=fp32", "--device=cpu", f"--out={out}", *more]


def alone(out: Path, settings: dict[str, Any]) -> Path:
    for _ in foveal.training("digits", out=out, precision="fp32", device="cpu", **settings):
        pass
    return out


def losses(run: Path) -> list[float]:
    return [row[name] for row in foveal.Run.open(run).history() for name in ("train_loss", "validation_loss")]


def digest(run: Path) -> str:
    return weights_sha256(load_weights(run / "weights.safetensors"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing disturbed."""
    run = tmp_path_factory.mktemp("pair") / "run"
    code, out, err = finish(start(2, *train(run, NORMS, "--json")))
    assert code == 0, err
    assert json.loads(out)["report"]["looks"] == 1
    assert json.loads(out)["report"]["environment"]["processes"] == 2
    assert len([line for line in err.splitlines() if line.startswith("epoch")]) == 3
    return run


def test_losses_with_norms_are_those_of_one_process(pair: Path, tmp_path: Path) -> None:
    one = alone(tmp_path / "one", NORMS)
    assert losses(pair) == pytest.approx(losses(one), rel=0, abs=1e-5)
    assert list(load_weights(pair / "weights.safetensors")) == list(load_weights(one / "weights.safetensors"))


def test_losses_with_dropout_are_those_of_one_process(tmp_path: Path) -> None:
    code, _, err = finish(start(3, *train(tmp_path / "three", DROPOUT)))
    assert code == 0, err
    one = alone(tmp_path / "one", DROPOUT)
    assert losses(tmp_path / "three") == pytest.approx(losses(one), rel=0, abs=1e-5)


def children(process: "subprocess.Popen[str]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def wait_within_an_epoch(run: Path, process: "subprocess.Popen[str]", after: str = "") -> None:
    while not any(path.name > after and not path.name.endswith("s000000") for path in run.glob("checkpoints/e*")):
        assert process.poll() is None, finish(process)
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes to kill in /proc")
def test_killed_and_stopped_runs_end_with_the_same_weights(pair: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(2, *train(run, NORMS, "--save-every=0"))
    wait_within_an_epoch(run, process)
    for pid in (*children(process), process.pid):
        os.kill(pid, signal.SIGKILL)
    finish(process)
    place = max(path.name for path in run.glob("checkpoints/e*"))

    process = start(2, "resume", str(run), "--save-every=0")
    wait_within_an_epoch(run, process, place)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code != 0
    assert err.count("Stopped, with everything saved. Go on with: torchrun … -m foveal resume") == 1, err
    assert "error:" not in err

    assert not (run / "weights.safetensors").exists()
    code, out, err = finish(start(2, "resume", str(run), "--json"))
    assert code == 0, err
    assert "going on from epoch" in err
    assert json.loads(out)["report"]["looks"] == 1
    assert digest(run) == digest(pair)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the process to kill in /proc")
def test_a_process_that_dies_ends_the_others(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(2, *train(run, {**NORMS, "epochs": 500}, "--save-every=0"))
    wait_within_an_epoch(run, process)
    os.kill(max(children(process)), signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 1
    said = err.count("Another process of this training ended")
    # torchrun ends the others, too: where its signal comes before the words are out, its own summary is all there is.
    assert said == 1 or (said == 0 and re.search(r"exitcode +: -15", err)), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "found nothing called 'nowhere'"), (["digits", "--minutes=1"], "several cannot measure")],
    ids=["source", "minutes"],
)
def test_a_mistake_is_told_once(arguments: list[str], message: str, in_tmp: Path) -> None:
    code, out, err = finish(start(2, "train", *arguments))
    assert code == 1
    assert out == ""
    assert err.count(message) == err.count("error: ") == 1, err
    assert not (in_tmp / "runs").exists()
