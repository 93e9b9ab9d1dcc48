"""A training that starts from another run's network: more labels, more images, nothing known given up unseen."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.looking import look, relabelled, task_and_data
from foveal.api.measuring import examples
from foveal.errors import FovealError, RecipeError, RunError
from foveal.extras import extra
from foveal.measured import Measurement
from foveal.phrasing import command
from foveal.recipe import Recipe
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset, Progress, Reading

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
        whole = relabelled(dataset, task, labels)
    except ValueError as error:
        raise RecipeError(f"The targets do not go with those of {run.path}: {error}.") from error
    if whole.targets.ndim == 2 and whole.targets.shape[1] != len(labels):
        raise RecipeError(
            f"{run.path} learned {', '.join(known)}; these images have {', '.join(dataset.labels)}.",
            remedy="Give the same columns: --target NAME.",
        )
    return whole


def divided_like(
    dataset: Dataset, task: Task, run: Run, recipe: Recipe, progress: Progress | None = None
) -> tuple[Dataset, str]:
    """Every image that the run knew, by its name or its pixels, stays in the split that it was in there; so does what
    belongs to it. The others are divided as usual. Splits that the source itself names win.

    Returns:
        the divided dataset, and what the user must know of it; mostly nothing.
    """
    from foveal.data import divide

    shares = {"validation": recipe.validation, "test": recipe.test, "seed": recipe.seed}
    old, note = _old_splits(dataset, task, run, progress)
    if dataset.given:
        divided = divide(dataset, **shares)
        learned = int(((divided.splits == "test") & np.isin(old, ("train", "validation"))).sum())
        leak = f"{learned:,} of the test images are images that {run.path} learned from or chose on" if learned else ""
        return divided, leak or note
    return divide(dataset.with_splits(old), **shares, settled=old != ""), note


def _old_splits(dataset: Dataset, task: Task, run: Run, progress: Progress | None) -> tuple[np.ndarray, str]:
    """(N,) the split that each image was in, empty where the run did not know it. Where names are not enough, both sets
    are compared by their pixels; a note where the old images are gone."""
    from foveal.data.contents import contents
    from foveal.data.split import stored_splits

    stored = stored_splits(run.split)
    splits = np.array([stored.get(file, "") for file in dataset.files], dtype="<U10")
    if (splits != "").all():
        return splits, ""
    try:
        knew = look(run.info["source"], task=task.name, reading=Reading.of(run.info.get("reading", {})))
        pixels = zip(knew.files, contents(knew, task.reader, progress=progress))
        split_of = {pixel: stored[file] for file, pixel in pixels if file in stored}
    except FovealError:
        gone = f"the images of {run.path} are not in {run.info['source']} any more: they are known by their names alone"
        return splits, f"{gone}, and one under another name may be measured that was learned from"
    for row, pixel in enumerate(contents(dataset, task.reader, progress=progress)):
        splits[row] = split_of.get(pixel, "")
    return splits, ""


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
            remedy=f"Finish it with: {command('foveal', 'resume', run.path)}",
        )


def _grown(found: Any, own: Any, known: int, now: int) -> bool:
    """Whether a tensor is that of the output layer, with more rows now."""
    return found.ndim == own.ndim > 0 and found.shape[1:] == own.shape[1:] and (len(found), len(own)) == (known, now)
