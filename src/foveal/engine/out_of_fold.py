"""What networks say of images that they did not learn from: each image is answered for by one that saw the others."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foveal.answers.label import softmax
from foveal.data.cache import pixels
from foveal.data.machine import digest
from foveal.engine.devices import Device, resolve_precision
from foveal.engine.infer import infer
from foveal.engine.ladder import contract_for
from foveal.engine.plan import Planner
from foveal.engine.predictor import network_for
from foveal.engine.pretrained import Weights, put_weights
from foveal.engine.probe import Features
from foveal.engine.steps import TrainingSet, pixels_key
from foveal.engine.train import train
from foveal.events import Step
from foveal.nets.layers import Network
from foveal.nets.solve import solve
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Progress

__all__ = ["FOLDS", "probabilities_by_features", "probabilities_by_training"]

FOLDS = 3
FEATURES = 0.8  # share of the minutes that computing features may take
SMALLEST_SIDE, STEP = 96, 32  # pixels
MEASURED = 8  # images that the speed is told from
NEVER = 1e9  # seconds between checkpoints


def probabilities_by_training(
    dataset: Dataset,
    task: Task,
    parts: np.ndarray,
    minutes: float,
    device: Device,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, str]:
    """(N, K) probabilities, and the net in one line: for each part a network of the ladder learns from the other parts.

    Args:
        parts: (N,) 0 to `FOLDS` - 1.
        minutes: for all of it, decoding included, as `train --minutes` keeps them: what comes out depends on how fast
            the machine is.

    Raises:
        RecipeError: the minutes are no time, or too few.
    """
    began = time.monotonic()
    contract = contract_for(dataset, len(dataset), minutes / FOLDS)
    array = pixels(dataset, task.reader, contract, progress=progress)
    found, net = np.zeros((len(dataset), len(dataset.labels))), ""
    for fold in range(FOLDS):
        learned, held = np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)
        start = time.monotonic()
        left = minutes - (start - began) / 60
        data = TrainingSet(array, dataset.targets, learned, np.zeros(0, np.int64), dataset.files, dataset.labels)
        planner = Planner(
            dataset=dataset,
            data=data,
            task=task,
            contract=contract,
            test=len(held),
            minutes=left / (FOLDS - fold),
            clock=_since(start),
            device=device,
            changes={"task": task.name, "precision": resolve_precision("auto", device), "seed": seed},
        )
        network, net = _trained(planner, f"training on part {fold + 1} of {FOLDS}", progress)
        found[held] = softmax(infer(network, array, held, device.torch))
    return found, net


def _since(start: float) -> Callable[[], float]:
    return lambda: time.monotonic() - start


def _trained(planner: Planner, what: str, progress: Progress | None) -> tuple[Network, str]:
    """A network as `train --minutes` trains it, in a folder that is gone afterwards."""
    plan, pace = planner.plan()
    # Without validation images there is nothing to keep from the epochs on the way.
    recipe = plan.recipe.changed(validate_every=100_000)
    network = network_for(recipe, planner.task, planner.dataset.labels)
    with tempfile.TemporaryDirectory(prefix="foveal-") as folder:
        run = Run(Path(folder))
        run.write_recipe(recipe)
        total = 0
        for event in train(
            network, planner.task.answer, recipe, planner.data, run, planner.device, save_every=NEVER, pace=pace
        ):
            total = getattr(event, "total", total)
            if progress and isinstance(event, Step):
                done = event.epoch * -(-len(planner.data.train) // recipe.batch_size) + event.step
                progress(what, min(done, total), total)
    return network, recipe.net


def probabilities_by_features(
    dataset: Dataset,
    task: Task,
    parts: np.ndarray,
    minutes: float,
    recipe: Recipe,
    weights: Weights,
    device: Device,
    progress: Progress | None = None,
) -> tuple[np.ndarray, str]:
    """(N, K) probabilities, and the net in one line: logistic regression on a pretrained backbone's features, which are
    kept for the next time, for each part fitted to the other parts.

    Args:
        parts: (N,) 0 to `FOLDS` - 1.
        minutes: for the features; where they would take longer at the recipe's size the images are taken smaller, but
            not below 96 pixels.
        recipe: with the backbone, and the input that its weights were trained for.
    """
    network = network_for(recipe, task, dataset.labels)
    put_weights(network, weights)
    network.to(device.torch, memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
    side = _side(network, recipe, len(dataset), minutes, device)
    contract = recipe.changed(**{"input.height": side, "input.width": side}).input
    array = pixels(dataset, task.reader, contract, progress=progress)
    rows = np.arange(len(dataset))
    features = Features(network, array, digest("all", pixels_key(dataset, contract)), rows, device)
    for done in features.compute():
        if progress:
            progress("features", done, len(rows))
    known = torch.from_numpy(features.array).to(device.torch)
    targets = torch.from_numpy(dataset.targets).to(device.torch)
    found = np.zeros((len(dataset), len(dataset.labels)))
    for fold in range(FOLDS):
        learned, held = np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)
        head = task.head(known.shape[1], len(dataset.labels))
        head.to(device.torch)  # pyright: ignore[reportAttributeAccessIssue]
        solve(head, known[learned], targets[learned])
        with torch.inference_mode():
            found[held] = softmax(head(known[held]).float().cpu().numpy())
    return found, recipe.net


def _side(network: Network, recipe: Recipe, images: int, minutes: float, device: Device) -> int:
    """The recipe's side, or the largest multiple of 32 below it at which all features come in time."""
    side = recipe.input.height
    blank = np.zeros((MEASURED, side, side, recipe.input.channels), np.uint8)
    infer(network, blank, np.arange(MEASURED), device.torch)  # builds kernels
    start = time.perf_counter()
    infer(network, blank, np.arange(MEASURED), device.torch)
    seconds = (time.perf_counter() - start) / MEASURED * images
    affordable = side * (FEATURES * 60 * minutes / max(seconds, 1e-9)) ** 0.5
    return side if affordable >= side else max(min(SMALLEST_SIDE, side), STEP * int(affordable / STEP))
