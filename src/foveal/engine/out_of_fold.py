"""What networks say of images that they did not learn from: each image is answered for by one that saw the others."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foveal.data.cache import pixels
from foveal.data.machine import digest
from foveal.engine.devices import LONG_MINUTES, Device, resolve_kernels, resolve_precision
from foveal.engine.infer import infer
from foveal.engine.ladder import contract_for
from foveal.engine.pace import Pace
from foveal.engine.plan import Plan, Planner
from foveal.engine.predictor import network_for
from foveal.engine.pretrained import Weights, put_weights
from foveal.engine.probe import Features
from foveal.engine.scenes import placed_targets
from foveal.engine.steps import TrainingSet, pixels_key
from foveal.engine.train import train
from foveal.errors import RecipeError
from foveal.events import Step
from foveal.nets.layers import Network
from foveal.nets.solve import solve
from foveal.recipe import InputContract, Recipe
from foveal.run import Run
from foveal.suspicion import Suspicion
from foveal.task import Task
from foveal.types import Dataset, Geometry, Progress

__all__ = ["FOLDS", "kept_by_features", "kept_by_training"]

FOLDS = 3
MORE = 4  # times the minutes that are proposed where they are too few
FEATURES = 0.8  # share of the minutes that computing features may take
SMALLEST_SIDE, STEP = 96, 32  # pixels
MEASURED = 8  # images that the speed is told from
AT_ONCE = 256  # images whose raw outputs are held
PASSES = 12  # over the images, that pay for a smaller input
SMALLEST_SHARE, SMALLEST_THING = 0.4, 2.5  # of its sides; of the finest map's stride, for the median box's shorter side
NEVER = 1e9  # seconds between checkpoints


def kept_by_training(
    dataset: Dataset,
    task: Task,
    suspicion: Suspicion,
    parts: np.ndarray,
    minutes: float,
    device: Device,
    seed: int = 0,
    progress: Progress | None = None,
    own: Recipe | None = None,
    weights: Weights | None = None,
) -> tuple[list[np.ndarray], str]:
    """What is kept of the outputs for each image, and the net in one line: for each part a network learns from the
    other parts.

    Args:
        parts: (N,) 0 to `FOLDS` - 1.
        minutes: for all of it, decoding included, as `train --minutes` keeps them: what comes out depends on how fast
            the machine is.
        own: the recipe to fit to the minutes; without one a net of the ladder is chosen. Where few passes over the
            images would fit, its input becomes smaller.
        weights: that each network's backbone begins with.

    Raises:
        RecipeError: the minutes are no time, or too few.
    """
    began = time.monotonic()
    kept, net = [np.zeros(0)] * len(dataset), ""
    precision = resolve_precision("auto", device)
    kernels = resolve_kernels("auto", precision, device, minutes / FOLDS >= LONG_MINUTES)

    def planner_of(learned: np.ndarray, fold: int, contract: InputContract) -> Planner:
        start = time.monotonic()
        array = pixels(dataset, task.reader, contract, progress=progress)
        targets = placed_targets(dataset, task, contract) if task.answer.placed else dataset.targets
        return Planner(
            dataset=dataset,
            data=TrainingSet(array, targets, learned, np.zeros(0, np.int64), dataset.files, dataset.labels),
            task=task,
            contract=contract,
            test=len(dataset) - len(learned),
            minutes=round((minutes - (start - began) / 60) / (FOLDS - fold), 3),
            clock=_since(start),
            device=device,
            changes={"task": task.name, "precision": precision, "kernels": kernels, "seed": seed},
            own=own and own.model_copy(update={"input": contract}),
        )

    contract = own.input if own else contract_for(dataset, len(dataset), minutes / FOLDS)
    if own:
        contract = _affordable(planner_of(np.flatnonzero(parts != 0), 0, contract), task)
    for fold in range(FOLDS):
        learned, held = np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)
        planner = planner_of(learned, fold, contract)
        network, net = _trained(planner, minutes, f"training on part {fold + 1} of {FOLDS}", progress, weights)
        for start in range(0, len(held), AT_ONCE):
            rows = held[start : start + AT_ONCE]
            outputs = infer(network, planner.data.pixels, rows, device.torch)
            for row, one in zip(rows, suspicion.kept(outputs, _geometries(dataset, task, contract, rows))):
                kept[row] = one
    return kept, net


def _affordable(planner: Planner, task: Task) -> InputContract:
    """The input, smaller where that lets a network see its images `PASSES` times, or nearer to it; where targets say
    where, the things must not become too small for the maps."""
    contract, step = planner.contract, max(task.strides, default=1)
    try:
        passes = float(planner.plan()[0].recipe.epochs)
    except RecipeError:  # no time at this size; the smallest may do
        passes = 0.0
    share = max(SMALLEST_SHARE, (passes / PASSES) ** 0.5)
    if task.answer.placed:
        boxes = planner.data.targets[..., :4]
        sides = np.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
        share = max(share, SMALLEST_THING * min(task.strides, default=1) / float(np.nanmedian(sides)))
    if share >= 1:
        return contract
    sides = {side: step * max(1, round(share * getattr(contract, side) / step)) for side in ("height", "width")}
    return contract.model_copy(update=sides)


def _geometries(dataset: Dataset, task: Task, contract: InputContract, rows: np.ndarray) -> list[Geometry]:
    return [task.reader.geometry(width, height, contract) for height, width in dataset.sizes[rows].tolist()]


def _planned(planner: Planner, minutes: float) -> tuple[Plan, Pace]:
    """
    Args:
        minutes: for all folds.

    Raises:
        RecipeError: they are too few.
    """
    try:
        return planner.plan()
    except RecipeError as error:
        raise RecipeError(
            f"{minutes:g} minutes are too few to train {FOLDS} networks in turn: {error.message}",
            remedy=f"Give more: --minutes {max(1, round(MORE * minutes))}.",
        ) from error


def _since(start: float) -> Callable[[], float]:
    return lambda: time.monotonic() - start


def _trained(
    planner: Planner, minutes: float, what: str, progress: Progress | None, weights: Weights | None
) -> tuple[Network, str]:
    """A network as `train --minutes` trains it, in a folder that is gone afterwards."""
    plan, pace = _planned(planner, minutes)
    # Without validation images there is nothing to keep from the epochs on the way.
    recipe = plan.recipe.changed(validate_every=100_000)
    network = network_for(recipe, planner.task, planner.dataset.labels)
    if weights:
        put_weights(network, weights)
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


def kept_by_features(
    dataset: Dataset,
    task: Task,
    suspicion: Suspicion,
    parts: np.ndarray,
    minutes: float,
    recipe: Recipe,
    weights: Weights,
    device: Device,
    progress: Progress | None = None,
) -> tuple[list[np.ndarray], str]:
    """What is kept of the outputs for each image, and the net in one line: logistic regression on a pretrained
    backbone's features, which are kept for the next time, for each part fitted to the other parts.

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
    outputs = np.zeros((len(dataset), task.answer.outputs(dataset.labels)), np.float32)
    for fold in range(FOLDS):
        learned, held = np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)
        head = task.head(known.shape[1], len(dataset.labels))
        head.fit(dataset.targets[learned])
        head.to(device.torch)  # pyright: ignore[reportAttributeAccessIssue]
        solve(head, known[learned], targets[learned])
        with torch.inference_mode():
            outputs[held] = head(known[held]).float().cpu().numpy()
    return list(suspicion.kept(outputs, ())), recipe.net


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
