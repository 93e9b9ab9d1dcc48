"""A network as a torch module: from pixels 0 to 255 to raw outputs.

Shapes: B batch, C channels, H height, W width, F features, K outputs, A places where a thing may be found.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.nets.backbone import Backbone
from foveal.nets.composed import Net, Residual
from foveal.nets.convolution import Convolution
from foveal.nets.map_heads import ssd_head
from foveal.nets.maps import Maps, map_walk, without_maps
from foveal.nets.parts import Blur, Chain, Normalize, PixelMean, ResidualBlock, Whitening, activated, pad, probe
from foveal.nets.specs import (
    AvgPool,
    BatchNorm,
    BlurPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    MaxPool,
    Pool,
    Whiten,
)
from foveal.nets.timm_body import TimmBody
from foveal.nets.walk import Step, each
from foveal.nets.windows import Window
from foveal.nets.zoo import net_of
from foveal.recipe import InputContract
from foveal.task import Head, HeadFactory

__all__ = ["BuiltStep", "Network", "build"]

MOST_PARAMETERS = 1_000_000_000
FITTED_AT_ONCE = 64  # images; 2,000 of 224×224 at once would take 6 GB


@dataclass(frozen=True, eq=False)
class BuiltStep:
    """A layer of the notation and the module that does its work. In evaluation its output is the step's output."""

    step: Step
    module: nn.Module


class Stages(nn.Sequential):
    """One module after another, whose outputs are the maps: the last at each stride."""

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:  # noqa: A002 (torch's name)
        maps, x = [], input
        for stage in self:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class Network(nn.Module):
    """Pixels to raw outputs: normalise, body, head.

    Args:
        body: normalised images (B, C, H, W) to features (B, F), or to maps (B, C, H, W) at several strides.
        mirror: whether outputs in evaluation mode are the mean over the image and its mirror image.
        steps: the body's layers in the order of their work, those inside a residual block before the block; empty for
            a body that is somebody's own module.
    """

    head: Head

    def __init__(
        self,
        normalize: Normalize,
        body: nn.Module,
        head: Head,
        steps: Sequence[BuiltStep] = (),
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.body = body
        self.head = head
        self.steps = tuple(steps)
        self.mirror = mirror

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W), uint8 or float, 0 to 255, to (B, K), or (B, A, K) from maps."""
        images = self.normalize(pixels)
        outputs = self.head(self.body(images))
        if self.mirror and not self.training:
            return (outputs + self.head(self.body(images.flip(3)))) / 2
        return outputs

    @property
    def backbone(self) -> TimmBody | None:
        """timm's part of it."""
        return next((module for module in self.body.children() if isinstance(module, TimmBody)), None)

    def own_modules(self) -> list[nn.Module]:
        """All but those inside a backbone, which brings its own initial weights and settings."""
        inside = set(self.backbone.modules()) if self.backbone else set()
        return [module for module in self.modules() if module not in inside]

    def fuse(self, fused: bool) -> None:
        """Whether training uses the compiled parts of `foveal.nets.fused`, where they fit."""
        for module in self.own_modules():
            if isinstance(module, Chain | Convolution):
                module.fused = fused

    @torch.no_grad()
    def fit(self, pixels: Tensor) -> None:
        """Give the layers that are found from training images, not trained, their weights.

        Args:
            pixels: (N, C, H, W) of training images, 0 to 255; some thousand will do.
        """
        for module in self.body.modules():
            if isinstance(module, Whitening):
                module.fit(self.normalize(part) for part in pixels.split(FITTED_AT_ONCE))


def build(
    net: str | Net | Sequence[Layer] | nn.Module,
    contract: InputContract,
    head_factory: HeadFactory,
    outputs: int,
    label_smoothing: float = 0.0,
    init: Literal["glorot", "he", "dirac"] = "he",
    seed: int = 0,
    norm_momentum: float = 0.1,
    mirror: bool = False,
    loss: str = "auto",
    strides: tuple[int, ...] = (),
) -> Network:
    """A network with its head.

    Args:
        net: a name of the zoo, a line, layers; or a module, which gets normalised images (B, C, H, W), must return
            (B, outputs), gets no output layer and keeps its own weights.
        init: weights of convolutions and dense layers: Glorot uniform (Glorot and Bengio 2010, equation 16, Keras'
            default) or He normal (He et al. 2015, equation 10), the output layer then Glorot uniform. `dirac`: each
            convolution begins by passing its input on, its other filters uniform within 1/√fan-in, and the output
            layer is a ninth of that (arXiv 2404.00498, section 3.2). Biases are 0.
        seed: the initial weights are a function of it alone; torch's own random state is neither used nor changed.
        norm_momentum: share of the newest batch in the running means and variances of batch norm.
        mirror: outputs in evaluation mode are the mean over the image and its mirror image.
        loss: as the recipe names it; heads that have one loss only pass it over.
        strides: the body gives its last map at each of these, rising, instead of features; the head, made of the
            channels of each map, keeps the initial weights that it draws itself.

    Raises:
        NetError: the net does not fit the contract, is too large, or a module returns another shape; it gives no maps
            at the strides, or wants a head for maps where there are none.
    """
    if isinstance(net, nn.Module):
        if strides:
            raise NetError(
                f"A head that finds things takes maps at strides of {', '.join(map(str, strides))}, and "
                f"{type(net).__name__}, a torch.nn.Module of your own, gives its outputs as they are.",
                remedy="Name a net: a line such as detector, or a backbone such as timm/mobilenetv2_100.",
            )
        return _around(net, contract, head_factory(None, outputs, label_smoothing, loss=loss), outputs, mirror)
    found, shape = net_of(net), (contract.channels, contract.height, contract.width)
    maps = map_walk(found, shape, strides) if strides else None
    steps = maps.steps if maps else without_maps(found, shape)
    _affordable(steps)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)  # timm's and the heads' own initial weights are drawn from torch's state
        built: list[BuiltStep] = []
        body = _stages(maps, built) if maps else _chain(steps, built)
        make = ssd_head if maps and maps.ssd else head_factory
        head = make(maps.channels if maps else steps[-1].after[0], outputs, label_smoothing, loss=loss)
        network = Network(Normalize(contract), body, head, built, mirror and not maps)
        _initialize(network, init, torch.Generator().manual_seed(seed), with_head=not maps)
    for module in network.own_modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = norm_momentum
    return network


