"""How an answer is learned: the output layer with its loss. The contract is `foveal.task.Head`."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.chosen import Chosen
from foveal.nets.spotlights import label_logit, likeliest_label

__all__ = ["ClassificationHead", "MultiLabelHead", "RegressionHead"]


class ClassificationHead(nn.Module):
    """One logit a label; softmax cross entropy.

    Args:
        in_features: None where the outputs come finished, without an output layer.
        label_smoothing: share of the target spread over all labels (Szegedy et al., CVPR 2016), 0 to below 1.
        loss: without a choice here; ignored.
    """

    def __init__(self, in_features: int | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto") -> None:
        super().__init__()
        self.output = _output(in_features, outputs)
        self.label_smoothing = label_smoothing

    def fit(self, targets: np.ndarray) -> None:
        """Nothing: a label has no scale."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to logits (B, K)."""
        return self.output(features)

    def loss(self, outputs: Tensor, targets: Tensor | Sequence[int]) -> dict[str, Tensor]:
        """Mean over the batch; targets are label indices, length B."""
        truth = torch.as_tensor(targets, dtype=torch.long, device=outputs.device)
        return {"cross_entropy": F.cross_entropy(outputs.float(), truth, label_smoothing=self.label_smoothing)}

    def spotlight(self, outputs: Tensor, chosen: Chosen | None = None) -> Tensor:
        """(B,) the logit of the chosen label, or of the one that wins."""
        return label_logit(outputs, chosen)

    def winner(self, outputs: Tensor) -> Chosen:
        """The likeliest label of (K,)."""
        return likeliest_label(outputs)


class MultiLabelHead(nn.Module):
    """One logit a label, each a yes or no of its own; binary cross entropy.

    Args:
        in_features: None where the outputs come finished, without an output layer.
        label_smoothing: share of a target that goes half to yes and half to no, 0 to below 1.
        loss: without a choice here; ignored.
    """

    def __init__(self, in_features: int | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto") -> None:
        super().__init__()
        self.output = _output(in_features, outputs)
        self.label_smoothing = label_smoothing

    def fit(self, targets: np.ndarray) -> None:
        """Nothing: a label has no scale."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to logits (B, K)."""
        return self.output(features)

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Mean over the cells that are known, 0 where none is; targets are (B, K), 1 yes, 0 no, NaN not known."""
        truth = torch.as_tensor(targets, dtype=torch.float32, device=outputs.device).reshape(outputs.shape)
        known = ~truth.isnan()
        # A loss of NaN times 0 has a gradient of NaN: the unknown become a 0 before, and count for nothing after.
        smoothed = truth.nan_to_num(0.0) * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(outputs.float(), smoothed, weight=known.float(), reduction="sum")
        return {"binary_cross_entropy": losses / known.sum().clamp(min=1)}

    def spotlight(self, outputs: Tensor, chosen: Chosen | None = None) -> Tensor:
        """(B,) the logit of the chosen label, or of the likeliest."""
        return label_logit(outputs, chosen)

    def winner(self, outputs: Tensor) -> Chosen:
        """The likeliest label of (K,)."""
        return likeliest_label(outputs)


class RegressionHead(nn.Module):
    """One number an output, in the user's unit. It is learned in units of the spread of the training targets, so that
    neither the learning rate nor the loss depends on the unit.

    Args:
        in_features: None where the outputs come without an output layer; they are then numbers in units of the spread.
        label_smoothing: without a meaning for numbers; ignored.
        loss: `squared`, or Huber's, which errors beyond one spread enter in proportion, not squared (Huber, "Robust
            estimation of a location parameter", Ann. Math. Stat. 35 (1964) 73-101): `huber` and `auto`.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, in_features: int | None, outputs: int, label_smoothing: float = 0.0, loss: str = "auto") -> None:
        super().__init__()
        assert loss in ("auto", "huber", "squared"), loss
        self.output = _output(in_features, outputs)
        self.robust = loss != "squared"
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def fit(self, targets: np.ndarray) -> None:
        """Take mean and standard deviation of the training targets, (N, K), or (N,) where K is 1; a target that is
        always the same has the spread 1."""
        columns = np.asarray(targets, np.float64).reshape(len(targets), -1)
        spread = np.where(np.ptp(columns, axis=0) > 0, columns.std(axis=0), 1.0)
        self.mean.copy_(torch.from_numpy(columns.mean(axis=0)))
        self.spread.copy_(torch.from_numpy(spread))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to values (B, K)."""
        return self.output(features) * self.spread + self.mean

    def loss(self, outputs: Tensor, targets: Tensor | Sequence[float]) -> dict[str, Tensor]:
        """Mean over batch and outputs, in units of the spread; targets are (B, K), or (B,) where K is 1."""
        truth = torch.as_tensor(targets, dtype=torch.float32, device=outputs.device).reshape(outputs.shape)
        error = (outputs.float() - truth) / self.spread.to(outputs.device)
        if self.robust:
            return {"huber": F.huber_loss(error, torch.zeros_like(error))}
        return {"squared_error": error.square().mean()}

    def spotlight(self, outputs: Tensor, chosen: Chosen | None = None) -> Tensor:
        """(B,) the chosen value, or the first, in units of its spread: 0 is the mean of the training targets."""
        number = 0 if chosen is None else chosen.number
        return ((outputs - self.mean) / self.spread)[:, number]

    def winner(self, outputs: Tensor) -> Chosen:
        """The first value of (K,): none is louder than another."""
        return Chosen(0, "output 0", either_way=True)


def _output(in_features: int | None, outputs: int) -> nn.Module:
    return nn.Identity() if in_features is None else nn.Linear(in_features, outputs)
