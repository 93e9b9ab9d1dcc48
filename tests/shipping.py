"""Small networks with all that an export needs, made without training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from foveal.bundle.folder import FORMAT, VERSION
from foveal.engine.predictor import TorchNetwork
from foveal.examples import Examples, PixelRows
from foveal.nets.layers import build
from foveal.readers.familiarity import familiar
from foveal.recipe import InputContract
from foveal.ship.subject import Subject
from foveal.tasks import TASKS
from foveal.types import Geometry

__all__ = ["subject_of"]

SETTLED: Mapping[str, Mapping[str, Any]] = {
    "classification": {"temperature": 0.7, "n": 99},
    "multilabel": {"temperature": 1.6, "thresholds": {"a": 0.4, "c": 0.6}},
    "regression": {"level": 0.9, "half_width": {"a": 2.0}, "n": 99},
    "detection": {"thresholds": {"b": 0.3}},
}


def subject_of(
    task: str,
    net: str,
    contract: InputContract,
    labels: tuple[str, ...] = ("a", "b", "c"),
    *,
    images: int = 120,
    mirror: bool = False,
    seed: int = 0,
) -> Subject:
    """An untrained network whose norms have seen images of its own: gradients, spots and noise."""
    record, rng = TASKS[task], np.random.default_rng(seed)
    pixels = drawn(images, contract, rng)
    network = build(
        net, contract, record.head, record.answer.outputs(labels), seed=seed, mirror=mirror, strides=record.strides
    )
    whole = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    network.fit(whole)
    with torch.no_grad():
        for part in whole.split(40):
            network.train()(part)
        spread(network.eval(), whole)
    rows = np.arange(images)
    settled = {**SETTLED[task], **familiar(pixels, rows, rows[:0])}
    targets = targets_of(task, images, len(labels), rng)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "task": task,
        "labels": list(labels),
        "input": contract.model_dump(mode="json"),
        "settled": settled,
        "recipe": {"net": net},
        "source": {"name": "drawn", "fingerprint": "0"},
        "weights_sha256": "0",
    }
    size = contract.width, contract.height
    geometries = [Geometry(*size, 1.0, 1.0, 0.0, 0.0) for _ in rows] if record.answer.placed else []
    return Subject(
        module=network,
        network=TorchNetwork(network, torch.device("cpu")),
        task=record,
        contract=contract,
        labels=labels,
        settled=settled,
        about=about,
        test=Examples([f"{row}.png" for row in rows], pixels, targets, geometries),
        split="test",
        groups=rows,
        learned=PixelRows(pixels, rows[:64]),
        learned_targets=targets,
        batch=32,
    )


def spread(network: torch.nn.Module, pixels: torch.Tensor) -> None:
    """Make answers that differ from image to image: outputs of mean 0 and deviation 2."""
    scores = getattr(network.head, "label_output", None)
    if isinstance(scores, torch.nn.Conv2d):
        scores.weight.mul_(100)
    output = getattr(network.head, "output", None)
    if isinstance(output, torch.nn.Linear):
        raw = network(pixels)
        scale = 2 / raw.std(dim=0)
        output.weight.mul_(scale[:, None])
        output.bias.copy_((output.bias - raw.mean(dim=0)) * scale)


def drawn(count: int, contract: InputContract, rng: np.random.Generator) -> np.ndarray:
    """(count, H, W, C) uint8: no two alike, of all brightnesses and colours."""
    y, x = np.mgrid[0 : contract.height, 0 : contract.width] / max(contract.height, contract.width)
    slope = rng.normal(0, 120, (count, 1, 1, 2, contract.channels))
    level = rng.uniform(30, 220, (count, 1, 1, contract.channels))
    images = level + x[None, ..., None] * slope[..., 0, :] + y[None, ..., None] * slope[..., 1, :]
    noise = rng.normal(0, rng.uniform(2, 40, (count, 1, 1, 1)), images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def targets_of(task: str, count: int, labels: int, rng: np.random.Generator) -> np.ndarray:
    if task == "classification":
        return rng.integers(0, labels, count)
    if task == "multilabel":
        return rng.integers(0, 2, (count, labels)).astype(np.float32)
    if task == "regression":
        return rng.normal(40, 12, (count, labels)).astype(np.float32)
    corner = rng.uniform(0, 20, (count, 1, 2))
    label = rng.integers(0, labels, (count, 1, 1))
    return np.concatenate([corner, corner + 10, label, 0 * label], axis=2).astype(np.float32)
