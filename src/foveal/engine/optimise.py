"""The optimizers and the learning rate, from the recipe."""

import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from foveal.nets.layers import Network
from foveal.recipe import Recipe

__all__ = ["Muon", "Optimizer", "learning_rate", "optimizer_for"]

SGD_MOMENTUM = 0.85  # of what Muon leaves to SGD
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315


class Optimizer(Protocol):
    """What training needs of an optimizer: the part of torch's that every one has."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any: ...
    def zero_grad(self, set_to_none: bool = True) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class Muon:
    """Momentum whose step is the nearest orthogonal matrix; for the matrices and convolutions inside a network.

    A convolution is the matrix (filters, the rest). Each weight is first scaled to a norm of √filters, which takes the
    place of weight decay. Groups with `orthogonal` False are stepped by SGD with Nesterov momentum 0.85. Jordan et al.,
    "Muon: An optimizer for hidden layers in neural networks", 2024; the scaling as in its CIFAR-10 record.

    Not derived from torch's base class, which loads torch._dynamo: more than a second, of the ten that a short training
    has.

    Args:
        momentum: of the orthogonal groups.
        steps: iterations of Newton and Schulz; three make singular values of 0.7 to 1.2 or so.
        precision: of these products; bfloat16 is enough for them where the processor multiplies it faster.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.6,
        weight_decay: float = 0,
        steps: int = 3,
        precision: torch.dtype = torch.float32,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "orthogonal": True}
        self.param_groups = [{**defaults, **group} for group in groups]
        self.momenta: dict[Tensor, Tensor] = {}
        self.newton_schulz_steps = steps
        self.precision = precision

    @property
    def _weights(self) -> list[Tensor]:
        return [weight for group in self.param_groups for weight in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None if set_to_none or weight.grad is None else weight.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """As torch's optimizers: the momentum of each weight by its number in the order of the groups."""
        numbers = {weight: number for number, weight in enumerate(self._weights)}
        state = {numbers[weight]: {"momentum_buffer": momentum} for weight, momentum in self.momenta.items()}
        return {"state": state, "param_groups": self.param_groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the momenta that `state_dict` gave."""
        weights = self._weights
        self.momenta = {weights[number]: state["momentum_buffer"] for number, state in state_dict["state"].items()}

    @torch.no_grad()
    def step(self) -> None:
        """Step all weights that have a gradient."""
        for group in self.param_groups:
            momentum = group["momentum"] if group["orthogonal"] else SGD_MOMENTUM
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, weight.grad, momentum, group)

    def _step(self, weight: Tensor, gradient: Tensor, momentum: float, group: dict[str, Any]) -> None:
        if weight not in self.momenta:
            self.momenta[weight] = torch.zeros_like(weight)
        buffer = self.momenta[weight].mul_(momentum).add_(gradient)
        update = gradient.add(buffer, alpha=momentum)
        if group["orthogonal"]:
            weight.mul_(len(weight) ** 0.5 / weight.norm().clamp(min=1e-7))
            matrix = update.flatten(1).to(self.precision)
            update = orthogonalized(matrix, self.newton_schulz_steps).to(weight.dtype).view(weight.shape)
        else:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
        if isinstance(group["lr"], Tensor):
            weight.sub_(update.mul_(group["lr"]))
        else:
            weight.add_(update, alpha=-group["lr"])


def orthogonalized(matrix: Tensor, steps: int) -> Tensor:
    """Roughly U Vᵀ of the singular value decomposition U S Vᵀ, by the quintic iteration of Muon."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def optimizer_for(network: Network, recipe: Recipe, device: torch.device) -> Optimizer:
    """Adam (fused, with decoupled decay: Loshchilov and Hutter, arXiv 1711.05101), SGD with Nesterov momentum, or Muon.

    Biases and normalisation, the parameters of one dimension, are not decayed. A group's `scale` is its learning rate
    over the recipe's.
    """
    head = {id(p) for p in network.head.parameters()} if isinstance(network.head, nn.Module) else set()
    weights = [p for p in network.parameters() if p.requires_grad]
    layers: dict[float, list[nn.Parameter]] = {}
    shares = _shares(network, recipe.layer_decay)
    for weight in weights:
        if id(weight) not in head:
            layers.setdefault(shares.get(weight, 1.0), []).append(weight)
    groups = [
        group
        for share, inner in layers.items()
        for group in (
            {"params": [p for p in inner if p.ndim >= 2], "rate": None, "share": share, "orthogonal": True},
            {
                "params": [p for p in inner if p.ndim < 2],
                "rate": recipe.norm_learning_rate,
                "share": share,
                "weight_decay": 0.0,
            },
        )
    ]
    groups += [
        {"params": [p for p in weights if id(p) in head and p.ndim >= 2], "rate": recipe.head_learning_rate},
        {
            "params": [p for p in weights if id(p) in head and p.ndim < 2],
            "rate": recipe.head_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    groups = [
        {
            "orthogonal": False,
            **group,
            "scale": group.get("share", 1.0) * (group["rate"] or recipe.learning_rate) / recipe.learning_rate,
        }
        for group in groups
        if group["params"]
    ]
    rate, momentum, decay = recipe.learning_rate, recipe.momentum, recipe.weight_decay
    if recipe.optimizer == "muon":
        products = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
        return Muon(groups, rate, momentum, decay, precision=products)
    fused = device.type in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        nesterov = momentum > 0
        return torch.optim.SGD(groups, rate, momentum, weight_decay=decay, nesterov=nesterov, fused=fused)
    betas = (momentum, recipe.beta2)
    recorded = device.type == "cuda"  # its count of steps then lies on the GPU
    return torch.optim.AdamW(groups, rate, betas, recipe.epsilon, weight_decay=decay, fused=fused, capturable=recorded)


def _shares(network: Network, decay: float) -> dict[nn.Parameter, float]:
    """A backbone's parameters with the share of the learning rate that their layer has: the last all of it, each one
    before `decay` of the next (Howard and Ruder, arXiv 1801.06146; Clark et al., arXiv 2003.10555)."""
    if network.backbone is None or decay == 1:
        return {}
    depths = network.backbone.depths()
    last = max(depths.values())
    return {weight: decay ** (last - depth) for weight, depth in depths.items()}


def learning_rate(recipe: Recipe, step: float, steps: int) -> float:
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
