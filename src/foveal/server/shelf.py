"""The models that a server has, by name; exchanged while it answers."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foveal.bundle import Bundle, Manifest, Predictor, bundle_predictor
from foveal.errors import FovealError, ServeError
from foveal.readers.image import ImageReader
from foveal.server.batching import Batcher
from foveal.server.logs import log
from foveal.server.metrics import Metrics
from foveal.server.priority import step_back
from foveal.server.problems import Problem
from foveal.server.settings import Settings
from foveal.tasks import named_task

__all__ = ["Served", "Shelf"]

SETTLING = 1.0  # seconds


@dataclass(frozen=True, eq=False)
class Served:
    """A model that answers."""

    name: str
    manifest: Manifest
    batcher: Batcher

    @property
    def version(self) -> str:
        """Of its weights; changes when they do."""
        return self.manifest.weights_sha256[:12]


class Shelf:
    """All of them. To be used in one event loop; whoever has taken a `Served` may go on with it after a reload."""

    def __init__(self, places: Mapping[str, Path], settings: Settings, metrics: Metrics) -> None:
        """
        Raises:
            FovealError: a bundle cannot be served; the message says why.
        """
        self._places, self._settings, self._metrics = places, settings, metrics
        self.decoders = ThreadPoolExecutor(settings.limits.decoders, "foveal-decode", step_back)
        self._runner = ThreadPoolExecutor(1, "foveal-run", step_back)
        self._opener = ThreadPoolExecutor(1, "foveal-open", step_back)  # threads of ONNX Runtime inherit its priority
        self._changing = asyncio.Lock()
        self.models = self._shelved(self._opener.submit(self._opened).result())

    def find(self, name: str | None) -> Served:
        """A model by its name; the only one where None.

        Raises:
            Problem: 404.
        """
        known = ", ".join(self.models)
        if name is None and len(self.models) > 1:
            raise Problem(404, "which-model", f"Several models are served ({known}): POST /v1/models/NAME/predict")
        name = name if name is not None else next(iter(self.models))
        if name not in self.models:
            raise Problem(404, "no-model", f"Expected one of the models {known}; there is no other.")
        return self.models[name]

    async def reload(self) -> dict[str, str]:
        """Open all bundles again and answer with them from now on; requests under way end with those they began with.

        Returns name to version.

        Raises:
            FovealError: one of them cannot be served; all stay as they were.
        """
        async with self._changing:
            before = {name: served.version for name, served in self.models.items()}
            try:
                opened = await asyncio.get_running_loop().run_in_executor(self._opener, self._opened)
            except FovealError as error:
                self._metrics.reloads.labels("refused").inc()
                log("reload refused", "error", reason=error.message)
                raise
            self.models = self._shelved(opened)
            after = {name: served.version for name, served in self.models.items()}
            self._metrics.reloads.labels("done").inc()
            log("reloaded", before=before, after=after)
            return after

    def _opened(self) -> dict[str, tuple[Manifest, Predictor]]:
        return {name: _opened(path, self._settings) for name, path in self._places.items()}

    def _shelved(self, opened: Mapping[str, tuple[Manifest, Predictor]]) -> dict[str, Served]:
        return {
            name: Served(
                name,
                manifest,
                Batcher(name, predictor, self._settings.limits, self.decoders, self._runner, self._metrics),
            )
            for name, (manifest, predictor) in opened.items()
        }


def _opened(path: Path, settings: Settings) -> tuple[Manifest, Predictor]:
    """A bundle, ready: it has answered one image, and as many as a run may have.

    Raises:
        FovealError: it is damaged, or needs torch.
    """
    bundle = Bundle.open(path)
    if bundle.manifest.kind == "torch":
        raise ServeError(
            f"{path} is a bundle of torch, and the server has no torch.",
            remedy="Export the run again: foveal export RUN, or with --to int8 or --to openvino",
        )
    task = named_task(bundle.manifest.task)
    if isinstance(task.reader, ImageReader):
        task = replace(task, reader=replace(task.reader, megapixels=settings.limits.megapixels))
    predictor = bundle_predictor(bundle, task, settings.device, settings.threads, shared=True)
    contract, most = bundle.manifest.input, min(settings.limits.batch, predictor.largest)
    try:  # the runtime keeps the memory that batches of each size need: now rather than some at some later time
        until = time.monotonic() + SETTLING
        for size in range(most, 0, -1):
            predictor.run(np.zeros((size, contract.height, contract.width, contract.channels), np.uint8))
            if time.monotonic() > until:
                break
    except FovealError:
        raise
    except Exception as error:  # whatever the runtime raises
        raise ServeError(f"The model of {path} cannot answer: {type(error).__name__}: {error}") from error
    return bundle.manifest, predictor
