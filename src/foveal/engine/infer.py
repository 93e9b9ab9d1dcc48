"""A trained network over many images: raw outputs, in fp32, the same whatever the batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

__all__ = ["infer"]

PIXELS_A_BATCH = 4_000_000


def infer(
    network: nn.Module, pixels: np.ndarray, rows: np.ndarray, device: torch.device, tick: Callable[[int], object] = int
) -> np.ndarray:
    """Raw outputs (len(rows), K) float32 of the network in eval mode, which it is left in.

    Args:
        pixels: (N, H, W, C) uint8.
        rows: row numbers into `pixels`.
        tick: called with the number of images after each batch.
    """
    network.eval()
    size = int(np.clip(PIXELS_A_BATCH // max(1, int(np.prod(pixels.shape[1:3]))), 1, 512))
    outputs = []
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            chosen = np.ascontiguousarray(pixels[rows[start : start + size]])
            images = torch.from_numpy(chosen).permute(0, 3, 1, 2).to(device)
            outputs.append(network(images).float().cpu().numpy())
            tick(len(chosen))
    return np.concatenate(outputs) if outputs else np.zeros((0, 0), np.float32)
