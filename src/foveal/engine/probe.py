"""Features of a network's body, computed once and kept; and the output layer that fits them best."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from foveal.data.machine import cache_folder, digest, prune
from foveal.engine.checkpoint import weights_sha256
from foveal.engine.devices import Device
from foveal.engine.infer import infer
from foveal.engine.steps import TrainingSet
from foveal.errors import RecipeError
from foveal.nets.layers import Network
from foveal.nets.solve import solve

__all__ = ["Features", "fit_output", "outputs_from"]

AT_ONCE = 64  # images between two signs of life


class _Body(nn.Module):
    """Pixels to features."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.normalize, self.body = network.normalize, network.body

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.body(self.normalize(pixels))


class Features:
    """What a body makes of some images, (N, F) float32: from the cache, or computed and kept there.

    Args:
        key: identifies the pixels, in their order; nothing is kept where it is empty.
        rows: row numbers into the pixels.
    """

    def __init__(self, network: Network, pixels: np.ndarray, key: str, rows: np.ndarray, device: Device) -> None:
        self.body, self.pixels, self.rows, self.device = _Body(network), pixels, rows, device
        self.path: Path | None = None
        if key:
            state = weights_sha256(network.body.state_dict())
            numbers = np.ascontiguousarray(rows, np.int64).tobytes().hex()
            self.path = cache_folder("features") / f"{digest('1', state, repr(network.body), key, numbers)}.npy"
        self.array = np.zeros((0, 0), np.float32)

    def compute(self) -> Iterator[int]:
        """Yields how many images are done, now and then; `array` is there at the end."""
        found = self._kept()
        if found is not None:
            self.array = found
            yield len(found)
            return
        parts = []
        for start in range(0, len(self.rows), AT_ONCE):
            chosen = self.rows[start : start + AT_ONCE]
            parts.append(infer(self.body, self.pixels, chosen, self.device.torch))
            yield start + len(chosen)
        self.array = np.concatenate(parts) if parts else self.array
        self._keep()

    def _kept(self) -> np.ndarray | None:
        if self.path is None:
            return None
        try:
            array = np.load(self.path, allow_pickle=False)
            os.utime(self.path)
        except (OSError, ValueError, EOFError):
            return None
        return array if array.ndim == 2 and len(array) == len(self.rows) and array.dtype == np.float32 else None

    def _keep(self) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, suffix=".part", delete=False) as file:
                np.save(file, self.array)
            Path(file.name).replace(self.path)
        except OSError:
            return  # a full disk or a home that cannot be written to costs time later, nothing else
        prune(using=self.path)


def fit_output(network: Network, data: TrainingSet, device: Device) -> Iterator[int]:
    """Fit the network's output layer to the body's features of the training images; the penalty is chosen on the
    validation images. Yields how many images are done.

    Raises:
        RecipeError: the network has no output layer of its own to fit.
    """
    head = network.head
    if not isinstance(getattr(head, "output", None), nn.Linear):
        raise RecipeError(
            "A probe fits the output layer, and this network, a module of your own, brings its own.",
            remedy="Train without: --set probe=false",
        )
    learned, held = (Features(network, data.pixels, data.key, rows, device) for rows in (data.train, data.validation))
    yield from learned.compute()
    for done in held.compute():
        yield len(data.train) + done

    def on_device(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device.torch)

    pair = (on_device(held.array), on_device(data.targets[data.validation])) if len(data.validation) else None
    solve(head, on_device(learned.array), on_device(data.targets[data.train]), pair)


def outputs_from(network: Network, pixels: np.ndarray, key: str, rows: np.ndarray, device: Device) -> np.ndarray:
    """Raw outputs (len(rows), K) float32 by way of the kept features, for a network whose body was not trained."""
    if not len(rows):
        return infer(network, pixels, rows, device.torch)
    features = Features(network, pixels, key, rows, device)
    for _ in features.compute():
        pass
    network.eval()
    with torch.inference_mode():
        return network.head(torch.from_numpy(features.array).to(device.torch)).float().cpu().numpy()
