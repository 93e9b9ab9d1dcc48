"""A network at work on one image: what every layer gives, which place won each max pooling, and the filters.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014; the filters of the first layer as
images, Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.errors import NetError
from foveal.explain.passing import observe, single
from foveal.explain.places import Place, find
from foveal.nets.layers import Network
from foveal.nets.parts import Whitening
from foveal.nets.windows import Shape

__all__ = ["AtWork", "Filters", "LayerAtWork", "filters", "places", "watch"]


@dataclass(frozen=True, eq=False)
class LayerAtWork:
    """A layer and what it gives for one image.

    Args:
        place: which layer.
        values: (C, H, W) feature maps, or (F,) numbers, float32; of another shape where the layer gives another one.
        winners: of max pooling, (C, H, W, 2) whole numbers: row and column, in the map that it gets, of the number that
            each of its own is; the first in reading order where several are equally large. A map that was padded by a
            layer of its own counts without its padding. None for other layers.
    """

    place: Place
    values: np.ndarray
    winners: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class AtWork:
    """What the layers of a network give for one image.

    Args:
        pixels: (C, H, W), the image as the network takes it, 0 to 255.
        layers: in the order of their work; those that were asked for.
        outputs: raw outputs of the network, (K,) or (A, K), of this image without its mirror image.
    """

    pixels: np.ndarray
    layers: tuple[LayerAtWork, ...]
    outputs: np.ndarray

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(layer.place for layer in self.layers)

    def __getitem__(self, layer: str) -> LayerAtWork:
        """The layer of that key (`body.0.conv`), or the first that belongs to that token (`32c3`).

        Raises:
            NetError: there is none, or it was not kept.
        """
        return self.layers[self.places.index(find(self.places, layer))]


@dataclass(frozen=True, eq=False)
class Filters:
    """The weights of a layer.

    Args:
        path: of the module.
        weights: of a convolution, (filters, channels, height, width), where a layer in groups has the channels of one
            group; of a dense layer (units, inputs).
        bias: (filters,) or (units,); None where it has none.
        first: whether it is the network's first layer with weights, the one that sees the image.
    """

    path: str
    weights: np.ndarray
    bias: np.ndarray | None
    first: bool

    def as_images(self, shape: Shape | None = None) -> np.ndarray:
        """(filters, height, width, 3) uint8: gray is 0, bright what a filter looks for, dark what it wants absent, as
        strong as its own largest weight. Red, green and blue are its channels; a filter of one channel is gray.

        Args:
            shape: (C, H, W) of the image, where the filters are those of a dense layer right after the image.

        Raises:
            NetError: these filters do not see an image, they have neither one channel nor three.
        """
        kernels = self.weights if shape is None else self.weights.reshape(-1, *shape)
        if kernels.ndim != 4 or kernels.shape[1] not in (1, 3):
            raise NetError(
                f"The filters of {self.path} have the shape {kernels.shape[1:]}, and only those with one channel or "
                "three are images.",
                remedy="Take those of the first layer.",
            )
        largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
        scaled = kernels / np.where(largest > 0, largest, 1)
        images = np.rint(127.5 + 127.5 * scaled).astype(np.uint8).transpose(0, 2, 3, 1)
        return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images


def places(network: Network, pixels: Tensor) -> tuple[Place, ...]:
    """The layers of a network in the order of their work on images (B, C, H, W), 0 to 255.

    Raises:
        NetError: the network cannot take them.
    """
    found: list[Place] = []
    observe(network, pixels, lambda place, module, x, output: found.append(place))
    return tuple(found)


def watch(network: Network, pixels: Tensor, keep: Callable[[Place], bool] = lambda place: True) -> AtWork:
    """What the layers of a network give for one image, in evaluation, without its mirror image.

    Each array is what a forward hook finds at the moment when its module has ended, before a later layer writes into
    it. All layers of a backbone at 224×224 take some 30 to 150 MB; `keep` says which are kept.

    Args:
        pixels: (1, C, H, W), uint8 or float, 0 to 255.

    Raises:
        NetError: not one image, or none that the network can take.
    """
    layers: list[LayerAtWork] = []
    padded: dict[int, tuple[Tensor, tuple[int, int]]] = {}

    def see(place: Place, module: nn.Module, x: Tensor, output: Tensor) -> None:
        if isinstance(module, nn.ConstantPad2d):
            left, _, top, _ = module.padding
            padded.clear()
            padded[id(output)] = output, (top, left)
        if keep(place):
            found = _winners(module, x)
            if found is not None and id(x) in padded:
                found = found - np.array(padded[id(x)][1])
            layers.append(LayerAtWork(place, _array(output), found))

    outputs = observe(network, single(pixels), see)
    return AtWork(pixels[0].cpu().numpy(), tuple(layers), _array(outputs))


def filters(network: Network, path: str) -> Filters:
    """The weights of a convolution, a whitening or a dense layer, a copy.

    Args:
        path: of the module: `body.0.conv`.

    Raises:
        NetError: there is no such module, or it has no filters.
    """
    module = dict(network.named_modules()).get(path)
    weight = getattr(module, "weight", None)
    if not isinstance(module, nn.Conv2d | nn.Linear | Whitening) or not isinstance(weight, Tensor):
        what = f"is {type(module).__name__}" if module else "is not in the network"
        raise NetError(
            f"Filters are those of a convolution or a dense layer, and {path} {what}.",
            remedy="watch(network, pixels).places lists the layers.",
        )
    bias = getattr(module, "bias", None)
    first = next(one for one in network.body.modules() if getattr(one, "weight", None) is not None)
    return Filters(path, _copied(weight), None if bias is None else _copied(bias), module is first)


def _winners(module: nn.Module, x: Tensor) -> np.ndarray | None:
    """(C, H, W, 2): row and column of each largest number in what a max pooling gets, (1, C, H, W)."""
    if isinstance(module, nn.MaxPool2d):
        window = module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
        _, indices = F.max_pool2d(x, *window, return_indices=True)
    elif isinstance(module, nn.AdaptiveMaxPool2d):
        _, indices = F.adaptive_max_pool2d(x, module.output_size, return_indices=True)  # pyright: ignore
    else:
        return None
    flat = indices[0].cpu().numpy()
    return np.stack(np.divmod(flat, x.shape[3]), axis=-1)


def _array(output: Tensor) -> np.ndarray:
    """A copy without the batch, where that is one image."""
    return _copied(output[0] if len(output) == 1 else output)


def _copied(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float32, copy=True).numpy()
