"""Exports for other runtimes: OpenVINO, and torch itself."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from foveal.bundle.runtime import OpenvinoNetwork
from foveal.extras import extra
from foveal.ship.graph import Shipped
from foveal.ship.onnx_file import example, quiet
from foveal.ship.parity import ALLOWED
from foveal.ship.plain import exported_model, prove
from foveal.ship.subject import Made, Subject

__all__ = ["PROGRAM", "make_openvino", "make_torch"]

PROGRAM = "program.pt2"


def make_openvino(subject: Subject) -> Made:
    """`model.xml` and `model.bin`, in float32, made of the ONNX graph.

    Raises:
        MissingExtra: OpenVINO is not installed.
        ExportRefused: it disagrees with the network.
    """
    with extra("openvino"):
        import openvino  # pyright: ignore[reportMissingImports]
    data, graph = exported_model(subject)
    subject.progress("translating for OpenVINO", 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "model.xml")
        source.write_bytes(data)
        openvino.save_model(openvino.convert_model(source), target, compress_to_fp16=False)
        files = {name: Path(folder, name).read_bytes() for name in ("model.xml", "model.bin")}
    compared = prove(subject, OpenvinoNetwork(files["model.xml"], files["model.bin"]), subject.told)
    return Made(files, graph, compared.record(ALLOWED, subject.split))


def make_torch(subject: Subject) -> Made:
    """The weights, which every bundle has, beside the recipe that says what network they are of; and `program.pt2`, the
    whole graph for torch.export, where torch can trace the network.

    Raises:
        ExportRefused: the program disagrees with the network.
    """
    subject.progress("tracing", 0, 0)
    data = _program(subject)
    if data is None:
        compared = prove(subject, subject.network, subject.told)
        return Made({}, None, compared.record(ALLOWED, subject.split))
    module = torch.export.load(io.BytesIO(data)).module()

    def export(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(pixels))[0].numpy()

    compared = prove(subject, export, subject.told)
    return Made({PROGRAM: data}, None, compared.record(ALLOWED, subject.split))


def _program(subject: Subject) -> bytes | None:
    """None where torch cannot trace the network, or would write a pickle."""
    shipped = Shipped(subject.module, subject.task.answer, subject.settled).eval()
    buffer = io.BytesIO()
    try:
        with quiet():
            program = torch.export.export(
                shipped, (example(subject.contract),), dynamic_shapes={"pixels": {0: torch.export.Dim("N")}}
            )
            program.example_inputs = None  # they would be written as a pickle
            torch.export.save(program, buffer)
    except Exception:  # a module of the user's own may hold whatever torch.export has no words for
        return None
    with zipfile.ZipFile(buffer) as archive:
        pickled = [
            entry for entry in archive.infolist() if entry.filename.endswith((".pt", ".pkl")) and entry.file_size
        ]
    return None if pickled else buffer.getvalue()
