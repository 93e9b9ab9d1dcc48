"""How far each map of a network is from moving with the image.

Convolution moves its map with the image; a stride does so only for shifts that it divides, and zero padding only away
from the edges. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, figure 5.

Shapes: B images, C channels, H×W the image, h×w a layer's map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.explain.spans import Span, spans_of
from foveal.explain.target import Target, device_of, find_target, reach_all, targets
from foveal.measure.intervals import mean_of
from foveal.measured import Score
from foveal.nets.layers import Network
from foveal.nets.windows import Pair

__all__ = ["DISTANCES", "Equivariance", "equivariance"]

DISTANCES = (1, 2, 3, 4)  # pixels
AT_ONCE = 1 << 14  # pixels: 16 images of 32×32, as all maps of a batch are held


@dataclass(frozen=True, slots=True)
class Equivariance:
    """How far a layer's map is from moving with the image, when the image moves by so many pixels.

    Args:
        layer: its name.
        jump: pixels of the image between neighbours of the map, down and to the right; None where there is no map: its
            numbers should then not change at all.
        distance: that the image was moved, in pixels.
        exact: whether the jump divides the distance both ways, so that the map can move by whole places.
        error: ‖f(shifted x) − shifted f(x)‖ / ‖shifted f(x)‖, mean over the images and two directions; bootstrap over
            images. None where no number of the map is free of the image's edges, or all are 0.
        numbers: of a channel's map that are free of the edges before and after, mean of the two directions.
    """

    layer: str
    jump: Pair | None
    distance: int
    exact: bool
    error: Score | None
    numbers: float


def equivariance(
    network: Network,
    pixels: Tensor,
    layers: Sequence[str | Target] | None = None,
    distances: Sequence[int] = DISTANCES,
    seed: int = 0,
) -> tuple[Equivariance, ...]:
    """The equivariance error of each layer and distance; the network is left in evaluation mode.

    The image is moved to the right, and down; what was outside is the edge repeated. The map is moved by the distance
    over its jump; where that is no whole number, each number is interpolated between its two neighbours. Compared are
    the numbers that saw neither padding nor what was outside the image. Where there is no map, all of them are, and the
    error is that of invariance.

    Args:
        pixels: (B, C, H, W) uint8, as the net takes them.
        layers: all of the notation, and the convolutions of a backbone or of a module of one's own, where left out. Of
            the latter those are passed over whose middle unit sees an edge of the image.
        distances: in pixels, 1 and more.
        seed: of the bootstrap.

    Raises:
        NetError: there is no such layer.
    """
    network.eval()
    chosen = _default(network) if layers is None else [find_target(network, layer) for layer in layers]
    _, channels, height, width = pixels.shape
    spans = spans_of(network, chosen, (channels, height, width))
    chosen = [target for target in chosen if target in spans]
    errors: dict[tuple[Target, int], list[Tensor]] = {(target, far): [] for target in chosen for far in distances}
    for part in pixels.split(max(1, AT_ONCE // (height * width))):
        clean = _maps(network, chosen, part)
        for far in distances:
            moved = [_maps(network, chosen, _moved(part, far, axis)) for axis in (0, 1)]
            for target, before, right_and_down in zip(chosen, clean, zip(*moved)):
                if before is not None:
                    pairs = [
                        _error(before, after, spans[target], far, axis)
                        for axis, after in enumerate(right_and_down)
                        if after is not None
                    ]
                    errors[target, far].append(torch.stack(pairs).nanmean(dim=0))
    return tuple(_told(target, spans[target], far, found, seed) for (target, far), found in errors.items() if found)


def _default(network: Network) -> list[Target]:
    return [target for target in targets(network) if target.step is not None or isinstance(target.module, nn.Conv2d)]


def _maps(network: Network, chosen: Sequence[Target], pixels: Tensor) -> list[Tensor | None]:
    device = device_of(network)
    with torch.inference_mode():
        return reach_all(network.body, [target.module for target in chosen], network.normalize(pixels.to(device)))


def _moved(pixels: Tensor, far: int, axis: int) -> Tensor:
    """Down (axis 0) or to the right (1), edges repeated."""
    rows = (torch.arange(pixels.shape[2 + axis]) - far).clamp(min=0)
    return pixels.index_select(2 + axis, rows)


def _error(before: Tensor, after: Tensor, spans: tuple[Span, Span] | None, far: int, axis: int) -> Tensor:
    """(B,) of each image; NaN where nothing can be compared."""
    if spans is None:
        before, after = before.flatten(1).double(), after.flatten(1).double()
    else:
        fits = _fits(spans[axis], far)
        across = np.flatnonzero(spans[1 - axis].clean)
        before, after = (x.movedim(2 + axis, 2)[..., across] for x in (before, after))
        before, after = _map_moved(before, far / spans[axis].jump, fits).double(), after[:, :, fits].double()
        before, after = before.flatten(1), after.flatten(1)
    size = before.norm(dim=1)
    return torch.where(size > 0, (after - before).norm(dim=1) / size, torch.nan).cpu()


def _fits(span: Span, far: int) -> np.ndarray:
    """Units that saw nothing from outside the image, and so did those that stood in their place before."""
    whole, between = divmod(far, span.jump)
    units = np.arange(len(span.start))
    stood = [units - whole, units - whole - bool(between)]
    free = span.clean & (span.start >= far)
    for before in stood:
        free &= (before >= 0) & span.clean[np.clip(before, 0, None)]
    return np.flatnonzero(free)


def _map_moved(maps: Tensor, by: float, units: np.ndarray) -> Tensor:
    """Along the third axis by so many places, at these units alone, interpolated between two."""
    whole = math.floor(by)
    share = by - whole
    here = maps[:, :, units - whole]
    return here if not share else (1 - share) * here + share * maps[:, :, units - whole - 1]


def _told(target: Target, spans: tuple[Span, Span] | None, far: int, found: list[Tensor], seed: int) -> Equivariance:
    errors = torch.cat(found).numpy()
    errors = errors[~np.isnan(errors)]
    score = mean_of(errors, seed) if len(errors) else None
    if spans is None:
        return Equivariance(target.name, None, far, False, score, 0)
    rows, columns = spans
    counts = [len(_fits(spans[axis], far)) * int(spans[1 - axis].clean.sum()) for axis in (0, 1)]
    exact = far % rows.jump == 0 and far % columns.jump == 0
    return Equivariance(target.name, (rows.jump, columns.jump), far, exact, score, sum(counts) / 2)
