"""Kill trainings with SIGKILL at random moments, resume them, and compare the weights with an undisturbed run's.

    python benchmarks/kill_and_resume.py                                    # 20 runs on the digits
    python benchmarks/kill_and_resume.py cifar10 --runs 5 --epochs 1 --mid-epoch --save-every 2

Each run is killed once or more (`--kills`), at moments drawn over the time that the undisturbed run took from its
folder to its weights. With `--mid-epoch` a kill waits until a checkpoint within an epoch is on the disk. Exits 1 unless
every run was killed and ends with the undisturbed weights.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from foveal.engine.checkpoint import load_weights, weights_sha256


def main() -> None:
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="foveal-kill-"))
    undisturbed = folder / "undisturbed"
    process = start(train(options, undisturbed))
    wait_for(undisturbed / "run.json", process)
    began = time.monotonic()
    wait_for(undisturbed / "weights.safetensors", process)
    whole = time.monotonic() - began
    finish(process)
    expected = digest(undisturbed)
    print(f"undisturbed: {expected[:16]}…, {whole:.1f} s from folder to weights", flush=True)
    chance = random.Random(options.seed)
    equal = 0
    for number in range(options.runs):
        outcome = None
        while outcome is None:
            shutil.rmtree(folder / f"run-{number}", ignore_errors=True)
            outcome = one(options, folder / f"run-{number}", expected, whole, chance)
        equal += outcome
    shutil.rmtree(folder)
    print(f"{equal}/{options.runs} runs killed and resumed end with the undisturbed run's weights")
    sys.exit(equal != options.runs)


def one(options: argparse.Namespace, run: Path, expected: str, whole: float, chance: random.Random) -> bool | None:
    """Kill one run `--kills` times, finish it, and say whether its weights are the expected ones; None where it was
    faster than the undisturbed one and ended before the kill."""
    process = start(train(options, run))
    moments = []
    for _ in range(options.kills):
        wait_for(run / "run.json", process)
        began = time.monotonic()
        time.sleep(chance.uniform(0, whole / options.kills))
        while options.mid_epoch and process.poll() is None and not any(run.glob("checkpoints/e*-s*[1-9]*")):
            time.sleep(0.05)
        if process.poll() is not None:
            return None
        process.send_signal(signal.SIGKILL)
        process.wait()
        moments.append(f"{time.monotonic() - began:.1f} s ({place(run)})")
        process = start(["resume", str(run), "--save-every", str(options.save_every)])
    finish(process)
    found = digest(run)
    verdict = "equal" if found == expected else found
    print(f"{run.name}: killed after {', '.join(moments)}: {verdict}", flush=True)
    return found == expected


def place(run: Path) -> str:
    names = sorted(path.name for path in run.glob("checkpoints/e*"))
    return names[-1] if names else "no checkpoint yet"


def digest(run: Path) -> str:
    assert json.loads((run / "report" / "report.json").read_text())["looks"] >= 1
    return weights_sha256(load_weights(run / "weights.safetensors"))


def start(arguments: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "foveal", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.is_file() and process.poll() is None:
        time.sleep(0.01)


def finish(process: subprocess.Popen) -> None:
    if process.wait() != 0:
        sys.exit(f"a training failed with exit code {process.returncode}")


def train(options: argparse.Namespace, run: Path) -> list[str]:
    where = ["train", options.source, "--recipe", options.recipe, "--out", str(run)]
    return [*where, "--epochs", str(options.epochs), "--save-every", str(options.save_every)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=1, help="kills a run")
    parser.add_argument("--save-every", type=float, default=0.5, help="seconds between checkpoints within an epoch")
    parser.add_argument("--mid-epoch", action="store_true", help="kill only with a checkpoint from within an epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
