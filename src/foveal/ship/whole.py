"""`whole.onnx`: the graph with the resizing before it, for those who have a decoded image and no Foveal.

Its one image may have any size. The resizing is ONNX's antialiased one, which weighs pixels as Pillow does but rounds
otherwise; what that does to the answers is measured on the user's own images.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.bundle import OnnxNetwork
from foveal.bundle.folder import MODEL
from foveal.bundle.runtime import INPUT, OUTPUT
from foveal.extras import extra
from foveal.recipe import InputContract
from foveal.ship.nodes import DOUBLE, INT64, Nodes
from foveal.ship.onnx_file import with_metadata
from foveal.ship.subject import Made, Subject

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["IMAGE", "WHOLE", "whole_model", "with_whole"]

WHOLE = "whole.onnx"
IMAGE = "image"
MOST = 200  # images that it is tried on
MODES = {"bilinear": "linear", "bicubic": "cubic"}


def with_whole(subject: Subject, made: Made, read: Callable[[str], "bytes | np.ndarray"]) -> Made:
    """The export with `whole.onnx` beside its model, and what its resizing changes.

    Args:
        read: file to its bytes, or to its pixels where the source stores those.
    """
    with extra("train"):
        import onnx
    model = whole_model(onnx.load_from_string(made.files[MODEL]), subject.contract)
    data = with_metadata(model, subject.metadata)
    export, names = OnnxNetwork(data), subject.test.files[:MOST]
    told, count, changed, difference = subject.told, 0, 0, 0.0
    for done, file in enumerate(names):
        subject.progress("resizing in the graph", done, len(names))
        source, reader = read(file), subject.task.reader
        array = reader.read(source)
        if array.dtype != np.uint8 or array.shape[2] != subject.contract.channels:
            continue  # the graph takes what a decoder gives for most files: 8 bits, and the network's channels
        prepared, geometry = reader.load(source, subject.contract)
        ours = subject.network(np.stack([prepared]))
        theirs = export.feed({IMAGE: np.ascontiguousarray(array[None])})[OUTPUT]
        count += 1
        changed += told.said(ours[0], geometry) != told.said(theirs[0], geometry)
        difference = max(difference, float(np.abs(told.numbers(ours) - told.numbers(theirs)).max(initial=0)))
    tried = {"images": float(count), "changed": float(changed), "difference": difference}
    agreement = made.agreement.model_copy(update={"whole": tried})
    return Made({**made.files, WHOLE: data}, made.graph, agreement)


def whole_model(model: "ModelProto", contract: InputContract) -> "ModelProto":
    """The model with an input `image` (1, H, W, C) uint8 of any size, C the contract's, in place of `pixels`."""
    from onnx import TensorProto, helper

    nodes = _Fit("fit")
    nodes.resized(contract)
    graph = model.graph
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [1, "H", "W", contract.channels]))
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes.nodes, *old])
    graph.initializer.extend(nodes.constants)
    return model


class _Fit(Nodes):
    """What `foveal.readers.fit` does."""

    def resized(self, contract: InputContract) -> None:
        """From `image` to `pixels`. What goes where is found in float64, as `fit` does: the same whole numbers."""
        image = self.add("Transpose", IMAGE, perm=[0, 3, 1, 2])
        wanted = self.constant([contract.height, contract.width], np.float64)
        if contract.resize == "stretch":
            resized = self.resize(image, wanted, contract)
        else:
            sides = self.add("Cast", self.add("Shape", image, start=2, end=4), to=DOUBLE)
            ratios = self.add("Div", wanted, sides)
            fitted = self.cropped if contract.resize == "crop" else self.padded
            resized = fitted(image, sides, wanted, ratios, contract)
        self.add("Transpose", resized, name=INPUT, perm=[0, 2, 3, 1])

    def cropped(self, image: str, sides: str, wanted: str, ratios: str, contract: InputContract) -> str:
        """The largest centred part of the right shape."""
        covered = self.add("Div", wanted, self.add("ReduceMax", ratios, keepdims=1))
        middle = self.add("Round", self.halved(self.add("Sub", sides, covered)))
        most = self.add("Floor", self.halved(self.add("Sub", sides, self.constant([1], np.float64))))
        start = self.add("Min", middle, most)
        ends = self.whole(start), self.whole(self.add("Sub", sides, start))
        return self.resize(self.add("Slice", image, *ends, self.constant([2, 3])), wanted, contract)

    def padded(self, image: str, sides: str, wanted: str, ratios: str, contract: InputContract) -> str:
        """The whole image, centred on black."""
        scaled = self.add("Round", self.add("Mul", sides, self.add("ReduceMin", ratios, keepdims=1)))
        inner = self.add("Max", scaled, self.constant([1], np.float64))
        around = self.add("Sub", wanted, inner)
        before = self.add("Floor", self.halved(around))
        none = self.constant([0, 0])
        edges = none, self.whole(before), none, self.whole(self.add("Sub", around, before))
        pads = self.add("Concat", *edges, axis=0)
        return self.add("Pad", self.resize(image, inner, contract), pads, self.constant(0, np.uint8))

    def resize(self, image: str, sides: str, contract: InputContract) -> str:
        """Pillow leaves out what lies beyond the edges, and its bicubic has a = -0.5."""
        sizes = self.add("Concat", self.constant([1, contract.channels]), self.whole(sides), axis=0)
        how: dict[str, Any] = {"mode": MODES[contract.interpolation], "antialias": 1, "exclude_outside": 1}
        how |= {"cubic_coeff_a": -0.5} if contract.interpolation == "bicubic" else {}
        return self.add("Resize", image, "", "", sizes, **how)

    def halved(self, value: str) -> str:
        return self.add("Div", value, self.constant([2], np.float64))

    def whole(self, value: str) -> str:
        return self.add("Cast", value, to=INT64)
