"""Age from a face (UTKFace, 1,700 images): mean absolute error and the coverage of 90% intervals over five seeds,
pretrained and from scratch.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/age.py [--repeats 5] [--only pretrained]

Needs utkface.zip in FOVEAL_DATA (names as AGE_GENDER_RACE_DATE.jpg), and mobilenetv2_100.safetensors in FOVEAL_WEIGHTS.
Every seed divides the images anew; the test images are those of that division. Contestants: pretrained, scratch.
"""

import os
import statistics
import sys
from pathlib import Path
from typing import Any

from common import Contestant, arguments, gigabytes, grouped, header, logged, median, table, turns, warn_if_busy

NAME = "age"
PATTERN = r"^(?P<age>[0-9]+)_[01]_[0-4]_[0-9]+\."
HOW = {
    # Side and crop were chosen on the validation images of one seed: docs/log.md.
    "pretrained": (
        *("--pretrained", "--recipe", "pretrained", "--epochs", "7", "--set", "crop=0.8"),
        *("--set", "input.height=160", "--set", "input.width=160"),
    ),
    "scratch": ("--no-pretrained", "--minutes", "2"),
}


def main() -> None:
    options = arguments(__doc__)
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if not {"FOVEAL_DATA", "FOVEAL_WEIGHTS"} <= set(os.environ):
        sys.exit("set FOVEAL_DATA and FOVEAL_WEIGHTS to the folders with utkface.zip and mobilenetv2_100.safetensors")
    os.environ["FOVEAL_WEIGHTS"] = str(Path(os.environ["FOVEAL_WEIGHTS"]).absolute())
    archive = str(Path(os.environ["FOVEAL_DATA"]).absolute() / "utkface.zip")
    warn_if_busy()
    if unknown := set(options.only or ()) - set(HOW):
        sys.exit(f"no contestant is called {', '.join(unknown)}; there are {', '.join(HOW)}")
    start = (sys.executable, "-m", "foveal", "train", archive, "--target-pattern", PATTERN)
    chosen = [Contestant(name, (*start, *HOW[name], "--json", "--seed")) for name in options.only or HOW]
    report(turns(NAME, chosen, options.seeds, options.log))


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if told := record.get("result", {}).get("report"):
            versions = {name: told["environment"][name] for name in ("foveal", "torch")}
            record["result"] = {"report": told, "versions": versions}
    header("Age from a face", records)
    lines = []
    for (name,), group in grouped(records, "contestant").items():
        done = [record for record in group if "result" in record]
        if not done:
            lines.append((name, "0", group[-1]["error"], *("–",) * 6))
            continue
        scores = [record["result"]["report"]["scores"] for record in done]
        mean = [record["result"]["report"]["baselines"]["mean"]["mae"]["value"] for record in done]
        errors = [score["mae"]["value"] for score in scores]
        covered = [score["coverage"]["value"] for score in scores]
        images = sum(score["mae"]["n"] for score in scores)
        lines.append(
            (
                name,
                str(len(done)),
                f"{statistics.mean(errors):.2f}",
                f"{min(errors):.2f} to {max(errors):.2f}",
                f"{statistics.mean(mean):.2f}",
                f"{statistics.mean(score['r2']['value'] for score in scores):.3f}",
                f"{statistics.mean(covered):.3f} ({images:,} images)",
                f"{median(done, 'seconds'):.0f}",
                gigabytes(median(done, "memory")),
            )
        )
    titles = ("contestant", "seeds", "mean absolute error, years", "lowest to highest", "of the mean predictor", "R²")
    table("Test images", (*titles, "coverage of the 90% intervals", "median s", "peak memory"), lines)


if __name__ == "__main__":
    main()
