"""A training that starts from another run's network: more labels, more images, nothing known given up unseen."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.looking import task_and_data
from foveal.api.measuring import examples
from foveal.errors import RecipeError, RunError
from foveal.extras import extra
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Measurement, Progress

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BeforeAfter", "before_after", "continued", "divided_like", "start_recipe"]


@dataclass(frozen=True)
class BeforeAfter:
    """What the old and the new network make of the test images of what the old one knew.

    Args:
        images: that both were measured on.
        labels: that the old one knew and these images show, in its order.
    """

    images: int
    labels: tuple[str, ...]
    before: Measurement
    after: Measurement

    def as_dict(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "labels": list(self.labels),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
        }


def start_recipe(run: Run) -> Recipe:
    """The recipe of the run, to go on with: its minutes are over, and its weights take the place of pretrained ones."""
    from foveal.engine.checkpoint import file_sha256

    _refuse_unfinished(run)
    return run.recipe.changed(pace=[], weights=None, begin=file_sha256(run.weights))


def continued(dataset: Dataset, task: Task, run: Run) -> Dataset:
    """The dataset with the run's labels first, in their order, and new ones after them.

    Raises:
        RecipeError: the run learned something else than these images can teach.
    """
    if run.info["task"] != task.name:
        raise RecipeError(
            f"{run.path} learned {run.info['task']}, and these images were read for {task.name}.",
            remedy=f"Say --task {run.info['task']}, or train without --from.",
        )
    known = tuple(run.info["labels"])
    labels = (*known, *(label for label in dataset.labels if label not in known))
    try:
        targets = task.targets(dataset.cells, labels)
    except ValueError as error:
        raise RecipeError(f"The targets do not go with those of {run.path}: {error}.") from error
    if targets.ndim == 2 and targets.shape[1] != len(labels):
        raise RecipeError(
            f"{run.path} learned {', '.join(known)}; these images have {', '.join(dataset.labels)}.",
            remedy="Give the same columns: --target NAME.",
        )
    return replace(dataset, labels=labels, targets=targets, strata=task.answer.strata(targets))


def divided_like(dataset: Dataset, run: Run, recipe: Recipe) -> Dataset:
    """Every image that the run knew, by name, stays in the split that it was in there; so does what belongs to it. The
    others are divided as usual. Splits that the source itself names win."""
    from foveal.data import divide
    from foveal.data.split import stored_splits

    if dataset.given:
        return divide(dataset, validation=recipe.validation, test=recipe.test, seed=recipe.seed)
    old = stored_splits(run.split)
    known = dataset.with_splits(np.array([old.get(file, "") for file in dataset.files], dtype="<U10"))
    settled = known.splits != ""
    return divide(known, validation=recipe.validation, test=recipe.test, seed=recipe.seed, settled=settled)


def put_start(network: Any, run: Run, labels: tuple[str, ...]) -> None:
    """Load the run's weights; of the output layer the rows of the labels that it knew.

    Raises:
        RunError: the run's network is another one.
    """
    import torch

    from foveal.engine.checkpoint import load_weights

    tensors, own = load_weights(run.weights), network.state_dict()
    known = len(run.info["labels"])
    for name, tensor in own.items():
        found = tensors.get(name)
        if found is None or (found.shape != tensor.shape and not _grown(found, tensor, known, len(labels))):
            raise RunError(
                f"{run.path} has another network: {name} is not there, or of another shape.",
                remedy="Leave out --net and the recipe: those of the run are used.",
            )
        with torch.no_grad():
            tensor[: len(found)].copy_(found) if found.ndim else tensor.copy_(found)
    network.load_state_dict(own)


def before_after(
    run: str | Path | Run, *, net: "nn.Module | None" = None, progress: Progress | None = None
) -> BeforeAfter | None:
    """Measure the network that a run started from and the run's own on the same test images: those of the labels that
    the old one knew. None where the run started from no other, or that one is not there any more.

    Raises:
        RunError: training has not finished, or the images have changed since.
    """
    with extra("train"):
        from foveal.data.cache import pixels
        from foveal.engine.devices import choose_device
        from foveal.engine.infer import infer
        from foveal.engine.predictor import trained_network

    run = Run.open(run)
    start = run.info.get("start")
    if not start or not (Path(start) / "run.json").is_file():
        return None
    old = Run.open(start)
    task, dataset = task_and_data(run, progress)
    about, targets = task.answer.within(dataset.targets, len(old.info["labels"]))
    rows, learned = (part[about[part]] for part in (dataset.rows("test"), dataset.rows("train")))
    if not len(rows):
        return None
    device = choose_device()
    measured = []
    for one in (old, run):
        array = pixels(dataset, task.reader, one.recipe.input, progress=progress)
        outputs = infer(trained_network(one, task, device, net), array, rows, device.torch)
        labels = tuple(one.info["labels"])
        asked = replace(dataset, targets=targets if one is old else dataset.targets)
        test, train = (examples(asked, array, part, task, one.recipe.input) for part in (rows, learned))
        measured.append(task.measure(outputs, test, train, labels, run.recipe.seed, one.settled))
    return BeforeAfter(len(rows), tuple(old.info["labels"]), *measured)


def _refuse_unfinished(run: Run) -> None:
    if not run.finished:
        raise RunError(
            f"Training in {run.path} has not finished: there is no {run.weights.name}.",
            remedy=f"Finish it with: foveal resume {run.path}",
        )


def _grown(found: Any, own: Any, known: int, now: int) -> bool:
    """Whether a tensor is that of the output layer, with more rows now."""
    return found.ndim == own.ndim > 0 and found.shape[1:] == own.shape[1:] and (len(found), len(own)) == (known, now)
