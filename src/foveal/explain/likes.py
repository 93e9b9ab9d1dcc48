"""What a channel likes: the images, and the places in them, that excite it most among those that are given.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.1: the patches that a
feature map answers to most strongly show what it answers to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.explain.field import Box, receptive_fields
from foveal.explain.target import Target, device_of, find_target, linear_of, reach
from foveal.nets.layers import Network

__all__ = ["Excited", "Liking", "checked_channels", "likings"]

TOP = 9


@dataclass(frozen=True, eq=False)
class Excited:
    """An image that excites a channel, at the place where it does so most.

    Args:
        file: its name.
        value: of the channel there, before its activation.
        row: of the unit in the layer's map; 0 where there is no map.
        column: likewise.
        box: of the unit's receptive field, in pixels of the image as the net takes it.
        patch: (h, w, C) uint8, that part of the image.
    """

    file: str
    value: float
    row: int
    column: int
    box: Box
    patch: np.ndarray


@dataclass(frozen=True, eq=False)
class Liking:
    """What excites one channel most.

    Args:
        layer: its name.
        images: that were looked at.
        mean: of the channel over all of them and all places.
        deviation: standard deviation, likewise.
        top: the most excited first, each image at most once.
    """

    layer: str
    channel: int
    images: int
    mean: float
    deviation: float
    top: tuple[Excited, ...]


def likings(
    network: Network,
    layer: str | Target,
    batches: Iterable[tuple[Sequence[str], Tensor]],
    channels: Sequence[int] | None = None,
    *,
    top: int = TOP,
) -> tuple[Liking, ...]:
    """The images that excite each channel of a convolution or a dense layer most; the network is left in evaluation
    mode. Memory holds a batch, and `top` patches a channel.

    Args:
        batches: names of files and their pixels (B, C, H, W) uint8, as the net takes them.
        channels: all where left out.
        top: images a channel.

    Raises:
        NetError: there is no such layer or channel, it has no filters, or there are no images.
    """
    target = find_target(network, layer)
    part = linear_of(target)
    chosen = checked_channels(target.name, part.weight.shape[0], channels)
    best = _Best(network, target, chosen, top)
    for files, pixels in batches:
        best.take(files, pixels, _values(network, part, pixels, chosen))
    if not best.images:
        raise NetError(f"Expected images to find out what {target.name} likes, found none.", remedy="Give some.")
    return best.likings()


def checked_channels(name: str, count: int, channels: Sequence[int] | None) -> list[int]:
    """The channels that are meant.

    Raises:
        NetError: one of them is none of the layer's.
    """
    chosen = list(range(count)) if channels is None else list(channels)
    for channel in chosen:
        if not 0 <= channel < count:
            raise NetError(f"{name} has channels 0 to {count - 1}, found {channel}.")
    return chosen


def _values(network: Network, part: nn.Module, pixels: Tensor, channels: Sequence[int]) -> Tensor:
    """(B, K, h, w) on the CPU, before the activation; a map of 1×1 where there is none."""
    network.eval()
    device = device_of(network)
    with torch.inference_mode():
        output = reach(network.body, part, network.normalize(pixels.to(device)))
        found = output[:, channels].float().cpu()
    return found if found.ndim == 4 else found.reshape(*found.shape[:2], 1, -1)


class _Best:
    """The best images so far, a row a channel."""

    def __init__(self, network: Network, target: Target, channels: Sequence[int], top: int) -> None:
        self.network, self.target, self.channels, self.top = network, target, channels, top
        self.found: list[list[_Seen]] = [[] for _ in channels]
        self.images, self.numbers = 0, 0
        self.sums = torch.zeros(2, len(channels), dtype=torch.double)

    def take(self, files: Sequence[str], pixels: Tensor, values: Tensor) -> None:
        """Images with their values (B, K, h, w)."""
        names = list(files)
        self.images += len(files)
        self.numbers += len(files) * values.shape[2] * values.shape[3]
        exact = values.double()
        self.sums += torch.stack([exact.sum((0, 2, 3)), exact.square().sum((0, 2, 3))])
        highest, places = values.flatten(2).max(dim=2)
        width, kept = values.shape[3], dict[int, Tensor]()  # one copy of an image that excites several channels
        for k, found in enumerate(self.found):
            order = torch.argsort(highest[:, k], descending=True, stable=True)[: self.top]
            for image in order.tolist():
                value = float(highest[image, k])
                if len(found) == self.top and value <= found[-1].value:
                    break
                row, column = divmod(int(places[image, k]), width)
                found.append(
                    _Seen(names[image], kept.setdefault(image, pixels[image].cpu().clone()), value, row, column)
                )
                found.sort(key=lambda one: -one.value)
                del found[self.top :]

    def likings(self) -> tuple[Liking, ...]:
        means = self.sums[0] / self.numbers
        deviations = (self.sums[1] / self.numbers - means**2).clamp(min=0).sqrt()
        boxes = self._boxes()
        return tuple(
            Liking(
                self.target.name,
                channel,
                self.images,
                float(mean),
                float(deviation),
                tuple(seen.excited(boxes[seen.row, seen.column]) for seen in found),
            )
            for channel, found, mean, deviation in zip(self.channels, self.found, means, deviations)
        )

    def _boxes(self) -> dict[tuple[int, int], Box]:
        """Of the receptive fields of the units that were the most excited."""
        seen = [one for found in self.found for one in found]
        units = list(dict.fromkeys((one.row, one.column) for one in seen))
        if not units:
            return {}
        channels, height, width = seen[0].image.shape
        fields = receptive_fields(self.network, self.target, (channels, height, width), units)
        return {unit: field.box for unit, field in zip(units, fields)}


@dataclass(frozen=True, eq=False)
class _Seen:
    """An image that may be among the most exciting ones: pixels (C, H, W), and the unit that was excited most."""

    file: str
    image: Tensor
    value: float
    row: int
    column: int

    def excited(self, box: Box) -> Excited:
        patch = self.image[:, box.top : box.bottom, box.left : box.right].permute(1, 2, 0).numpy().copy()
        return Excited(self.file, self.value, self.row, self.column, box, patch)
