"""Layers that depend on the whole batch, in processes that each have a part of it.

Dropout draws the mask of the whole batch and takes its rows, so that every row meets the mask it would meet in a
single process. Batch norm takes mean and variance over the whole batch (torch's SyncBatchNorm does so on GPUs alone).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.team import Team

__all__ = ["WholeBatch", "whole_batch"]

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Dropout = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d
Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class WholeBatch:
    """The batch in hand.

    Args:
        count: its images, over all processes.
    """

    team: Team
    count: int

    @property
    def own(self) -> int:
        """Images that count in this process; 0 where it takes one that counts for nothing."""
        part = self.team.part(self.count)
        return part.stop - part.start


@contextmanager
def whole_batch(network: nn.Module, batch: WholeBatch) -> Iterator[None]:
    """Inside, the network's layers look at the whole batch when they train. Its modules and their names stay."""
    changed = []
    if batch.team.size > 1:
        changed = [module for module in network.modules() if isinstance(module, Norm | Dropout)]
    for module in changed:
        forward = _normalized if isinstance(module, Norm) else _dropped
        vars(module)["forward"] = partial(forward, module, module.forward, batch)
    try:
        yield
    finally:
        for module in changed:
            del vars(module)["forward"]


def _dropped(module: Dropout, own: Forward, batch: WholeBatch, x: Tensor) -> Tensor:
    if not module.training or module.p == 0:
        return own(x)
    lies = torch.channels_last if x.ndim == 4 and _channels_last(x) else torch.contiguous_format
    whole = torch.ones(batch.count, *x.shape[1:], dtype=x.dtype, device=x.device).contiguous(memory_format=lies)
    return x * own(whole)[batch.team.taken(batch.count)]


def _channels_last(x: Tensor) -> bool:
    # A contiguous tensor of one channel or one pixel is both.
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _normalized(module: Norm, own: Forward, batch: WholeBatch, x: Tensor) -> Tensor:
    if not module.training:
        return own(x)
    statistics = _statistics(x.detach()[: batch.own], batch.team)
    mean, variance, count = statistics
    if module.running_mean is not None and module.running_var is not None and module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        module.running_mean.lerp_(mean, share)
        module.running_var.lerp_(variance * (count / max(count - 1, 1)), share)
    weight = torch.ones_like(mean) if module.weight is None else module.weight
    bias = torch.zeros_like(mean) if module.bias is None else module.bias
    return _Normalize.apply(x, weight, bias, statistics, module.eps, batch)


def _statistics(x: Tensor, team: Team) -> tuple[Tensor, Tensor, float]:
    """(C,) mean and (C,) biased variance over all processes, and how many numbers a channel they are from.

    Those of the parts are put together as by Chan, Golub and LeVeque 1983: no digits are lost where the mean is large.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    count = x.numel() // x.shape[1]
    if count:
        variance, mean = torch.var_mean(x.float(), axes, correction=0)
    else:
        variance = mean = torch.zeros(x.shape[1], device=x.device)
    parts = team.every(torch.cat([mean, variance, mean.new_tensor([count])])).double()
    channels = x.shape[1]
    means, variances, counts = parts[:, :channels], parts[:, channels:-1], parts[:, -1:]
    mean = (counts * means).sum(0) / counts.sum()
    variance = (counts * (variances + (means - mean) ** 2)).sum(0) / counts.sum()
    return mean.float(), variance.float(), float(counts.sum())


class _Normalize(torch.autograd.Function):
    """Batch norm with statistics that are given but depend on x, over all processes.

    torch's own kernels do both passes as if the statistics were constants; what is missing is taken off the gradient of
    x: its mean, and its mean along the normalised x (Ioffe and Szegedy 2015, section 3).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        statistics: tuple[Tensor, Tensor, float],
        eps: float,
        batch: WholeBatch,
    ) -> Tensor:
        mean, variance, ctx.count = statistics
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.batch = eps, batch
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        wanted = [True, True, True]
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, None, None, False, ctx.eps, wanted
        )
        sums = torch.stack([grad_bias, grad_weight]) / ctx.count
        ctx.batch.team.add_up(sums)
        scale = torch.rsqrt(variance + ctx.eps)
        slope = weight * scale**2 * sums[1]
        level = weight * scale * sums[0] - slope * mean
        around = (1, -1, *[1] * (x.ndim - 2))
        missing = torch.addcmul(level.view(around), x, slope.view(around)).to(grad_x.dtype)
        return grad_x - missing if ctx.batch.own else grad_x, grad_weight, grad_bias, None, None, None
