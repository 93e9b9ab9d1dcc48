"""Looking inside a run's network: what it did with an image and why, or what it is by itself."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.within import Inside, NoSuchTarget
from foveal.errors import FovealError, RecipeError, RunError, UnreadableImage
from foveal.extras import extra
from foveal.phrasing import counted
from foveal.readers.paths import image_files
from foveal.run import Run
from foveal.task import Prediction
from foveal.types import Progress

if TYPE_CHECKING:
    from torch import nn

    from foveal.api.inside import Samples
    from foveal.bundle import Predictor
    from foveal.explain import Tested
    from foveal.report.explained import ExplainedPage

__all__ = ["METHODS", "Explanation", "explain", "explain_network"]

METHODS = ("grad-cam", "integrated-gradients", "occlusion")
SAMPLES = 300  # images of the run that the network is seen at work on
SAMPLE_PIXELS = 1 << 19  # of all of them together, at most: 500 of 32×32, 10 of 224×224
NAMED = 10  # labels in a message


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a look inside gave for one file: why it could not be read, or the rest.

    Args:
        file: its name.
        prediction: what the network says of it.
        maps: where the answer comes from, each with its tests.
        page: the HTML page.
        error: why the file cannot be explained; None where it can.
    """

    file: str
    prediction: Prediction | None
    maps: "tuple[Tested, ...]"
    page: Path | None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: `{file, prediction, maps: [{method, target, passed, tests, …}], page}`, or `{file, error}`."""
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        return {
            "file": self.file,
            "prediction": self.prediction.as_dict() if self.prediction else None,
            "maps": [one.as_dict() for one in self.maps],
            "page": str(self.page),
        }


def explain(
    run: str | Path | Run,
    images: str | Path | Iterable[str | Path],
    *,
    target: str | None = None,
    box: int | None = None,
    methods: Sequence[str] = METHODS,
    out: str | Path | None = None,
    own_scale: bool = False,
    failed: bool = False,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Generator[Explanation]:
    """Look at a finished run's network at work on images: one page an image, as they come.

    Args:
        images: files, folders (all files in them, at any depth) and glob patterns.
        target: what is to be explained, the name of a label or a value; the network's answer when left out.
        box: the number of one of the boxes that are found, from 1, where the answer is boxes.
        methods: of `METHODS`.
        out: the folder of the pages, `RUN/explained` when left out. A page that is there is left alone: the new one is
            numbered.
        own_scale: each feature map has a colour scale of its own, instead of one for the layer.
        failed: show maps that failed their tests openly, too. They are no explanations.
        net, device: as for `load`.
        progress: is told `explaining`, how many files are done, and of how many; of one file alone, methods and layers,
            too.

    Raises:
        FovealError: a path or pattern matches nothing; no such method.
        RunError: there is no finished run.
    """
    for method in methods:
        if method not in METHODS:
            raise RecipeError(f"Expected a method ({', '.join(METHODS)}), found {method!r}.")
    files, run, predictor = image_files(images), Run.open(run), _loaded(run, net, device)
    if target is not None and target not in predictor.labels:
        known = ", ".join(predictor.labels[:NAMED]) + (", …" if len(predictor.labels) > NAMED else "")
        raise RecipeError(f"Expected what the network knows ({known}) as the target, found {target!r}.")
    if box is not None and not predictor.task.answer.placed:
        raise RecipeError(
            f"Expected a network that finds boxes for --box, found one of {predictor.task.name}: {run.path}.",
            remedy="Leave --box out, or name a label or value with --target.",
        )
    folder = _folder(run, out)

    def explanations() -> Generator[Explanation]:
        samples, note = _samples(run, progress)
        inner = Inside(run, predictor, samples, note, own_scale, failed)
        for done, file in enumerate(files):
            if progress:
                progress("explaining", done, len(files))
            try:
                told = progress if len(files) == 1 else None
                prediction, maps, page = inner.of_image(file, target, box, methods, told)
            except (UnreadableImage, NoSuchTarget) as error:
                yield Explanation(file, None, (), None, error.message)
                continue
            path = _written(page, folder, Path(file).stem)
            yield Explanation(file, prediction, maps, path)
        if progress:
            progress("explaining", len(files), len(files))

    return explanations()


def explain_network(
    run: str | Path | Run,
    *,
    out: str | Path | None = None,
    net: "nn.Module | None" = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """A page of a finished run's network by itself: its filters, what its channels like, and what convolution buys.

    Args: as for `explain`.

    Returns:
        The page.

    Raises:
        RunError: there is no finished run.
    """
    run, predictor = Run.open(run), _loaded(run, net, device)
    folder = _folder(run, out)
    samples, note = _samples(run, progress)
    return _written(Inside(run, predictor, samples, note).of_network(progress), folder, "network")


def _loaded(run: str | Path | Run, net: "nn.Module | None", device: str) -> "Predictor":
    from foveal.api.answering import load

    with extra("train"):
        import captum  # noqa: F401

        import foveal.explain  # noqa: F401
    return load(run, net=net, device=device)


def _samples(run: Run, progress: Progress | None) -> "tuple[Samples | None, str]":
    """Test images of the run; or none, and why: they may have gone since."""
    import torch

    from foveal.api.inside import Samples
    from foveal.api.looking import task_and_data
    from foveal.data.cache import pixels

    try:
        task, dataset = task_and_data(run, progress)
        array = pixels(dataset, task.reader, run.recipe.input, progress=progress)
    except FovealError as error:
        return None, f"Other images of the run cannot be shown beside this one: {error.message}"
    name = "test" if len(dataset.rows("test")) else "validation"
    most = min(SAMPLES, max(8, SAMPLE_PIXELS // (run.recipe.input.height * run.recipe.input.width)))
    rows = np.sort(np.random.default_rng(run.recipe.seed).permutation(dataset.rows(name))[:most])
    if not len(rows):
        return None, "The run has no test images to show beside this one."
    images = torch.from_numpy(np.ascontiguousarray(np.asarray(array[rows]).transpose(0, 3, 1, 2)))
    return Samples([dataset.files[row] for row in rows], images, counted(len(rows), f"{name} image")), ""


def _folder(run: Run, out: str | Path | None) -> Path:
    """Where pages go, made if need be.

    Raises:
        RunError: there is a file in its place.
    """
    folder = run.path / "explained" if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"Expected a folder for the pages, found a file: {folder}.", remedy="Choose another name.")
    return folder


def _written(page: "ExplainedPage", folder: Path, stem: str) -> Path:
    """The page under a name that is free."""
    from foveal.report.explained import write_explained

    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{stem}.html" if number == 1 else f"{stem}-{number}.html" for number in count(1))
    path = next(folder / name for name in names if not (folder / name).exists())
    write_explained(page, path)
    return path
