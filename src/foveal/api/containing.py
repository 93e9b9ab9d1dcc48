"""From a finished run to a folder that a container is built from."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.api.exporting import check_place, export
from foveal.bundle import Bundle
from foveal.files import write_atomic
from foveal.run import Run
from foveal.ship.container import container_files
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import nn

__all__ = ["container"]


def container(
    run: str | Path | Run,
    *,
    out: str | Path | None = None,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
) -> Bundle:
    """Export a run as ONNX, and write beside the bundle a Dockerfile and a compose file of a server for it.

    Args:
        out: the folder; `docker` in the run unless said. The bundle is in it.

    Raises:
        BundleError: something is there already.
        FovealError: as of `export`; nothing is left behind.
    """
    run = Run.open(run)
    place = Path(out) if out is not None else run.path / "docker"
    check_place(run, place)
    bundle = export(run, out=place / "bundle", net=net, progress=progress)
    name = re.sub(r"[^A-Za-z0-9._-]|^[^A-Za-z0-9]", "-", run.path.absolute().name).lstrip("-")[:64] or "model"
    for file, text in container_files(name, version("foveal")).items():
        (place / file).parent.mkdir(exist_ok=True)
        write_atomic(place / file, text)
    return bundle
