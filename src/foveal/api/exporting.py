"""From a finished run to a bundle that has proved itself."""

import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from foveal.api.looking import task_and_data
from foveal.bundle import MANIFEST, Bundle, Manifest
from foveal.bundle.folder import CARD, FORMAT, VERSION, WEIGHTS, Kind
from foveal.errors import BundleError, RecipeError, RunError
from foveal.examples import Examples, PixelRows
from foveal.extras import extra
from foveal.files import write_atomic, write_folder
from foveal.phrasing import command
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Progress, SplitName, silent

if TYPE_CHECKING:
    from torch import nn

    from foveal.ship.subject import Made, Subject

__all__ = ["KINDS", "export"]

KINDS: tuple[str, ...] = get_args(Kind)
ROUNDED = ("int8", "bf16")
MOST_IMAGES = 10_000  # that both answer, and
MOST_PIXELS = 200_000_000  # of them: 4,000 images of 224×224
LEARNED = 512  # training images that rounding is fitted to
BATCH = 32


def export(
    run: str | Path | Run,
    *,
    to: str = "onnx",
    out: str | Path | None = None,
    whole: bool = False,
    accept: bool = False,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
) -> Bundle:
    """Write a finished run as a bundle, once it has answered the run's own test images as the trained network does.

    A graph has everything inside: normalisation, the network (with its mirrored answer, where the recipe has one),
    probabilities at the temperature that validation chose. An export in float32 is refused where a probability differs
    by more than 0.001 or any answer does; that compares two networks with each other, not with the truth, and counts
    no look. One that rounds is compared with the truth, counts a look, and is refused where it is significantly worse.

    Args:
        to: `onnx`; `int8`, the same rounded to 8 bits; `bf16`, the same with weights in bfloat16, half the
            file and as fast; `openvino`; or `torch`, the weights with all that says how to read them.
        out: the bundle's folder; `bundle` in the run unless said, or `bundle-int8` and so on.
        whole: write `whole.onnx`, too, which takes one image of any size and resizes it itself.
        accept: keep one that rounds even where it is worse.
        net: the run's network, where it is a module of your own.
        progress: is told what is going on, how much is done, and of how much.

    Raises:
        RunError: there is no finished run, or its images have changed since.
        BundleError: something is there already.
        ExportRefused: it disagrees, or is worse; the message has the numbers. Nothing is left behind.
        RecipeError: there is no such kind.
        NetError: the network cannot be written so.
        MissingExtra: a package is not installed that this needs.
    """
    run = Run.open(run)
    place = _place(run, to, out, whole)
    with extra("train"):
        from foveal.ship.making import MAKERS
        from foveal.ship.whole import with_whole
    subject, dataset = _subject(run, net, rounds=to in ROUNDED, progress=progress)
    made = MAKERS[to](subject, accept)
    if whole:
        made = with_whole(subject, made, dataset.source.read)
    return _written(place, run, to, subject, made)


def _place(run: Run, to: str, out: str | Path | None, whole: bool) -> Path:
    """Where the bundle goes, before anything takes time."""
    if to not in KINDS:
        raise RecipeError(f"Expected one of {', '.join(KINDS)} to export to, found {to!r}.")
    if whole and to != "onnx":
        raise RecipeError(f"A graph that resizes, too, is written with ONNX in float32 alone, not with {to}.")
    place = Path(out) if out is not None else run.path / ("bundle" if to == "onnx" else f"bundle-{to}")
    check_place(run, place)
    return place


def check_place(run: Run, place: Path) -> None:
    """
    Raises:
        RunError: there is nothing to export yet.
        BundleError: something is there already.
    """
    if not run.finished:
        raise RunError(
            f"Training in {run.path} has not finished: there is no {run.weights.name}.",
            remedy=f"Finish it with: {command('foveal', 'resume', run.path)}",
        )
    if place.exists() or place.is_symlink():
        raise BundleError(f"{place} is already there, and nothing is overwritten.", remedy="Name another: --out DIR")


