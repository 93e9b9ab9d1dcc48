"""How an answer is learned: the output layer with its loss. The contract is `foveal.task.Head`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ClassificationHead", "RegressionHead"]


class ClassificationHead(nn.Module):
    """One logit a label; softmax cross entropy.

    Args:
        in_features: None where the outputs come finished, without an output layer.
        label_smoothing: share of the target spread over all labels (Szegedy et al., CVPR 2016), 0 to below 1.
    """

    def __init__(self, in_features: int | None, outputs: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.output = _output(in_features, outputs)
        self.label_smoothing = label_smoothing

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to logits (B, K)."""
        return self.output(features)

    def loss(self, outputs: Tensor, targets: Tensor | Sequence[int]) -> dict[str, Tensor]:
        """Mean over the batch; targets are label indices, length B."""
        truth = torch.as_tensor(targets, dtype=torch.long, device=outputs.device)
        return {"cross_entropy": F.cross_entropy(outputs.float(), truth, label_smoothing=self.label_smoothing)}

    def spotlight(self, outputs: Tensor) -> Tensor:
        """(B,) the logit of the label that wins."""
        return outputs.amax(dim=1)


class RegressionHead(nn.Module):
    """One plain number an output; mean squared error.

    Args:
        in_features: None where the outputs come finished, without an output layer.
        label_smoothing: without a meaning for numbers; ignored.
    """

    def __init__(self, in_features: int | None, outputs: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.output = _output(in_features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to values (B, K)."""
        return self.output(features)

    def loss(self, outputs: Tensor, targets: Tensor | Sequence[float]) -> dict[str, Tensor]:
        """Mean over batch and outputs; targets are (B, K), or (B,) where K is 1."""
        truth = torch.as_tensor(targets, dtype=torch.float32, device=outputs.device)
        return {"squared_error": F.mse_loss(outputs.float(), truth.reshape(outputs.shape))}

    def spotlight(self, outputs: Tensor) -> Tensor:
        """(B,) the sum of the values."""
        return outputs.sum(dim=1)


def _output(in_features: int | None, outputs: int) -> nn.Module:
    return nn.Identity() if in_features is None else nn.Linear(in_features, outputs)
