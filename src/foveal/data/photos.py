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

    # Copied by numpy: torch would copy with all its threads, which wait for each other by spinning. And with the
    # strides of channels_last in every dimension: the same bytes as a permuted view take twice as long.
    height_in, width_in, channels = array.shape
    pixels = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    pixels = pixels.as_strided((1, channels, height_in, width_in), (array.size, 1, width_in * channels, channels))
    resized = torch.nn.functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
