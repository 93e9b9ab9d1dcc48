"""A convolution that learns faster on small maps. Shapes: B images, C and D channels in and out, H×W the map.

oneDNN's gradient of the weights goes through a batch image by image. With a processor's matrix units (AMX) the work for
an image of a few pixels is nothing beside the way there: 512 maps of 256 channels and 2×2 pixels took 26 ms, and 3.6 ms
as one product of two matrices (2 cores; 28 ms and 7.4 ms at 4×4, and nothing is gained from 7×7 on).
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Convolution"]

LARGEST = 4  # pixels of a side


class Convolution(nn.Conv2d):
    """nn.Conv2d; where it pays, the gradient of its weights is a product of matrices."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 (torch's name)
        if self._pays(input):
            return _SmallMaps.apply(input, weight, bias)  # pyright: ignore[reportReturnType]
        return super()._conv_forward(input, weight, bias)

    def _pays(self, x: Tensor) -> bool:
        plain = (self.kernel_size, self.stride, self.padding, self.groups) == ((3, 3), (1, 1), (1, 1), 1)
        small = x.ndim == 4 and max(x.shape[2:]) <= LARGEST
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        return plain and small and learns and x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and _has_amx()


@cache
def _has_amx() -> bool:
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


class _SmallMaps(torch.autograd.Function):
    """A convolution of 3×3, padded, in bfloat16."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        rest = [wanted[0], False, False]
        grad_x = grad_weight = grad_bias = None
        if wanted[0]:
            plain = [1, 1], [1, 1], [1, 1], False, [0, 0], 1
            grad_x, _, _ = torch.ops.aten.convolution_backward(gradient, x, weight, None, *plain, rest)
        rows = gradient.permute(0, 2, 3, 1).flatten(0, 2)  # (B·H·W, D)
        if wanted[1]:
            grad_weight = (rows.t() @ _patches(x)).view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        if wanted[2]:
            grad_bias = rows.sum(0)
        return grad_x, grad_weight, grad_bias


def _patches(x: Tensor) -> Tensor:
    """(B·H·W, 9·C): what a kernel sees at each place, row by row of the kernel."""
    height, width = x.shape[2:]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    seen = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.cat(seen, dim=3).flatten(0, 2)
