"""What is there, in images and in networks, before anything is learned."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.bundle import Bundle, is_bundle
from foveal.errors import NetError, RunError, SourceError
from foveal.extras import extra
from foveal.recipes import named_recipe
from foveal.run import CUSTOM_NET, Run
from foveal.task import Task
from foveal.types import Dataset, Finding, Progress, Reading, Source

if TYPE_CHECKING:
    from torch import nn

    from foveal.nets import Description, Layer

    Net = str | Sequence[Layer] | nn.Module

__all__ = ["describe", "look", "propose_split", "resolve_task", "task_and_data"]

AUTO = "auto"
SIZE, OUTPUTS = (32, 32, 3), 10  # of a network that is described


def look(
    source: "str | Path | Source" = "digits",
    *,
    task: str = AUTO,
    reading: Reading | None = None,
    suspects: bool = False,
    shortcuts: bool = False,
    minutes: float = 1.0,
    decisions: str | Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Decode every image once and say what is there: labels, sizes, what cannot be read, what is there twice or nearly,
    what looks unlike the rest.

    Args:
        source: a folder of class folders, an archive of one, a table of images, a data set of the Hugging Face hub
            (`hf:OWNER/NAME`), or a built-in set (`digits`, `cifar10`, `cifar100`).
        task: what is to be learned; found from the targets when left out.
        reading: how the targets are to be found, where the source leaves that open.
        suspects: find labels, values or boxes that look wrong, too, by networks that learn for `minutes`: findings of
            the kinds `label-suspect`, `value-suspect`, `missing-box-suspect`, `misplaced-box-suspect` and
            `doubled-box-suspect`, the worst first.
        shortcuts: find out, too, whether the border, the colours or the form of the file alone tell the label, the
            labels or the values: findings of the kind `shortcut`.
        decisions: a table of what to leave out and what belongs together, as `look --fix` proposes one.
        progress: is told what is going on (`decoding`, `downloading`), how much is done, and of how much.

    Raises:
        SourceError: there is nothing usable there; the message says what was found. Or suspects or shortcuts were asked
            for, and there are too few images, or, for shortcuts, the targets are boxes.
    """
    from foveal.api.checking import check_labels, check_shortcuts
    from foveal.data import look as look_at
    from foveal.data import open_source
    from foveal.data.decisions import NOTHING_DECIDED, read_decisions

    decided = NOTHING_DECIDED if decisions is None else read_decisions(decisions)
    with extra("train"):
        opened = open_source(source, reading or Reading(), progress=progress)
        dataset = look_at(opened, resolve_task(task, opened), decisions=decided, progress=progress)
    more: tuple[Finding, ...] = check_shortcuts(dataset, progress=progress)[1] if shortcuts else ()
    if suspects:
        more += check_labels(dataset, minutes=minutes, progress=progress).findings
    return replace(dataset, findings=dataset.findings + more) if more else dataset


def resolve_task(name: str, source: Source) -> Task:
    """The task of that name; for `auto` the first of `TASKS` whose answer the targets of the source suit.

    Raises:
        RecipeError: no such task.
        SourceError: the targets suit no task.
    """
    from foveal.data.memo import recall_task, remember_task
    from foveal.tasks import TASKS, named_task

    if name != AUTO:
        return named_task(name)
    known = recall_task(source, tuple(TASKS))
    if known:
        return TASKS[known]
    cells = [entry.cell for entry in source.entries()]
    found = next((task for task in TASKS.values() if task.answer.suits(cells, source.columns)), None)
    if found is None:
        raise SourceError(
            f"The targets in {source.spec} suit no task; they look like {', '.join(map(repr, cells[:5]))}.",
            remedy=f"Name one: --task {' or '.join(TASKS)}.",
        )
    remember_task(source, tuple(TASKS), found.name)
    return found


def propose_split(dataset: Dataset, recipe: str = "default", seed: int = 0) -> Dataset:
    """The division into train, validation and test that training with that recipe would use."""
    from foveal.data import divide

    named = named_recipe(recipe, dataset)
    return divide(dataset, validation=named.validation, test=named.test, seed=seed)


