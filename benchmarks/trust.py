"""How far a run on CIFAR-10 can be trusted: calibration, error at 80% coverage, and images of other kinds.

    foveal train cifar10 --minutes 1 --out runs/honest
    FOVEAL_DATA=... python benchmarks/trust.py runs/honest [RUN ...]

Digits come with scikit-learn, noise is drawn here; photographs, X-rays and blood cells are those of the archives that
FOVEAL_DATA names, where they are there. What Foveal uses is `look`; the scores that a network gives are beside it:
the largest probability and logit, energy (Liu et al. 2020), Mahalanobis' distance of the logits and the tenth neighbour
of the features (Sun et al. 2022), fitted to the validation images and to 4,000 training images.
"""

import argparse
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import table

from foveal.api.looking import task_and_data
from foveal.data.cache import pixels
from foveal.engine.devices import choose_device
from foveal.engine.infer import infer
from foveal.engine.predictor import trained_network
from foveal.engine.probe import Features
from foveal.errors import UnreadableImage
from foveal.measure.ranking import auroc
from foveal.readers.familiarity import strangeness
from foveal.report import Report
from foveal.run import Run

KNOWN = "CIFAR-10, test"
ARCHIVES = {
    "faces": "lfw.zip",
    "chest X-rays": "chest_xray3.zip",
    "blood cells": "bccd.zip",
    "gray faces": "orl_faces.zip",
}
MOST = 1500  # images of a kind
NEIGHBOUR = 10
LEVEL = 0.99

Arrays = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for path in parser.parse_args().runs:
        report(Run.open(path))


def report(run: Run) -> None:
    told = Report.read(run.report / "report.json")
    if told.calibration is None or told.selective is None or told.data.source != "cifar10":
        sys.exit(f"{run.path} is no run on cifar10")
    print(f"\n# {run.path}: {run.recipe.net}\n")
    scores = {
        "accuracy": told.scores["accuracy"],
        "ECE before the temperature": told.calibration.ece_before,
        f"ECE, temperature {told.calibration.temperature:.3f}": told.calibration.ece,
        "error of all": told.selective.error,
        "error of the surest 80%": told.selective.error_at_80,
    }
    rows = [(name, f"{s.value:.4f} [{s.low:.4f}, {s.high:.4f}]", s.method, f"{s.n:,}") for name, s in scores.items()]
    table("Test images", ("score", "[95%]", "interval", "images"), rows)
    kinds(run)


def kinds(run: Run) -> None:
    task, dataset = task_and_data(run, None)
    device = choose_device()
    network = trained_network(run, task, device)
    array = pixels(dataset, task.reader, run.recipe.input)
    rng = np.random.default_rng(0)
    train = rng.permutation(dataset.rows("train"))[:4000]
    images = {
        name: np.ascontiguousarray(array[rows])
        for name, rows in (("train", train), ("validation", dataset.rows("validation")), (KNOWN, dataset.rows("test")))
    }
    images |= strangers(run, lambda source: task.reader.load(source, run.recipe.input)[0], rng)
    outputs = {name: infer(network, part, np.arange(len(part)), device.torch) for name, part in images.items()}
    features: Arrays = {}
    for name, part in images.items():
        found = Features(network, part, "", np.arange(len(part)), device)
        for _ in found.compute():
            pass
        features[name] = found.array / np.linalg.norm(found.array, axis=1, keepdims=True)
    look = {name: strangeness(part, run.settled) for name, part in images.items()}
    ways = {"look": {name: far for name, far in look.items() if far is not None}}
    ways |= of_outputs(outputs, dataset.targets[dataset.rows("validation")])
    ways["neighbour in features"] = {name: -near(part, features["train"]) for name, part in features.items()}
    others = [name for name in images if name not in ("train", "validation", KNOWN)]
    rows = [(way, *(told_of(far, name) for name in others), f"{passed(far, KNOWN):.3f}") for way, far in ways.items()]
    counts = [f"{name} ({len(images[name]):,})" for name in others]
    table("AUROC [95%] beside the test images; share beyond 99% of validation", ("score", *counts, KNOWN), rows)


def told_of(far: Arrays, name: str) -> str:
    both = np.concatenate([far[name], far[KNOWN]])
    score = auroc(both, np.arange(len(both)) < len(far[name]))
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]; {passed(far, name):.2f}"


def passed(far: Arrays, name: str) -> float:
    """Share of the images that are beyond what 99 of 100 validation images keep."""
    return float((far[name] > np.quantile(far["validation"], LEVEL)).mean())


def of_outputs(outputs: Arrays, truth: np.ndarray) -> dict[str, Arrays]:
    def energy(z: np.ndarray) -> np.ndarray:
        return -np.logaddexp.reduce(z.astype(np.float64), axis=1)

    held = outputs["validation"].astype(np.float64)
    means = np.stack([held[truth == k].mean(axis=0) for k in range(held.shape[1])])
    off = held - means[truth]
    inverse = np.linalg.pinv(off.T @ off / len(off))

    def mahalanobis(z: np.ndarray) -> np.ndarray:
        apart = z[:, None] - means
        return np.einsum("nki,ij,nkj->nk", apart, inverse, apart).min(axis=1)

    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "largest probability": lambda z: -np.exp(z.max(axis=1) + energy(z)),
        "largest logit": lambda z: -z.max(axis=1),
        "energy": energy,
        "Mahalanobis, logits": mahalanobis,
    }
    return {way: {name: f(z) for name, z in outputs.items()} for way, f in ways.items()}


def near(features: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Cosine of the tenth nearest."""
    return np.partition(features @ learned.T, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]


def strangers(run: Run, load: Callable[..., np.ndarray], rng: np.random.Generator) -> Arrays:
    from sklearn.datasets import load_digits

    numbers: Any = load_digits()
    shape = (MOST, run.recipe.input.height, run.recipe.input.width, 3)
    found = {
        "digits": np.stack([load((image * 255 / 16).round().astype(np.uint8)) for image in numbers.images]),
        "uniform noise": rng.integers(0, 256, shape, dtype=np.uint8),
        "Gaussian noise": np.clip(rng.normal(128, 50, shape), 0, 255).astype(np.uint8),
    }
    folder = Path(os.environ.get("FOVEAL_DATA", "."))
    for name, archive in ARCHIVES.items():
        if (folder / archive).is_file():
            with zipfile.ZipFile(folder / archive) as file:
                names = [member for member in file.namelist() if member.lower().endswith((".jpg", ".png", ".pgm"))]
                chosen = [names[k] for k in rng.permutation(len(names))[:400]]
                found[name] = np.stack(
                    [image for member in chosen if (image := loaded(load, file.read(member))) is not None]
                )
    return found


def loaded(load: Callable[..., np.ndarray], encoded: bytes) -> np.ndarray | None:
    try:
        return load(encoded)
    except UnreadableImage:
        return None


if __name__ == "__main__":
    main()
