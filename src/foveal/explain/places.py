"""Where a number of a network comes from: every layer that works, with its path, its token and a plain name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from foveal.errors import NetError
from foveal.nets.layers import BuiltStep, Network
from foveal.nets.parts import Blur, Normalize, PixelMean, ResidualBlock, Whitening
from foveal.nets.windows import Shape, times

__all__ = ["CONVOLUTIONS", "Place", "Tokens", "activation_of", "find", "kind_of", "short", "words_of"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

KINDS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str], ...] = (
    (Normalize, "normalisation"),
    (CONVOLUTIONS, "convolution"),
    (Whitening, "whitening"),
    (nn.Linear, "dense"),
    (NORMS, "batch norm"),
    ((nn.MaxPool2d, nn.AdaptiveMaxPool2d), "max pooling"),
    ((nn.AvgPool2d, nn.AdaptiveAvgPool2d, PixelMean), "average pooling"),
    (Blur, "blur"),
    (nn.ConstantPad2d, "padding"),
    (nn.Flatten, "flatten"),
    (DROPOUTS, "dropout"),
    (ResidualBlock, "residual sum"),
)

# By the name of the class: timm has some of its own beside torch's.
ACTIVATIONS = {
    "ReLU": "ReLU",
    "ReLU6": "ReLU6",
    "LeakyReLU": "leaky ReLU",
    "ELU": "ELU",
    "GELU": "GELU",
    "SiLU": "SiLU",
    "Swish": "SiLU",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Hardsigmoid": "hard sigmoid",
    "HardSigmoid": "hard sigmoid",
    "Hardswish": "hard swish",
    "HardSwish": "hard swish",
}
BEFORE = re.compile(r"^body\.(\d+\.net\.)?(?=.)")
GLOBAL_MEANS = ("FastAdaptiveAvgPool", "FastAdaptiveAvgPool2d")  # timm's


@dataclass(frozen=True, slots=True)
class Place:
    """One call of one module in a pass: a layer at its place.

    Args:
        path: of the module in the network, as `named_modules` spells it: `body.0.conv`, `head.output`.
        call: which of its calls in the pass, from 1; above 1 where a network uses one module several times.
        kind: what it does, in the field's term (`convolution`, `max pooling`, `ReLU`); `own step` where a module does
            something beside the layers inside it, such as timm's sums; otherwise the name of the class.
        words: the same with its sizes: `convolution 3×3, 32 filters, stride 2`.
        token: of the notation's layer that it belongs to, as written; empty where it belongs to none.
        number: of that token in the line, from 1; 0 where it belongs to none.
        before: shape of what it gets, without the batch: (C, H, W) or (F,).
        after: shape of what it gives.
    """

    path: str
    call: int
    kind: str
    words: str
    token: str
    number: int
    before: Shape
    after: Shape

    @property
    def key(self) -> str:
        """What names it in calls: its path, and from the second call on the number of the call, `relu#2`."""
        return self.path if self.call == 1 else f"{self.path}#{self.call}"

    def __str__(self) -> str:
        token = f" ({self.token}, token {self.number})" if self.token else ""
        return f"{self.key}{token}: {self.words}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        names = "path", "call", "kind", "words", "token", "number"
        plain = {name: getattr(self, name) for name in names}
        return {"key": self.key, **plain, "before": list(self.before), "after": list(self.after)}


class Tokens:
    """Which token of the notation a module belongs to: that of the innermost step around it."""

    def __init__(self, network: Network) -> None:
        paths = {module: path for path, module in network.named_modules()}
        self.steps: dict[str, BuiltStep] = {paths[built.module]: built for built in network.steps}

    def of(self, path: str) -> tuple[str, int]:
        """Token and number; empty and 0 where the module belongs to none."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            if built := self.steps.get(".".join(parts[:length])):
                return built.step.token, built.step.number
        return "", 0


def find(places: Sequence[Place], layer: str | Place) -> Place:
    """The place of that key, or the one that ran first of those that belong to that token, `64c3`.

    Raises:
        NetError: there is none.
    """
    wanted = layer.key if isinstance(layer, Place) else layer
    for place in places:
        if place.key == wanted:
            return place
    for place in places:
        if wanted and place.token == wanted:
            return place
    shown = ", ".join(place.key for place in places[:12]) + (", …" if len(places) > 12 else "")
    raise NetError(f"The network has no layer {wanted!r}.", remedy=f"Its layers are {shown}.")


def short(path: str) -> str:
    """A path as a reader needs it: without what all modules of the body, or all of a backbone, begin with."""
    return BEFORE.sub("", path)


def activation_of(module: nn.Module) -> str:
    """The name of an activation, also of one that a batch norm of timm holds; empty where it is none."""
    if isinstance(module, NORMS):
        held = [activation_of(child) for child in module.children()]
        return next((name for name in held if name), "")
    return ACTIVATIONS.get(type(module).__name__, "")


def kind_of(module: nn.Module, leaf: bool) -> str:
    """What a module does, in the field's term.

    Args:
        leaf: whether all that it does is its own.
    """
    for classes, kind in KINDS:
        if isinstance(module, classes):
            return kind
    if type(module).__name__ in GLOBAL_MEANS:
        return "average pooling"
    return activation_of(module) or (type(module).__name__ if leaf else "own step")


def words_of(module: nn.Module, leaf: bool) -> str:
    """What a module does, with its sizes."""
    kind = kind_of(module, leaf)
    if isinstance(module, nn.Conv2d):
        depthwise = 1 < module.groups == module.in_channels
        groups = "" if module.groups == 1 or depthwise else f", {module.groups} groups"
        words = f"{'depthwise ' if depthwise else ''}{kind} {times(_pair(module.kernel_size))}"
        return f"{words}, {module.out_channels} filters{groups}{_steps(module, (1, 1))}"
    if isinstance(module, Whitening):
        stride = "" if module.stride == 1 else f", stride {module.stride}"
        return f"{kind} {times((module.kernel, module.kernel))}, {len(module.weight)} filters{stride}"
    if isinstance(module, nn.Linear):
        return f"{kind}, {module.in_features} to {module.out_features}"
    if isinstance(module, NORMS) and (activation := activation_of(module)):
        return f"{kind}, then {activation}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        window = _pair(module.kernel_size)
        return f"{kind} {times(window)}{_steps(module, window)}"
    if isinstance(module, nn.AdaptiveMaxPool2d | nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return f"global {kind}"
    if type(module).__name__ in GLOBAL_MEANS:
        return f"global {kind}"
    if isinstance(module, nn.Dropout):
        return f"{kind} of {module.p:g}"
    return f"what {type(module).__name__} does itself, such as its sum" if kind == "own step" else kind


def _steps(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, usual: tuple[int, int]) -> str:
    """Stride and dilation, where they are not the usual ones."""
    text = ""
    for name, expected in (("stride", usual), ("dilation", (1, 1))):
        found = _pair(getattr(module, name, expected))  # average pooling has no dilation
        if found != expected:
            text += f", {name} {found[0] if found[0] == found[1] else times(found)}"
    return text


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
