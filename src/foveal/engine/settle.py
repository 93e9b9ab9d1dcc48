"""All that is chosen on the validation images when training is over."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from foveal.readers.familiarity import familiar
from foveal.task import Answer
from foveal.wishes import Wish

__all__ = ["settled_on"]


def settled_on(
    answer: Answer,
    outputs: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    wish: Wish,
    pixels: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
) -> dict[str, Any]:
    """JSON-ready: what the answer settles, and what the images look like.

    Args:
        outputs, targets: of the validation images.
        pixels: (N, H, W, C) uint8 of all images.
        train, validation: row numbers into `pixels`.
    """
    return {**answer.settle(outputs, targets, labels, wish), **familiar(pixels, train, validation)}
