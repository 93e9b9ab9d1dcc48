"""Measuring a run on its test images."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveal.api.looking import task_and_data
from foveal.extras import extra
from foveal.recipe import InputContract
from foveal.run import Run
from foveal.task import Examples, PixelRows, Task
from foveal.types import Dataset, Progress

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.devices import Device
    from foveal.measure.corruptions import Corrupted
    from foveal.measure.robustness import Robustness
    from foveal.measure.shifts import Shifted
    from foveal.report import Report

__all__ = ["evaluate", "examples", "report_of"]

THUMBNAIL_SIDE, SCENE_SIDE = 128, 400  # pixels; the larger one where boxes are drawn over it


def evaluate(
    run: str | Path | Run,
    *,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
    on_report: "Callable[[Report], object]" = lambda report: None,
    verb: str = "evaluate",
    robustness: bool = False,
) -> "Report":
    """Measure a finished run on its test split, count the look, and write report.json and report.html.

    Args:
        robustness: measure, too, what images that are worse (blurred, noisy, turned, …) or shifted do to the first
            score: the network answers some fifty times for up to 1,000 test images.
        on_report: is shown the report as soon as report.json is written; drawing report.html comes after.

    Raises:
        RunError: training has not finished, or the images have changed since.
    """
    with extra("train"):
        from foveal.data import summary
        from foveal.data.cache import pixels
        from foveal.engine.devices import choose_device
        from foveal.engine.infer import infer
        from foveal.engine.predictor import trained_network
        from foveal.engine.probe import outputs_from
        from foveal.engine.steps import pixels_key
        from foveal.report import build_report, write_page

    run = Run.open(run)
    record, dataset = task_and_data(run, progress)
    device = choose_device()
    network = trained_network(run, record, device, net)
    array = pixels(dataset, record.reader, run.recipe.input, progress=progress)
    looks = run.count_look(verb)
    rows = dataset.rows("test")
    if run.recipe.epochs == 0 and not run.recipe.mirror_test:
        outputs = outputs_from(network, array, pixels_key(dataset, run.recipe.input), rows, device)
    else:
        outputs = infer(network, array, rows, device.torch)
    places = record, run.recipe.input
    test, learned = (examples(dataset, array, dataset.rows(split), *places) for split in ("test", "train"))
    measurement = record.measure(outputs, test, learned, dataset.labels, run.recipe.seed, run.settled)
    build = partial(
        build_report,
        measurement,
        task=record,
        looks=looks,
        recipe=run.recipe.model_dump(mode="json"),
        data=summary(dataset, record),
        settled=run.settled,
        environment=run.info["environment"],
        history=run.history(),
    )
    report = build()
    if robustness:
        report.write(run.report)  # it takes minutes: what is known by now outlasts a stop
        worse = _robustness(network, device, outputs, test, record, dataset.labels, run, progress)
        report = build(robustness=worse)
    report.write(run.report)
    on_report(report)
    row_of = {dataset.files[row]: row for row in rows} if measurement.mistakes else {}
    thumbnails = {
        mistake.file: _thumbnail(dataset, record, array, run.recipe.input, row_of[mistake.file])
        for mistake in measurement.mistakes
    }
    write_page(report, thumbnails, run.report / "report.html")
    return report


def report_of(
    run: str | Path | Run,
    *,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
    on_report: "Callable[[Report], object]" = lambda report: None,
) -> "Report":
    """The report that a finished run has; where it has none yet, or one of another recipe, made
    now, as the end of training.

    Args:
        on_report: is shown the report as soon as it is there, as in `evaluate`.
    """
    with extra("train"):
        from foveal.report import Report

    run = Run.open(run)
    path = run.report / "report.json"
    report = Report.read(path) if path.is_file() else None
    if report and report.recipe == run.recipe.model_dump(mode="json"):
        on_report(report)
        return report
    return evaluate(run, net=net, progress=progress, on_report=on_report, verb="train")


def examples(dataset: Dataset, array: np.ndarray, rows: np.ndarray, task: Task, contract: InputContract) -> Examples:
    """Some rows of a dataset, as a measure sees them.

    Args:
        array: pixels of all of it.
    """
    files, sizes = [dataset.files[row] for row in rows], dataset.sizes[rows].tolist()
    maps = [task.reader.geometry(width, height, contract) for height, width in sizes] if task.answer.placed else []
    return Examples(files, PixelRows(array, rows), dataset.targets[rows], maps)


def _robustness(
    network: "nn.Module",
    device: "Device",
    outputs: np.ndarray,
    test: Examples,
    task: Task,
    labels: Sequence[str],
    run: Run,
    progress: Progress | None,
) -> "Robustness | None":
    from foveal.engine.infer import infer
    from foveal.measure.robustness import MOST_IMAGES, measure_robustness, passes

    images = min(MOST_IMAGES, len(test.files))
    done, total = 0, images * passes(task, *test.pixels.shape[1:3])

    def tick(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress("answering for worse images", done, total)

    def answer(worse: "Corrupted | Shifted") -> np.ndarray:
        return infer(network, worse, np.arange(len(worse)), device.torch, tick)

    return measure_robustness(task, answer, outputs, test, labels, run.recipe.seed, run.settled)


def _thumbnail(dataset: Dataset, task: Task, array: np.ndarray, contract: InputContract, row: int) -> np.ndarray:
    """The whole image, small: from the pixels, where they are all of it, so that the source stays closed (to list an
    archive of 60,000 files again takes most of a second), otherwise from its file."""
    whole = (*dataset.sizes[row], dataset.channels) == (contract.height, contract.width, contract.channels)
    image = array[[row]][0] if whole else task.reader.read(dataset.source.read(dataset.files[row]))
    scale = min(1.0, (SCENE_SIDE if task.answer.placed else THUMBNAIL_SIDE) / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    contract = InputContract(height=height, width=width, channels=3 if image.shape[2] == 3 else 1, resize="stretch")
    return task.reader.prepare(image, contract)[0]
