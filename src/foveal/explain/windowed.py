"""The arithmetic of layers with a window, in double precision. Shapes: C channels, H×W maps, h×w the window."""

import math
from collections.abc import Sequence

import numpy as np
from torch import nn

from foveal.explain.terms import Arithmetic, Caught
from foveal.nets.parts import Blur, PixelMean, Whitening
from foveal.nets.windows import Pair

__all__ = ["adaptive", "avg_pool", "blur", "convolution", "cut", "global_mean", "max_pool", "pixel_mean", "whitening"]

Lines = tuple[np.ndarray, np.ndarray]
"""Rows and columns."""

PADDED_LATE = "Conv2dSame"  # timm's, which pads in its forward


def convolution(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Also with groups, dilation, any edges, and timm's padding as TensorFlow has it."""
    module = caught.module
    assert isinstance(module, nn.Conv2d)
    weight = module.weight.detach().double().numpy()[position[0]]
    group = position[0] // (module.out_channels // module.groups)
    channels = group * len(weight) + np.arange(len(weight))
    left, _, top, _ = module._reversed_padding_repeated_twice
    before, stride, dilation = (top, left), _pair(module.stride), _pair(module.dilation)
    if type(module).__name__ == PADDED_LATE:
        sizes = zip(caught.x.shape[1:], caught.output.shape[1:], weight.shape[1:], stride, dilation)
        before = _pair([max((out - 1) * s + (k - 1) * d + 1 - n, 0) // 2 for n, out, k, s, d in sizes])
    lines = _under(position, stride, before, _pair(weight.shape[1:]), dilation)
    bias = 0.0 if module.bias is None else module.bias[position[0]].item()
    return _products(caught, position, weight, channels, lines, bias, module.padding_mode)


def whitening(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """A convolution whose filters are buffers."""
    module = caught.module
    assert isinstance(module, Whitening)
    weight = module.weight.double().numpy()[position[0]]
    lines = _under(position, _pair(module.stride), (0, 0), _pair(module.kernel))
    return _products(caught, position, weight, np.arange(len(weight)), lines)


def blur(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """The blur after max pooling, edges repeated."""
    module = caught.module
    assert isinstance(module, Blur)
    kernel = module.kernel.double().numpy()[0]
    height, width = kernel.shape[1:]
    lines = _under(position, module.stride, (height // 2, width // 2), (height, width))
    return _products(caught, position, kernel, np.array(position[:1]), lines, edges="replicate")


def max_pool(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Padding never wins."""
    sizes = (_pair(getattr(caught.module, name)) for name in ("stride", "padding", "kernel_size", "dilation"))
    return _largest(caught, position, _under(position, *sizes))


def avg_pool(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Padding counts as zeros or not at all, as the module says."""
    module = caught.module
    assert isinstance(module, nn.AvgPool2d)
    padding = _pair(module.padding)
    lines = _under(position, _pair(module.stride), padding, _pair(module.kernel_size))
    divisor = module.divisor_override
    if divisor is None and module.count_include_pad:
        # What ceil_mode lets reach beyond the padding does not count.
        ends = zip(lines, caught.x.shape[1:], padding)
        divisor = math.prod(int((line < size + around).sum()) for line, size, around in ends)
    return _mean(caught, position, lines, divisor)


def pixel_mean(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """The mean of the pixels alone, with unequal edges."""
    module = caught.module
    assert isinstance(module, PixelMean)
    edges, pool = module.mean.pad, module.mean.pool
    assert isinstance(edges, nn.ConstantPad2d)
    assert isinstance(pool, nn.AvgPool2d)
    left, _, top, _ = edges.padding
    return _mean(caught, position, _under(position, _pair(pool.stride), (top, left), _pair(pool.kernel_size)))


def adaptive(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Pooling that cuts the map into as many parts as it gives numbers; into one, where it is global."""
    sizes = zip(position[1:], caught.x.shape[1:], caught.output.shape[1:])
    rows, columns = (np.arange(at * size // out, -(-(at + 1) * size // out)) for at, size, out in sizes)
    pooled = _largest if isinstance(caught.module, nn.AdaptiveMaxPool2d) else _mean
    return pooled(caught, position, (rows, columns))


def global_mean(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """The mean of a whole map."""
    rows, columns = (np.arange(size) for size in caught.x.shape[1:])
    return _mean(caught, position, (rows, columns))


def cut(
    x: np.ndarray, channels: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float, edges: str = "zeros"
) -> tuple[np.ndarray, np.ndarray]:
    """(C, h, w) of some rows and columns, which may lie outside, and (h, w): which do.

    Args:
        edges: as torch names them: `zeros` (here the fill), `replicate`, `reflect`, `circular`.
    """
    height, width = x.shape[1:]
    outside = ~((rows >= 0) & (rows < height))[:, None] | ~((columns >= 0) & (columns < width))
    inside_rows, inside_columns = _within(rows, height, edges), _within(columns, width, edges)
    patch = x[channels[:, None, None], inside_rows[:, None], inside_columns]
    return np.where(outside, fill, patch) if edges == "zeros" else patch, outside


def _products(
    caught: Caught,
    position: tuple[int, ...],
    kernel: np.ndarray,
    channels: np.ndarray,
    lines: Lines,
    bias: float = 0.0,
    edges: str = "zeros",
    formula: str = "Σ patch · kernel",
) -> Arithmetic:
    patch, outside = cut(caught.x, channels, *lines, 0.0, edges)
    products = patch * kernel
    return Arithmetic(
        caught.place,
        position,
        "sum",
        formula + (" + bias" if bias else ""),
        patch,
        float(products.sum() + bias),
        float(caught.output[position]),
        float(np.abs(products).sum() + abs(bias)),
        channels,
        *lines,
        outside,
        kernel=kernel,
        bias=bias,
    )


def _mean(caught: Caught, position: tuple[int, ...], lines: Lines, divisor: int | None = None) -> Arithmetic:
    """
    Args:
        divisor: what the sum is divided by; without one, how many numbers lie inside.
    """
    inside = math.prod(int(((at >= 0) & (at < size)).sum()) for at, size in zip(lines, caught.x.shape[1:]))
    kernel = np.full((1, len(lines[0]), len(lines[1])), 1 / (divisor or inside))
    return _products(caught, position, kernel, np.array(position[:1]), lines, formula="mean of the patch")


def _largest(caught: Caught, position: tuple[int, ...], lines: Lines) -> Arithmetic:
    channels = np.array(position[:1])
    patch, outside = cut(caught.x, channels, *lines, -math.inf)
    result, value = float(patch.max()), float(caught.output[position])
    formula = "largest number of the patch"
    return Arithmetic(
        caught.place, position, "maximum", formula, patch, result, value, abs(result), channels, *lines, outside
    )


def _under(position: tuple[int, ...], stride: Pair, before: Pair, kernel: Pair, dilation: Pair = (1, 1)) -> Lines:
    """Rows and columns of the input under the window that makes the output at this position."""
    sizes = zip(position[1:], stride, before, kernel, dilation)
    rows, columns = (at * s - b + d * np.arange(k) for at, s, b, k, d in sizes)
    return rows, columns


def _within(places: np.ndarray, size: int, edges: str) -> np.ndarray:
    if edges == "reflect":
        return (size - 1) - np.abs(places % max(2 * (size - 1), 1) - (size - 1))
    return places % size if edges == "circular" else places.clip(0, size - 1)


def _pair(size: int | Sequence[int]) -> Pair:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
