"""The optimizer and its learning rate, from the recipe."""

import math

import torch
from torch import nn

from foveal.recipe import Recipe

__all__ = ["learning_rate", "optimizer_for"]


def optimizer_for(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """Adam (fused, with decoupled decay: Loshchilov and Hutter, arXiv 1711.05101) or SGD with Nesterov momentum.

    Biases and normalisation, the parameters of one dimension, are not decayed.
    """
    weights = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused
        )
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=(recipe.momentum, recipe.beta2), eps=recipe.epsilon, fused=fused
    )


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of step `step` (from 0) of `steps` in the whole training."""
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    factor = {
        "constant": 1.0,
        "linear": 1.0 - progress,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * progress)),
    }[recipe.schedule]
    return recipe.learning_rate * factor
