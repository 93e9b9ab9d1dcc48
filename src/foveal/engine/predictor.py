"""A run's trained network, ready to answer."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL.Image import Image as PillowImage

from foveal.engine.ahead import ahead
from foveal.engine.augment import check_growth
from foveal.engine.checkpoint import load_weights
from foveal.engine.devices import Device
from foveal.engine.infer import batch_size, forward
from foveal.engine.scenes import check_scenes
from foveal.errors import NetError, RunError, UnreadableImage
from foveal.nets.layers import Network, build
from foveal.readers.familiarity import strangeness, with_familiarity
from foveal.recipe import Recipe
from foveal.run import CUSTOM_NET, Run
from foveal.task import Prediction, Task
from foveal.types import Geometry

__all__ = ["Predictor", "network_for", "trained_network"]

Image: TypeAlias = str | Path | bytes | np.ndarray | PillowImage
Prepared: TypeAlias = tuple[np.ndarray, Geometry] | UnreadableImage


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
            remedy=f"Finish it with: foveal resume {run.path}",
        )
    network = network_for(run.recipe, task, run.info["labels"], net)
    network.load_state_dict(load_weights(run.weights))
    return network.to(device.torch, memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]


@dataclass(frozen=True, eq=False)
class Predictor:
    """Answers for images: `predictor(image)`. Made by `foveal.load(run)`.

    Attributes:
        labels: the names the network knows, in the order of its outputs.
    """

    run: Run
    task: Task
    network: Network
    device: Device
    labels: tuple[str, ...]

    def __call__(self, image: Image) -> Prediction:
        """The answer for one image: a path, encoded bytes, pixels (H×W or H×W×C, uint8 or uint16), a Pillow image.

        Raises:
            UnreadableImage: it cannot be decoded; the message is the reason.
        """
        (answer,) = self._answers([self._prepare(image)])
        if isinstance(answer, UnreadableImage):
            raise answer
        return answer

    def many(self, images: Iterable[Image]) -> Generator[Prediction | UnreadableImage]:
        """An answer an image, in order, as they come; an image that cannot be decoded gives its error.

        The first answer waits for one image only; then batches double. Files and bytes are decoded in threads, at most
        two batches ahead; pixels and Pillow images in the thread of the caller, when they are taken. Closing the
        generator stops it all.
        """
        contract = self.run.recipe.input
        largest = batch_size(contract.height, contract.width, self.device.torch)
        size = 1
        with closing(ahead(self._decoded, map(self._taken, images), 2 * largest)) as prepared:
            while batch := list(islice(prepared, size)):
                yield from self._answers(batch)
                size = min(2 * size, largest)

    def _answers(self, batch: Sequence[Prepared]) -> Iterator[Prediction | UnreadableImage]:
        arrays = [item[0] for item in batch if not isinstance(item, UnreadableImage)]
        pixels = np.stack(arrays) if arrays else None
        outputs = iter(() if pixels is None else forward(self.network, pixels, self.device.torch))
        strange = None if pixels is None else strangeness(pixels, self.run.settled)
        unlike = repeat(None) if strange is None else iter((strange > 1).tolist())
        for item in batch:
            if isinstance(item, UnreadableImage):
                yield item
            else:
                prediction = self.task.answer.decode(next(outputs), item[1], self.labels, self.run.settled)
                yield with_familiarity(prediction, next(unlike))

    def _taken(self, image: Image) -> str | Path | bytes | Prepared:
        """Pixels are copied at once: a camera may fill the same array with its next image."""
        if isinstance(image, str | Path | bytes):
            return image
        prepared = self._prepare(image)
        return prepared if isinstance(prepared, UnreadableImage) else (prepared[0].copy(), prepared[1])

    def _decoded(self, item: str | Path | bytes | Prepared) -> Prepared:
        return self._prepare(item) if isinstance(item, str | Path | bytes) else item

    def _prepare(self, image: Image) -> Prepared:
        try:
            if isinstance(image, str | Path):
                image = _bytes_of(Path(image))
            elif isinstance(image, PillowImage):
                image = _pixels_of(image)
            return self.task.reader.load(image, self.run.recipe.input)
        except UnreadableImage as error:
            return error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path} cannot be opened: {error.strerror or error}") from error


def _pixels_of(image: PillowImage) -> np.ndarray:
    try:
        return np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA"))
    except Exception as error:  # decoders raise whatever their format's parsing happens to hit
        raise UnreadableImage(f"the Pillow image cannot be decoded: {error}") from error
