"""A backbone of timm as a layer: the first of its network, images in, pooled features out, or the maps that it makes on
the way. timm is imported when asked.

Wightman, "PyTorch Image Models", 2019, https://github.com/huggingface/pytorch-image-models.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from foveal.extras import extra
from foveal.nets.mistakes import Misfit
from foveal.nets.specs import Leaf
from foveal.nets.windows import Field, Shape

__all__ = ["PREFIX", "Backbone", "BackboneMaps", "create"]

PREFIX = "timm/"


class Facts(NamedTuple):
    """What a backbone makes of images of one shape."""

    features: int
    parameters: int
    flops: int


class BackboneMaps(NamedTuple):
    """The feature maps of a backbone at some strides, for images of one shape.

    Args:
        indices: of the maps, as timm counts them.
        shapes: (C, H, W) of each.
        unused: names of the parameters that none of the maps depends on.
        parameters: that they depend on.
    """

    indices: tuple[int, ...]
    shapes: tuple[Shape, ...]
    unused: frozenset[str]
    parameters: int
    flops: int


@dataclass(frozen=True)
class Backbone(Leaf):
    """A network of timm without its output layer, pooled: (C, H, W) to (F,).

    Args:
        name: as timm lists it, with or without the tag of its weights (`mobilenetv2_100`, `resnet18.a1_in1k`).
    """

    name: str
    kind: ClassVar[str] = "backbone"

    def out_shape(self, shape: Shape) -> Shape:
        return (self._facts(shape).features,)

    def parameters(self, shape: Shape, bias: bool = True) -> int:
        return self._facts(shape).parameters

    def flops(self, shape: Shape) -> int:
        return self._facts(shape).flops

    def look(self, field: Field) -> Field:
        return field.whole()

    def maps(self, shape: Shape, strides: tuple[int, ...]) -> BackboneMaps:
        """What it makes at these strides of an image (C, H, W).

        Raises:
            NetError: it makes no maps there, or cannot take the image.
        """
        return _maps(self.name, *shape, strides)

    def _facts(self, shape: Shape) -> Facts:
        if len(shape) != 3:
            raise Misfit(self, f"needs an image, and gets {shape[0]} numbers in a row", remedy="Put it first.")
        return _facts(self.name, *shape)

    def __str__(self) -> str:
        return PREFIX + self.name


def create(name: str, channels: int) -> Any:
    """timm's network without its output layer, with random weights from torch's state.

    Raises:
        NetError: timm knows no such network.
        MissingExtra: timm is not installed.
    """
    with extra("train"):
        import timm
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels)
    except Exception as error:  # whatever an architecture's own code raises
        raise _unknown(name, error) from error


def refuse_unknown(name: str) -> None:
    """
    Raises:
        NetError: timm knows no such network.
    """
    import timm

    if name.partition(".")[0] not in timm.list_models():
        raise _unknown(name, ValueError())


def _unknown(name: str, error: Exception) -> Misfit:
    import timm

    architecture = name.partition(".")[0]
    known = timm.list_models()
    if architecture in known:
        return Misfit(PREFIX + name, f"cannot be built: {error}", remedy="Leave out the tag after the dot.")
    close = [PREFIX + other for other in difflib.get_close_matches(architecture, known, n=4, cutoff=0.5)]
    remedy = f"Did you mean {' or '.join(close)}?" if close else "timm.list_models() lists them."
    return Misfit(PREFIX + name, "is no network of timm", remedy=remedy)


@cache
def _facts(name: str, channels: int, height: int, width: int) -> Facts:
    with _torch().inference_mode():
        net, features, flops = _passed(name, channels, height, width, lambda net, blank: net(blank))
    if features.ndim != 2:
        raise Misfit(PREFIX + name, "gives no pooled features", remedy="Take another one.")
    parameters = sum(weight.numel() for weight in net.parameters())
    return Facts(features.shape[1], parameters, flops)


@cache
def _maps(name: str, channels: int, height: int, width: int, strides: tuple[int, ...]) -> BackboneMaps:
    found: dict[int, int] = {}

    def forward(net: Any, blank: Any) -> Any:
        if hasattr(net, "forward_intermediates"):
            found.update({stage["reduction"]: index for index, stage in enumerate(net.feature_info)})
        if not found.keys() >= set(strides):
            raise _mapless(name, sorted(found), strides)
        indices = [found[stride] for stride in strides]
        return net.forward_intermediates(blank, indices=indices, intermediates_only=True)

    net, maps, flops = _passed(name, channels, height, width, forward)
    shapes = tuple(tuple(one.shape[1:]) for one in maps)
    if [shape[1:] for shape in shapes] != [(height // stride, width // stride) for stride in strides]:
        raise _mapless(name, [], strides)
    named = dict(net.named_parameters())
    total = sum(one.sum() for one in maps)
    gradients = _torch().autograd.grad(total, list(named.values()), allow_unused=True)
    unused = frozenset(weight for weight, gradient in zip(named, gradients) if gradient is None)
    parameters = sum(weight.numel() for key, weight in named.items() if key not in unused)
    return BackboneMaps(tuple(found[stride] for stride in strides), shapes, unused, parameters, flops)


def _mapless(name: str, found: Sequence[int], strides: Sequence[int]) -> Misfit:
    has = f"it has {', '.join(map(str, found))}" if found else "it has none"
    problem = f"makes no feature maps at the strides {', '.join(map(str, strides))} that this head takes ({has})"
    return Misfit(PREFIX + name, problem, remedy="Take a convolutional one, such as timm/mobilenetv2_100.")


def _passed(
    name: str, channels: int, height: int, width: int, forward: Callable[[Any, Any], Any]
) -> tuple[Any, Any, int]:
    """A backbone, what it makes of an image, and the FLOPs; found by passing shapes without numbers through it (torch's
    meta device)."""
    torch = _torch()
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        net = create(name, channels).eval()
        blank = torch.empty(2, channels, height, width)
    try:
        with FlopCounterMode(display=False) as counter:
            made = forward(net, blank)
    except Misfit:
        raise
    except Exception as error:
        size = f"{height}×{width}×{channels}"
        remedy = "Give it the size that it was made for: --set input.height=… input.width=…"
        raise Misfit(PREFIX + name, f"cannot take images of {size}: {error}", remedy=remedy) from error
    return net, made, counter.get_total_flops() // 2


def _torch() -> Any:
    with extra("train"):
        import torch
    return torch
