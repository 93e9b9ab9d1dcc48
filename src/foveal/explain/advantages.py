"""What convolution buys, counted and measured on a network: few connections, shared weights, answers that survive a
shift. How far each map moves with the image is in `foveal.explain.equivariance`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from foveal.examples import Examples, Rated
from foveal.explain.target import Target, device_of, targets
from foveal.measure.robustness import measure_shifts
from foveal.measure.shifts import Shifted
from foveal.measured import Score
from foveal.nets.composed import Residual
from foveal.nets.describe import dense_equivalent
from foveal.nets.layers import Network
from foveal.nets.parts import ResidualBlock, Whitening
from foveal.nets.specs import Conv, Whiten
from foveal.nets.windows import Pair, Shape
from foveal.task import Task

__all__ = ["Connections", "ShiftConsistency", "connections", "shift_consistency"]

AT_ONCE = 1 << 18  # pixels
MOST_AT_ONCE = 128  # images


@dataclass(frozen=True, slots=True)
class Connections:
    """A convolution beside the layers that could do its work between the same shapes.

    Args:
        layer: its name.
        before: (C, H, W), what it gets.
        after: (D, h, w), what it gives.
        kernel: height and width.
        connections: pairs of an input and an output number that it connects; padding is no input.
        parameters: of the convolution as it is: local connections, shared weights. Those of a whitening count, though
            training leaves them alone.
        local_parameters: of a locally connected layer: a weight for each connection, a bias for each output.
        dense_parameters: of a dense layer: a weight for each pair of input and output, a bias for each output.
        multiplications: of the convolution for one image, as computed: padding takes part.
        dense_multiplications: of the dense layer for one image.
    """

    layer: str
    before: Shape
    after: Shape
    kernel: Pair
    connections: int
    parameters: int
    local_parameters: int
    dense_parameters: int
    multiplications: int
    dense_multiplications: int

    @property
    def local_share(self) -> float:
        """Connections as a share of the dense layer's, 0 to 1: what local connectivity leaves."""
        return self.connections / self.dense_multiplications

    @property
    def sharing(self) -> float:
        """Parameters of the locally connected layer to one of the convolution: what sharing saves."""
        return self.local_parameters / self.parameters

    @property
    def saving(self) -> float:
        """Parameters of the dense layer to one of the convolution: what both save."""
        return self.dense_parameters / self.parameters


@dataclass(frozen=True, slots=True)
class ShiftConsistency:
    """Whether a network's answers survive a shift of the image.

    Args:
        images: that were moved.
        scores: how an image is moved (`foveal.measure.shifts`) to a score for each distance, from 1 pixel on; empty for
            an answer that says where, and so has to move with the image.
        change: what those scores are: `same`, the share of the images whose answer stays the same; or `spreads`, the
            mean change of the value in standard deviations of the true ones.
    """

    images: int
    scores: Mapping[str, tuple[Score, ...]]
    change: str


def connections(network: Network, shape: tuple[int, int, int]) -> tuple[Connections, ...]:
    """Every convolution of a network in the order of `targets`, shortcuts of residual blocks under their block's name;
    the network is left in evaluation mode.

    Args:
        shape: of the image, (C, H, W).

    Raises:
        NetError: a layer of the notation does not fit the image.
    """
    convolutions = [(target, module) for target in targets(network) for module in _convolutions(target)]
    seen = _shapes(network, [module for _, module in convolutions], shape)
    return tuple(_connections(target, module, *seen[module]) for target, module in convolutions if module in seen)


def shift_consistency(
    network: Network,
    task: Task,
    test: Examples,
    labels: Sequence[str],
    seed: int = 0,
    settled: Mapping[str, Any] = {},
) -> ShiftConsistency:
    """How often an answer stays the same when the image moves by a few pixels, edges repeated, as `evaluate
    --robustness` measures it. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, section 4.

    Args:
        test: images (N, H, W, C); their targets matter only where a change is counted in spreads of the truth.
        settled: what the task's answer settled on validation.
    """
    network.eval()

    def rate(images: Shifted) -> Rated:
        return task.rate(_outputs(network, images), images.examples(test), labels, settled)

    said = task.rate(_outputs(network, test.pixels), test, labels, settled).said
    scores, change = measure_shifts(rate, said, test, seed)
    return ShiftConsistency(len(test.files), scores, change)


