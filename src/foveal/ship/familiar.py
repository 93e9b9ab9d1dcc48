"""`foveal.readers.familiarity` as nodes of a graph. What the two find is compared at every export."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.bundle.runtime import INPUT, STRANGENESS
from foveal.readers.familiarity import LAGS
from foveal.recipe import InputContract
from foveal.ship.nodes import FLOAT, Nodes

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["STRANGENESS", "with_strangeness"]


def with_strangeness(model: "ModelProto", look: Mapping[str, Any], contract: InputContract) -> None:
    """Give the model one more output, (N,): how far each image is from what the training images look like; above 1
    unlike them.

    Args:
        look: as `familiar` found it.
    """
    from onnx import helper

    nodes = Nodes("look")
    off = nodes.add("Sub", _looks(nodes, contract), nodes.number(look["mean"]))
    whitening = np.array(look["whitening"]).T / look["threshold"]
    white = nodes.add("MatMul", off, nodes.number(whitening))
    squares = nodes.add("ReduceSum", nodes.add("Mul", white, white), nodes.constant([1]), keepdims=0)
    nodes.add("Sqrt", squares, name=STRANGENESS)
    model.graph.node.extend(nodes.nodes)
    model.graph.initializer.extend(nodes.constants)
    model.graph.output.append(helper.make_tensor_value_info(STRANGENESS, FLOAT, ["N"]))


def _looks(nodes: Nodes, contract: InputContract) -> str:
    """(N, 11), or (N, 15) with colour; every column is (N, 1, 1) until they are put together."""
    values = nodes.add("Cast", INPUT, to=FLOAT)
    planes = nodes.add("Div", values, nodes.number(255))
    gray = nodes.add("ReduceMean", planes, nodes.constant([3]), keepdims=0)
    mean = _mean(nodes, gray)
    off = nodes.add("Sub", gray, mean)
    squares = nodes.add("Mul", off, off)
    spread = nodes.add("Sqrt", _mean(nodes, squares))
    wide = nodes.add("Add", spread, nodes.number(0.02))
    cubes, wide_cubed = _mean(nodes, nodes.add("Mul", squares, off)), nodes.add("Pow", wide, nodes.number(3))
    skew = nodes.add("Clip", nodes.add("Div", cubes, wide_cubed), nodes.number(-4), nodes.number(4))
    columns = [mean, nodes.add("Log", wide), skew]
    for axis, side in ((2, contract.width), (1, contract.height)):
        power = [_differing(nodes, gray, lag, axis, side) for lag in LAGS]
        columns += [power[0], nodes.add("Sub", power[1], power[0]), nodes.add("Sub", power[2], power[1])]
    for op, end in (("LessOrEqual", 2), ("GreaterOrEqual", 253)):
        there = nodes.add("Cast", nodes.add(op, values, nodes.number(end)), to=FLOAT)
        share = nodes.add("ReduceMean", there, nodes.constant([3]), keepdims=0)
        columns.append(nodes.add("Sqrt", _mean(nodes, share)))
    if contract.channels > 1:
        green = nodes.add("Gather", planes, nodes.constant(1), axis=3)
        for k in (0, 2):
            colour = nodes.add("Sub", nodes.add("Gather", planes, nodes.constant(k), axis=3), green)
            far = nodes.add("Add", _mean(nodes, nodes.add("Abs", colour)), nodes.number(0.01))
            columns += [_mean(nodes, colour), nodes.add("Log", far)]
    return nodes.add("Squeeze", nodes.add("Concat", *columns, axis=1), nodes.constant([2]))


def _mean(nodes: Nodes, image: str) -> str:
    return nodes.add("ReduceMean", image, nodes.constant([1, 2]), keepdims=1)


def _differing(nodes: Nodes, gray: str, lag: int, axis: int, side: int) -> str:
    """Logarithm of the mean squared difference of pixels so far apart; of none where the image is that small."""
    least = nodes.number(3e-4)
    if side <= lag:
        return nodes.add("Log", nodes.add("Add", nodes.add("Mul", _mean(nodes, gray), nodes.number(0)), least))
    ends = (lag, side), (0, side - lag)
    one, other = (
        nodes.add("Slice", gray, nodes.constant([first]), nodes.constant([last]), nodes.constant([axis]))
        for first, last in ends
    )
    apart = nodes.add("Sub", one, other)
    return nodes.add("Log", nodes.add("Add", _mean(nodes, nodes.add("Mul", apart, apart)), least))
