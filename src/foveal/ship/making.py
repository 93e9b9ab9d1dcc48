"""The kinds of bundles, one maker each."""

from collections.abc import Callable

from foveal.ship.plain import make_onnx
from foveal.ship.subject import Made, Subject

__all__ = ["MAKERS"]

MAKERS: dict[str, Callable[[Subject, bool], Made]] = {
    "onnx": lambda subject, accept: make_onnx(subject),
}


def with_whole(*_): ...
