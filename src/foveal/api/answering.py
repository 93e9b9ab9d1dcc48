"""A run's network at work on new images."""

from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import UnreadableImage
from foveal.extras import extra
from foveal.readers.paths import image_files
from foveal.run import Run
from foveal.task import FileAnswer
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.predictor import Predictor

__all__ = ["load", "predict"]


def load(run: str | Path | Run, *, net: "nn.Module | None" = None, device: str = "auto") -> "Predictor":
    """A finished run's network, ready to answer: `load(run)("photo.jpg").label`.

    Args:
        device: as for `train`.

    Raises:
        RunError: there is no finished run.
        RecipeError: the device is not there.
    """
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.predictor import Predictor, trained_network
    from foveal.tasks import named_task

    run = Run.open(run)
    record = named_task(run.info["task"])
    on = choose_device(device)
    return Predictor(run, record, trained_network(run, record, on, net), on, tuple(run.info["labels"]))


def predict(
    run: "str | Path | Run | Predictor",
    images: str | Path | Iterable[str | Path],
    *,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Generator[FileAnswer]:
    """An answer a file, in order, as they come; closing the generator stops it.

    Args:
        run: a finished run; or what `load` gave, then `net` and `device` are its own.
        images: files, folders (all files in them, at any depth) and glob patterns.
        device: as for `train`.
        progress: is told `predicting`, how many files are answered, and of how many.

    Raises:
        FovealError: a path or pattern matches nothing.
        RunError: there is no finished run.
        RecipeError: the device is not there.
    """
    files = image_files(images)
    predictor = load(run, net=net, device=device) if isinstance(run, str | Path | Run) else run

    def answers() -> Generator[FileAnswer]:
        with closing(predictor.many(files)) as predictions:
            for done, (file, answer) in enumerate(zip(files, predictions, strict=True), 1):
                failed = isinstance(answer, UnreadableImage)
                yield FileAnswer(file, None, answer.message) if failed else FileAnswer(file, answer)
                if progress:
                    progress("predicting", done, len(files))

    return answers()
