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
import io
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    HERE,
    Contestant,
    arguments,
    grouped,
    header,
    keras_python,
    load_shown,
    logged,
    note,
    peer,
    table,
    turns,
    warn_if_busy,
)
from peers.keras_order import in_keras_order
from PIL import Image

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
        found = compare(run.network, bundle.network, ours, theirs, test.pixels, test.geometries, batch=batch, keep=True)
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


# Speed: processes of their own, in turns.


def speed(one: Pair, kinds: Sequence[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    import foveal

    losses = {}
    for kind in kinds:
        if not one.kind(kind).exists():
            with tempfile.TemporaryDirectory() as folder:  # measuring what rounding costs counts a look of the run's
                run = shutil.copytree(one.run, Path(folder, one.name), ignore=shutil.ignore_patterns("checkpoints"))
                foveal.export(run, to=kind, out=one.kind(kind), accept=True)
        losses[kind] = loss(one.kind(kind))
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "images.npz")
        write_images(given, one)
        contestants = [ours("onnxruntime", one.bundle, given, SMALL, options)] if "speed" in options.parts else []
        contestants.append(ours("foveal", one.bundle, given, SMALL, options))
        contestants += [ours("foveal", one.kind(kind), given, SMALL, options, kind) for kind in kinds]
        chosen = [one for one in contestants if not options.only or one.name in options.only]
        facts = {
            "part": "speed",
            "run": one.name,
            "losses": losses,
            "sizes": {k: size(one.kind(k)) for k in ("onnx", *kinds)},
        }
        return turns("exports", chosen, options.seeds, options.log, **facts)


def ours(kind: str, bundle: Path, given: Path, batch: int, options: argparse.Namespace, name: str = "") -> Contestant:
    command = (sys.executable, str(HERE / "peers" / "answers.py"), kind, str(bundle), str(given), str(batch))
    return Contestant(name or kind, (*command, str(options.seconds)))


def size(bundle: Path) -> int:
    return (bundle / "model.onnx").stat().st_size


def loss(bundle: Path) -> str:
    """What rounding does to the first score, with its interval, as the export measured it."""
    from foveal.bundle import Bundle

    found = Bundle.open(bundle).manifest.agreement
    told = [
        f"{name} {score['export']:.4f}, {score['difference']:+.4f} [{score['low']:+.4f}, {score['high']:+.4f}]"
        for name, score in found.scores.items()
    ]
    return ", ".join(told) + (" (accepted though worse)" if found.accepted else "")


def write_images(path: Path, one: Pair) -> None:
    """Prepared pixels of test images, and some of them as JPEG files: as they are where they are that, else encoded."""
    from foveal.api.looking import task_and_data
    from foveal.run import Run

    task, test, _ = test_images(one.run)
    rows = np.random.default_rng(0).permutation(len(test.files))
    _, dataset = task_and_data(Run.open(one.run), None)
    files = [jpeg(dataset.source.read(test.files[row]), task.reader) for row in rows[:FILES]]
    sizes = [len(data) for data in files]
    pixels = np.ascontiguousarray(test.pixels[np.sort(np.resize(rows, IMAGES))])
    np.savez(path, pixels=pixels, files=np.frombuffer(b"".join(files), np.uint8), sizes=sizes)


def jpeg(source: "bytes | np.ndarray", reader: Any) -> bytes:
    if isinstance(source, bytes) and source.startswith(b"\xff\xd8\xff"):
        return source
    file = io.BytesIO()
    pixels = reader.read(source)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def show_speed(records: Sequence[dict[str, Any]]) -> None:
    titles = ("run", "what", "file", "one, p50 ms", "p99", f"{SMALL} at once, images/s")
    titles += ("a JPEG, p50 ms", f"{FILES} JPEGs, images/s", "score beside float32", "elsewhere")
    lines = []
    for (run,), group in grouped(records, "run").items():
        bare, float32 = (
            medians([record for record in group if record["contestant"] == name][:1] or group[:1], group)
            for name in ("onnxruntime", "foveal")
        )
        for (name,), mine in grouped(group, "contestant").items():
            done = [record for record in mine if "result" in record]
            if not done:
                lines.append((run, name, *[mine[-1]["error"], *[""] * (len(titles) - 3)]))
                continue
            found = medians(done[:1], done)
            base = float32 if name in KINDS else bare
            lower = [f"{found[key]:.3f}{ratio(base[key], found[key])}" for key in ("one_ms", "file_ms")]
            higher = [
                f"{found[key]:,.0f}{ratio(found[key], base[key])}" for key in ("batch_per_second", "files_per_second")
            ]
            kind = name if name in KINDS else "onnx"
            facts = f"{mine[0]['sizes'][kind] / 1e6:.2f} MB", mine[0]["losses"].get(kind, ""), load_shown(done)
            cells = (facts[0], lower[0], f"{found['one_p99_ms']:.3f}", higher[0], lower[1], higher[1], *facts[1:])
            lines.append((run, name, *cells))
    table("Speed; in brackets how many times as fast: foveal as onnxruntime, int8 and bf16 as foveal", titles, lines)


def medians(first: Sequence[dict[str, Any]], group: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Medians over the turns of the contestant of the first record."""
    name = first[0]["contestant"]
    done = [record["result"] for record in group if record["contestant"] == name and "result" in record]
    keys = [key for key, value in done[0].items() if isinstance(value, int | float)] if done else []
    return {key: float(np.median([result[key] for result in done])) for key in keys}


def ratio(more: float, less: float) -> str:
    return f" ({more / less:.2f}×)"


# Keras: the same weights.


def beside_keras(one: Pair, options: argparse.Namespace) -> list[dict[str, Any]]:
    import foveal

    network = foveal.load(one.run).network.module  # pyright: ignore[reportAttributeAccessIssue]
    arrays = [parameter.detach().numpy() for parameter in network.parameters()]
    with tempfile.TemporaryDirectory() as folder:
        images, given = Path(folder, "images.npz"), Path(folder, "keras.npz")
        write_images(images, one)
        predictor = foveal.load(one.bundle)
        pixels = np.load(images)["pixels"]
        raw = predictor.run(pixels[:100]).raw.astype(np.float64)
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        weights = {f"w{number}": array for number, array in enumerate(in_keras_order(arrays))}
        np.savez(given, pixels=pixels, expected=powers / powers.sum(axis=1, keepdims=True), **weights)
        python = keras_python(options.env)
        contestants = [
            peer("keras", python, "keras_answers.py", given, options.seconds, backend="tensorflow"),
            ours("foveal", one.bundle, images, LARGE, options),
        ]
        return turns("exports", contestants, options.seeds, options.log, part="keras", run=one.name)


def show_keras(records: Sequence[dict[str, Any]]) -> None:
    titles = ("run", "what", "one image, p50 ms", f"{LARGE} at once, images/s", "largest difference", "elsewhere")
    lines = []
    for (run,), group in grouped(records, "run").items():
        base = medians(group[:1], group)
        for (name,), mine in grouped(group, "contestant").items():
            done = [record for record in mine if "result" in record]
            if not done or not base:
                lines.append((run, name, mine[-1].get("error", ""), "", "", ""))
                continue
            found = medians(done[:1], done)
            one = f"{found['one_ms']:.3f}{ratio(base['one_ms'], found['one_ms'])}"
            many = f"{found['batch_per_second']:,.0f}{ratio(found['batch_per_second'], base['batch_per_second'])}"
            apart = f"{found['difference']:.1e}" if "difference" in found else ""
            lines.append((run, name, one, many, apart, load_shown(done)))
    table("The worked example, same weights: `model(x)` and `predict` of Keras", titles, lines)


if __name__ == "__main__":
    main()
