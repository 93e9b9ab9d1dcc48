"""The kinds of bundles, one maker each."""

from collections.abc import Callable

from foveal.ship.bfloat import make_bf16
from foveal.ship.other import make_openvino, make_torch
from foveal.ship.plain import make_onnx
from foveal.ship.rounded import make_int8
from foveal.ship.subject import Made, Subject

__all__ = ["MAKERS"]

MAKERS: dict[str, Callable[[Subject, bool], Made]] = {
    "onnx": lambda subject, accept: make_onnx(subject),
    "int8": make_int8,
    "bf16": make_bf16,
    "openvino": lambda subject, accept: make_openvino(subject),
    "torch": lambda subject, accept: make_torch(subject),
}
"""Subject, and whether to keep one that is worse, to what goes into the bundle."""
