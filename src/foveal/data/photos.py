"""Photographs to what a net takes, on the training side: the reader's own steps with a faster resampling."""

import numpy as np

from foveal.readers.fit import pillow_resize

__all__ = ["SMALL", "resize"]

SMALL = 128 * 128  # pixels; below it calling torch costs more than it saves, and workers need no torch


def resize(array: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """As `foveal.readers.fit.pillow_resize`, in a quarter of the time for photographs that become smaller: torch's
    antialiased resampling of uint8 (made after Pillow-SIMD, with weights of 16 bits).

    Which of the two is taken depends on the image and the sizes alone. In 1.2 billion values, of noise and of
    photographs at random sizes, torch's were one level off for 1 in 500 and two levels for 17; bicubic was two off
    for 1 in 100,000, and stays with Pillow.
    """
    smaller = array.shape[0] >= height and array.shape[1] >= width
    if not smaller or interpolation != "bilinear" or array.shape[0] * array.shape[1] <= SMALL:
        return pillow_resize(array, width, height, interpolation)
    import torch

    pixels = torch.from_numpy(array if array.flags.writeable else array.copy()).permute(2, 0, 1)[None]
    pixels = pixels.contiguous(memory_format=torch.channels_last)  # twice as fast as the view that it is already
    resized = torch.nn.functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
