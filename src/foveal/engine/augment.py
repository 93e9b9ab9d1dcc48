"""Random changes of a training batch, as functions of (seed, epoch, image) alone.

Nothing is drawn from a stream, so no generator's state must be saved: a resumed run, or one with other batches,
changes each image of each epoch in the same way.
"""

import numpy as np
import torch
import torch.nn.functional as F

from foveal.engine.devices import onto
from foveal.engine.views import views
from foveal.errors import NetError, RecipeError
from foveal.nets.layers import Network
from foveal.nets.parts import probe
from foveal.recipe import Recipe

__all__ = ["augment", "check_growth", "resized", "uniform"]


def uniform(seed: int, epoch: int, rows: np.ndarray, stream: int) -> np.ndarray:
    """A number in [0, 1) for each row, from a hash of (seed, stream, epoch, row).

    The mixing function is splitmix64 (Steele, Lea, Flood 2014), applied once for each part of the key.
    """
    return (_hashed(seed, epoch, rows, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def augment(images: torch.Tensor, rows: np.ndarray, recipe: Recipe, epoch: int) -> torch.Tensor:
    """Take other views of a batch, mirror, shift and partly cover it.

    Mirroring alternates (Jordan, arXiv 2404.00498, section 3.6): a hash of the image says whether it is mirrored in
    even epochs or in odd ones, so that both of its sides are seen in any two.

    Args:
        images: (B, C, H, W) uint8.
        rows: (B,) row number of each image in its dataset.
    """
    images = views(images, _hashed(recipe.seed, epoch, rows, 6), recipe)
    if recipe.flip:
        first = uniform(recipe.seed, 0, rows, stream=1) < 0.5
        mirrored = onto(torch.from_numpy(first ^ bool(epoch % 2)), images.device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.translate:
        images = _translate(images, rows, recipe, epoch)
    if recipe.cutout:
        images = _cutout(images, rows, recipe, epoch)
    return images


def resized(images: torch.Tensor, recipe: Recipe, progress: float) -> torch.Tensor:
    """The batch at the side that the recipe's growth says for that share of the training's steps, antialiased."""
    scale = next((scale for until, scale in recipe.growth if progress < until), 1.0)
    if scale == 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[2:]]
    # Only a CPU resizes uint8 with antialiasing.
    pixels = images if images.device.type == "cpu" else images.float()
    return F.interpolate(pixels, size=size, mode="bilinear", antialias=True)


def check_growth(network: Network, recipe: Recipe) -> None:
    """Try the network on an image of every size that the recipe's growth makes.

    Raises:
        RecipeError: it cannot take one of them.
    """
    contract = recipe.input
    shape = (2, contract.channels, contract.height, contract.width)
    blank = torch.zeros(shape, dtype=torch.uint8, device=network.normalize.mean.device)
    starts = (0.0, *(until for until, _ in recipe.growth))
    for start, (_, share) in zip(starts, recipe.growth):
        images = resized(blank, recipe, start)
        try:
            probe(network, images)
        except NetError as error:
            height, width = images.shape[2:]
            raise RecipeError(
                f"growth asks for images of {height}×{width} ({share:g} of {contract.height}×{contract.width}), "
                f"which the net {recipe.net} cannot take: {error.__cause__}",
                remedy="End the net with gap or gmp, so that it takes images of any size; if it does, grow from a "
                "larger share.",
            ) from error


def _translate(images: torch.Tensor, rows: np.ndarray, recipe: Recipe, epoch: int) -> torch.Tensor:
    reach = recipe.translate
    down, right = ((uniform(recipe.seed, epoch, rows, s) * (2 * reach + 1)).astype(np.int64) for s in (2, 3))
    shift = shifted_one_by_one if images.device.type == "cpu" else shifted_at_once
    return shift(images, reach, down, right)


def shifted_at_once(images: torch.Tensor, reach: int, down: np.ndarray, right: np.ndarray) -> torch.Tensor:
    """Images (B, C, H, W) moved by up to `reach` pixels, their edges repeated.

    Args:
        down, right: (B,) 0 to 2 · reach, where `reach` leaves an image as it is.
    """
    height, width = images.shape[2:]
    # (B, H, W, C): in channels_last memory one gather then moves whole pixels.
    padded = F.pad(images.float(), (reach,) * 4, mode="replicate").to(torch.uint8).permute(0, 2, 3, 1)
    device = images.device
    y = onto(torch.from_numpy(down), device)[:, None] + torch.arange(height, device=device)
    x = onto(torch.from_numpy(right), device)[:, None] + torch.arange(width, device=device)
    batch = torch.arange(len(images), device=device)[:, None, None]
    return padded[batch, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def shifted_one_by_one(images: torch.Tensor, reach: int, down: np.ndarray, right: np.ndarray) -> torch.Tensor:
    """The same by numpy, in a third of the time that a CPU takes at once."""
    height, width = images.shape[2:]
    padded = np.pad(images.permute(0, 2, 3, 1).numpy(), ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    moved = np.empty((len(images), height, width, images.shape[1]), np.uint8)
    for image, whole, y, x in zip(moved, padded, down.tolist(), right.tolist()):
        image[:] = whole[y : y + height, x : x + width]
    return torch.from_numpy(moved).permute(0, 3, 1, 2)


def _cutout(images: torch.Tensor, rows: np.ndarray, recipe: Recipe, epoch: int) -> torch.Tensor:
    """Gray a square that lies anywhere, at the edges in part: DeVries and Taylor, arXiv 1708.04552."""
    inside = []
    for side, stream in zip(images.shape[2:], (4, 5)):
        centre = uniform(recipe.seed, epoch, rows, stream) * side
        near = np.abs(np.arange(side) + 0.5 - centre[:, None]) <= recipe.cutout / 2
        inside.append(onto(torch.from_numpy(near), images.device))
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 128)


def _hashed(seed: int, epoch: int, rows: np.ndarray, stream: int) -> np.ndarray:
    state = np.full(len(rows), seed, dtype=np.uint64)
    for part in (np.uint64(stream), np.uint64(epoch), rows.astype(np.uint64)):
        state = _splitmix64(state ^ part)
    return state


def _splitmix64(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
