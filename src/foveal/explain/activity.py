"""How the units of a network behave over many images: histograms, and units that never or always answer.

A unit is a feature map, or a number of a layer that has no maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.errors import NetError
from foveal.explain.passing import observe
from foveal.explain.places import Place, activation_of, find
from foveal.nets.layers import Network

__all__ = ["BINS", "NEARLY_ALWAYS", "SATURATED", "Activity", "LayerActivity", "activity"]

BINS = 60
SATURATED = 0.99  # of the way from the middle of the range to its end
NEARLY_ALWAYS = 0.95  # of the values
AT_ONCE = 32  # images

RECTIFIERS = ("ReLU", "ReLU6")
# Middle of the range and half of its width.
BOUNDED = {"sigmoid": (0.5, 0.5), "hard sigmoid": (0.5, 0.5), "tanh": (0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class LayerActivity:
    """What a layer gave for many images. Shares, ends and means are NaN for a unit of which no value is finite.

    Args:
        place: which layer.
        activation: its name where the layer is one or ends in one; otherwise empty.
        images: how many.
        lowest: (U,) smallest value of each unit.
        highest: (U,) largest.
        mean: (U,).
        above_zero: (U,) share of the values of a unit that are above zero, 0 to 1. None for a layer that is no ReLU or
            ReLU6.
        saturated_share: (U,) share of its values that lie beyond 0.99 of the way from the middle of the range to its
            end: |tanh| > 0.99, a sigmoid below 0.005 or above 0.995. None where the activation has no such range.
        edges: (61,) of the histogram's bins, from the smallest value to the largest.
        counts: (60,) values in each, of all units.
        not_finite: how many values were NaN or infinite; they are left out of everything else.
    """

    place: Place
    activation: str
    images: int
    lowest: np.ndarray
    highest: np.ndarray
    mean: np.ndarray
    above_zero: np.ndarray | None
    saturated_share: np.ndarray | None
    edges: np.ndarray
    counts: np.ndarray
    not_finite: int

    @property
    def dead(self) -> np.ndarray | None:
        """The units of a ReLU or ReLU6 that were above zero nowhere in any of the images: indices, rising. None for a
        layer that is no such activation. A unit that is dead for these images may answer to others."""
        return None if self.above_zero is None else np.flatnonzero(self.above_zero == 0)

    @property
    def saturated(self) -> np.ndarray | None:
        """The units of a sigmoid or tanh of whose values at least 95 % are saturated: indices, rising. None for a layer
        that is no such activation."""
        share = self.saturated_share
        return None if share is None else np.flatnonzero(share >= NEARLY_ALWAYS)

    def as_dict(self) -> dict[str, object]:
        """For JSON: the histogram, and how many units are dead or saturated."""
        dead, saturated = self.dead, self.saturated
        return {
            **self.place.as_dict(),
            "activation": self.activation,
            "images": self.images,
            "units": len(self.mean),
            "edges": [round(float(edge), 6) for edge in self.edges],
            "counts": self.counts.tolist(),
            "dead": None if dead is None else dead.tolist(),
            "saturated": None if saturated is None else saturated.tolist(),
            "not_finite": self.not_finite,
        }


@dataclass(frozen=True, eq=False)
class Activity:
    """What the layers of a network gave for many images, in the order of their work."""

    layers: tuple[LayerActivity, ...]

    def __getitem__(self, layer: str) -> LayerActivity:
        """The layer of that key, or the first that belongs to that token.

        Raises:
            NetError: there is none.
        """
        places = [one.place for one in self.layers]
        return self.layers[places.index(find(places, layer))]


def activity(network: Network, images: Tensor | Sequence[Tensor]) -> Activity:
    """How the units of every layer behave over images, in evaluation, without their mirror images.

    The images pass twice, some at a time: for the ranges, then for the histograms within them. Nothing but these sums
    is kept, so the memory does not grow with their number.

    Args:
        images: (N, C, H, W), uint8 or float, 0 to 255; some hundred will do. Or batches of these.

    Raises:
        NetError: no images, or none that the network can take.
    """
    batches = images.split(AT_ONCE) if isinstance(images, Tensor) else images
    if not batches or not all(map(len, batches)):
        raise NetError("Expected images to see the network at work on, found none.", remedy="Give one at least.")
    sums: dict[str, _Sums] = {}

    def measure(place: Place, module: nn.Module, x: Tensor, output: Tensor) -> None:
        if place.key not in sums:
            sums[place.key] = _Sums(place, activation_of(module))
        sums[place.key].add(output)

    def fill(place: Place, module: nn.Module, x: Tensor, output: Tensor) -> None:
        sums[place.key].fill(output)

    for see in (measure, fill):
        for batch in batches:
            observe(network, batch, see)
    count = sum(map(len, batches))
    return Activity(tuple(each.result(count) for each in sums.values()))


class _Sums:
    """What is kept of a layer from batch to batch."""

    def __init__(self, place: Place, activation: str) -> None:
        self.place, self.activation = place, activation
        self.n = self.total = self.above = self.beyond = torch.zeros((), dtype=torch.float64)
        self.low, self.high = torch.tensor(torch.inf), torch.tensor(-torch.inf)
        self.not_finite = 0
        self.counts = torch.zeros(BINS)

    def add(self, output: Tensor) -> None:
        values = _by_unit(output)
        low, high = (ends.T for ends in torch.aminmax(values, dim=2))  # (U, B)
        n = torch.full((len(low),), values.numel() // len(low), dtype=torch.float64)
        if not (low.isfinite().all() and high.isfinite().all()):
            finite = values.isfinite()
            n = _counted(finite)
            self.not_finite += values.numel() - int(n.sum())
            low, high = values.where(finite, torch.inf).amin(2).T, values.where(finite, -torch.inf).amax(2).T
            values = values.where(finite, 0)
        self.n = self.n + n
        self.low, self.high = torch.minimum(self.low, low.amin(1).cpu()), torch.maximum(self.high, high.amax(1).cpu())
        self.total = self.total + values.sum(2).double().sum(0).cpu()
        if self.activation in RECTIFIERS:
            self.above = self.above + _counted(values > 0)
        if span := BOUNDED.get(self.activation):
            middle, half = span
            self.beyond = self.beyond + _counted((values - middle).abs() > SATURATED * half)

    def fill(self, output: Tensor) -> None:
        values = output.detach().float().flatten()
        if self.not_finite:
            values = values[values.isfinite()]
        self.counts = self.counts + torch.histc(values, BINS, *self.range).double().cpu()

    @property
    def range(self) -> tuple[float, float]:
        low, high = float(self.low.min()), float(self.high.max())
        if not low <= high:
            return 0.0, 1.0  # not one finite value
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def result(self, images: int) -> LayerActivity:
        some = self.n > 0
        return LayerActivity(
            place=self.place,
            activation=self.activation,
            images=images,
            lowest=self.low.where(some, torch.nan).numpy(),
            highest=self.high.where(some, torch.nan).numpy(),
            mean=(self.total / self.n).numpy(),
            above_zero=(self.above / self.n).numpy() if self.activation in RECTIFIERS else None,
            saturated_share=(self.beyond / self.n).numpy() if self.activation in BOUNDED else None,
            edges=np.linspace(*self.range, BINS + 1),
            counts=self.counts.numpy().astype(np.int64),
            not_finite=self.not_finite,
        )


def _by_unit(output: Tensor) -> Tensor:
    """(B, U, values): maps by channel, other shapes by their last axis."""
    values = output.detach().float()
    if values.ndim == 4:
        return values.flatten(2)
    return values.reshape(-1, values.shape[-1], 1)


def _counted(yes: Tensor) -> Tensor:
    """(U,) how many are true, of (B, U, values)."""
    return yes.float().sum(2).double().sum(0).cpu()  # a sum of truth values takes several times as long