def _around(module: nn.Module, contract: InputContract, head: Head, outputs: int, mirror: bool) -> Network:
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    network = Network(Normalize(contract), module, head, mirror=mirror).to(device)
    blank = torch.zeros(2, contract.channels, contract.height, contract.width, device=device)
    found = probe(module, network.normalize(blank))
    if not isinstance(found, Tensor) or found.shape != (2, outputs):
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise NetError(
            f"{type(module).__name__} must return (batch, outputs), here (2, {outputs}), found {what}.",
            remedy="Return raw outputs, one row an image, without softmax.",
        )
    return network


def _affordable(steps: Sequence[Step]) -> None:
    largest = max((step for _, step in each(steps)), key=lambda step: step.parameters)
    total = sum(step.parameters for _, step in each(steps))
    if total > MOST_PARAMETERS:
        raise NetError(
            f"The network has {total:,} parameters, expected at most {MOST_PARAMETERS:,}; "
            f"{largest.token} (token {largest.number}) alone has {largest.parameters:,}.",
            remedy="Make that layer smaller, or the image before it: mp2, a stride, or gap before a dense layer.",
        )


def _stages(maps: Maps, built: list[BuiltStep]) -> nn.Module:
    if maps.backbone:
        (step,) = maps.steps
        assert isinstance(step.layer, Backbone)
        backbone = TimmBody(step.layer.name, step.before[0], maps.backbone)
        built.append(BuiltStep(step, backbone))
        return Chain(backbone)
    starts = (0, *maps.ends)
    return Stages(*(_chain(maps.steps[start:end], built) for start, end in zip(starts, maps.ends)))


def _initialize(
    network: Network, init: Literal["glorot", "he", "dirac"], generator: torch.Generator, with_head: bool
) -> None:
    body = set(network.body.modules())
    for module in network.own_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or not (with_head or module in body):
            continue
        if init == "dirac":
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if isinstance(module, nn.Conv2d):
                nn.init.dirac_(module.weight.data[: module.in_channels])
            elif module not in body:
                module.weight.data /= 9
        elif init == "glorot" or module not in body:
            nn.init.xavier_uniform_(module.weight, generator=generator)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _chain(steps: Sequence[Step], built: list[BuiltStep]) -> nn.Sequential:
    modules = []
    for step in steps:
        modules.append(_module(step, built))
        built.append(BuiltStep(step, modules[-1]))
    return Chain(*modules)


def _module(step: Step, built: list[BuiltStep]) -> nn.Module:
    layer, before = step.layer, step.before
    if isinstance(layer, Residual):
        shortcut = nn.Identity()
        if step.shortcut:
            shortcut = nn.Conv2d(before[0], step.after[0], 1, step.shortcut, bias=False)
        return activated(layer.activation, sum=ResidualBlock(_chain(step.body, built), shortcut))
    if isinstance(layer, Conv):
        return _convolution(layer, step)
    if isinstance(layer, Pool):
        return _pool(layer, before[1], before[2])
    if isinstance(layer, GlobalAvgPool):
        return nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    if isinstance(layer, GlobalMaxPool):
        return nn.Sequential(OrderedDict(pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten()))
    if isinstance(layer, Backbone):
        return TimmBody(layer.name, before[0])
    if isinstance(layer, Whiten):
        return activated(layer.activation, whiten=Whitening(before[0], layer.kernel, layer.stride))
    if isinstance(layer, BatchNorm):
        norm = nn.BatchNorm2d(before[0]) if len(before) == 3 else nn.BatchNorm1d(before[0])
        return activated(layer.activation, norm=norm)
    if isinstance(layer, Dense):
        return activated(layer.activation, dense=nn.Linear(before[0], layer.units))
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.share)
    assert isinstance(layer, Flatten)
    return nn.Flatten()


def _convolution(layer: Conv, step: Step) -> nn.Module:
    window = layer.window
    padding, edges = pad(window, step.before[1], step.before[2], 0.0)
    conv = Convolution(step.before[0], layer.filters, window.kernel, window.stride, padding, bias=step.bias)
    return activated(layer.activation, **edges, conv=conv)


def _pool(layer: Pool, height: int, width: int) -> nn.Module:
    window = layer.window
    if isinstance(layer, AvgPool):
        padding, edges = pad(window, height, width, 0.0)
        if edges:
            return PixelMean(window, height, width)
        return nn.AvgPool2d(window.kernel, window.stride, padding, count_include_pad=False)
    assert isinstance(layer, MaxPool | BlurPool)
    stride = window.stride if isinstance(layer, MaxPool) else (1, 1)
    padding, edges = pad(Window(window.kernel, stride, window.padding), height, width, -torch.inf)
    pool = nn.MaxPool2d(window.kernel, stride, padding)
    if isinstance(layer, MaxPool):
        return nn.Sequential(OrderedDict(**edges, pool=pool)) if edges else pool
    return nn.Sequential(OrderedDict(**edges, pool=pool, blur=Blur(window.stride)))
