"""A run's network, or a bundle's, at work on new images."""

from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.bundle import Bundle, Predictor, bundle_predictor, is_bundle
from foveal.errors import BundleError, UnreadableImage
from foveal.extras import extra
from foveal.readers.paths import image_files
from foveal.run import Run
from foveal.task import FileAnswer
from foveal.tasks import named_task
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load", "opened", "predict"]


def opened(path: str | Path | Run | Bundle) -> Run | Bundle:
    """The run or the bundle that is there.

    Raises:
        RunError: there is neither.
        BundleError: the bundle is damaged, was changed, or is of a later version.
    """
    if isinstance(path, Bundle):
        return path
    return Bundle.open(path) if isinstance(path, str | Path) and is_bundle(path) else Run.open(path)


def load(path: str | Path | Run | Bundle, *, net: "nn.Module | None" = None, device: str = "auto") -> Predictor:
    """A finished run's network, or a bundle's, ready to answer: `load(path)("photo.jpg").label`.

    A bundle needs neither torch nor the images it was trained on.

    Args:
        net: of a run, or a bundle of torch, whose network is a module of your own.
        device: of a run as for `train`; of a bundle `cpu`, or `cuda` where onnxruntime-gpu is installed.

    Raises:
        RunError: there is neither a finished run nor a bundle.
        BundleError: the bundle is damaged, was changed, or is of a later version.
        RecipeError: the device is not there.
    """
    if isinstance(path, Bundle) or is_bundle(path):
        bundle = path if isinstance(path, Bundle) else Bundle.open(path)  # pyright: ignore[reportArgumentType]
        return _of_bundle(bundle, net, device)
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.predictor import run_predictor

    run = Run.open(path)  # pyright: ignore[reportArgumentType]
    return run_predictor(run, named_task(run.info["task"]), choose_device(device), net)


def _of_bundle(bundle: Bundle, net: "nn.Module | None", device: str) -> Predictor:
    task, manifest = named_task(bundle.manifest.task), bundle.manifest
    if manifest.kind != "torch":
        if net is not None:
            raise BundleError(f"{bundle.path} has its network with it: net=… is for runs and for bundles of torch.")
        return bundle_predictor(bundle, task, device)
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.predictor import weights_predictor
    return weights_predictor(bundle, task, choose_device(device), net)


def predict(
    run: str | Path | Run | Bundle | Predictor,
    images: str | Path | Iterable[str | Path],
    *,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Generator[FileAnswer]:
    """An answer a file, in order, as they come; closing the generator stops it.

    Args:
        run: a finished run or a bundle; or what `load` gave, then `net` and `device` are its own.
        images: files, folders (all files in them, at any depth) and glob patterns.
        device: as for `load`.
        progress: is told `predicting`, how many files are answered, and of how many.

    Raises:
        FovealError: a path or pattern matches nothing.
        RunError: there is neither a finished run nor a bundle.
        BundleError: the bundle is damaged, was changed, or is of a later version.
        RecipeError: the device is not there.
    """
    files = image_files(images)
    predictor = run if isinstance(run, Predictor) else load(run, net=net, device=device)

    def answers() -> Generator[FileAnswer]:
        with closing(predictor.many(files)) as predictions:
            for done, (file, answer) in enumerate(zip(files, predictions, strict=True), 1):
                failed = isinstance(answer, UnreadableImage)
                yield FileAnswer(file, None, answer.message) if failed else FileAnswer(file, answer)
                if progress:
                    progress("predicting", done, len(files))

    return answers()
