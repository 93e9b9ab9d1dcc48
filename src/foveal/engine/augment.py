"""Random changes of a training batch, as functions of (seed, epoch, image) alone.

Nothing is drawn from a stream, so no generator's state must be saved: a resumed run, or one with other batches,
changes each image of each epoch in the same way.
"""

import numpy as np
import torch
import torch.nn.functional as F

from foveal.recipe import Recipe

__all__ = ["augment", "uniform"]


def uniform(seed: int, epoch: int, rows: np.ndarray, stream: int) -> np.ndarray:
    """A number in [0, 1) for each row, from a hash of (seed, stream, epoch, row).

    The mixing function is splitmix64 (Steele, Lea, Flood 2014), applied once for each part of the key.
    """
    state = np.full(len(rows), seed, dtype=np.uint64)
    for part in (np.uint64(stream), np.uint64(epoch), rows.astype(np.uint64)):
        state = _splitmix64(state ^ part)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def augment(images: torch.Tensor, rows: np.ndarray, recipe: Recipe, epoch: int) -> torch.Tensor:
    """Mirror and shift a batch.

    Args:
        images: (B, C, H, W) uint8.
        rows: (B,) row number of each image in its dataset.
    """
    if recipe.flip:
        mirrored = torch.from_numpy(uniform(recipe.seed, epoch, rows, stream=1) < 0.5).to(images.device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.translate:
        images = _translate(images, rows, recipe, epoch)
    return images


def _translate(images: torch.Tensor, rows: np.ndarray, recipe: Recipe, epoch: int) -> torch.Tensor:
    reach = recipe.translate
    height, width = images.shape[2:]
    shifts = [
        torch.from_numpy((uniform(recipe.seed, epoch, rows, stream) * (2 * reach + 1)).astype(np.int64))
        for stream in (2, 3)
    ]
    # (B, H, W, C): in channels_last memory one gather then moves whole pixels.
    padded = F.pad(images.float(), (reach,) * 4, mode="replicate").to(torch.uint8).permute(0, 2, 3, 1)
    y = (shifts[0][:, None] + torch.arange(height)).to(images.device)
    x = (shifts[1][:, None] + torch.arange(width)).to(images.device)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[batch, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def _splitmix64(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
