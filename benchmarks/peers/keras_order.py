"""The weights of the worked example, from torch's layouts to Keras'."""

import numpy as np


def in_keras_order(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Kernels (O, I, H, W) to (H, W, I, O); dense (O, I) to (I, O), the first one's inputs C, H, W to H, W, C."""
    turned = []
    for array in weights:
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif array.shape == (128, 2048):
            array = array.reshape(128, 128, 4, 4).transpose(2, 3, 1, 0).reshape(2048, 128)
        elif array.ndim == 2:
            array = array.T
        turned.append(array)
    return turned
