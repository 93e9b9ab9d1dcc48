"""Measuring a run on its test images."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.found import found_in
from foveal.api.looking import task_and_data
from foveal.api.settling import check_wish, settle_again
from foveal.errors import FovealError
from foveal.examples import Examples, PixelRows
from foveal.extras import extra
from foveal.measured import Measurement
from foveal.recipe import InputContract
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Progress, SplitName
from foveal.wishes import wish_of

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.devices import Device
    from foveal.measure.corruptions import Corrupted
    from foveal.measure.robustness import Robustness
    from foveal.measure.shifts import Shifted
    from foveal.nets.layers import Network
    from foveal.report import Report

__all__ = ["answers", "evaluate", "examples", "report_of"]

THUMBNAIL_SIDE, SCENE_SIDE = 128, 400  # pixels; the larger one where boxes are drawn over it

PARTS: tuple[SplitName, SplitName] = ("test", "train")


@dataclass(frozen=True, eq=False)
class _Opened:
    """A finished run with what measuring it needs.

    Args:
        array: pixels of the dataset.
    """

    run: Run
    task: Task
    dataset: Dataset
    array: np.ndarray
    network: "Network"
    device: "Device"


def evaluate(
    run: str | Path | Run,
    *,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
    on_report: "Callable[[Report], object]" = lambda report: None,
    verb: str = "evaluate",
    at: str | Sequence[str] = (),
    coverage: float | str | None = None,
    risk: float | str | None = None,
    cost: str | Sequence[str] = (),
    robustness: bool = False,
    random_split: bool = False,
) -> "Report":
    """Measure a finished run on its test split, count the look, and write report.json and report.html.

    Args:
        at, coverage, risk, cost: as for `train`: choose the run's operating point anew, on its validation images, and
            keep it in the run in place of the one that was there, before anything is measured; `"none"` takes it away.
            Bundles that were exported before answer as they did.
        robustness: measure, too, what images that are worse (blurred, noisy, turned, …) or shifted do to the first
            score: the network answers some fifty times for up to 1,000 test images.
        random_split: train the same recipe once more, on a random division of the same images, in `random-split` inside
            of the run, and say what that would have claimed. Killed, the next call goes on with it. A report has it
            from then on.
        on_report: is shown the report as soon as report.json is written; drawing report.html comes after.

    Raises:
        RecipeError: such an operating point has no meaning for the task or its labels; or the net is a module, which
            cannot be trained once more.
        RunError: training has not finished, or the images have changed since; or no random split can be compared.
    """
    from foveal.api.claiming import begin_random_split, random_split_of, refuse_random

    wish = wish_of(at, coverage, risk, cost)
    with extra("train"):
        from foveal.data import summary
        from foveal.report import build_report

    run = Run.open(run)
    refuse_random(run)
    task, dataset = task_and_data(run, progress)
    check_wish(wish, task, dataset, "evaluate")
    if random_split:
        begin_random_split(run, progress)  # or say why not, before a look is counted
    there = _opened(run, task, dataset, net, progress)
    if wish is not None:
        settle_again(run, wish, task, dataset, there.array, there.network, there.device)
    looks = run.count_look(verb)
    outputs = _outputs(there, dataset.rows("test"))
    test, learned = (examples(dataset, there.array, dataset.rows(name), task, run.recipe.input) for name in PARTS)
    measurement = task.measure(outputs, test, learned, dataset.labels, run.recipe.seed, run.settled)
    measurement = _with_parts(measurement, there, outputs, test)
    about = {"task": task, "looks": looks, "data": summary(dataset, task), **_beside(there, outputs)}
    build = partial(build_report, measurement, **about)
    report = build()
    if robustness or random_split:
        report.write(run.report)  # it takes minutes: what is known by now outlasts a stop
    first = measurement.scores.get(task.headline[0])
    claimed = random_split_of(run, task, dataset, outputs, first, test, learned, random_split, progress)
    worse = _robustness(there, outputs, test, progress) if robustness else None
    report = build(robustness=worse, random_split=claimed) if worse or claimed else report
    report.write(run.report)
    on_report(report)
    _write_pages(report, there)
    return report


def _opened(run: Run, task: Task, dataset: Dataset, net: "nn.Module | None", progress: Progress | None) -> _Opened:
    """
    Raises:
        RunError: training has not finished.
    """
    with extra("train"):
        from foveal.data.cache import pixels
        from foveal.engine.devices import choose_device
        from foveal.engine.predictor import trained_network

    device = choose_device()
    network = trained_network(run, task, device, net)
    array = pixels(dataset, task.reader, run.recipe.input, progress=progress)
    return _Opened(run, task, dataset, array, network, device)


def _write_pages(report: "Report", there: _Opened) -> None:
    """README.md and report.html, beside report.json."""
    from foveal.report import pictured, printable, write_card, write_page

    run = there.run
    write_card(report, run.report / "README.md", pipeline=there.task.pipeline, weights=run.info.get("weights"))
    wanted = pictured(report)
    rows = {file: row for row, file in enumerate(map(printable, there.dataset.files)) if file in wanted}
    pictures = {file: _thumbnail(there, row) for file, row in rows.items()}
    found = {file: picture for file, picture in pictures.items() if picture is not None}
    write_page(report, found, run.report / "report.html")


def _with_parts(measurement: Measurement, there: _Opened, outputs: np.ndarray, test: Examples) -> Measurement:
    """The measurement with the first score on parts of the test images, and the share of them that looks unlike the
    training images."""
    from foveal.measure.groups import groups_of
    from foveal.measure.intervals import share_of
    from foveal.measure.slices import slices
    from foveal.readers.familiarity import strangeness

    run, task, dataset, rows = there.run, there.task, there.dataset, there.dataset.rows("test")
    name = next((name for name in task.headline if name in measurement.scores), None)
    strange = strangeness(test.pixels, run.settled) if len(rows) else None
    share = None if strange is None else share_of(strange > 1, groups_of(test.groups))
    if name is None:
        return replace(measurement, unlike=share)
    at = name, measurement.scores[name], dataset.sizes[rows], _groups(dataset, rows)
    parts = slices(task.measure, outputs, test, dataset.labels, run.recipe.seed, run.settled, *at)
    return replace(measurement, slices=parts, unlike=share)


def _groups(dataset: Dataset, rows: np.ndarray) -> Sequence[str | None]:
    """Names of what the source keeps together; it is listed again only where a group is large enough to be scored."""
    from foveal.measure.slices import FEWEST

    if not len(rows) or np.bincount(dataset.groups[rows]).max() < FEWEST:
        return [None] * len(rows)
    named = {entry.file: entry.group for entry in dataset.source.entries()}
    return [named.get(dataset.files[row]) for row in rows]


def _beside(there: _Opened, outputs: np.ndarray) -> dict[str, Any]:
    """What a report says beside the measurement, of the run and of what is known of its images.

    Args:
        outputs: for all test images.
    """
    from foveal.api.claiming import groups_told

    run, dataset = there.run, there.dataset
    return {
        "recipe": run.recipe.model_dump(mode="json"),
        "settled": _told(run.settled),
        "without_twins": _without_twins(there, outputs),
        "found": found_in(run, there.task, dataset),
        "groups": groups_told(dataset, dataset.rows("test")),
        "environment": run.info["environment"],
        "history": run.history(),
        "all_looks": run.all_looks(),
    }


def _told(settled: dict[str, Any]) -> dict[str, Any]:
    """What a report says of it: not the hundreds of numbers of what images look like."""
    look = settled.get("look")
    return settled if look is None else {**settled, "look": {name: look[name] for name in ("level", "threshold", "n")}}


def _without_twins(there: _Opened, outputs: np.ndarray) -> dict[str, Any] | None:
    """The scores without the test images that have a twin in train or validation, as the report has them; None where
    none has one, or none is left. A network that knows those by heart looks better than it is.

    Args:
        outputs: for all test images.
    """
    from foveal.data.linking import rows_with_twins

    run, task, dataset = there.run, there.task, there.dataset
    rows, known = dataset.rows("test"), np.flatnonzero(np.isin(dataset.splits, ("train", "validation")))
    left = ~rows_with_twins(dataset.twins, len(dataset), rows, known)
    if left.all() or not left.any():
        return None
    # Without training images there are no baselines: they take longer than all else.
    test, none = (examples(dataset, there.array, part, task, run.recipe.input) for part in (rows[left], rows[:0]))
    measured = task.measure(outputs[left], test, none, dataset.labels, run.recipe.seed, run.settled)
    scores = {name: asdict(score) for name, score in measured.scores.items()}
    return {"images": int(left.sum()), "left_out": int((~left).sum()), "scores": scores}


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


def answers(
    run: Run,
    task: Task,
    dataset: Dataset,
    rows: np.ndarray,
    net: "nn.Module | None" = None,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Examples]:
    """Raw outputs of a finished run's network on some rows of its dataset, and those rows as a measure sees them.

    Raises:
        RunError: training has not finished.
    """
    there = _opened(run, task, dataset, net, progress)
    return _outputs(there, rows), examples(dataset, there.array, rows, task, run.recipe.input)


def _outputs(there: _Opened, rows: np.ndarray) -> np.ndarray:
    from foveal.engine.infer import infer
    from foveal.engine.probe import outputs_from
    from foveal.engine.steps import pixels_key

    recipe = there.run.recipe
    if recipe.epochs == 0 and not recipe.mirror_test:
        return outputs_from(there.network, there.array, pixels_key(there.dataset, recipe.input), rows, there.device)
    return infer(there.network, there.array, rows, there.device.torch)


def examples(dataset: Dataset, array: np.ndarray, rows: np.ndarray, task: Task, contract: InputContract) -> Examples:
    """Some rows of a dataset, as a measure sees them.

    Args:
        array: pixels of all of it.
    """
    files, sizes = [dataset.files[row] for row in rows], dataset.sizes[rows].tolist()
    maps = [task.reader.geometry(width, height, contract) for height, width in sizes] if task.answer.placed else []
    return Examples(files, PixelRows(array, rows), dataset.targets[rows], maps, dataset.groups[rows])


def _robustness(there: _Opened, outputs: np.ndarray, test: Examples, progress: Progress | None) -> "Robustness | None":
    from foveal.engine.infer import infer
    from foveal.measure.robustness import MOST_IMAGES, measure_robustness, passes

    run, task = there.run, there.task
    images = min(MOST_IMAGES, len(test.files))
    done, total = 0, images * passes(task, *test.pixels.shape[1:3])

    def tick(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress("answering for worse images", done, total)

    def answer(worse: "Corrupted | Shifted") -> np.ndarray:
        return infer(there.network, worse, np.arange(len(worse)), there.device.torch, tick)

    return measure_robustness(task, answer, outputs, test, there.dataset.labels, run.recipe.seed, run.settled)


def _thumbnail(there: _Opened, row: int) -> np.ndarray | None:
    """The whole image, small: from the pixels, where they are all of it, so that the source stays closed (to list an
    archive of 60,000 files again takes most of a second), otherwise from its file; None where that cannot be read any
    more."""
    task, dataset, contract = there.task, there.dataset, there.run.recipe.input
    whole = (*dataset.sizes[row], dataset.channels) == (contract.height, contract.width, contract.channels)
    try:
        image = there.array[[row]][0] if whole else task.reader.read(dataset.source.read(dataset.files[row]))
    except (FovealError, OSError):
        return None
    scale = min(1.0, (SCENE_SIDE if task.answer.placed else THUMBNAIL_SIDE) / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    contract = InputContract(height=height, width=width, channels=3 if image.shape[2] == 3 else 1, resize="stretch")
    return task.reader.prepare(image, contract)[0]