def _subject(
    run: Run, net: "nn.Module | None", *, rounds: bool, progress: Progress | None
) -> "tuple[Subject, Dataset]":
    from foveal.data.cache import pixels
    from foveal.engine.checkpoint import weights_sha256
    from foveal.engine.devices import choose_device
    from foveal.engine.predictor import TorchNetwork, trained_network
    from foveal.ship.subject import Subject

    task, dataset = task_and_data(run, progress)
    device = choose_device("cpu")  # a GPU may round convolutions to TF32
    module = trained_network(run, task, device, net)
    contract = run.recipe.input
    array = pixels(dataset, task.reader, contract, progress=progress)
    split, rows = _proving(dataset, contract.height * contract.width)
    if rounds and split == "test":
        run.count_look("export")
    learned = _some(dataset.rows("train"), LEARNED)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "task": task.name,
        "labels": list(dataset.labels),
        "input": contract.model_dump(mode="json"),
        "settled": run.settled,
        "recipe": run.recipe.model_dump(mode="json"),
        "source": {"name": run.info["source_name"], "fingerprint": run.info["fingerprint"]},
        "weights_sha256": weights_sha256(module.state_dict()),
    }
    return Subject(
        module=module,
        network=TorchNetwork(module, device.torch),
        task=task,
        contract=contract,
        labels=tuple(dataset.labels),
        settled=run.settled,
        about=about,
        split=split,
        test=_examples(dataset, array, rows, task, run),
        groups=np.unique(dataset.groups[rows], return_inverse=True)[1],
        learned=PixelRows(array, learned),
        learned_targets=dataset.targets[dataset.rows("train")],
        batch=BATCH,
        progress=progress or silent,
    ), dataset


def _examples(dataset: Dataset, array: np.ndarray, rows: np.ndarray, task: Task, run: Run) -> Examples:
    from foveal.api.measuring import examples

    return examples(dataset, array, rows, task, run.recipe.input)


def _proving(dataset: Dataset, pixels: int) -> tuple[SplitName, np.ndarray]:
    """Row numbers of the test images, or where there is none of others; some of them where they are too many."""
    kinds: tuple[SplitName, ...] = ("test", "validation", "train")
    there: list[SplitName] = [split for split in kinds if len(dataset.rows(split))]
    split = there[0] if there else kinds[0]
    return split, _some(dataset.rows(split), max(1, min(MOST_IMAGES, MOST_PIXELS // pixels)))


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).permutation(rows)[:most])


def _written(place: Path, run: Run, to: str, subject: "Subject", made: "Made") -> Bundle:
    """The bundle's folder, which appears with everything in it; `bundle.json` is written last."""
    files = {**made.files, WEIGHTS: run.weights.read_bytes()}
    manifest = Manifest.model_validate(
        {
            **subject.about,
            "kind": to,
            "graph": made.graph,
            "agreement": made.agreement,
            "made": _versions(),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    card = _card(run, manifest, subject.task)

    def fill(folder: Path) -> None:
        for name, data in {**files, CARD: card.encode()}.items():
            write_atomic(folder / name, data)
        write_atomic(
            folder / MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        )

    place.parent.mkdir(parents=True, exist_ok=True)
    write_folder(place, fill)
    return Bundle.open(place)


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {"created": datetime.now(UTC).isoformat(timespec="seconds")}
    for name in ("foveal", "torch", "onnx", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _card(run: Run, manifest: Manifest, task: Task) -> str:
    """The run's model card as far as it was measured, with how to use the bundle."""
    from foveal.report import Report
    from foveal.report.card import model_card
    from foveal.ship.card import used

    path = run.report / "report.json"
    if path.is_file():
        return model_card(
            Report.read(path), pipeline=task.pipeline, weights=run.info.get("weights"), use=used(manifest)
        )
    title = f"# {manifest.source['name']}, {manifest.recipe.get('name', manifest.task)}"
    note = "It has not been measured on test images yet: `foveal evaluate RUN`, then export again."
    return f"{title}\n\n{note}\n\n{used(manifest)}"
