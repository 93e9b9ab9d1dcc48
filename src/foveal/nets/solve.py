"""The output layer that fits given features best: a linear probe. Alain and Bengio, arXiv 1610.01644."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from foveal.task import Head

__all__ = ["solve"]

PENALTIES = 1000.0, 100.0, 10.0, 1.0  # the larger first: each starts where the one before ended
WITHOUT_CHOICE = 100.0
MOST_STEPS = 200
TOLERANCE = 1e-7


def solve(head: Head, features: Tensor, targets: Tensor, held: tuple[Tensor, Tensor] | None = None) -> float:
    """Give the head's output layer the weights with the smallest loss on these images plus half the squared norm of
    the weights times a penalty, features standardised. Returns the penalty.

    Args:
        features: (N, F).
        held: features and targets of other images, on which the penalty with the smallest loss is chosen; where there
            are none it is 100.
    """
    layer = getattr(head, "output", None)
    assert isinstance(layer, nn.Linear)
    features = features.double()
    mean, spread = features.mean(dim=0), features.std(dim=0, correction=0)
    spread[spread < 1e-6 * spread.max().clamp(min=1e-12)] = 1
    module = head.double() if isinstance(head, nn.Module) else None
    assert module is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    standardised = (features - mean) / spread
    with torch.enable_grad():
        candidates = _fits(head, layer, standardised, targets, PENALTIES if held else (WITHOUT_CHOICE,))
        if held:
            other = (held[0].double() - mean) / spread
            losses = [(_loss(head, layer, fit, other, held[1]), penalty, fit) for penalty, fit in candidates]
            _, penalty, (weight, bias) = min(losses, key=lambda candidate: candidate[0])
        else:
            ((penalty, (weight, bias)),) = candidates
    with torch.no_grad():
        layer.weight.copy_(weight / spread)
        layer.bias.copy_(bias - (weight / spread) @ mean)
    module.float()
    return penalty


Fit = tuple[Tensor, Tensor]


def _fits(
    head: Head, layer: nn.Linear, features: Tensor, targets: Tensor, penalties: Iterable[float]
) -> list[tuple[float, Fit]]:
    found = []
    for penalty in penalties:
        optimizer = torch.optim.LBFGS(
            [layer.weight, layer.bias],
            max_iter=MOST_STEPS,
            tolerance_grad=TOLERANCE,
            tolerance_change=TOLERANCE * 1e-2,
            line_search_fn="strong_wolfe",
        )

        def closure(penalty: float = penalty, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = torch.stack(list(head.loss(head(features), targets).values())).sum()
            loss = loss + penalty / 2 * layer.weight.square().sum() / len(features)
            loss.backward()
            return loss

        optimizer.step(closure)  # pyright: ignore[reportArgumentType]
        found.append((penalty, (layer.weight.detach().clone(), layer.bias.detach().clone())))
    return found


def _loss(head: Head, layer: nn.Linear, fit: Fit, features: Tensor, targets: Tensor) -> float:
    with torch.no_grad():
        layer.weight.copy_(fit[0])
        layer.bias.copy_(fit[1])
        return float(torch.stack(list(head.loss(head(features), targets).values())).sum())
