"""Any torch module, described layer by layer."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from foveal.nets.describe import Description, Row, dense_equivalent
from foveal.nets.parts import probe

__all__ = ["describe_module"]

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def describe_module(module: nn.Module, input_shape: tuple[int, int, int]) -> Description:
    """A module that takes images (H, W, C), seen by passing one blank batch through it in evaluation mode.

    Rows are the modules without children, in the order of their work, one row a call; parameters shared by two calls
    are counted once. Parameters that no such module holds get a row of their own. FLOPs are those of two-dimensional
    convolutions and of linear layers; receptive fields are not known.

    Raises:
        NetError: the module cannot take such a batch.
    """
    height, width, channels = input_shape
    rows = [Row("input", "input", input_shape, 0, 0, (1, 1), None)]
    counted: set[int] = set()
    names = {child: name for name, child in module.named_modules()}

    def note(child: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and isinstance(inputs[0], Tensor):
            rows.append(_row(child, names[child], inputs[0], output, _uncounted(child, counted)))

    leaves = [child for child in module.modules() if not any(child.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        probe(module, torch.zeros(2, channels, height, width, device=_device(module)))
    finally:
        for hook in hooks:
            hook.remove()
    if others := _uncounted(module, counted):
        rows.append(Row("", "other parameters", (), others, 0, None, None))
    return Description(type(module).__name__, input_shape, tuple(rows))


def _row(child: nn.Module, name: str, before: Tensor, after: Tensor, parameters: int) -> Row:
    shape = tuple(after.shape[1:])
    flops, dense = 0, None
    if isinstance(child, CONVOLUTIONS):
        # A transposed convolution is the gradient of one: its inputs stand where a convolution has its outputs.
        positions = math.prod((after if isinstance(child, nn.Conv2d) else before).shape[1:])
        channels = child.in_channels if isinstance(child, nn.Conv2d) else child.out_channels
        flops = 2 * positions * math.prod(child.kernel_size) * channels // child.groups
        dense = dense_equivalent(tuple(before.shape[1:]), shape)
    elif isinstance(child, nn.Linear):
        flops = 2 * child.in_features * math.prod(shape)
    output = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    return Row(name, type(child).__name__, output, parameters, flops, None, dense)


def _uncounted(module: nn.Module, counted: set[int]) -> int:
    """Trainable numbers not counted before."""
    fresh = [p for p in module.parameters() if p.requires_grad and id(p) not in counted]
    counted.update(id(p) for p in fresh)
    return sum(p.numel() for p in fresh)


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))
