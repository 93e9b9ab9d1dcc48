"""Where a layer looks from: the pixels that a number of it depends on, and those that it depends on most.

Shapes: B images, C channels, H×W the image, h×w a layer's map. A unit is a number of a layer, its channel left open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from foveal.errors import NetError
from foveal.explain.support import positive_pass
from foveal.explain.target import BODY, Target, device_of, find_target, reach
from foveal.measure.intervals import ERROR, LEVEL, interval, resampled
from foveal.measured import Score
from foveal.nets.backbone import Backbone
from foveal.nets.composed import Residual
from foveal.nets.layers import Network
from foveal.nets.specs import BlurPool, Conv, Dense, Flatten, GlobalAvgPool, GlobalMaxPool, Pool, Whiten
from foveal.nets.walk import Step
from foveal.nets.windows import Shape, Window

__all__ = [
    "Box",
    "EffectiveField",
    "ReceptiveField",
    "box_of",
    "effective_field",
    "outermost",
    "receptive_field",
    "receptive_fields",
]

SHARE = 0.95
RESAMPLES = 200
SAME = 1e-5  # of a value: what rounding may do to it
AT_ONCE = 16  # images


class Box(NamedTuple):
    """Pixels from `top` to before `bottom`, from `left` to before `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """The pixels that a unit depends on, whatever the weights.

    Args:
        layer: its name.
        shape: of the layer's output, (C, h, w) or (F,); (F, N) of tokens, which count as a map of one row.
        row: of the unit in the map; 0 where there is no map.
        column: likewise.
        mask: (H, W) bool. It can have holes where a stride is larger than the kernel before it.
    """

    layer: str
    shape: Shape
    row: int
    column: int
    mask: np.ndarray

    @property
    def box(self) -> Box:
        """The smallest that holds the mask."""
        return box_of(self.mask)

    @property
    def pixels(self) -> int:
        return int(self.mask.sum())

    @property
    def has_holes(self) -> bool:
        """Whether it is less than its box."""
        return self.pixels < math.prod(self.box.size)


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """How much a unit depends on each pixel, with the weights as they are, over some images.

    The gradient of the unit (of the sum of its channels, where none is named) with respect to the image, its absolute
    value summed over the image's channels, the mean over the images. Luo et al., "Understanding the Effective Receptive
    Field in Deep Convolutional Neural Networks", NeurIPS 2016.

    Args:
        theoretical: the pixels that it can depend on at all.
        channel: of the unit; None: all.
        weight: (H, W) float64, the share that each pixel has; all 0 where no image moves the unit.
        share: of the weight that `mask` holds.
        mask: (H, W) bool, the fewest pixels that hold that share.
        area: how many they are; bootstrap over images.
        spread: standard deviation of the weight's target along an axis, mean of the two axes' variances, in pixels;
            bootstrap over images.
        images: of which the gradient is the mean.
        dead: of them, those that do not move the unit: a ReLU is off.
    """

    theoretical: ReceptiveField
    channel: int | None
    weight: np.ndarray
    share: float
    mask: np.ndarray
    area: Score
    spread: Score
    images: int
    dead: int

    @property
    def of_theoretical(self) -> float:
        """The area as a share of the theoretical field's pixels, 0 to 1."""
        return self.area.value / self.theoretical.pixels


def receptive_field(
    network: Network,
    layer: str | Target,
    shape: tuple[int, int, int],
    row: int | None = None,
    column: int | None = None,
) -> ReceptiveField:
    """The theoretical receptive field of a unit, pixel by pixel.

    For layers of the notation it is followed back from window to window. For those inside a backbone or a module of
    one's own it is where the gradient of a linearised, positive copy is not zero (`foveal.explain.support`): windows of
    max pooling count whole, padding counts for nothing. A map there is a (B, C, h, w) output.

    Args:
        layer: its name, as `targets` gives it.
        shape: of the image, (C, H, W).
        row: of the unit; the middle one, h // 2, where left out. Of a layer without a map, all its numbers are meant.
        column: likewise.

    Raises:
        NetError: there is no such layer or unit.
    """
    return receptive_fields(network, layer, shape, [(row, column)])[0]


def receptive_fields(
    network: Network, layer: str | Target, shape: tuple[int, int, int], units: Sequence[tuple[int | None, int | None]]
) -> list[ReceptiveField]:
    """As `receptive_field`, of several units of a layer, each its row and column."""
    target = find_target(network, layer)
    steps = _way(outermost(network), target.step) if target.step else []
    if steps and steps[0].before == shape and not any(isinstance(step.layer, Backbone) for step in steps):
        return [_by_windows(target.name, steps, row, column) for row, column in units]
    return _by_gradient(network, target, shape, units)


def _by_windows(name: str, steps: Sequence[Step], row: int | None, column: int | None) -> ReceptiveField:
    after = steps[-1].after
    at = _unit(name, after, row, column)
    mask = np.ones((1, 1), bool)
    if len(after) == 3:
        mask = np.zeros(after[1:], bool)
        mask[at] = True
    return ReceptiveField(name, after, *at, reduce(_before, reversed(steps), mask))


def effective_field(
    network: Network,
    layer: str | Target,
    pixels: Tensor,
    row: int | None = None,
    column: int | None = None,
    *,
    channel: int | None = None,
    share: float = SHARE,
    seed: int = 0,
) -> EffectiveField:
    """The effective receptive field of a unit over some images; the network is left in evaluation mode.

    Args:
        pixels: (B, C, H, W) uint8, as the net takes them; 16 or more give a calm picture.
        row: of the unit; the middle one, h // 2, where left out.
        column: likewise.
        channel: of the layer; the sum over all where left out.
        share: of the gradient's absolute mass, above 0, at most 1.
        seed: of the bootstrap.

    Raises:
        NetError: there is no such layer or unit.
    """
    target = find_target(network, layer)
    theoretical = receptive_field(network, target, _shape(pixels), row, column)
    if channel is not None and not 0 <= channel < theoretical.shape[0]:
        raise NetError(f"{target.name} has channels 0 to {theoretical.shape[0] - 1}, found {channel}.")
    at = theoretical.row, theoretical.column
    maps = np.concatenate([_gradients(network, target, part, at, channel) for part in pixels.split(AT_ONCE)])
    total = maps.sum()
    weight = maps.mean(axis=0) / (total / len(maps)) if total else maps.mean(axis=0)
    value, drawn = _extents(maps.mean(axis=0)[None], share), []
    for weights in resampled(len(maps), seed, RESAMPLES * len(maps)):
        drawn.append(_extents(np.tensordot(weights.T, maps, axes=1), share))
    area, spread = (_score(float(one[0]), some, len(maps)) for one, some in zip(value, np.concatenate(drawn, axis=1)))
    dead = int((maps.sum(axis=(1, 2)) == 0).sum())
    return EffectiveField(theoretical, channel, weight, share, _most(weight, share), area, spread, len(maps), dead)


def _score(value: float, drawn: np.ndarray, n: int) -> Score:
    """With the interval of its resamples; of no width where all images agree, as they do before the first ReLU."""
    if n > 1 and np.ptp(drawn) <= SAME * value:
        return Score(value, value, value, LEVEL, n, "bootstrap")
    return interval(value, drawn, n, ERROR, freedom=max(1, n - 1))


def box_of(mask: np.ndarray) -> Box:
    if not mask.any():
        return Box(0, 0, 0, 0)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _shape(pixels: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = pixels.shape
    return channels, height, width


def _map(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of the map in an output of that shape, without the batch."""
    return (shape[1], shape[2]) if len(shape) == 3 else (1, math.prod(shape[1:]))


def _unit(name: str, shape: Sequence[int], row: int | None, column: int | None) -> tuple[int, int]:
    """Which one is meant, the middle one where that is left open.

    Raises:
        NetError: there is no such unit.
    """
    height, width = _map(shape)
    at = height // 2 if row is None else row, width // 2 if column is None else column
    if not (0 <= at[0] < height and 0 <= at[1] < width):
        raise NetError(
            f"{name} gives a map of {height}×{width}, found row {at[0]}, column {at[1]}.",
            remedy=f"Rows are 0 to {height - 1}, columns 0 to {width - 1}.",
        )
    return at


def outermost(network: Network) -> list[Step]:
    steps = [built.step for built in network.steps]
    inside = {id(part) for step in steps for part in step.body}
    return [step for step in steps if id(step) not in inside]


def _way(steps: Sequence[Step], last: Step) -> list[Step]:
    """From the image to that step: those that stand before it, and the body of a block that it stands in."""
    way: list[Step] = []
    for step in steps:
        if step is last:
            return [*way, step]
        if further := _way(step.body, last):
            return way + further
        way.append(step)
    return []


def _before(mask: np.ndarray, step: Step) -> np.ndarray:
    """The numbers of its input map that those of its output map in the mask depend on; (1, 1) where there is no map."""
    layer, size = step.layer, _map(step.before)
    if isinstance(layer, Residual):
        through = mask
        if step.shortcut:
            through = _slid_back(mask, Window((1, 1), step.shortcut, (0, 0)), size)
        return reduce(_before, reversed(step.body), mask) | through
    if isinstance(layer, BlurPool):
        return _slid_back(
            _blurred_back(mask, layer, size), Window(layer.window.kernel, (1, 1), layer.window.padding), size
        )
    if isinstance(layer, Conv | Whiten | Pool):
        return _slid_back(mask, layer.window, size)
    if isinstance(layer, Dense | Flatten | GlobalAvgPool | GlobalMaxPool):
        return np.full(size, mask.any())
    return mask


def _slid_back(mask: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """What the window sees from the places in the mask; (H, W) of the map that it slides over."""
    (top, _), (left, _) = window.pads(*size)
    (rows, columns), (down, right) = mask.shape, window.stride
    reach_ = [(n - 1) * s + k for n, s, k in zip(mask.shape, window.stride, window.kernel)]
    seen = np.zeros((max(reach_[0], top + size[0]), max(reach_[1], left + size[1])), bool)
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            seen[i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right] |= mask
    return seen[top : top + size[0], left : left + size[1]]


def _blurred_back(mask: np.ndarray, layer: BlurPool, size: tuple[int, int]) -> np.ndarray:
    """Through the blur, whose edges are repeated, to the map of maxima at every pixel."""
    stride = layer.window.stride
    around = [int(step > 1) for step in stride]
    height, width = Window(layer.window.kernel, (1, 1), layer.window.padding).slide(*size)
    blur = Window((1 + 2 * around[0], 1 + 2 * around[1]), stride, (0, 0))
    seen = _slid_back(mask, blur, (height + 2 * around[0], width + 2 * around[1]))
    for axis in (0, 1):
        if around[axis]:
            edges = np.moveaxis(seen, axis, 0)
            edges[1] |= edges[0]
            edges[-2] |= edges[-1]
            seen = np.moveaxis(edges[1:-1], 0, axis)
    return seen


def _by_gradient(
    network: Network, target: Target, shape: tuple[int, int, int], units: Sequence[tuple[int | None, int | None]]
) -> list[ReceptiveField]:
    image, (output,) = positive_pass(network.body, target.path.removeprefix(BODY), shape)
    found, fields = tuple(output.shape), []
    maps = output.reshape(len(output), *_map(found))
    for row, column in units:
        at = _unit(target.name, found, row, column)
        (gradient,) = torch.autograd.grad(maps[:, at[0], at[1]].sum(), image, retain_graph=True)
        fields.append(ReceptiveField(target.name, found, *at, (gradient[0] != 0).any(dim=0).numpy()))
    return fields


def _gradients(
    network: Network, target: Target, pixels: Tensor, at: tuple[int, int], channel: int | None
) -> np.ndarray:
    """(B, H, W) float64, of each image, summed over its channels."""
    network.eval()
    device = device_of(network)
    images = pixels.to(device, torch.float32).requires_grad_()
    output = reach(network.body, target.module, network.normalize(images))
    units = output.reshape(*output.shape[:2], *_map(output.shape[1:]))[:, :, at[0], at[1]]
    chosen = units.sum(dim=1) if channel is None else units[:, channel]
    (gradient,) = torch.autograd.grad(chosen.sum(), images)
    return gradient.abs().sum(dim=1).double().cpu().numpy()


def _most(weight: np.ndarray, share: float) -> np.ndarray:
    """(H, W) bool, the fewest pixels that hold that share of the weight."""
    order = np.argsort(-weight, axis=None, kind="stable")
    mask = np.zeros(weight.size, bool)
    mask[order[: _fewest(weight.ravel()[order][None], share)[0]]] = True
    return mask.reshape(weight.shape)


def _fewest(falling: np.ndarray, share: float) -> np.ndarray:
    """How many of each row's numbers, which fall, hold that share of their sum: (R, P) to (R,); 0 where all are 0."""
    held = np.cumsum(falling, axis=1)
    total = held[:, -1:]
    return np.where(total[:, 0] > 0, 1 + (held < share * total * (1 - 1e-6)).sum(axis=1), 0)


def _extents(maps: np.ndarray, share: float) -> np.ndarray:
    """(R, H, W) to (2, R): the area that holds the share, in pixels, and the spread, in pixels; 0 of a map of zeros."""
    falling = -np.sort(-maps.reshape(len(maps), -1), axis=1)
    total = np.maximum(maps.sum(axis=(1, 2)), np.finfo(float).tiny)
    variances = []
    for axis in (1, 2):
        along = maps.sum(axis=3 - axis) / total[:, None]
        places = np.arange(maps.shape[axis])
        variances.append(along @ places**2 - (along @ places) ** 2)
    spread = np.sqrt(np.clip((variances[0] + variances[1]) / 2, 0, None))
    return np.stack([_fewest(falling, share).astype(float), spread])