def describe(
    net: "Net | Path" = "cookbook",
    *,
    size: tuple[int, int, int] | None = None,
    outputs: int | None = None,
    task: str = AUTO,
) -> "Description":
    """Layer by layer: output shape, parameters, FLOPs, receptive field, and what dense layers would need.

    Args:
        net: as for `train`; or the folder of a run or bundle, whose network, size, outputs and task are then meant.
        size: height, width, channels of the input; 32×32×3 unless said.
        outputs: numbers the output layer gives, such as classes; 10 unless said.
        task: whose head comes after it; `auto` is classification, but detection for the nets of the zoo that are made
            for boxes and for lines that end in `ssd`.

    Raises:
        NetError: the net cannot be built on that input; the message names the token.
    """
    from foveal.nets import describe as describe_net
    from foveal.nets.zoo import is_for_boxes
    from foveal.tasks import named_task

    if isinstance(net, str | Path) and (known := _network_in(Path(net))):
        net, its_size, its_outputs, its_task = known
        size, outputs, task = size or its_size, outputs or its_outputs, its_task if task == AUTO else task
    size, outputs = size or SIZE, outputs or OUTPUTS
    net = str(net) if isinstance(net, Path) else net
    if isinstance(net, str | Sequence):
        for_boxes = "detection" if is_for_boxes(net) else "classification"
        strides = named_task(for_boxes if task == AUTO else task).strides
        return describe_net(net, size, outputs, strides=strides)
    with extra("train"):
        from foveal.nets.describe_module import describe_module
    return describe_module(net, size)


def _network_in(path: Path) -> tuple[str, tuple[int, int, int], int, str] | None:
    """The line, the size, the outputs and the task of the network in a run's folder or a bundle's; None of neither.

    Raises:
        NetError: the network is somebody's own module, of which nothing but the weights is kept.
    """
    if is_bundle(path):
        manifest = Bundle.open(path).manifest
        net, contract, labels, task = manifest.recipe["net"], manifest.input, manifest.labels, manifest.task
    elif (path / "run.json").is_file():
        run = Run.open(path)
        net, contract, labels, task = run.recipe.net, run.recipe.input, run.info["labels"], run.info["task"]
    else:
        return None
    if net == CUSTOM_NET:
        raise NetError(
            f"The network of {path} is a module of somebody's own, which it does not hold.",
            remedy="Describe the module itself, in Python: foveal.describe(module, size=(height, width, channels)).",
        )
    return net, (contract.height, contract.width, contract.channels), len(labels), task


def task_and_data(run: Run, progress: Progress | None) -> tuple[Task, Dataset]:
    """The run's task and its images as they were divided.

    Raises:
        RunError: the images are not those of the run.
    """
    from foveal.data import read_split
    from foveal.tasks import named_task

    about = {"task": run.info["task"], "reading": Reading.of(run.info.get("reading", {}))}
    dataset = look(run.info["source"], decisions=_decisions(run), progress=progress, **about)
    dataset = read_split(run.split, dataset)
    if dataset.fingerprint != run.info["fingerprint"]:
        raise RunError(
            f"The images in {run.info['source']} are not those that {run.path} was trained on: their content changed.",
            remedy="Bring the old images back, or train again.",
        )
    task = named_task(run.info["task"])
    return task, relabelled(dataset, task, tuple(run.info["labels"]))


def relabelled(dataset: Dataset, task: Task, labels: tuple[str, ...]) -> Dataset:
    """The dataset with these labels, in this order: those of a run, which may know some that no image here shows.

    Raises:
        ValueError: a target has none of them.
    """
    if labels == dataset.labels:
        return dataset
    targets = task.targets(dataset.cells, labels)
    return replace(dataset, labels=labels, targets=targets, strata=task.answer.strata(targets))


def _decisions(run: Run) -> Path | None:
    """The run's own copy of the decisions that it obeyed.

    Raises:
        RunError: it is not there any more, or was changed.
    """
    known = run.info.get("decisions")
    if known is None:
        return None
    try:
        now = hashlib.sha256(run.decisions.read_bytes()).hexdigest()
    except OSError as error:
        now = error.strerror or str(error)
    if now != known:
        raise RunError(
            f"Expected the decisions that the run was trained with in {run.decisions} (SHA-256 {known}), found {now}.",
            remedy="Bring the file back as it was, or train again.",
        )
    return run.decisions
