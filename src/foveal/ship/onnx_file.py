"""One ONNX file of a network: torch.onnx's export with what it leaves lying around taken out, and metadata put in."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from foveal.bundle.folder import Graph
from foveal.errors import NetError
from foveal.extras import extra
from foveal.recipe import InputContract
from foveal.ship.familiar import STRANGENESS, with_strangeness
from foveal.ship.graph import Shipped

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["TRACED", "example", "onnx_model", "quiet", "with_metadata"]

TRACED = 2  # images: of a batch of one the exporter takes the batch for a constant
KEPT = {"namespace", "pkg.torch.onnx.name_scopes"}  # which layer a node is of; the rest are paths on this machine


def onnx_model(shipped: Shipped, contract: InputContract, graph: Graph, settled: Mapping[str, Any]) -> "ModelProto":
    """The module as an ONNX model that takes any number of images.

    Args:
        settled: what was chosen on the validation images.

    Raises:
        NetError: the exporter cannot translate it; a module of the user's own may hold anything.
        MissingExtra: onnx or onnxscript is not installed.
    """
    with extra("train"):
        import onnxscript  # noqa: F401 (torch.onnx wants it, and would say so in its own words)
        from onnx import ModelProto
    images = torch.export.Dim("N")
    try:
        with quiet():
            program = torch.onnx.export(
                shipped.eval(),
                (example(contract),),
                dynamo=True,
                input_names=list(graph.inputs),
                output_names=[name for name in graph.outputs if name != STRANGENESS],
                dynamic_shapes={"pixels": {0: images}},
                verbose=False,
            )
    except Exception as error:  # whatever a module of the user's own makes torch.export raise
        raise NetError(
            f"The network cannot be written as ONNX: {_first_line(error)}",
            remedy="Export it for torch alone: foveal export RUN --to torch",
        ) from error
    assert program is not None
    model = program.model_proto
    assert isinstance(model, ModelProto)
    _any_number_of_images(model)
    if "look" in settled:
        with_strangeness(model, settled["look"], contract)
    _tidy(model, graph)
    return model


def _any_number_of_images(model: "ModelProto") -> None:
    """
    Raises:
        NetError: the graph takes as many as it was traced with, since the network asked how many they are.
    """
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise NetError(
                f"The network can only be written as ONNX for batches of {TRACED}: it takes the number of images for a "
                "constant.",
                remedy="In a module of your own, write x.shape[0] for len(x); or export it with --to torch.",
            )


def example(contract: InputContract) -> torch.Tensor:
    """A batch to trace a graph with."""
    return torch.zeros(TRACED, contract.height, contract.width, contract.channels, dtype=torch.uint8)


def with_metadata(model: "ModelProto", metadata: Mapping[str, str]) -> bytes:
    """The model's bytes, with texts by key."""
    del model.metadata_props[:]
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    return model.SerializeToString(deterministic=True)


def _tidy(model: "ModelProto", graph: Graph) -> None:
    model.producer_name = "foveal"
    model.doc_string = ""
    model.graph.name = "network"
    for node in model.graph.node:
        kept = [prop for prop in node.metadata_props if prop.key in KEPT]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = (graph.inputs | graph.outputs)[value.name].meaning
        del value.metadata_props[:]
    del model.graph.value_info[:]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter's talk is for its authors."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
