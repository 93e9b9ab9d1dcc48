"""The export in 8 bits: scales found on training images, and the loss measured on the test images, image by image."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveal.bundle import OnnxNetwork
from foveal.bundle.runtime import INPUT, OUTPUT
from foveal.extras import extra
from foveal.ship.losses import kept
from foveal.ship.onnx_file import with_metadata
from foveal.ship.plain import exported_model, prove
from foveal.ship.subject import Made, Subject

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["make_int8"]

WEIGHTED = ("Conv", "Gemm", "MatMul")
ROUNDED = [*WEIGHTED, "Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Relu"]
AT_ONCE = 32  # images


def make_int8(subject: Subject, accept: bool) -> Made:
    """`model.onnx` with weights and activations in 8 bits, all but the last layers.

    Args:
        accept: keep it even where it is worse.

    Raises:
        ExportRefused: the model in float32 disagrees with the network; or this one is significantly worse.
    """
    data, graph = exported_model(subject)
    prove(subject, OnnxNetwork(data), subject.told, data)
    subject.progress("rounding", 0, 0)
    return kept(subject, graph, _rounded(data, subject), "In 8 bits", accept)


def _rounded(data: bytes, subject: Subject) -> bytes:
    with extra("train"):
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(quantization.CalibrationDataReader):
        """Training images, some at a time."""

        def __init__(self) -> None:
            self.parts = _parts(subject)

        def get_next(self) -> dict[str, np.ndarray]:  # onnxruntime's word for the end is an empty dict
            return next(self.parts, {})

    with tempfile.TemporaryDirectory() as folder, _quiet():
        whole, folded, small = (Path(folder, f"{name}.onnx") for name in ("whole", "folded", "small"))
        whole.write_bytes(data)
        quant_pre_process(whole, folded, skip_symbolic_shape=True)
        model = _numbered(onnx.load(folded))
        quantization.quantize_static(
            model,
            small,
            Images(),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=ROUNDED,
            nodes_to_exclude=_exact(model),
        )
        return with_metadata(onnx.load(small), subject.metadata)


def _parts(subject: Subject) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(subject.learned), AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, len(subject.learned)))
        yield {INPUT: np.ascontiguousarray(subject.learned[rows])}


def _numbered(model: "ModelProto") -> "ModelProto":
    """Every node with a name of its own."""
    for number, node in enumerate(model.graph.node):
        node.name = f"{number}"
    return model


def _exact(model: "ModelProto") -> list[str]:
    """Names of the nodes that stay in float32: the last ones with weights and all that comes after them, where 256
    steps would be seen in the answer; and those that have no part in the raw outputs."""
    makers = {output: node for node in model.graph.node for output in node.output}
    seen: set[str] = set()

    def before(names: list[str], stop: bool) -> Iterator["NodeProto"]:
        """What makes these values, nearest first; with `stop` not beyond nodes with weights."""
        waiting = [name for name in names if name in makers]
        while waiting:
            node = makers[waiting.pop()]
            if node.name in seen:
                continue
            seen.add(node.name)
            yield node
            if not (stop and node.op_type in WEIGHTED):
                waiting += [name for name in node.input if name in makers]

    last = list(before([OUTPUT], True))
    inputs = [name for node in last if node.op_type in WEIGHTED for name in node.input]
    rounded = {node.name for node in before(inputs, False)}
    return [node.name for node in model.graph.node if node.name not in rounded]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """It advises to preprocess the model, which is done, and says so on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
