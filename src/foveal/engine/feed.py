"""Batches on their way to the network: gathered, brought to the device, augmented."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from foveal.data.batches import gathered
from foveal.engine.devices import onto

__all__ = ["Batch", "Feed", "gather", "resident"]

SHARE = 0.25  # of a GPU's free memory that the images of a training may take
AT_ONCE = 1 << 26  # bytes brought there at a time


class Batch(NamedTuple):
    """Row numbers (B,) of the whole batch; images (…, C, H, W) uint8 and targets (…) of what this process takes of it,
    on the device."""

    rows: np.ndarray
    images: Tensor
    targets: Tensor


class Feed(Iterator[Batch]):
    """Batches in their order, the next of which can be prepared before it is asked for: while a GPU learns from one,
    Python prepares another."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.batches = batches
        self.ready: Batch | None = None

    def prepare(self) -> None:
        """Make the next one, if there is one."""
        if self.ready is None:
            self.ready = next(self.batches, None)

    def __next__(self) -> Batch:
        self.prepare()
        if self.ready is None:
            raise StopIteration
        batch, self.ready = self.ready, None
        return batch


def resident(pixels: np.ndarray, device: torch.device) -> Tensor | None:
    """Images (N, H, W, C) in a GPU's memory, where they fit well: and are gathered in no time. None elsewhere."""
    if device.type != "cuda" or pixels.nbytes > SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    there = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    parts = max(1, -(-pixels.nbytes // AT_ONCE))
    for rows in np.array_split(np.arange(len(pixels)), parts):
        there[rows[0] : rows[-1] + 1] = gathered(pixels, rows).permute(0, 2, 3, 1)
    return there


def gather(pixels: np.ndarray, there: Tensor | None, rows: np.ndarray, device: torch.device) -> Tensor:
    """(B, C, H, W) uint8 on the device, contiguous as channels_last: of `there` if it has them, else of `pixels`."""
    if there is None:
        return onto(gathered(pixels, rows), device)
    return there.index_select(0, onto(torch.from_numpy(rows), device)).permute(0, 3, 1, 2)
