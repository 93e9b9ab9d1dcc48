"""Which images belong together: those of one patient, video or person, and near-duplicates."""

import numpy as np

__all__ = ["Groups", "groups_of"]

Groups = np.ndarray | None
"""(N,) int64, 0 to G - 1, at least one of them of two images; None: each image is alone."""


def groups_of(numbers: np.ndarray | None) -> Groups:
    """From any numbers, (N,); from those of some of the images their own."""
    if numbers is None or not len(numbers):
        return None
    found, place = np.unique(numbers, return_inverse=True)
    return place if len(found) < len(numbers) else None
