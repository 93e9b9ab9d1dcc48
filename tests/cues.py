"""Images in which one patch alone decides, and a network that sees nothing else."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.nets.layers import Network, build
from foveal.recipe import InputContract
from foveal.task import HeadFactory

__all__ = ["CONTRACT", "CUE", "SIDE", "cued", "inside", "seeing"]

SIDE, CUE = 32, 12
CONTRACT = InputContract(width=SIDE, height=SIDE, channels=3)
COLOURS = 3


def cued(seed: int, *kinds: int) -> tuple[Tensor, list[np.ndarray]]:
    """(3, 32, 32) uint8: faint blotches, a gray square that means nothing, and at random places that do not meet a
    square a kind, in its colour: 0 red, 1 green, 2 blue; and the upper left corner of each, row and column."""
    rng = np.random.default_rng(seed)
    blotches = torch.from_numpy(rng.normal(0, 25, (1, 3, 6, 6)).astype(np.float32))
    image = 128 + F.interpolate(blotches, (SIDE, SIDE), mode="bicubic")[0].numpy() + rng.normal(0, 8, (3, SIDE, SIDE))
    row, column = rng.integers(0, SIDE - CUE + 1, 2)
    image[:, row : row + CUE, column : column + CUE] = 128 + rng.normal(0, 40)
    corners: list[np.ndarray] = []
    while len(corners) < len(kinds):
        corner = rng.integers(0, SIDE - CUE + 1, 2)
        if all(np.abs(corner - other).max() >= CUE + 4 for other in corners):
            colour = np.full(3, 58.0)
            colour[kinds[len(corners)]] = 198
            image[:, corner[0] : corner[0] + CUE, corner[1] : corner[1] + CUE] = colour[:, None, None]
            corners.append(corner)
    return torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8)), corners


@torch.no_grad()
def seeing(head: HeadFactory, output: list[list[float]], bias: float = 0.0) -> Network:
    """A network whose twelve channels are each lit by one colour, over some threshold and smoothed.

    Args:
        output: rows of weights of red, green and blue, one an output.
    """
    network = build("12c1-12c5same-ap2-12c3same-gap", CONTRACT, head, len(output))
    colour, *smooth = (module for module in network.body.modules() if isinstance(module, nn.Conv2d))
    (last,) = (module for module in network.head.modules() if isinstance(module, nn.Linear))  # pyright: ignore
    for weight in network.parameters():
        weight.zero_()
    for k in range(12):
        colour.weight[k] = -0.5
        colour.weight[k, k % COLOURS] = 1.0
        colour.bias[k] = -0.3
        for convolution in smooth:
            convolution.weight[k, k] = 1 / convolution.weight[k, k].numel()
        last.weight[:, k] = torch.tensor([row[k % COLOURS] for row in output]) * 20
    last.bias.fill_(bias)
    return network.eval()


def inside(array: np.ndarray, corner: np.ndarray) -> float:
    """The share of the mass of a map's highest tenth that lies in the square."""
    row, column = corner
    kept = np.where(array >= np.quantile(array, 0.9), array.clip(min=0), 0.0)
    return float(kept[row : row + CUE, column : column + CUE].sum() / kept.sum())
