"""What a random split of the same images would have claimed, beside what the run's own division says."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from foveal.api.measuring import answers
from foveal.errors import RecipeError, RunError
from foveal.events import Started, Step
from foveal.examples import Examples
from foveal.extras import extra
from foveal.files import write_atomic, write_folder
from foveal.measured import Score
from foveal.phrasing import command
from foveal.run import CUSTOM_NET, Run
from foveal.task import Task
from foveal.types import Dataset, Progress, Reading

__all__ = ["FOLDER", "begin_random_split", "groups_told", "random_split_of", "refuse_random"]

FOLDER = "random-split"
FEW = 0.1  # of the images: where fewer belong together, memory cannot tell many of them


def begin_random_split(run: Run, progress: Progress | None = None) -> Run:
    """The run inside of this one that learns its recipe on a random division of the same images into the same sizes;
    made where it is not there yet, and not trained.

    Raises:
        RunError: training has not finished; no image belongs with another; or the run went on from a network that has
            seen images which the other division tests on.
        RecipeError: the net is a module, whose first weights come from no seed; or several processes ask.
    """
    from foveal.api.looking import task_and_data
    from foveal.data.split import divide_at_random, write_split
    from foveal.engine.team import join

    folder = run.path / FOLDER
    if (folder / "run.json").is_file():
        return Run(folder)
    _check(run, join().size)
    _, dataset = task_and_data(run, progress)
    if len(np.unique(dataset.groups)) == len(dataset):
        raise RunError(
            f"No image of {run.info['source']} belongs with another, so the division in {run.path} is a random one.",
            remedy="Say what belongs together when training: --group-column, --group-pattern or --group-level.",
        )
    info = {name: value for name, value in run.info.items() if name != "plan"}
    info |= {"created": datetime.now(UTC).isoformat(timespec="seconds"), "random_split_of": str(run.path.resolve())}
    divided = divide_at_random(dataset, run.recipe.seed)

    def fill(place: Any) -> None:
        write_atomic(place / "recipe.json", run.recipe.model_dump_json(indent=2) + "\n")
        write_atomic(place / "run.json", json.dumps(info, indent=2) + "\n")
        write_split(divided, place / "split.csv")
        if run.decisions.is_file():
            write_atomic(place / "decisions.csv", run.decisions.read_bytes())

    write_folder(folder, fill)
    return Run(folder)


def _check(run: Run, processes: int) -> None:
    refuse_random(run)
    if not run.finished:
        raise RunError(
            f"Training in {run.path} has not finished: there is nothing to compare a random split with.",
            remedy=f"Finish it with: {command('foveal', 'resume', run.path)}",
        )
    if run.recipe.net == CUSTOM_NET:
        raise RecipeError(
            "A module of your own cannot be trained once more: its first weights come from no seed.",
            remedy="Train it yourself on a division of your own, and compare.",
        )
    if run.recipe.begin:
        raise RunError(
            f"{run.path} went on from {run.info['start']}, which has learned from images that a random split would "
            "test on.",
            remedy="Ask it of a run that began from scratch or from pretrained weights.",
        )
    if processes > 1:
        raise RecipeError("The random split is trained by one process.", remedy="Leave out torchrun.")


def refuse_random(run: Run) -> None:
    """
    Raises:
        RunError: this is the training on a random split of another run, whose number is not to be quoted.
    """
    if of := run.info.get("random_split_of"):
        raise RunError(
            f"{run.path} is what {of} is compared with: its division parts what belongs together.",
            remedy=f"Both are measured by: {command('foveal', 'evaluate', of, '--random-split')}",
        )


def random_split_of(
    run: Run,
    task: Task,
    dataset: Dataset,
    outputs: np.ndarray,
    measured: Score | None,
    test: Examples,
    learned: Examples,
    wanted: bool,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """As the report has it; None where fewer than 1 in 10 images of train and test belong with others, unless it is
    wanted, or where there is no score.

    What was trained on a random split before is measured again; its test images are not the run's, and nobody chooses
    by them, so they are not counted as looked at.

    Args:
        outputs: of the run's network for its test images.
        measured: the first score of the headline; None where it is not defined.
        test, learned: the images of test and of train.
        wanted: train on a random split where that was not done.
    """
    with extra("train"):
        from foveal.measure import ERRORS
        from foveal.measure.random_split import Answered, claim_of, recalled, together
        from foveal.report.random_split import told_random_split

    rows = [dataset.rows(name) for name in ("test", "train")]
    groups = dataset.groups[rows[0]], dataset.groups[rows[1]]
    found = together(groups[1], groups[0])
    other = Run(run.path / FOLDER)
    known = other.finished and (other.path / "run.json").is_file()
    if measured is None or not (wanted or known or found.images >= FEW * sum(map(len, rows))):
        return None
    if wanted and not known:
        _learn(run, progress)
    seed, labels = run.recipe.seed, dataset.labels
    error = task.headline[0] in ERRORS
    pixels, network = recalled(task, test, learned, groups, labels, seed), None
    if wanted or known:
        there = Answered(*_answered(other, task, dataset, progress))
        own = Answered(task.rate(outputs, test, labels, run.settled).first, groups[0])
        network = claim_of(own, [there], seed, error=error)
        network = network and replace(network, own=measured)
    told = {
        "score": task.headline[0],
        "kind": _kind(dataset.source.reading),
        **asdict(found),
        "own": asdict(measured),
        **{name: asdict(claim) if claim else None for name, claim in (("pixels", pixels), ("network", network))},
    }
    return {**told, "words": told_random_split(told)}


def groups_told(dataset: Dataset, rows: np.ndarray) -> dict[str, Any] | None:
    """As the report has it; None where each image is alone."""
    count = len(np.unique(dataset.groups[rows]))
    return {"kind": _kind(dataset.source.reading), "count": count} if count < len(rows) else None


def _kind(reading: Reading) -> str:
    """What belongs together, where it was said by name."""
    named = re.compile(reading.group_pattern).groupindex if reading.group_pattern else ()
    return reading.group or " and ".join(named)


def _answered(run: Run, task: Task, dataset: Dataset, progress: Progress | None) -> tuple[Any, np.ndarray]:
    """The network of a finished run on the test images of its own division of this dataset: its score under weights,
    and their groups."""
    from foveal.data import read_split

    divided = read_split(run.split, dataset)
    rows = divided.rows("test")
    outputs, test = answers(run, task, divided, rows, progress=progress)
    return task.rate(outputs, test, dataset.labels, run.settled).first, dataset.groups[rows]


def _learn(run: Run, progress: Progress | None) -> None:
    """What is there goes on where it was stopped."""
    from foveal.api.learning import resuming

    other, started = begin_random_split(run, progress), None
    for event in resuming(other, progress=progress):
        if isinstance(event, Started):
            started = event
        elif isinstance(event, Step) and started and progress:
            done = event.epoch * started.steps + event.step
            progress("training on a random split, step", done, started.total)
