"""A convolution that learns faster on small maps. Shapes: B images, C and D channels in and out, H×W the map.

oneDNN's gradient of the weights goes through a batch image by image. With a processor's matrix units (AMX) the work for
an image of a few pixels is nothing beside the way there, so that some images are laid beside each other as one, with a
line of zeros between them. 512 maps of 256 channels: 23 ms and 7 ms at 3×3 pixels, 44 and 29 at 7×7 (2 cores).
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.nets import fused

__all__ = ["Convolution"]

LARGEST = 9  # pixels of a side
SMALL = 6  # up to which 4×4 images become one; above, 2×2
WIDE = 128 * 128  # channels in times channels out, from which on that pays above SMALL


class Convolution(nn.Conv2d):
    """nn.Conv2d; where it pays, the gradient of its weights is found from several images laid beside each other.

    Where `fused`, they are laid there by the compiled parts of `foveal.nets.fused`.
    """

    fused = False

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 (torch's name)
        if self._pays(input):
            return _SmallMaps.apply(input, weight, bias, self.fused)  # pyright: ignore[reportReturnType]
        return super()._conv_forward(input, weight, bias)

    def _pays(self, x: Tensor) -> bool:
        plain = (self.kernel_size, self.stride, self.padding, self.groups) == ((3, 3), (1, 1), (1, 1), 1)
        wide = self.in_channels * self.out_channels >= WIDE
        small = x.ndim == 4 and max(x.shape[2:]) <= (LARGEST if wide else min(SMALL, LARGEST))
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        return plain and small and learns and x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and _has_amx()


@cache
def _has_amx() -> bool:
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


class _SmallMaps(torch.autograd.Function):
    """A convolution of 3×3, padded, in bfloat16."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, compiled: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.compiled = compiled
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = grad_bias = None
        if wanted[0]:
            grad_x = _gradients(gradient, x, weight, (True, False, False))[0]
        if wanted[1]:
            side = 4 if max(x.shape[2:]) <= SMALL else 2
            lay = fused.beside if ctx.compiled and len(x) % side**2 == 0 else _beside
            grad_weight = _gradients(lay(gradient, side), lay(x, side), weight, (False, True, False))[1]
        if wanted[2]:
            grad_bias = gradient.sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias, None


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor, ...]:
    plain = [1, 1], [1, 1], [1, 1], False, [0, 0], 1
    return torch.ops.aten.convolution_backward(gradient, x, weight, None, *plain, list(wanted))


def _beside(maps: Tensor, side: int) -> Tensor:
    """(B / side², C, side·(H + 1), side·(W + 1)): side × side images as one, each with zeros below and to its right."""
    batch, channels, height, width = maps.shape
    large = -(-batch // side**2)
    if batch % side**2:
        maps = torch.cat([maps, maps.new_zeros(large * side**2 - batch, channels, height, width)])
    laid = maps.new_zeros(large, side, height + 1, side, width + 1, channels)
    apart = maps.permute(0, 2, 3, 1).reshape(large, side, side, height, width, channels)
    laid[:, :, :height, :, :width] = apart.transpose(2, 3)
    return laid.view(large, side * (height + 1), side * (width + 1), channels).permute(0, 3, 1, 2)
