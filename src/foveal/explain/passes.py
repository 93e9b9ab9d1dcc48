"""A network's passes as explanations make them. Shapes: B images, C channels, H height, W width."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from foveal.chosen import Chosen
from foveal.nets.layers import Network

__all__ = ["AT_ONCE", "image_of", "outputs_of", "scalar_of", "scalars", "settled_in_eval", "without_details"]

AT_ONCE = 32  # images of 32×32; fewer where they are larger, so that a batch's activations stay in the caches' reach


def image_of(network: Network, pixels: Tensor | np.ndarray) -> Tensor:
    """One image as the network takes it, (C, H, W) or (1, C, H, W), 0 to 255, to (1, C, H, W) float32 on its device.

    Raises:
        ValueError: it is another shape.
    """
    image = torch.as_tensor(pixels).to(network.normalize.mean.device, torch.float32)
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"expected one image, (C, H, W) or (1, C, H, W), found {tuple(image.shape)}")
    return image


def outputs_of(network: Network, images: Tensor) -> Tensor:
    """Normalised images to raw outputs: of each by itself, also where the network averages over its mirror image."""
    return network.head(network.body(images))


def scalar_of(network: Network, chosen: Chosen, direction: int = 1) -> Callable[[Tensor], Tensor]:
    """Normalised images (B, C, H, W) to (B,) what is explained."""
    return lambda images: direction * network.head.spotlight(outputs_of(network, images), chosen).float()


@torch.no_grad()
def scalars(network: Network, images: Tensor, chosen: Chosen, direction: int = 1) -> np.ndarray:
    """(B,) float64, some images at a time."""
    found = [scalar_of(network, chosen, direction)(part) for part in images.split(at_once(images))]
    return torch.cat(found).double().cpu().numpy()


def at_once(images: Tensor) -> int:
    """How many such images go through the network together."""
    return max(4, min(AT_ONCE, AT_ONCE * 64 * 64 // (images.shape[2] * images.shape[3])))


def without_details(images: Tensor) -> Tensor:
    """(B, C, H, W) each in its own mean colour: what is left when everything that it shows is taken away."""
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


@contextmanager
def settled_in_eval(network: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients on, whatever the caller's; all modes are as they were afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
