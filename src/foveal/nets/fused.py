"""Pooling, batch norm, bias and ReLU as one, in training on a CPU in bfloat16. Shapes: B, C, H, W.

torch goes through a map once or more for each of them, there and back, and clears a map before it fills it: on a
processor with matrix units that takes as long as the convolutions. Here the way there is two readings and two writings
of the pooled map, whatever is fused, and the way back two readings and one writing. What is computed is the same, in
float32; results differ from torch's in the last bit of bfloat16.
"""

import importlib
import importlib.util
import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["beside", "can_fuse", "can_rectify", "fits", "pools_by_two", "rectified", "rectify", "there", "works"]


def there() -> bool:
    """Whether numba is installed, where it is used."""
    return sys.platform == "linux" and importlib.util.find_spec("numba") is not None


@cache
def works() -> bool:
    """Whether the compiled parts can be had: numba, with OpenMP's threads, which torch has, too. Loads it."""
    try:
        return there() and importlib.import_module("numba.np.ufunc.omppool") is not None
    except ImportError:  # OpenMP's library is missing, or numba is for another version of numpy or Python
        return False


def can_fuse(x: Tensor) -> bool:
    """Whether maps are what the compiled parts take: (B, C, H, W) in bfloat16 on a CPU, channels last, to be learned
    from."""
    return _plain(x) and x.requires_grad and torch.is_grad_enabled()


def can_rectify(x: Tensor) -> bool:
    """Whether maps are so, and not learned from."""
    return _plain(x) and not x.requires_grad


def _plain(x: Tensor) -> bool:
    plain = x.ndim == 4 and x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.numel() > 0
    return plain and x.is_contiguous(memory_format=torch.channels_last)


def pools_by_two(module: nn.Module) -> bool:
    """Whether it takes the largest of each 2×2."""
    if not isinstance(module, nn.MaxPool2d) or module.return_indices or module.ceil_mode:
        return False
    settings = (module.kernel_size, module.stride, module.padding, module.dilation)
    return tuple(_pair(setting) for setting in settings) == ((2, 2), (2, 2), (0, 0), (1, 1))


def fits(norm: nn.Module) -> bool:
    """Whether it is torch's own batch norm of maps, with a scale and a shift and means that run."""
    if type(norm) is not nn.BatchNorm2d or "forward" in vars(norm):
        return False
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def rectified(x: Tensor, norm: nn.Module | None, bias: Tensor | None = None, pool: bool = False) -> Tensor:
    """ReLU of maps after batch norm, or with a bias; of the largest of each 2×2 first where `pool`.

    Args:
        x: (B, C, H, W), for which `can_fuse` holds.
        norm: batch norm, for which `fits` holds; its running means and variances move on.
        bias: (C,), where there is no batch norm.

    Returns:
        (B, C, H, W), or (B, C, ⌊H/2⌋, ⌊W/2⌋), in bfloat16.

    Source: Ioffe and Szegedy 2015 (batch norm); its gradient: section 3.
    """
    if norm is None:
        return _Rectified.apply(x, None, bias, None, pool)  # pyright: ignore[reportReturnType]
    return _Rectified.apply(x, norm.weight, norm.bias, norm, pool)  # pyright: ignore[reportReturnType]


def rectify(x: Tensor) -> Tensor:
    """ReLU in place, of numbers in bfloat16 on a CPU that nobody learns from; a NaN stays one."""
    kernels().rectified(_bits(x).reshape(-1))
    return x


