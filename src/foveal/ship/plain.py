"""The export in float32: ONNX, or the weights alone."""

import numpy as np

from foveal.bundle import OnnxNetwork
from foveal.bundle.folder import MODEL, Graph
from foveal.bundle.predictor import Network
from foveal.bundle.runtime import OUTPUT
from foveal.errors import ExportRefused, NetError
from foveal.readers.familiarity import strangeness
from foveal.ship.familiar import STRANGENESS
from foveal.ship.graph import Shipped, graph_of, raw_shape
from foveal.ship.onnx_file import onnx_model, with_metadata
from foveal.ship.parity import ALLOWED, Compared, Told, compare
from foveal.ship.reasons import reason_of
from foveal.ship.subject import Made, Subject

__all__ = ["LARGEST", "beside", "exported_model", "make_onnx", "prove", "refuse"]

LARGEST = 2_000_000_000  # bytes of one protobuf message
STRANGE = 1e-3  # share of a strangeness by which the graph's may differ from ours
SEEN = 200  # images of which what else the graph gives is compared


def make_onnx(subject: Subject) -> Made:
    """`model.onnx`, refused unless it answers as the network does.

    Raises:
        ExportRefused: it does not; the message has the numbers, and why where that can be found out.
        NetError: the network cannot be written as ONNX.
    """
    data, graph = exported_model(subject)
    export = OnnxNetwork(data)
    export.check(graph)
    compared = prove(subject, export, subject.told, data)
    return Made({MODEL: data}, graph, compared.record(ALLOWED, subject.split))


def exported_model(subject: Subject) -> tuple[bytes, Graph]:
    """The bytes of the ONNX file with its metadata, and what it takes and gives."""
    module, answer = subject.module, subject.task.answer
    size = sum(weight.numel() * weight.element_size() for weight in module.state_dict().values())
    if size > LARGEST:
        raise NetError(
            f"The weights have {size:,} bytes, and one ONNX file holds {LARGEST:,}.",
            remedy="Export it for torch: foveal export RUN --to torch",
        )
    subject.progress("writing the graph", 0, 0)
    graph = graph_of(answer, subject.contract, raw_shape(module, subject.contract), subject.settled)
    model = onnx_model(Shipped(module, answer, subject.settled), subject.contract, graph, subject.settled)
    graph = graph.model_copy(update={"opset": model.opset_import[0].version})
    return with_metadata(model, subject.metadata), graph


def prove(subject: Subject, export: Network, exported: Told, data: bytes | None = None) -> Compared:
    """Compare an export in float32 with its network.

    Args:
        exported: how its outputs are read by whoever has the bundle.
        data: the bytes of the ONNX model, to look for where the two part.

    Raises:
        ExportRefused: it does not agree.
    """
    compared = beside(subject, export, exported)
    if not compared.agrees():
        worst = np.ascontiguousarray(subject.test.pixels[compared.worst])
        refuse(compared, reason_of(subject.module, subject.network, export, subject.told, exported, worst, data))
    if isinstance(export, OnnxNetwork) and compared.images:
        _same_beside(subject, export)
    return compared


def beside(subject: Subject, export: Network, exported: Told, *, keep: bool = False) -> Compared:
    """Let both answer the test images.

    Args:
        exported: how the export's outputs are read.
        keep: all raw outputs.
    """
    test, done = subject.test, 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        subject.progress("comparing with torch", done, len(test.files))

    places = test.pixels, test.geometries
    told = subject.told, exported
    return compare(subject.network, export, *told, *places, batch=subject.batch, keep=keep, tick=tick)


def refuse(compared: Compared, reason: str) -> None:
    """
    Raises:
        ExportRefused: always.
    """
    ties = f" {compared.ties:,} more are ties." if compared.ties else ""
    raise ExportRefused(
        f"The export disagrees with the network and was not kept: of {compared.images:,} images {compared.changed:,} "
        f"are answered otherwise, and a number differs by up to {compared.difference:.2g} ({ALLOWED:g} is allowed)."
        f"{ties}\n{reason}",
        remedy="Please report this, with the recipe.json of the run; `--to torch` does without a translation.",
    )


def _same_beside(subject: Subject, export: OnnxNetwork) -> None:
    """What the graph gives beside raw outputs is what numpy finds: it answers for who has no Foveal, and of the
    strangeness for `Predictor`, too.

    Raises:
        ExportRefused: the two differ.
    """
    some = np.ascontiguousarray(subject.test.pixels[np.arange(min(SEEN, len(subject.test.files)))])
    found, told = export.named(some), subject.told
    numbers, first = told.numbers(found[OUTPUT]), 4 if told.answer.placed else 0
    name = "scores" if told.answer.placed else "probabilities"
    if name in found:
        _near(name, float(np.abs(found[name] - numbers[..., first:]).max()), ALLOWED)
    ours = strangeness(some, subject.settled)
    if ours is not None:
        apart = np.abs(found[STRANGENESS] - ours) / np.maximum(1.0, ours)
        _near(STRANGENESS, float(apart.max()), STRANGE)


def _near(name: str, apart: float, allowed: float) -> None:
    if not apart <= allowed:
        raise ExportRefused(
            f"The export's {name} differ by up to {apart:.2g} from what Foveal makes of the same image ({allowed:g} is "
            "allowed), and it was not kept.",
            remedy="Please report this, with the settled.json of the run.",
        )
