"""A trained network over many images: raw outputs.

On a CPU the network runs in fp32, in batches chosen by pixels. The kernels that torch picks can differ with the size
of the batch, so an image's outputs are the same whatever the batch to within `BATCH_TOLERANCE` of the largest output,
and not always bit for bit. On a GPU cuDNN may round convolutions to TF32, as torch is set.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import nn

__all__ = ["BATCH_TOLERANCE", "Pixels", "batch_size", "forward", "infer"]

BATCH_TOLERANCE = 1e-5
"""Largest difference that the batch may make to an output, as a share of the largest output (measured: 7e-7)."""

# Pixels in a batch, and images at the most. A CPU was as fast with 64 images of 64×64 as with 256, which took 320 MB
# more; a GPU wants more work at a time.
ON_A_CPU = 1 << 18, 128
ON_A_GPU = 1 << 22, 512


class Pixels(Protocol):
    """(N, H, W, C) uint8: an array, or images that are made when their row numbers are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, chosen: np.ndarray, /) -> np.ndarray: ...


def batch_size(height: int, width: int, device: torch.device) -> int:
    """How many images of that size to take at a time: 128 of 32×32 and 5 of 224×224 on a CPU."""
    pixels, most = ON_A_CPU if device.type == "cpu" else ON_A_GPU
    return min(max(1, pixels // (height * width)), most)


def forward(network: nn.Module, pixels: np.ndarray, device: torch.device) -> np.ndarray:
    """Raw outputs (B, K) float32 of a network in eval mode, for pixels (B, H, W, C) uint8, contiguous."""
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)
        return network(images).float().cpu().numpy()


def infer(
    network: nn.Module, pixels: Pixels, rows: np.ndarray, device: torch.device, tick: Callable[[int], object] = int
) -> np.ndarray:
    """Raw outputs (len(rows), K) float32 of the network in eval mode, which it is left in.

    Args:
        pixels: (N, H, W, C) uint8.
        rows: row numbers into `pixels`.
        tick: called with the number of images after each batch.
    """
    network.eval()
    _, height, width, _ = pixels.shape
    size = batch_size(height, width, device)
    outputs = np.zeros((0, 0), np.float32)
    for start in range(0, len(rows), size):
        chosen = np.ascontiguousarray(pixels[rows[start : start + size]])
        some = forward(network, chosen, device)
        if not start:  # one array: thousands of small ones between the large ones would keep gigabytes from reuse
            outputs = np.empty((len(rows), *some.shape[1:]), np.float32)
        outputs[start : start + len(some)] = some
        tick(len(chosen))
    return outputs
