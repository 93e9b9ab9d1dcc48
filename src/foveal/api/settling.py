"""What a run settles on its validation images, settled anew for another wish."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.bundle import MANIFEST
from foveal.errors import RecipeError
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset
from foveal.wishes import Wish

if TYPE_CHECKING:
    from foveal.engine.devices import Device
    from foveal.nets.layers import Network

__all__ = ["check_wish", "outdated_bundles", "settle_again"]

HELD_OUT = {
    "train": "Hold some out with --validation 0.15",
    "evaluate": "Train again with some held out (foveal train … --validation 0.15)",
}


def check_wish(wish: Wish | None, task: Task, dataset: Dataset, verb: str = "train") -> None:
    """
    Args:
        verb: the command that was given the wish.

    Raises:
        RecipeError: the wish has no meaning for the task or its labels, or there are no validation images to choose on.
    """
    if not wish:
        return
    try:
        task.answer.check(wish, dataset.labels)
    except ValueError as error:
        remedy = f"Leave it out, or see `foveal {verb} --help` for what --at, --coverage, --risk and --cost mean."
        raise RecipeError(f"This cannot be done for {task.name}: {error}.", remedy=remedy) from error
    if not len(dataset.rows("validation")):
        raise RecipeError(
            "An operating point is chosen on the validation images, and there are none.",
            remedy=HELD_OUT[verb] + ", or leave out --at, --coverage, --risk and --cost.",
        )


def settle_again(
    run: Run, wish: Wish, task: Task, dataset: Dataset, array: np.ndarray, network: "Network", device: "Device"
) -> None:
    """Choose on the validation images what the wish asks for, and write it into the run in place of what was there.

    Args:
        array: pixels of all of the dataset.

    Raises:
        RecipeError: as `check_wish`.
    """
    from foveal.engine.infer import infer
    from foveal.engine.scenes import placed_targets
    from foveal.engine.settle import settled_on

    check_wish(wish, task, dataset, "evaluate")
    rows = dataset.rows("validation")
    targets = placed_targets(dataset, task, run.recipe.input) if task.answer.placed else dataset.targets
    outputs: Any = (
        infer(network, array, rows, device.torch) if len(rows) else np.zeros((0, task.answer.outputs(dataset.labels)))
    )
    found = settled_on(task.answer, outputs, targets[rows], dataset.labels, wish, array, dataset.rows("train"), rows)
    run.write_settled(found)


def outdated_bundles(run: Run) -> list[tuple[Path, str]]:
    """Bundles in the run's folder that do not answer as the run does now, since they were exported before it was
    settled anew: folder and kind. Where else bundles are, a run does not know."""
    found = []
    for path in sorted([*run.path.glob(f"*/{MANIFEST}"), *run.path.glob(f"*/*/{MANIFEST}")]):
        with suppress(OSError, ValueError, KeyError, TypeError):  # one that is damaged answers nothing
            told = json.loads(path.read_bytes())
            if told["settled"] != run.settled:
                found.append((path.parent, str(told["kind"])))
    return found
