"""A training on a share of the training images, in memory, and measured on the images held out."""

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.beginning import begin_again
from foveal.api.measuring import examples
from foveal.errors import RunError
from foveal.events import Started, Step
from foveal.files import write_atomic
from foveal.report.learning_curve import Trained
from foveal.run import Run
from foveal.task import Task
from foveal.types import Dataset

if TYPE_CHECKING:
    from foveal.engine.devices import Device

__all__ = ["keep", "learn", "rated", "read", "subset"]


def subset(dataset: Dataset, share: float, seed: int) -> np.ndarray:
    """Rows of a share of the training images: of every stratum its first groups, in an order drawn with the seed."""
    groups: dict[int, list[int]] = defaultdict(list)
    for row in dataset.rows("train").tolist():
        groups[int(dataset.groups[row])].append(row)
    strata: dict[int, list[list[int]]] = defaultdict(list)
    for rows in groups.values():
        strata[int(dataset.strata[rows[0]])].append(rows)

    def drawn(rows: list[int]) -> bytes:
        return hashlib.sha256(f"{seed} curve {dataset.files[rows[0]]}".encode("utf-8", "surrogatepass")).digest()

    chosen: list[int] = []
    for members in strata.values():
        for rows in sorted(members, key=drawn)[: max(1, round(share * len(members)))]:
            chosen += rows
    return np.array(sorted(chosen))


def learn(
    run: Run,
    dataset: Dataset,
    array: np.ndarray,
    rows: np.ndarray,
    seed: int,
    device: "Device",
    tell: Callable[[int, int], object],
) -> Any:
    """A network trained on some rows, with the recipe and another seed. The images held out take no part in it, and its
    folder is gone afterwards."""
    from foveal.engine.predictor import network_for
    from foveal.engine.steps import training_set
    from foveal.engine.train import train
    from foveal.tasks import named_task

    task, recipe = named_task(run.info["task"]), run.recipe.changed(seed=seed)
    network = network_for(recipe, task, dataset.labels)
    begin_again(run, network, dataset)
    data = training_set(dataset, array, task, recipe.input)
    data = replace(data, train=rows, validation=rows[:0])
    with tempfile.TemporaryDirectory() as folder:
        started: Started | None = None
        for event in train(network, task.answer, recipe, data, Run(Path(folder)), device, save_every=math.inf):
            if isinstance(event, Started):
                started = event
            elif isinstance(event, Step) and started:
                tell(event.epoch * started.steps + event.step, started.total)
    return network


def rated(
    run: Run, task: Task, dataset: Dataset, array: np.ndarray, network: Any, device: "Device"
) -> dict[str, np.ndarray]:
    """The first score and that of each label on the images held out, as measured and of resamples of their groups.

    Raises:
        RunError: the images held out give no score.
    """
    from foveal.engine.infer import infer
    from foveal.measure.intervals import DRAWS, resampled

    rows = dataset.rows("validation")
    outputs = infer(network, array, rows, device.torch)
    answers = task.rate(outputs, examples(dataset, array, rows, task, run.recipe.input), dataset.labels)
    _, groups = np.unique(dataset.groups[rows], return_inverse=True)
    weights = resampled(int(groups.max()) + 1, run.recipe.seed, DRAWS // max(1, len(dataset.labels)))
    parts = [answers.under(np.ones((len(rows), 1))), *(answers.under(some[groups]) for some in weights)]
    name, label_name = next(iter(parts[0][0]), ""), next(iter(parts[0][1]), "")
    if not name or not np.isfinite(parts[0][0][name]).all():
        raise RunError(
            f"The {len(rows):,} images held out give no score: none of them shows any of the labels.",
            remedy="Hold out more: --set validation=0.3",
        )
    scores = np.concatenate([part[0][name] for part in parts])
    labels = (
        np.concatenate([part[1][label_name] for part in parts], axis=1) if label_name else np.zeros((0, len(scores)))
    )
    return {"names": np.array([name, label_name]), "scores": scores, "labels": labels}


def keep(place: Path, columns: dict[str, np.ndarray]) -> None:
    kept = BytesIO()
    np.savez(kept, **columns)  # pyright: ignore[reportArgumentType]
    place.parent.mkdir(exist_ok=True)
    write_atomic(place, kept.getvalue())


def read(place: Path) -> Trained:
    """
    Raises:
        RunError: it is damaged.
    """
    try:
        with np.load(place, allow_pickle=False) as kept:
            told = {name: kept[name] for name in kept.files}
        share, images, seed, seconds = told["training"].tolist()
        return Trained(
            share, int(images), int(seed), seconds, told["scores"], told["labels"], tuple(told["names"].tolist())
        )
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{place} is damaged: {error}.", remedy="Delete it, and resume the curve.") from error
