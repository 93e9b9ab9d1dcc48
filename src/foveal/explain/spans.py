"""Where the units of a map stand over the image, along each axis, and which of them see neither padding nor an edge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foveal.explain.field import Box, box_of, outermost
from foveal.explain.support import Linearised, positive_copy, positive_image
from foveal.explain.target import Target, reach_all
from foveal.nets.backbone import Backbone
from foveal.nets.composed import Residual
from foveal.nets.layers import Network
from foveal.nets.specs import BlurPool, Conv, Pool, Whiten
from foveal.nets.walk import Step
from foveal.nets.windows import Window

__all__ = ["Span", "spans_of"]


@dataclass(frozen=True, eq=False)
class Span:
    """The receptive fields of a map's rows, or of its columns.

    Args:
        start: (n,) the first pixel of each, and
        end: (n,) the one after its last; both may lie outside the image.
        clean: (n,) bool: whether no padding took part.
        jump: pixels between neighbours.
    """

    start: np.ndarray
    end: np.ndarray
    clean: np.ndarray
    jump: int

    def through(self, kernel: int, stride: int, pad: int, outputs: int) -> "Span":
        """After a window slid over it."""
        taps = np.arange(outputs)[:, None] * stride - pad + np.arange(kernel)
        inside = (taps >= 0) & (taps < len(self.start))
        met = np.clip(taps, 0, len(self.start) - 1)
        clean = np.logical_and.reduce(inside & self.clean[met], axis=1)
        return Span(self.start[met].min(axis=1), self.end[met].max(axis=1), clean, self.jump * stride)

    def together(self, other: "Span") -> "Span":
        """Of the sum of two maps."""
        start, end = np.minimum(self.start, other.start), np.maximum(self.end, other.end)
        return Span(start, end, self.clean & other.clean, self.jump)


Spans = tuple[Span, Span]
"""Of rows and of columns."""


def spans_of(network: Network, chosen: Sequence[Target], shape: tuple[int, int, int]) -> dict[Target, Spans | None]:
    """The spans of each layer, None where it has no map; without those of whose units none can be said to see no edge.

    Args:
        shape: of the image, (C, H, W).
    """
    known: dict[int, Spans | None] = {}
    first = tuple(_pixels(size) for size in shape[1:])
    spans: Spans | None = (first[0], first[1])
    for step in outermost(network):
        if isinstance(step.layer, Backbone):
            spans = None
        spans = _after(spans, step, known)
    others = [target for target in chosen if target.step is None]
    by_gradient = _by_gradient(network, others, shape) if others else {}
    by_step = {target: known[id(target.step)] for target in chosen if target.step is not None}
    return by_step | by_gradient


def _pixels(size: int) -> Span:
    places = np.arange(size)
    return Span(places, places + 1, np.ones(size, bool), 1)


def _after(spans: Spans | None, step: Step, known: dict[int, Spans | None]) -> Spans | None:
    """The spans after a step, which are noted, as are those of the steps inside it."""
    layer, before = step.layer, spans
    if spans is None or len(step.after) == 1:
        found = None
    elif isinstance(layer, Residual):
        found = _block(spans, step, known)
    elif isinstance(layer, BlurPool):
        around = [int(stride > 1) for stride in layer.window.stride]
        inner = Window(layer.window.kernel, (1, 1), layer.window.padding)
        blur = Window((1 + 2 * around[0], 1 + 2 * around[1]), layer.window.stride, (around[0], around[1]))
        found = _slid(_slid(spans, inner), blur)
    elif isinstance(layer, Conv | Whiten | Pool):
        found = _slid(spans, layer.window)
    else:
        found = before
    if found is None and isinstance(layer, Residual):
        for part in step.body:
            _after(None, part, known)
    known[id(step)] = found
    return found


def _block(spans: Spans, step: Step, known: dict[int, Spans | None]) -> Spans:
    inside: Spans | None = spans
    for part in step.body:
        inside = _after(inside, part, known)
    assert inside is not None
    through = _slid(spans, Window((1, 1), step.shortcut, (0, 0))) if step.shortcut else spans
    return inside[0].together(through[0]), inside[1].together(through[1])


def _slid(spans: Spans, window: Window) -> Spans:
    sizes = len(spans[0].start), len(spans[1].start)
    pads, outputs = window.pads(*sizes), window.slide(*sizes)
    rows, columns = (
        span.through(kernel, stride, pad, count)
        for span, kernel, stride, (pad, _), count in zip(spans, window.kernel, window.stride, pads, outputs)
    )
    return rows, columns


def _by_gradient(network: Network, chosen: Sequence[Target], shape: tuple[int, int, int]) -> dict[Target, Spans | None]:
    """Of modules: from the fields of the middle unit and of the one before it, up and to the left. Where one of the two
    reaches an edge of the image it may have been cut there, and the layer is left out."""
    twin, image = positive_copy(network.body), positive_image(shape)
    with Linearised():
        maps = reach_all(twin, [target.within(twin) for target in chosen], image)
    found: dict[Target, Spans | None] = {}
    for target, output in zip(chosen, maps):
        if output is None or output.ndim != 4:
            found[target] = None
            continue
        rows, columns = output.shape[2:]
        if min(rows, columns) > 1:
            middle, before = (_box_of(output, image, rows // 2 - back, columns // 2 - back) for back in (0, 1))
            if _inside(middle, shape) and _inside(before, shape):
                found[target] = (
                    _even(middle.top, middle.bottom, middle.top - before.top, rows, shape[1]),
                    _even(middle.left, middle.right, middle.left - before.left, columns, shape[2]),
                )
    return found


def _box_of(output: Tensor, image: Tensor, row: int, column: int) -> Box:
    (gradient,) = torch.autograd.grad(output[0, :, row, column].sum(), image, retain_graph=True)
    return box_of((gradient[0] != 0).any(dim=0).numpy())


def _inside(box: Box, shape: tuple[int, int, int]) -> bool:
    return box.top > 0 and box.left > 0 and box.bottom < shape[1] and box.right < shape[2]


def _even(start: int, end: int, jump: int, count: int, size: int) -> Span:
    """Units that stand `jump` pixels apart, of which the middle one sees from `start` to before `end`."""
    offsets = (np.arange(count) - count // 2) * jump
    starts, ends = start + offsets, end + offsets
    return Span(starts, ends, (starts >= 0) & (ends <= size), jump)
