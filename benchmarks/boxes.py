"""Boxes on photographs of blood cells (BCCD), in the same minutes: ours pretrained and from scratch, and SSDLite.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/boxes.py                    # 20 minutes each, 3 hours in all
    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/boxes.py --minutes 5 --only ours ssdlite --repeats 1
    python benchmarks/boxes.py --from-log FILE

Contestants: ours (MobileNetV2 with the weights of ImageNet, our head), ours-scratch (no weights), ssdlite
(torchvision's SSDLite head and loss on the same backbone with the same weights, in the same loop, views and schedule).

The official division of bccd.zip: 205 images to learn from, 87 to validate, 72 to test. Seconds are from the start of
the process to the printed score; the score is COCO's AP on the test images, the interval a bootstrap over images.
"""

import os
import sys
from pathlib import Path
from typing import Any

from common import (
    CACHE,
    Contestant,
    arguments,
    gigabytes,
    grouped,
    header,
    load_shown,
    logged,
    median,
    table,
    turns,
    warn_if_busy,
)

NAME = "boxes"
SETTINGS = {"ours": (), "ours-scratch": ("--no-pretrained",), "ssdlite": ("--net", "ssdlite")}


def main() -> None:
    options = arguments(__doc__, ("--minutes", {"type": float, "default": 20.0, "help": "of each (default 20)"}))
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if not {"FOVEAL_DATA", "FOVEAL_WEIGHTS"} <= os.environ.keys():
        sys.exit("set FOVEAL_DATA to the folder of bccd.zip, FOVEAL_WEIGHTS to that of mobilenetv2_100.safetensors")
    warn_if_busy()
    os.environ["FOVEAL_CACHE"] = str(CACHE / "foveal")
    images = str(Path(os.environ["FOVEAL_DATA"]).absolute() / "bccd.zip")
    chosen = [contestant(name, images, options.minutes) for name in options.only or SETTINGS]
    report(turns(NAME, chosen, options.seeds, options.log, minutes=options.minutes))


def contestant(name: str, images: str, minutes: float) -> Contestant:
    command = (sys.executable, "-m", "foveal", "train", images, *SETTINGS[name], "--minutes", f"{minutes:g}")
    return Contestant(name, (*command, "--json", "--seed"))


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if "report" in record.get("result", {}):
            told = record["result"]["report"]
            versions = {name: told["environment"][name] for name in ("foveal", "torch", "numpy")}
            scores = {name: told["scores"][name] for name in ("ap50", "ap", "ap75")}
            record["result"] = {"versions": versions, "scores": scores, "recipe": told["recipe"]}
    header("Boxes on BCCD", records)
    lines = []
    for (name, minutes), group in grouped(records, "contestant", "minutes").items():
        for record in (one for one in group if "result" in one):
            scores, recipe = record["result"]["scores"], record["result"]["recipe"]
            shown = [f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for s in scores.values()]
            size = f"{recipe['input']['height']}×{recipe['input']['width']}"
            taken = f"{record['seconds']:.0f}"
            lines.append((name, f"{minutes:g}", str(record["seed"]), taken, *shown, size, f"{recipe['epochs']:g}"))
        done = [one for one in group if "result" in one]
        if done:
            memory = f"{gigabytes(median(done, 'memory'))}; others {load_shown(done)}"
            lines.append((f"{name}, median", f"{minutes:g}", "", f"{median(done, 'seconds'):.0f}", memory, *[""] * 4))
    titles = ("contestant", "minutes", "seed", "s", "AP50 [95%]", "AP", "AP75", "input", "epochs")
    table("On the 72 test images", titles, lines)


if __name__ == "__main__":
    main()
