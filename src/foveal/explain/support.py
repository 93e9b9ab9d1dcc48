"""Which pixels a layer depends on, found with a gradient that cannot cancel: for modules that no notation describes.

The gradient of a number with respect to the image is zero where the image has no part in it; but also where a ReLU is
off, another number won the max pool, or two paths cancel. So a copy of the network is taken in which none of this can
happen: weights are positive and random, activations pass everything on, averages stand in the place of maxima, and a
normalisation becomes a sum over what it normalises. The gradient is then a sum of positive products, one for each way
from the pixel to the number. After each layer with weights, in either direction, numbers keep their sign and mantissa
alone: so none of them becomes 0 or too large after any number of layers, in fp32 either, which has ten times the speed
of fp64 here.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from foveal.explain.target import channels_second, reach
from foveal.nets.parts import Whitening

__all__ = ["Linearised", "positive_copy", "positive_image", "positive_pass"]

PASSED_ON = {
    *("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu", "celu_"),
    *("gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "hardtanh_", "sigmoid", "sigmoid_", "tanh"),
    *("tanh_", "softplus", "softsign", "logsigmoid", "prelu", "rrelu", "threshold", "batch_norm"),
    *("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
    *("clamp", "clamp_", "clip", "abs", "exp", "sqrt", "rsqrt", "square"),
}
"""Functions of each number alone: any of them could have a slope of 0 somewhere."""


MIXING = {
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("linear", "matmul", "__matmul__", "bmm", "einsum"),
}
"""Functions that sum over many numbers with weights."""


class _Mantissa(torch.autograd.Function):
    """Each number as its mantissa, ±0.5 to ±1, or 0; of gradients likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.frexp(x).mantissa

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.frexp(gradients[0]).mantissa


class Linearised(TorchFunctionMode):
    """While it is on, torch's functions are replaced as this file says; what it does not know stays as it is."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, named = getattr(func, "__name__", ""), dict(kwargs or {})
        if name in PASSED_ON:
            return args[0] if args else named["input"]
        if name in REPLACED:
            return REPLACED[name](func, *args, **named)
        found = func(*args, **named)
        return _Mantissa.apply(found) if name in MIXING else found


_COPIES: "WeakKeyDictionary[nn.Module, nn.Module]" = WeakKeyDictionary()


def positive_copy(module: nn.Module) -> nn.Module:
    """The module's `made_positive`, made once and kept for as long as the module is there."""
    if module not in _COPIES:
        _COPIES[module] = made_positive(module)
    return _COPIES[module]


