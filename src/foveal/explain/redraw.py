"""The same network without what it has learned: its weights drawn anew, at a scale at which signals stay as large."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from foveal.explain.passes import outputs_of
from foveal.nets.layers import Network

__all__ = ["redrawn"]

SPREAD, SHIFT = 2654435761, 1234567891
NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


def redrawn(network: Network, images: Tensor, seed: int, share: float = 1.0) -> Network:
    """A copy in evaluation mode whose layers have lost their weights, from the output downwards.

    Weights of a layer are normal with He's spread (ICCV 2015, equation 10), biases 0; norms begin anew (scale 1,
    shift 0), and batch norm takes means and variances of these images. What a norm follows thus keeps the scale that it
    had, and without norms He's spread keeps it. Whitening, which is found and not trained, stays.

    Args:
        images: normalised, (B, C, H, W), B at least 2, that batch norm takes its means and variances from.
        share: of the layers with weights, in the order of their work, 0 to 1; at least the output layer.
    """
    copied = copy.deepcopy(network).eval()
    working = _working(copied, images[:1])
    kept = min(round((1 - share) * len(working)), len(working) - 1)
    lost = working[kept:]
    # Training draws its initial weights from a small seed by the same rule: the same seed would give them back.
    generator = torch.Generator().manual_seed((seed * SPREAD + SHIFT) % 2**32)
    with torch.no_grad():
        for module in lost:
            _draw(module, generator)
        _take_means(copied, [module for module in lost if isinstance(module, _BatchNorm)], images)
    return copied


@torch.no_grad()
def _working(network: Network, image: Tensor) -> list[nn.Module]:
    """The modules with parameters of their own, in the order in which they first work."""
    found: dict[nn.Module, None] = {}

    def remember(module: nn.Module, _inputs: object) -> None:
        found.setdefault(module)

    own = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    hooks = [module.register_forward_pre_hook(remember) for module in own]
    try:
        outputs_of(network, image)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found)


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    norm = isinstance(module, NORMS)
    for name, weight in module.named_parameters(recurse=False):
        if norm or name.endswith("bias"):
            weight.fill_(1.0 if norm and name.endswith("weight") else 0.0)
            continue
        # What is no matrix has a scale of its own, which no rule speaks of: it stays as large as it was.
        spread = math.sqrt(2 / weight[0].numel()) if weight.ndim > 1 else float(weight.square().mean().sqrt())
        weight.copy_(torch.randn(weight.shape, generator=generator) * spread)


def _take_means(network: Network, norms: Sequence[_BatchNorm], images: Tensor) -> None:
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    outputs_of(network, images)
    for norm, momentum in zip(norms, momenta):
        norm.eval()
        norm.momentum = momentum