def beside(maps: Tensor, side: int) -> Tensor:
    """side² images as one: (B, C, H, W) to (B / side², C, side·(H + 1), side·(W + 1)), with zeros between."""
    batch, channels, height, width = maps.shape
    laid = _new(batch // side**2, channels, side * (height + 1), side * (width + 1))
    rows, into = (_bits(images).reshape(*images.shape[::2], -1) for images in (maps, laid))
    kernels().laid_beside(rows, into, side, channels)
    return laid


def kernels() -> Any:
    """The compiled parts, set to as many threads as torch has."""
    compiled = _compiled()
    compiled.threads(torch.get_num_threads())
    return compiled


@cache
def _compiled() -> Any:
    from foveal.nets import kernels as compiled

    return compiled


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, norm: nn.BatchNorm2d | None, pool: bool
    ) -> Tensor:
        do, (batch, channels, height, width) = kernels(), x.shape
        if pool:
            height, width = height // 2, width // 2
        maps, which = x, None
        mean, squares = (np.empty((batch, channels), np.float32) for _ in range(2))
        if pool:
            maps, which = _new(batch, channels, height, width), np.empty((batch, height, width, channels), np.uint8)
            do.pooled_moments(_bits(x), _bits(maps), which, mean, squares)
        elif norm is not None:
            do.moments(_bits(x), mean, squares)
        level, inverse = np.zeros(channels), np.ones(channels)
        if norm is not None:
            level, variance = do.over_images(mean, squares, height * width)
            inverse = 1 / np.sqrt(variance + norm.eps)
            _moved_on(norm, level, variance, batch * height * width)
        scale = inverse if weight is None else inverse * weight.detach().numpy()
        shift = -level * scale if bias is None else bias.detach().numpy() - level * scale
        scale, shift = scale.astype(np.float32), shift.astype(np.float32)
        result = _new(batch, channels, height, width)
        do.scaled(_bits(maps), _bits(result), scale, shift)
        ctx.save_for_backward(maps)
        ctx.kept = which, scale, shift, level, inverse, norm is not None, x.shape
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        do, (maps,) = kernels(), ctx.saved_tensors
        which, scale, shift, level, inverse, normed, shape = ctx.kept
        gradient = gradients[0].to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        whole, along = (np.empty(maps.shape[:2], np.float32) for _ in range(2))
        do.gradient_sums(_bits(gradient), _bits(maps), scale, shift, level.astype(np.float32), whole, along)
        whole, along = (sums.sum(0, dtype=np.float64) for sums in (whole, along))
        slope = offset = np.zeros_like(scale)
        if normed:
            count = maps.numel() // len(scale)
            steep = -scale * inverse**2 * along / count
            slope, offset = steep.astype(np.float32), (-scale * whole / count - steep * level).astype(np.float32)
        found = _new(*shape)
        if which is None:
            do.gradients(_bits(gradient), _bits(maps), scale, shift, slope, offset, _bits(found))
        else:
            do.gradients_unpooled(_bits(gradient), _bits(maps), which, scale, shift, slope, offset, _bits(found))
        of_weight = torch.from_numpy((along * inverse).astype(np.float32)) if ctx.needs_input_grad[1] else None
        of_bias = torch.from_numpy(whole.astype(np.float32)) if ctx.needs_input_grad[2] else None
        return found, of_weight, of_bias, None, None


@torch.no_grad()
def _moved_on(norm: nn.BatchNorm2d, mean: np.ndarray, variance: np.ndarray, count: int) -> None:
    """The running mean and variance, as torch moves them: the variance as of a sample."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    sample = variance * (count / max(1, count - 1))
    norm.running_mean.lerp_(torch.from_numpy(mean).to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(torch.from_numpy(sample).to(norm.running_var.dtype), norm.momentum)


def _new(batch: int, channels: int, height: int, width: int) -> Tensor:
    return torch.empty(batch, height, width, channels, dtype=torch.bfloat16).permute(0, 3, 1, 2)


def _bits(maps: Tensor) -> np.ndarray:
    """(B, C, H, W) to (B, H, W, C), the same memory."""
    return maps.detach().permute(0, 2, 3, 1).view(torch.uint16).numpy()


def _pair(setting: int | tuple[int, ...]) -> tuple[int, ...]:
    return (setting, setting) if isinstance(setting, int) else tuple(setting)
