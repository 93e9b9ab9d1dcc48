"""Pairs of images in one, and their losses shared: mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv
1905.04899). Each image is paired with the one as far from the end of the batch as it is from the start."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from foveal.recipe import Recipe

__all__ = ["Blend", "blended"]


@dataclass(frozen=True)
class Blend:
    """A batch.

    Args:
        own: share of the loss that an image's own target has; the rest is its partner's.
    """

    images: Tensor
    own: float = 1.0

    def loss(self, of: Callable[[Tensor], Tensor], targets: Tensor) -> Tensor:
        """
        Args:
            of: targets to the loss of the batch.
        """
        if self.own == 1:
            return of(targets)
        return self.own * of(targets) + (1 - self.own) * of(targets.flip(0))


def blended(images: Tensor, recipe: Recipe, seed: int) -> Blend:
    """The batch as the recipe's mixup or cutmix makes it.

    Args:
        images: (B, C, H, W) uint8.
        seed: of the share and the box, which are those of the whole batch.
    """
    if not (recipe.mixup or recipe.cutmix) or len(images) < 2:
        return Blend(images)
    rng = np.random.default_rng(seed)
    alpha = recipe.mixup or recipe.cutmix
    own = float(rng.beta(alpha, alpha))
    partner = images.flip(0)
    if recipe.mixup:
        mixed = images.float().mul_(own).add_(partner.float(), alpha=1 - own)
        return Blend(mixed, own)
    height, width = images.shape[2:]
    sides = [round(side * (1 - own) ** 0.5) for side in (height, width)]
    top, left = (int(rng.integers(0, whole - side + 1)) for whole, side in zip((height, width), sides))
    mixed = images.clone()
    box = (..., slice(top, top + sides[0]), slice(left, left + sides[1]))
    mixed[box] = partner[box]
    return Blend(mixed, 1 - sides[0] * sides[1] / (height * width))