def made_positive(module: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of the module on the CPU, in evaluation mode and fp32; every parameter is positive and random: where it
    has two dimensions or more, around 1 / fan-in, otherwise around 1. Buffers stay as they are, a whitening's filters
    apart."""
    generator = torch.Generator().manual_seed(seed)
    twin = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    learned = [*twin.parameters(), *(part.weight for part in twin.modules() if isinstance(part, Whitening))]
    for weight in learned:
        fan_in = weight[0].numel() if weight.ndim > 1 else 1
        weight.copy_((0.5 + torch.rand(weight.shape, generator=generator)) / fan_in)
    return twin


def positive_image(shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """(1, C, H, W) of random numbers from 0.5 to 1.5, with its gradient wanted."""
    generator = torch.Generator().manual_seed(seed)
    return (0.5 + torch.rand(1, *shape, generator=generator)).requires_grad_()


@dataclass(frozen=True, eq=False)
class _Pass:
    """One pass of a positive copy: the image, and what each module gave the first time it was called, by its path."""

    image: Tensor
    given: Mapping[str, Tensor]


_PASSES: "WeakKeyDictionary[nn.Module, _Pass]" = WeakKeyDictionary()


def positive_pass(body: nn.Module, path: str, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """A positive image (1, C, H, W), and what the module at that path gives for it in a positive copy of the body. The
    pass goes through the whole body once and is kept, of the last shape, for the layers that are asked for next.

    Raises:
        NetError: the body does not call the module, or it gives no tensor.
    """
    kept = _PASSES.get(body)
    if kept is None or tuple(kept.image.shape[1:]) != shape:
        kept = _PASSES[body] = _passed(positive_copy(body), positive_image(shape))
    if path in kept.given:
        return kept.image, kept.given[path]
    twin = positive_copy(body)
    with Linearised():
        return kept.image, reach(twin, twin.get_submodule(path), kept.image)


def _passed(twin: nn.Module, image: Tensor) -> _Pass:
    given: dict[str, Tensor] = {}
    copies: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}  # with the tensor itself, so that its id stays its own

    def noting(path: str) -> Callable[..., None]:
        def note(module: nn.Module, _inputs: object, output: object) -> None:
            if path not in given and isinstance(output, Tensor):
                state = id(output), output._version  # what comes next may change it in place
                copies[state] = copies.get(state) or (output, output.clone())
                given[path] = channels_second(module, copies[state][1])

        return note

    hooks = [module.register_forward_hook(noting(path)) for path, module in twin.named_modules()]
    try:
        # Beyond the layer that is asked for the copy need not run; what it gave before that is right.
        with suppress(Exception), Linearised():
            twin(image)
    finally:
        for hook in hooks:
            hook.remove()
    return _Pass(image, given)


def _averaged(
    func: Any,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The mean in the place of the largest."""
    if _pair(dilation) == (1, 1):
        return F.avg_pool2d(x, kernel_size, stride or kernel_size, padding, ceil_mode)
    kernel = torch.ones(x.shape[1], 1, *_pair(kernel_size), dtype=x.dtype)
    return F.conv2d(x, kernel, None, stride or kernel_size, padding, dilation, x.shape[1])


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


def _adaptive(func: Any, x: Tensor, output_size: Any, *rest: Any, **named: Any) -> Tensor:
    return F.adaptive_avg_pool2d(x, output_size)


def _amax(func: Any, x: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    return x.mean(dim, keepdim) if dim != () else x.mean()


def _layer_norm(func: Any, x: Tensor, normalized_shape: Any, *rest: Any, **named: Any) -> Tensor:
    return x + x.mean(tuple(range(-len(normalized_shape), 0)), keepdim=True)


def _group_norm(func: Any, x: Tensor, num_groups: int, *rest: Any, **named: Any) -> Tensor:
    groups = x.reshape(len(x), num_groups, -1)
    return (groups + groups.mean(2, keepdim=True)).reshape(x.shape)


def _instance_norm(func: Any, x: Tensor, *rest: Any, **named: Any) -> Tensor:
    return x + x.mean(tuple(range(2, x.ndim)), keepdim=True)


def _softmax(func: Any, x: Tensor, dim: int | None = -1, *rest: Any, **named: Any) -> Tensor:
    return x + x.mean(dim, keepdim=True)


def _normalize(func: Any, x: Tensor, p: float = 2.0, dim: int = 1, *rest: Any, **named: Any) -> Tensor:
    return x + x.mean(dim, keepdim=True)


def _attention(
    func: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **named: Any,
) -> Tensor:
    """Every query from every key and value that the mask lets it see."""
    seen = torch.ones(query.shape[-2], key.shape[-2], dtype=value.dtype)
    if is_causal:
        seen = seen.tril()
    elif attn_mask is not None:
        seen = (attn_mask if attn_mask.dtype == torch.bool else attn_mask > MASKED).to(value.dtype)
    return seen / seen.sum(-1, keepdim=True) @ (value + key.mean(-1, keepdim=True)) + query.mean(-1, keepdim=True)


MASKED = -50.0  # what is added to attention to switch it off is at most that: −100 in Swin, −∞ elsewhere

REPLACED: dict[str, Callable[..., Any]] = {
    "max_pool2d": _averaged,
    "_max_pool2d": _averaged,
    "adaptive_max_pool2d": _adaptive,
    "_adaptive_max_pool2d": _adaptive,
    "amax": _amax,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "softmax": _softmax,
    "normalize": _normalize,
    "scaled_dot_product_attention": _attention,
}
