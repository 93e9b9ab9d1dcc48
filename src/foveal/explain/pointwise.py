"""The arithmetic of layers without a window, in double precision. Shapes: C channels, H×W maps, F numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from foveal.explain.places import NORMS, activation_of
from foveal.explain.terms import Arithmetic, Caught, Operation
from foveal.explain.windowed import cut
from foveal.nets.heads import RegressionHead
from foveal.nets.parts import Normalize

__all__ = [
    "activation",
    "batch_norm",
    "copied",
    "dense",
    "flatten",
    "normalize",
    "own",
    "padded",
    "regression",
    "residual",
]

SQRT2 = math.sqrt(2)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _clipped(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


FORMULAS: dict[str, tuple[str, Callable[[float, Any], float]]] = {
    "ReLU": ("max(0, x)", lambda x, _: max(0.0, x)),
    "ReLU6": ("min(max(0, x), 6)", lambda x, _: _clipped(x, 0, 6)),
    "leaky ReLU": ("x, or slope · x below 0", lambda x, module: x if x >= 0 else module.negative_slope * x),
    "ELU": ("x, or α (eˣ − 1) below 0", lambda x, module: x if x > 0 else module.alpha * math.expm1(x)),
    "GELU": ("x · Φ(x)", lambda x, _: x * (1 + math.erf(x / SQRT2)) / 2),
    "SiLU": ("x / (1 + e⁻ˣ)", lambda x, _: x * _sigmoid(x)),
    "sigmoid": ("1 / (1 + e⁻ˣ)", lambda x, _: _sigmoid(x)),
    "tanh": ("tanh(x)", lambda x, _: math.tanh(x)),
    "hard sigmoid": ("min(max(0, x + 3), 6) / 6", lambda x, _: _clipped(x + 3, 0, 6) / 6),
    "hard swish": ("x · min(max(0, x + 3), 6) / 6", lambda x, _: x * _clipped(x + 3, 0, 6) / 6),
}
"""Of each activation: in letters, and as a function of x and its module."""


def activation(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """A function of one number."""
    name, x = activation_of(caught.module), float(caught.x[position])
    letters, function = FORMULAS[name]
    held = {"leaky ReLU": ("slope", "negative_slope"), "ELU": ("α", "alpha")}.get(name)
    constants = {held[0]: float(getattr(caught.module, held[1]))} if held else {}
    result = function(x, caught.module)
    return _one(caught, position, "formula", letters, result, max(abs(x), abs(result)), constants)


def copied(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Dropout in evaluation."""
    return _copy(caught, position, position)


