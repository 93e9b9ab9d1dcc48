"""Images in which one patch alone decides, and networks that have learned to see it."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from foveal.nets.layers import Network, build
from foveal.recipe import InputContract
from foveal.task import HeadFactory

__all__ = ["CUE", "SIDE", "cued", "inside", "tiny"]

SIDE, CUE = 32, 12
COLOURS = np.array([[70, -70, -70], [-70, 70, -70], [-70, -70, 70]])
CONTRACT = InputContract(width=SIDE, height=SIDE, channels=3)
NET = "12c3same-mp2-16c3same-mp2-24c3same-gap"


def cued(n: int, seed: int, kinds: int = 2) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Pixels (n, 3, 32, 32) uint8 of blotches and a square that is striped in the colour of its kind; (n,) kinds;
    (n, 2) the square's upper left corner, row and column. Gray squares of the same size lie about too."""
    rng = np.random.default_rng(seed)
    blotches = torch.from_numpy(rng.normal(0, 45, (n, 3, 6, 6)).astype(np.float32))
    images = 128 + F.interpolate(blotches, (SIDE, SIDE), mode="bicubic").numpy() + rng.normal(0, 12, (n, 3, SIDE, SIDE))
    kind, corners = rng.integers(0, kinds, n), rng.integers(0, SIDE - CUE + 1, (n, 2))
    for image, k, (row, column) in zip(images, kind, corners):
        y, x = rng.integers(0, SIDE - CUE + 1, 2)
        image[:, y : y + CUE, x : x + CUE] = image[:, y : y + CUE, x : x + CUE].mean(axis=0) + rng.normal(0, 25)
        image[:, row : row + CUE, column : column + CUE] = 128 + COLOURS[k][:, None, None]
        image[:, row : row + CUE : 4, column : column + CUE] += 40
    return torch.from_numpy(np.clip(images, 0, 255).astype(np.uint8)), kind, corners


def tiny(head: HeadFactory, targets: Any, outputs: int, pixels: torch.Tensor, steps: int = 120) -> Network:
    """A net of three convolutions, trained on the images for what the head learns."""
    network = build(NET, CONTRACT, head, outputs)
    network.head.fit(targets)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    targets, rng = torch.as_tensor(targets), np.random.default_rng(0)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(pixels), 32))
        loss = sum(network.head.loss(network(pixels[rows]), targets[rows]).values(), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def inside(array: np.ndarray, corner: np.ndarray, size: int = CUE) -> float:
    """The share of the mass of a map's highest tenth that lies in the square."""
    row, column = corner
    kept = np.where(array >= np.quantile(array, 0.9), array.clip(min=0), 0.0)
    return float(kept[row : row + size, column : column + size].sum() / kept.sum())
