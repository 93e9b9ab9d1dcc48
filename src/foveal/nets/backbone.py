"""A backbone of timm as a layer: the first of its network, images in, pooled features out. timm is imported when asked.

Wightman, "PyTorch Image Models", 2019, https://github.com/huggingface/pytorch-image-models.
"""

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from foveal.extras import extra
from foveal.nets.mistakes import Misfit
from foveal.nets.specs import Leaf
from foveal.nets.windows import Field, Shape

__all__ = ["PREFIX", "Backbone", "create"]

PREFIX = "timm/"


class Facts(NamedTuple):
    """What a backbone makes of images of one shape."""

    features: int
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
    """Found by passing shapes without numbers through it (torch's meta device)."""
    with extra("train"):
        import torch
        from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        net = create(name, channels).eval()
        blank = torch.empty(2, channels, height, width)
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            features = net(blank)
    except Exception as error:
        size = f"{height}×{width}×{channels}"
        remedy = "Give it the size that it was made for: --set input.height=… input.width=…"
        raise Misfit(PREFIX + name, f"cannot take images of {size}: {error}", remedy=remedy) from error
    if features.ndim != 2:
        raise Misfit(PREFIX + name, "gives no pooled features", remedy="Take another one.")
    parameters = sum(weight.numel() for weight in net.parameters())
    return Facts(features.shape[1], parameters, counter.get_total_flops() // 2)