def flatten(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """The number at the same place when the maps are read one after another, row by row."""
    flat = np.ravel_multi_index(position, caught.output.shape)
    return _copy(caught, position, tuple(int(at) for at in np.unravel_index(flat, caught.x.shape)))


def padded(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """A number of the map, or the padding around it."""
    module = caught.module
    assert isinstance(module, nn.ConstantPad2d)
    left, _, top, _ = module.padding
    channels, row, column = (np.array([at]) for at in (position[0], position[1] - top, position[2] - left))
    patch, outside = cut(caught.x, channels, row, column, module.value)
    result = patch.item()
    return Arithmetic(
        caught.place,
        position,
        "copy",
        "padding" if outside.any() else "x",
        patch,
        result,
        float(caught.output[position]),
        abs(result),
        channels,
        row,
        column,
        outside,
    )


def batch_norm(caught: Caught, position: tuple[int, ...]) -> Arithmetic | None:
    """In evaluation, with the running mean and variance, and the activation that one of timm holds."""
    module = caught.module
    assert isinstance(module, NORMS)
    if module.running_mean is None or module.running_var is None:
        return None
    at, x = position[0], float(caught.x[position])
    mean, variance = module.running_mean[at].item(), module.running_var[at].item()
    gain = 1.0 if module.weight is None else module.weight[at].item()
    shift = 0.0 if module.bias is None else module.bias[at].item()
    factor = gain / math.sqrt(variance + module.eps)
    constants = {"mean": mean, "variance": variance, "ε": module.eps, "scale": gain, "shift": shift}
    result, formula = (x - mean) * factor + shift, "(x − mean) / √(variance + ε) · scale + shift"
    if name := activation_of(module):
        held = next(child for child in module.children() if activation_of(child))
        letters, function = FORMULAS[name]
        constants["y"] = result
        result, formula = function(result, held), f"{letters.replace('x', 'y')}, y = {formula}"
    size = (abs(x) + abs(mean)) * abs(factor) + abs(shift)
    return _one(caught, position, "formula", formula, result, size, constants)


def normalize(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """A pixel, 0 to 255, as the network takes it."""
    module = caught.module
    assert isinstance(module, Normalize)
    channel = min(position[0], module.mean.shape[1] - 1)
    mean, std = (part[0, channel, 0, 0].item() for part in (module.mean, module.std))
    x = float(caught.x[position])
    size = (abs(x) / 255 + abs(mean)) / std
    constants = {"mean": mean, "std": std}
    return _one(caught, position, "formula", "(x / 255 − mean) / std", (x / 255 - mean) / std, size, constants)


def dense(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """Every number times its weight."""
    module = caught.module
    assert isinstance(module, nn.Linear)
    patch = caught.x[position[:-1]]
    weight = module.weight.detach().double().numpy()[position[-1]]
    bias = 0.0 if module.bias is None else module.bias[position[-1]].item()
    products = patch * weight
    return Arithmetic(
        caught.place,
        position,
        "sum",
        "Σ input · weight" + (" + bias" if bias else ""),
        patch,
        float(products.sum() + bias),
        float(caught.output[position]),
        float(np.abs(products).sum() + abs(bias)),
        channels=np.arange(len(patch)),
        kernel=weight,
        bias=bias,
    )


def residual(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """What both ways give, added."""
    return _two(caught, position, {"shortcut": caught.inner["shortcut"], "body": caught.inner["body"]})


def own(caught: Caught, position: tuple[int, ...]) -> Arithmetic | None:
    """A module with others inside that adds what it gets to what the last of them gives, or multiplies both, as the
    blocks of most backbones do: whichever is what it gave, everywhere; None where neither is."""
    name, last = list(caught.inner.items())[-1]
    shape = caught.output.shape
    try:
        ways = {way: np.broadcast_to(values, shape) for way, values in (("input", caught.x), (name, last))}
    except ValueError:  # a shape that does not fit
        return None
    for product in (False, True):
        found = caught.x * last if product else caught.x + last
        if np.allclose(found, caught.output, rtol=1e-5, atol=1e-6):
            return _two(caught, position, ways, product)
    return None


def regression(caught: Caught, position: tuple[int, ...]) -> Arithmetic:
    """From units of the spread to the user's unit."""
    module = caught.module
    assert isinstance(module, RegressionHead)
    mean, spread = module.mean[position].item(), module.spread[position].item()
    x = float(caught.inner["output"][position])
    return Arithmetic(
        caught.place,
        position,
        "formula",
        "x · spread + mean",
        np.array([x]),
        x * spread + mean,
        float(caught.output[position]),
        abs(x * spread) + abs(mean),
        channels=np.array(position),
        constants={"spread": spread, "mean": mean},
    )


def _copy(caught: Caught, position: tuple[int, ...], source: tuple[int, ...]) -> Arithmetic:
    x = float(caught.x[source])
    return _one(caught, position, "copy", "x", x, abs(x), source=source)


def _one(
    caught: Caught,
    position: tuple[int, ...],
    operation: Operation,
    formula: str,
    result: float,
    scale: float,
    constants: Mapping[str, float] | None = None,
    source: tuple[int, ...] | None = None,
) -> Arithmetic:
    """Of one number that the layer gets: the one at the source, or at the same position."""
    at = position if source is None else source
    image = len(at) == 3
    return Arithmetic(
        caught.place,
        position,
        operation,
        formula,
        caught.x[at].reshape((1, 1, 1) if image else (1,)),
        result,
        float(caught.output[position]),
        scale,
        channels=np.array(at[:1] if image else at[-1:]),
        rows=np.array(at[1:2]) if image else None,
        columns=np.array(at[2:]) if image else None,
        constants=constants or {},
    )


def _two(
    caught: Caught, position: tuple[int, ...], ways: Mapping[str, np.ndarray], product: bool = False
) -> Arithmetic:
    """The sum or product of the numbers that two ways have at a position."""
    terms = np.array([float(way[position]) for way in ways.values()])
    return Arithmetic(
        caught.place,
        position,
        "formula" if product else "sum",
        (" · " if product else " + ").join(ways),
        terms,
        float(terms.prod() if product else terms.sum()),
        float(caught.output[position]),
        float(abs(terms.prod()) if product else np.abs(terms).sum()),
        channels=np.arange(2),
        labels=tuple(ways),
    )
