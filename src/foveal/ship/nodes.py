"""Nodes written by hand, for what torch.onnx would take seconds to trace or does not know."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

__all__ = ["DOUBLE", "FLOAT", "INT64", "Nodes"]

FLOAT, INT64, DOUBLE = 1, 7, 11  # ONNX's numbers of types


class Nodes:
    """ONNX nodes in the order of their work, and their constants.

    Args:
        prefix: of all names.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: Any, kind: type = np.int64) -> str:
        """Returns its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}.c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def number(self, value: Any) -> str:
        """A constant in float32; returns its name."""
        return self.constant(value, np.float32)

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One node; returns the name of what it gives."""
        from onnx import helper

        gives = name or f"{self.prefix}.{len(self.nodes)}"
        named = f"{self.prefix}.n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [gives], name=named, **attributes))
        return gives
