"""Test accuracy on 720 photographs of cats and dogs, in the same minutes: ours beside PyTorch's tutorial of transfer
learning, with the same backbone and weights; and both from scratch.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/photographs_accuracy.py [--minutes 3] [--scratch-minutes 10]

Needs cats_dogs.zip (class folders in train/ and test/) in FOVEAL_DATA, and mobilenetv2_100.safetensors in
FOVEAL_WEIGHTS. Contestants: ours, tutorial, tutorial-frozen (its network as a fixed feature extractor), ours-scratch,
tutorial-scratch. All run in our own environment. Seconds are from the start of the process to the line with the
accuracy; the tutorial reads unpacked files.
"""

import os
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from common import (
    Contestant,
    arguments,
    gigabytes,
    grouped,
    header,
    load_shown,
    logged,
    median,
    peer,
    table,
    turns,
    warn_if_busy,
)

NAME = "photographs_accuracy"
NET = "mobilenetv2_100"
ALL = ("ours", "tutorial", "tutorial-frozen", "ours-scratch", "tutorial-scratch")


def main() -> None:
    options = arguments(
        __doc__,
        ("--minutes", {"type": float, "default": 3.0, "help": "with pretrained weights"}),
        ("--scratch-minutes", {"type": float, "default": 10.0, "help": "from scratch"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if not {"FOVEAL_DATA", "FOVEAL_WEIGHTS"} <= set(os.environ):
        sys.exit("set FOVEAL_DATA and FOVEAL_WEIGHTS to the folders with cats_dogs.zip and mobilenetv2_100.safetensors")
    archive = Path(os.environ["FOVEAL_DATA"]).absolute() / "cats_dogs.zip"
    os.environ["FOVEAL_WEIGHTS"] = str(Path(os.environ["FOVEAL_WEIGHTS"]).absolute())
    warn_if_busy()
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(archive) as files:
            files.extractall(scratch)
        folder = next(path.parent for path in Path(scratch).rglob("train") if path.is_dir())
        chosen = [contestant(name, options, archive, folder) for name in options.only or ALL]
        report(turns(NAME, chosen, options.seeds, options.log))


def contestant(name: str, options: Any, archive: Path, folder: Path) -> Contestant:
    if name not in ALL:
        sys.exit(f"no contestant is called {name}; there are {', '.join(ALL)}")
    scratch = name.endswith("scratch")
    minutes = options.scratch_minutes if scratch else options.minutes
    if name.startswith("ours"):
        begin = ["--no-pretrained"] if scratch else ["--pretrained", "--net", f"timm/{NET}-do0.2"]
        command = (sys.executable, "-m", "foveal", "train", str(archive), "--minutes", f"{minutes:g}", *begin)
        return Contestant(name, (*command, "--json", "--seed"))
    weights = "none" if scratch else f"{os.environ['FOVEAL_WEIGHTS']}/{NET}.safetensors"
    trained = "output" if name.endswith("frozen") else "all"
    return peer(name, sys.executable, "finetune_torch.py", folder, NET, weights, trained, f"{minutes:g}")


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if "report" in record.get("result", {}):
            told = record["result"]["report"]
            versions = {name: told["environment"][name] for name in ("foveal", "torch")}
            epochs = told["recipe"]["epochs"]
            record["result"] = {"accuracy": told["scores"]["accuracy"]["value"], "versions": versions, "epochs": epochs}
    header("Cats and dogs, accuracy in the same minutes", records)
    lines = []
    for (name,), group in grouped(records, "contestant").items():
        done = [record for record in group if "result" in record]
        if not done:
            lines.append((name, "0", group[-1]["error"], *("–",) * 5))
            continue
        scores = [record["result"]["accuracy"] for record in done]
        spread = f"{min(scores):.3f} to {max(scores):.3f}"
        epochs = f"{statistics.median(record['result']['epochs'] for record in done):g}"
        seconds, memory = f"{median(done, 'seconds'):.0f}", gigabytes(median(done, "memory"))
        mean = f"{statistics.mean(scores):.3f}"
        lines.append((name, str(len(done)), mean, spread, epochs, seconds, memory, load_shown(done)))
    titles = ("contestant", "runs", "mean accuracy", "lowest to highest", "epochs", "median s", "peak memory")
    table("300 test images", (*titles, "processors busy elsewhere"), lines)


if __name__ == "__main__":
    main()
