"""A run's trained network, ready to answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from foveal.engine.checkpoint import load_weights
from foveal.engine.devices import Device
from foveal.errors import NetError, RunError, UnreadableImage
from foveal.nets.layers import Network, build
from foveal.recipe import Recipe
from foveal.run import CUSTOM_NET, Run
from foveal.task import Prediction, Task
from foveal.types import Geometry

__all__ = ["Predictor", "network_for", "trained_network"]

BATCH = 32


def network_for(recipe: Recipe, task: Task, labels: Sequence[str], net: torch.nn.Module | None = None) -> Network:
    """The untrained network of a recipe.

    Args:
        net: the user's own module, where the recipe's net is `custom`.

    Raises:
        NetError: the recipe needs the user's own module and none was given.
    """
    if net is None and recipe.net == CUSTOM_NET:
        raise NetError(
            "This run's network is a torch.nn.Module of your own, which a run does not store.",
            remedy="Give it again, in Python: foveal.resume(run, net=…), evaluate(run, net=…) or load(run, net=…).",
        )
    return build(
        recipe.net if net is None else net,
        recipe.input,
        task.head,
        task.answer.outputs(labels),
        label_smoothing=recipe.label_smoothing,
        init=recipe.init,
        seed=recipe.seed,
    )


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

    def __call__(self, image: "str | Path | bytes | np.ndarray | Image.Image") -> Prediction:
        """The answer for one image: a path, encoded bytes, pixels (H×W or H×W×C, uint8 or uint16), a Pillow image.

        Raises:
            UnreadableImage: it cannot be decoded; the message is the reason.
        """
        answer = next(self.many([image]))
        if isinstance(answer, UnreadableImage):
            raise answer
        return answer

    def many(
        self, images: "Sequence[str | Path | bytes | np.ndarray | Image.Image]"
    ) -> "Iterator[Prediction | UnreadableImage]":
        """An answer an image, in order; an image that cannot be decoded gives its error and the rest go on."""
        for start in range(0, len(images), BATCH):
            prepared = [self._prepare(image) for image in images[start : start + BATCH]]
            readable = [item for item in prepared if not isinstance(item, UnreadableImage)]
            outputs = iter(self._outputs([array for array, _ in readable]) if readable else ())
            for item in prepared:
                if isinstance(item, UnreadableImage):
                    yield item
                else:
                    yield self.task.answer.decode(next(outputs), item[1], self.labels)

    def _prepare(
        self, image: "str | Path | bytes | np.ndarray | Image.Image"
    ) -> "tuple[np.ndarray, Geometry] | UnreadableImage":
        try:
            if isinstance(image, str | Path):
                image = _bytes_of(Path(image))
            elif isinstance(image, Image.Image):
                image = np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA"))
            return self.task.reader.prepare(self.task.reader.read(image), self.run.recipe.input)
        except UnreadableImage as error:
            return error

    def _outputs(self, arrays: list[np.ndarray]) -> np.ndarray:
        images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).to(self.device.torch)
        with torch.inference_mode():
            return self.network(images).float().cpu().numpy()


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path} cannot be opened: {error.strerror or error}") from error
