"""A run's trained network, ready to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_of

from foveal.bundle import Bundle, Predictor
from foveal.bundle.folder import WEIGHTS
from foveal.engine.augment import check_growth
from foveal.engine.checkpoint import load_weights
from foveal.engine.devices import Device
from foveal.engine.infer import batch_size, forward
from foveal.engine.scenes import check_scenes
from foveal.errors import NetError, RunError
from foveal.nets.layers import Network, build
from foveal.phrasing import command
from foveal.recipe import InputContract, Recipe, recipe_from
from foveal.run import CUSTOM_NET, Run
from foveal.task import Task

__all__ = ["TorchNetwork", "network_for", "run_predictor", "trained_network", "weights_predictor"]


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A network in eval mode: pixels (B, H, W, C) uint8 to raw outputs (B, …) float32."""

    module: Network
    device: torch.device

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return forward(self.module, pixels, self.device)


def run_predictor(run: Run, task: Task, device: Device, net: torch.nn.Module | None = None) -> Predictor:
    """What answers for a finished run.

    Raises:
        RunError: training has not finished.
    """
    network, labels = trained_network(run, task, device, net), tuple(run.info["labels"])
    return _predictor(run.path, task, run.recipe.input, labels, run.settled, network, device)


def weights_predictor(bundle: Bundle, task: Task, device: Device, net: torch.nn.Module | None = None) -> Predictor:
    """What answers for a bundle of weights alone: the recipe says what network they are of.

    Raises:
        RecipeError: the recipe is of a later version.
        RunError: the weights are of another network.
    """
    manifest = bundle.manifest
    network = network_for(recipe_from(manifest.recipe), task, manifest.labels, net)
    try:
        network.load_state_dict(tensors_of(bundle.contents[WEIGHTS]))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise RunError(f"{bundle.path / WEIGHTS} has not the weights of {manifest.recipe['net']}: {reason}") from error
    network = _placed(network, device)
    return _predictor(bundle.path, task, manifest.input, manifest.labels, manifest.settled, network, device)


def _predictor(
    origin: Path,
    task: Task,
    contract: InputContract,
    labels: tuple[str, ...],
    settled: Mapping[str, Any],
    network: Network,
    device: Device,
) -> Predictor:
    largest = batch_size(contract.height, contract.width, device.torch)
    return Predictor(origin, task, contract, labels, settled, TorchNetwork(network, device.torch), largest)


def network_for(recipe: Recipe, task: Task, labels: Sequence[str], net: torch.nn.Module | None = None) -> Network:
    """The untrained network of a recipe.

    Args:
        net: the user's own module, where the recipe's net is `custom`.

    Raises:
        NetError: the recipe needs the user's own module and none was given.
        RecipeError: the network cannot take the images that the recipe's growth makes.
    """
    if net is None and recipe.net == CUSTOM_NET:
        raise NetError(
            "This run's network is a torch.nn.Module of your own, which a run does not store.",
            remedy="Give it again, in Python: foveal.resume(run, net=…), evaluate(run, net=…) or load(run, net=…).",
        )
    network = build(
        recipe.net if net is None else net,
        recipe.input,
        task.head,
        task.answer.outputs(labels),
        label_smoothing=recipe.label_smoothing,
        init=recipe.init,
        seed=recipe.seed,
        norm_momentum=recipe.norm_momentum,
        mirror=recipe.mirror_test,
        loss=recipe.loss,
        strides=task.strides,
    )
    if network.backbone:
        network.backbone.still = recipe.still_norms
        network.backbone.freeze(recipe.frozen)
    check_growth(network, recipe)
    check_scenes(task.answer, recipe)
    return network


def trained_network(run: Run, task: Task, device: Device, net: torch.nn.Module | None = None) -> Network:
    """The run's network with its final weights, in eval mode on the device.

    Raises:
        RunError: training has not finished.
    """
    if not run.finished:
        raise RunError(
            f"Training in {run.path} has not finished: there is no {run.weights.name}.",
            remedy=f"Finish it with: {command('foveal', 'resume', run.path)}",
        )
    network = network_for(run.recipe, task, run.info["labels"], net)
    network.load_state_dict(load_weights(run.weights))
    return _placed(network, device)


def _placed(network: Network, device: Device) -> Network:
    return network.to(device.torch, memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
