"""The export with weights in bfloat16: half the file, and the arithmetic of float32.

ONNX Runtime has no bfloat16 convolutions or products for CPUs but on some ARM ones. So the weights are stored as
bfloat16 with a Cast to float32 behind each, which it works out once, when the model is loaded: from then on the graph
is the one in float32, as fast and as large in memory, with weights of 8 significant bits.
"""

from typing import TYPE_CHECKING

import numpy as np

from foveal.bundle import OnnxNetwork
from foveal.extras import extra
from foveal.ship.losses import kept
from foveal.ship.nodes import FLOAT
from foveal.ship.onnx_file import with_metadata
from foveal.ship.plain import exported_model, prove
from foveal.ship.subject import Made, Subject

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["make_bf16", "to_bfloat16", "with_bfloat16_weights"]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
STORED = "stored."  # before the name of a weight: what is in the file


def make_bf16(subject: Subject, accept: bool) -> Made:
    """`model.onnx` with the weights of its convolutions and dense layers in bfloat16; all else stays in float32.

    Args:
        accept: keep it even where it is worse.

    Raises:
        ExportRefused: the model in float32 disagrees with the network; or this one is significantly worse.
    """
    with extra("train"):
        import onnx
    data, graph = exported_model(subject)
    prove(subject, OnnxNetwork(data), subject.told, data)
    model = onnx.load_from_string(data)
    with_bfloat16_weights(model)
    return kept(subject, graph, with_metadata(model, subject.metadata), "In bfloat16", accept)


def with_bfloat16_weights(model: "ModelProto") -> None:
    """Put a bfloat16 tensor and a Cast in the place of each weight of two sides or more."""
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    used = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input}
    for tensor in graph.initializer:
        if tensor.name in used and tensor.data_type == FLOAT and len(tensor.dims) > 1:
            name, stored = tensor.name, STORED + tensor.name
            halves = to_bfloat16(numpy_helper.to_array(tensor))
            tensor.CopyFrom(helper.make_tensor(stored, TensorProto.BFLOAT16, tensor.dims, halves.tobytes(), raw=True))
            casts.append(helper.make_node("Cast", [stored], [name], name=f"as_float32.{name}", to=FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32, as little-endian uint16, of the nearest numbers that bfloat16 has; of two as near
    the even one. What is no number stays none.

    Source: IEEE 754-2019, 4.3.1 (roundTiesToEven), of the first 16 bits of binary32.
    """
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype("<u2")
