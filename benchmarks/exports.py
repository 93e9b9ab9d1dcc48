"""Exports: do they answer as their networks, and how fast, beside bare onnxruntime and beside Keras.

    python benchmarks/exports.py RUN=BUNDLE [RUN=BUNDLE ...] --parts parity [--batches 1 2 7 64]
    python benchmarks/exports.py RUN=BUNDLE [...] --parts speed int8 bf16 [--seconds 2] [--repeats 5]
    python benchmarks/exports.py COOKBOOK_RUN=BUNDLE --parts keras [--seconds 2] [--repeats 5]

Parity: torch and the bundle answer the run's test images in batches of each size; the largest difference of a number
that is compared (probabilities; scores and corners of boxes; values in standard deviations), answers that differ, and
the first score of both. Of 10,000 images nothing is left out.

Speed: every contestant is a process of its own, and they take turns. `onnxruntime` is what anybody would write: a
session with its defaults, fed the same arrays (uint8, prepared), asked for all that the graph gives; of files Pillow
decodes and resizes. `foveal` is `foveal.load(BUNDLE)`: an answer with its label, its probabilities, and whether the
image is unlike the training images. Batches go through `Predictor.run` and `decode`, files through `Predictor` and
`Predictor.many`. `int8` and `bf16` are exports of the same run, made where they are not there: BUNDLE-int8 and so on,
`--accept` included, so that a worse one is shown, too.

Keras: the cookbook net with the run's own weights, `model(x)` for one image and `predict` for batches of 256; float32.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    CACHE,
    HERE,
    Contestant,
    arguments,
    grouped,
    header,
    keras_python,
    load_shown,
    logged,
    median,
    note,
    peer,
    table,
    turns,
    warn_if_busy,
)

PARTS = ("parity", "speed", "int8", "bf16", "keras")
KINDS = ("int8", "bf16")
IMAGES = 256  # of the timings
FILES = 64
SMALL, LARGE = 64, 256  # batches of ours, and of Keras


@dataclass(frozen=True)
class Pair:
    """A run and an export of it."""

    run: Path
    bundle: Path

    @property
    def name(self) -> str:
        return self.run.name

    def kind(self, kind: str) -> Path:
        """Another export of the same run, beside the first one."""
        return self.bundle if kind == "onnx" else self.bundle.with_name(f"{self.bundle.name}-{kind}")


def main() -> None:
    options = arguments(
        __doc__,
        ("pairs", {"nargs": "*", "metavar": "RUN=BUNDLE", "type": pair}),
        ("--parts", {"nargs": "+", "choices": PARTS, "default": PARTS, "help": "all of them unless said"}),
        ("--batches", {"nargs": "+", "type": int, "default": [1, 2, 7, 64], "help": "of parity (default 1 2 7 64)"}),
        ("--seconds", {"type": float, "default": 2.0, "help": "a figure takes, a turn (default 2)"}),
    )
    records = logged(options.from_log, "exports") if options.from_log else measured(options)
    header("Exports", records)
    by_part = {part: [record for record in records if record["part"] == part] for part in ("parity", "speed", "keras")}
    if by_part["parity"]:
        show_parity(by_part["parity"])
    if by_part["speed"]:
        show_speed(by_part["speed"])
    if by_part["keras"]:
        show_keras(by_part["keras"])


def pair(text: str) -> Pair:
    run, _, bundle = text.partition("=")
    return Pair(Path(run).absolute(), Path(bundle).absolute() if bundle else Path(run).absolute() / "bundle")


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    records = []
    if "parity" in options.parts:
        for one in options.pairs:
            records += parity(one, options)
    kinds = [kind for kind in KINDS if kind in options.parts]
    if "speed" in options.parts or kinds:
        warn_if_busy()
        for one in options.pairs:
            records += speed(one, kinds, options)
    if "keras" in options.parts:
        warn_if_busy()
        for one in options.pairs:
            records += beside_keras(one, options)
    return records


# Parity: in this process, with torch.


def parity(one: Pair, options: argparse.Namespace) -> list[dict[str, Any]]:
    import foveal
    from foveal.ship.parity import compare, told

    run, bundle = foveal.load(one.run), foveal.load(one.bundle)
    task, test, learned = test_images(one.run)
    reading = (told(task.answer, run.contract, p.labels, p.settled, learned) for p in (run, bundle))
    ours, theirs = reading
    records = []
    for batch in options.batches:
        found = compare(
            run.network, bundle.network, ours, theirs, test.pixels, test.geometries, batch=batch, keep=True
        )
        record = {"benchmark": "exports", "part": "parity", "contestant": "foveal", "run": one.name, "batch": batch}
        facts = {"difference": found.difference, "changed": found.changed, "ties": found.ties, "images": found.images}
        if found.raw is not None:
            facts["scores"] = scores(task, run, test, found.raw)
        records.append(note({**record, **facts, "task": task.name, "result": {"versions": versions()}}, options.log))
    return records


def test_images(run: Path) -> tuple[Any, Any, np.ndarray]:
    """Task, test images, and the targets of the training images."""
    from foveal.api.looking import task_and_data
    from foveal.api.measuring import examples
    from foveal.data.cache import pixels
    from foveal.run import Run

    opened = Run.open(run)
    task, dataset = task_and_data(opened, None)
    contract = opened.recipe.input
    array = pixels(dataset, task.reader, contract)
    test = examples(dataset, array, dataset.rows("test"), task, contract)
    return task, test, dataset.targets[dataset.rows("train")]


def scores(task: Any, run: Any, test: Any, raw: tuple[np.ndarray, np.ndarray]) -> dict[str, tuple[float, ...]]:
    """The scores that a report shows first, of torch and of the bundle."""
    rated = [task.rate(outputs, test, run.labels, run.settled) for outputs in raw]
    found = [one.under(np.ones((len(raw[0]), 1)))[0] for one in rated]
    names = [name for name in task.headline if name in found[0]]
    return {name: tuple(float(values[name][0]) for values in found) for name in names}


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("foveal", "onnxruntime", "torch", "onnx", "numpy", "pillow")}


def show_parity(records: Sequence[dict[str, Any]]) -> None:
    titles = ("run", "task", "images", "batch", "largest difference", "changed", "ties", "scores, torch and bundle")
    lines = [
        (
            *(record["run"], record["task"], f"{record['images']:,}", str(record["batch"])),
            *(f"{record['difference']:.1e}", f"{record['changed']:,}", f"{record['ties']:,}"),
            ", ".join(f"{name} {ours:.5f}, {theirs:.5f}" for name, (ours, theirs) in record["scores"].items()),
        )
        for record in records
    ]
    table("The same answers: torch and the bundle", titles, lines)
