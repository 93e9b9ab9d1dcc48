"""What is exported, what it has to prove itself on, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.bundle import Agreement
from foveal.bundle.folder import Graph, metadata_of
from foveal.bundle.predictor import Network as Answering
from foveal.examples import Examples, PixelRows
from foveal.nets.layers import Network
from foveal.recipe import InputContract
from foveal.ship.parity import Told, told
from foveal.task import Task
from foveal.types import Progress, silent

__all__ = ["Made", "Subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network with all that its export needs.

    Args:
        module: in eval mode, on the CPU.
        network: the same, at work on pixels.
        about: `format`, `version`, `task`, `labels`, `input`, `settled`, `recipe`, `source` and `weights_sha256` of
            `bundle.json`, JSON-ready.
        test: the images that the export has to prove itself on.
        split: whose images those are.
        groups: (N,) numbers of what they belong to, from 0.
        learned: training images, and their targets.
        batch: images in a batch.
        progress: is told what is going on, how much is done, and of how much.
    """

    module: Network
    network: Answering
    task: Task
    contract: InputContract
    labels: tuple[str, ...]
    settled: Mapping[str, Any]
    about: Mapping[str, Any]
    test: Examples
    split: str
    groups: np.ndarray
    learned: PixelRows
    learned_targets: np.ndarray
    batch: int
    progress: Progress = silent

    @property
    def told(self) -> Told:
        """How the trained network's outputs are to be read."""
        return told(self.task.answer, self.contract, self.labels, self.settled, self.learned_targets)

    @property
    def metadata(self) -> dict[str, str]:
        """Of an ONNX file."""
        return metadata_of(self.about)


@dataclass(frozen=True, eq=False)
class Made:
    """An export that has proved itself.

    Args:
        files: name to bytes.
        graph: what it takes and gives; None where there is none.
    """

    files: Mapping[str, bytes]
    graph: Graph | None
    agreement: Agreement
