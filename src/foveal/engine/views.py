"""Random views of photographs by torchvision's transforms: parts of the image, other light, RandAugment (Cubuk et al.,
arXiv 1909.13719). Each image's view is a function of (seed, epoch, image)."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from foveal.extras import extra
from foveal.recipe import Recipe

__all__ = ["views"]

RATIO = 3 / 4, 4 / 3  # width over height, of a part: Szegedy et al., CVPR 2015


def views(images: torch.Tensor, seeds: np.ndarray, recipe: Recipe) -> torch.Tensor:
    """A random view of each image; the images themselves where the recipe asks for none.

    Args:
        images: (B, C, H, W) uint8.
        seeds: (B,) uint64.
    """
    transform = _transform(recipe.crop, recipe.colour, recipe.randaugment, *images.shape[2:])
    if transform is None:
        return images
    seen = torch.empty_like(images)
    with torch.random.fork_rng(devices=[]):
        for place, image, seed in zip(seen, images, seeds.tolist(), strict=True):
            torch.manual_seed(seed >> 1)
            place.copy_(transform(image))
    return seen


@cache
def _transform(
    crop: float, colour: float, randaugment: int, height: int, width: int
) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if crop == 1 and not colour and not randaugment:
        return None
    with extra("train"):
        from torchvision.transforms import v2
    steps: list[torch.nn.Module] = []
    if crop < 1:
        steps.append(v2.RandomResizedCrop((height, width), scale=(crop, 1.0), ratio=RATIO, antialias=True))
    if randaugment:
        steps.append(v2.RandAugment(num_ops=randaugment))
    if colour:
        steps.append(v2.ColorJitter(colour, colour, colour, colour / 10))
    return v2.Compose(steps)
