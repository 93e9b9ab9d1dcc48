"""The modules that torch does not bring, and the ways they are put together. Shapes: B, C, H, W."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.errors import NetError
from foveal.nets import fused
from foveal.nets.specs import Activation
from foveal.nets.windows import Pair, Window
from foveal.recipe import InputContract

__all__ = [
    "MODULES",
    "Blur",
    "Chain",
    "Normalize",
    "PixelMean",
    "ResidualBlock",
    "Whitening",
    "activated",
    "pad",
    "probe",
]

MODULES: dict[Activation, Callable[[], nn.Module]] = {
    # In place: what comes before it never needs its own output again, and half of the memory is touched.
    "relu": partial(nn.ReLU, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "lrelu": nn.LeakyReLU,
    "elu": nn.ELU,
}


class Normalize(nn.Module):
    """Pixels 0 to 255 to (pixel / 255 − mean) / std. The numbers live in the contract, not in the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, contract: InputContract) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(contract.mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(contract.std).reshape(1, -1, 1, 1), persistent=False)
        self.moves = any(contract.mean) or any(std != 1 for std in contract.std)

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.to(self.mean.dtype) / 255
        if self.moves:
            images = (images - self.mean) / self.std
        return images


class Chain(nn.Sequential):
    """One module after another.

    In training, bias and ReLU of a convolution that max pooling follows are done after it: the largest of some numbers,
    with a bias added and cut off at zero, is the largest of those treated so, and so is its gradient; but a quarter of
    the numbers remain. In evaluation every module gives what its layer gives.

    Where `fused`, max pooling by two, batch norm, bias and ReLU that follow each other are one, on a CPU in bfloat16.
    """

    fused = False

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        if not self.training:
            return super().forward(input)
        x, modules = input, [*self]
        while modules:
            x, taken = self._some(x, modules)
            modules = modules[taken:]
        return x

    def _some(self, x: Tensor, modules: Sequence[nn.Module]) -> tuple[Tensor, int]:
        """The first of the modules, or more at once, and how many."""
        first, second = (*modules, nn.Identity())[:2]
        if isinstance(second, nn.MaxPool2d) and _is(first, nn.Conv2d):
            return self._pooled_first(first, second, x), 2
        if self.fused and fused.can_fuse(x):
            if _is_norm(first):
                return fused.rectified(x, first[0]), 1
            if fused.pools_by_two(first) and _is_norm(second):
                return fused.rectified(x, second[0], pool=True), 2
        if self.fused and _is(first, Whitening):
            x = first[0](x)
            return (fused.rectify(x) if fused.can_rectify(x) else first[1](x)), 1
        return first(x), 1

    def _pooled_first(self, module: nn.Sequential, pool: nn.MaxPool2d, x: Tensor) -> Tensor:
        *before, convolution, activation = module.children()
        for part in before:
            x = part(x)
        assert isinstance(convolution, nn.Conv2d)
        x, bias = convolution._conv_forward(x, convolution.weight, None), convolution.bias
        if self.fused and fused.pools_by_two(pool) and fused.can_fuse(x):
            return fused.rectified(x, None, bias, pool=True)
        x = pool(x)
        return activation(x if bias is None else x + bias[:, None, None])


def _is(module: nn.Module, kind: type[nn.Module]) -> TypeGuard[nn.Sequential]:
    """Whether it ends with such a layer and ReLU, as `activated` makes them."""
    last = list(module.children())[-2:] if isinstance(module, nn.Sequential) else []
    return len(last) == 2 and isinstance(last[0], kind) and isinstance(last[1], nn.ReLU)


def _is_norm(module: nn.Module) -> TypeGuard[nn.Sequential]:
    return _is(module, nn.BatchNorm2d) and fused.fits(module[0])


class ResidualBlock(nn.Module):
    """shortcut(x) + body(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class Blur(nn.Module):
    """[1, 2, 1] / 4 along every axis whose stride is above 1, edges repeated, then the stride. No weights."""

    kernel: Tensor

    def __init__(self, stride: Pair) -> None:
        super().__init__()
        self.stride = stride
        rows, columns = (torch.tensor([1.0, 2.0, 1.0]) / 4 if step > 1 else torch.ones(1) for step in stride)
        self.register_buffer("kernel", torch.outer(rows, columns)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        around, channels = (len(self.kernel[0, 0]) // 2, self.kernel.shape[3] // 2), x.shape[1]
        padded = F.pad(x, (around[1], around[1], around[0], around[0]), mode="replicate")
        return F.conv2d(padded, self.kernel.expand(channels, -1, -1, -1), stride=self.stride, groups=channels)


class PixelMean(nn.Module):
    """Average pooling with unequal edges, of the pixels alone: the mean with zeros, scaled up where edges took part."""

    scale: Tensor

    def __init__(self, window: Window, height: int, width: int) -> None:
        super().__init__()
        edges = pad(window, height, width, 0.0)[1]
        self.mean = nn.Sequential(OrderedDict(**edges, pool=nn.AvgPool2d(window.kernel, window.stride)))
        self.register_buffer("scale", 1 / self.mean(torch.ones(1, 1, height, width)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(x) * self.scale


class Whitening(nn.Module):
    """The principal components of k×k patches, scaled to unit variance, as a convolution with both signs of each.

    Its filters are buffers: saved with the weights, left alone by the optimizer; zero until `fit`.
    """

    weight: Tensor
    SMALLEST = 5e-4  # added to the variance of a component, so that one that hardly varies is not blown up

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.register_buffer("weight", torch.zeros(2 * channels * kernel**2, channels, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, stride=self.stride)

    def fit(self, images: Iterable[Tensor]) -> None:
        """Find the filters from normalised images, some (N, C, H, W) at a time: arXiv 2404.00498, section 3.1.

        In fp64 on the CPU, so that every device gets the same filters.
        """
        products, count = torch.zeros((), dtype=torch.double), 0
        for part in images:
            patches = F.unfold(part.cpu().double(), self.kernel, stride=self.kernel).transpose(1, 2).flatten(0, 1)
            products, count = products + patches.T @ patches, count + len(patches)
        variances, components = torch.linalg.eigh(products / count)
        filters = (components / torch.sqrt(variances.clamp(min=0) + self.SMALLEST)).T.flip(0)
        filters = filters.reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))


def probe(module: nn.Module, batch: Tensor) -> Any:
    """What the module makes of a batch in evaluation mode; leaves its modes and the random state as they were.

    Raises:
        NetError: whatever the module raises, with its own words.
    """
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return module(batch)
    except Exception as error:
        shape = "×".join(str(size) for size in batch.shape)
        raise NetError(
            f"{type(module).__name__} cannot take a batch of {shape} (images × channels × height × width): {error}"
        ) from error
    finally:
        for child, training in modes:
            child.training = training


def activated(activation: Activation, **parts: nn.Module) -> nn.Sequential:
    """Named parts one after another, then the activation."""
    if activation != "none":
        parts["activation"] = MODULES[activation]()
    return nn.Sequential(OrderedDict(parts))


def pad(window: Window, height: int, width: int, value: float) -> tuple[Pair, dict[str, nn.Module]]:
    """Padding as a torch layer takes it where both edges are equal, otherwise none and a module `pad` to go before."""
    (top, bottom), (left, right) = window.pads(height, width)
    if (top, left) == (bottom, right):
        return (top, left), {}
    return (0, 0), {"pad": nn.ConstantPad2d((left, right, top, bottom), value)}
