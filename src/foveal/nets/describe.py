"""What a network is: shapes, parameters, FLOPs and receptive fields, layer by layer. No torch."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from foveal.errors import NetError
from foveal.extras import extra
from foveal.nets.composed import Net, Residual
from foveal.nets.maps import map_walk, without_maps
from foveal.nets.specs import Conv, Dense, Layer, Whiten
from foveal.nets.walk import Step, each
from foveal.nets.windows import LARGEST, Pair, Shape, times
from foveal.nets.zoo import net_of

__all__ = ["Description", "Row", "dense_equivalent", "describe", "parse_input"]


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    Args:
        token: as in the line; `input` and `output` for the first and last row.
        kind: in words, with the activation.
        shape: what it gives, (H, W, C) or (F,).
        parameters: numbers that training changes.
        flops: of one image, 2 for each product added to a sum; 0 for bias, activation, batch norm and pooling.
        receptive_field: height and width of the part of the image that one number depends on; None where not known.
        dense_equivalent: parameters of a dense layer from all inputs to all outputs; None where it is no convolution.
        depth: how many residual blocks it stands in.
    """

    token: str
    kind: str
    shape: Shape
    parameters: int
    flops: int
    receptive_field: Pair | None
    dense_equivalent: int | None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Description:
    """A network, layer by layer; the totals are the sums of the rows.

    Args:
        net: the line, or the class of a module.
        input: (H, W, C).
    """

    net: str
    input: Shape
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "parameters": self.parameters, "flops": self.flops}


def parse_input(text: str) -> tuple[int, int, int]:
    """`32x32x3` as (H, W, C).

    Raises:
        NetError: not written so, or a side of 0.
    """
    sizes = re.fullmatch(r"\s*([0-9]{1,7})[x×]([0-9]{1,7})[x×]([0-9]{1,7})\s*", text.lower())
    height, width, channels = map(int, sizes.groups()) if sizes else (0, 0, 0)
    if not all(1 <= size <= LARGEST for size in (height, width, channels)):
        raise NetError(
            f"An input is HEIGHTxWIDTHxCHANNELS, such as 32x32x3, found {text!r}.",
            remedy="Channels are 3 for color, 1 for gray.",
        )
    return height, width, channels


def describe(
    net: str | Net | Sequence[Layer],
    input_shape: tuple[int, int, int],
    outputs: int = 10,
    answer: Literal["softmax", "linear"] = "softmax",
    strides: Sequence[int] = (),
) -> Description:
    """A network of the notation between images (H, W, C) and its output layer.

    Args:
        answer: what the task makes of the outputs: probabilities (classification) or plain numbers (regression).
        strides: of the maps that the task's head takes instead of features: `outputs` are then its labels.

    Raises:
        NetError: a line that cannot be read, or layers that do not fit; no maps at these strides.
    """
    height, width, channels = input_shape
    network = net_of(net)
    if strides:
        return _with_maps(network, input_shape, outputs, strides)
    steps = without_maps(network, (channels, height, width))
    features = steps[-1].after
    last = Dense(outputs, "none")
    last_row = Row(
        token="output",
        kind=f"dense, {answer}",
        shape=(outputs,),
        parameters=last.parameters(features),
        flops=last.flops(features),
        receptive_field=(height, width),
        dense_equivalent=None,
    )
    return Description(str(network), input_shape, (_input(input_shape), *_rows(steps), last_row))


def _with_maps(network: Net, input_shape: tuple[int, int, int], outputs: int, strides: Sequence[int]) -> Description:
    height, width, channels = input_shape
    maps = map_walk(network, (channels, height, width), strides)
    with extra("train"):
        from foveal.nets.map_heads import head_cost
    shape, parameters, flops = head_cost(maps, outputs)
    kind = f"boxes, from maps at strides {', '.join(map(str, maps.strides))}"
    last_row = Row("output", kind, shape, parameters, flops, (height, width), None)
    return Description(str(network), input_shape, (_input(input_shape), *_rows(maps.steps), last_row))


def dense_equivalent(before: Shape, after: Shape) -> int:
    """Parameters of a dense layer, bias included, from every number of one shape to every number of the other."""
    return (math.prod(before) + 1) * math.prod(after)


def _input(shape: tuple[int, int, int]) -> Row:
    return Row("input", "input", shape, 0, 0, (1, 1), None)


def _rows(steps: Sequence[Step]) -> list[Row]:
    return [_row(step, depth) for depth, step in each(steps)]


def _row(step: Step, depth: int) -> Row:
    layer = step.layer
    dense = dense_equivalent(step.before, step.after) if isinstance(layer, Conv | Whiten) else None
    after = step.after if len(step.after) == 1 else (*step.after[1:], step.after[0])
    token = "r(…)" + step.token.rpartition(")")[2] if isinstance(layer, Residual) else step.token or "(flat)"
    return Row(token, _kind(step), after, step.parameters, step.flops, step.field.size, dense, depth)


def _kind(step: Step) -> str:
    parts = [step.layer.kind]
    if isinstance(step.layer, Residual) and step.shortcut:
        parts.append(f"shortcut by a 1×1 convolution, stride {times(step.shortcut)}")
    activation = getattr(step.layer, "activation", "none")
    return ", ".join(parts if activation == "none" else [*parts, activation])
