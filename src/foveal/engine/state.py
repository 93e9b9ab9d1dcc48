"""Where a training stands, to a checkpoint and back."""

from dataclasses import dataclass, field
from typing import Any

import torch

from foveal.engine.checkpoint import Checkpoint
from foveal.engine.optimise import Optimizer
from foveal.nets.layers import Network
from foveal.recipe import Recipe

__all__ = ["State", "checkpoint_of", "restore"]


@dataclass
class State:
    """Where training stands: all that a checkpoint holds besides network and optimizer.

    Args:
        epoch: epochs done.
        step: steps done in the next epoch.
        sums: of loss and scores over the images of that epoch so far.
        best_epoch: the one that did best on validation, from 1; 0 before the first.
        seconds: of training, over all the processes that had a part in it.
        best_state: the weights of the best epoch, where the recipe keeps them.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, int]:
        return self.epoch, self.step

    def add(self, images: int, values: dict[str, float]) -> None:
        for name, value in {"images": 1.0, **values}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images

    def means(self) -> dict[str, float]:
        return {name: value / self.sums["images"] for name, value in self.sums.items() if name != "images"}

    def numbers(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("sums", "history", "best_epoch", "seconds")}

    def out_of_patience(self, recipe: Recipe) -> bool:
        return recipe.patience is not None and self.epoch - self.best_epoch >= recipe.patience


def checkpoint_of(state: State, network: Network, optimizer: Optimizer) -> Checkpoint:
    """The state and the tensors of network and optimizer, as one checkpoint."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best_state.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    return Checkpoint(*state.place, tensors, state.numbers())


def restore(checkpoint: Checkpoint, network: Network, optimizer: Optimizer) -> State:
    """The state of a checkpoint; puts its tensors into network and optimizer, bit for bit."""
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, tensor in checkpoint.tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, key = name.partition(".")
        weight = weights[int(index)]
        # Fused optimizers walk weights and state in the order of memory, so the state must lie as the weight does.
        laid = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor
        moments.setdefault(int(index), {})[key] = laid
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return State(checkpoint.epoch, checkpoint.step, **checkpoint.numbers, best_state=parts["best"])