def _convolutions(target: Target) -> Iterator[nn.Conv2d | Whitening]:
    """Of this layer alone; those inside a block are layers themselves."""
    if target.step is None:
        if isinstance(target.module, nn.Conv2d | Whitening):
            yield target.module
    elif isinstance(target.step.layer, Conv | Whiten):
        yield from (part for part in target.module.children() if isinstance(part, nn.Conv2d | Whitening))
    elif isinstance(target.step.layer, Residual):
        blocks = (part for part in target.module.children() if isinstance(part, ResidualBlock))
        yield from (block.shortcut for block in blocks if isinstance(block.shortcut, nn.Conv2d))


def _shapes(
    network: Network, modules: Sequence[nn.Module], shape: tuple[int, int, int]
) -> dict[nn.Module, tuple[Shape, Shape]]:
    """What each gets and gives, without the batch, the first time it is called."""
    found: dict[nn.Module, tuple[Shape, Shape]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.setdefault(module, (tuple(inputs[0].shape[1:]), tuple(output.shape[1:])))

    hooks = [module.register_forward_hook(note) for module in modules]
    network.eval()
    device = device_of(network)
    try:
        with torch.inference_mode():
            network.body(network.normalize(torch.zeros(1, *shape, device=device)))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _connections(target: Target, module: nn.Conv2d | Whitening, before: Shape, after: Shape) -> Connections:
    kernel, stride, dilation, groups = tuple(module.weight.shape[2:]), module.stride, 1, 1
    pads = [0, 0]
    if isinstance(module, nn.Conv2d):
        dilation, groups = module.dilation, module.groups
        # torch keeps the edges that it adds itself from right to left: left, right, top, bottom.
        pads = [module._reversed_padding_repeated_twice[2], module._reversed_padding_repeated_twice[0]]
    if target.step is not None and isinstance(target.step.layer, Conv):
        before = target.step.before  # unequal edges are added by a module of their own
        pads = [first for first, _ in target.step.layer.window.pads(*before[1:])]
    taps = [
        _taps(n, out, k, s, d, p)
        for n, out, k, s, d, p in zip(before[1:], after[1:], kernel, _pair(stride), _pair(dilation), pads)
    ]
    connected = math.prod(taps) * before[0] // groups * after[0]
    outputs = math.prod(after)
    return Connections(
        layer=target.name,
        before=before,
        after=after,
        kernel=(kernel[0], kernel[1]),
        connections=connected,
        parameters=sum(
            weight.numel() for weight in (module.weight, getattr(module, "bias", None)) if weight is not None
        ),
        local_parameters=connected + outputs,
        dense_parameters=dense_equivalent(before, after),
        multiplications=math.prod(kernel) * before[0] // groups * outputs,
        dense_multiplications=math.prod(before) * outputs,
    )


def _pair(size: int | tuple[int, ...]) -> Pair:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _taps(size: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
    """Pairs of a place and a number of the kernel, along one axis, that meet a pixel."""
    met = np.arange(outputs)[:, None] * stride - pad + np.arange(kernel) * dilation
    return int(((met >= 0) & (met < size)).sum())


class _Images(Protocol):
    """(N, H, W, C) uint8, made when row numbers are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, chosen: np.ndarray, /) -> np.ndarray: ...


def _outputs(network: Network, images: _Images) -> np.ndarray:
    """Raw outputs (N, …) float32."""
    count, height, width, _ = images.shape
    size = min(max(1, AT_ONCE // (height * width)), MOST_AT_ONCE)
    device = device_of(network)
    found = []
    with torch.inference_mode():
        for start in range(0, count, size):
            some = torch.from_numpy(np.ascontiguousarray(images[np.arange(start, min(start + size, count))]))
            found.append(network(some.permute(0, 3, 1, 2).to(device)).float().cpu().numpy())
    return np.concatenate(found)
