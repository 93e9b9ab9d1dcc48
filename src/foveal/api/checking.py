"""Whether the labels of somebody's images look right, and whether something else than the thing gives them away."""

import io
import math
import time
import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import RecipeError, SourceError, WeightsError
from foveal.extras import extra
from foveal.measured import Score
from foveal.recipe import InputContract
from foveal.recipes import named_recipe, natural
from foveal.suspicion import Suspicion, Telling
from foveal.task import Task
from foveal.types import Dataset, Finding, Progress

if TYPE_CHECKING:
    from foveal.engine.pretrained import Weights
    from foveal.measure.shortcuts import FileFacts, Shortcuts
    from foveal.recipe import Recipe

__all__ = ["LabelCheck", "check_labels", "check_shortcuts"]

THUMBNAIL = 32  # pixels that histograms are taken from
FEWEST = 30  # images
ASKED = 20  # images between two signs of life


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What came of looking for wrong labels, values or boxes.

    Args:
        what: was judged, in the plural: `labels`, `values`, `boxes`.
        findings: one a suspect, the worst first.
        images: that were looked at: all that can be used.
        targets: how many labels, values or boxes they have; of several labels each yes or no that is known is one.
        wrong: how many of those are wrong, as estimated; None where there is no estimate.
        measured: name of the score of the networks that judged, out of fold, against what is given; the lower it is,
            the less they say of a single label or box. `accuracy`; of several labels at once `macro_auroc`; of values
            `r2`; of boxes `recall`, the share that were found.
        score: it.
        net: of those networks, in one line.
        seconds: that it took.
        notes: what a person should know of how it came about.
    """

    what: str
    findings: tuple[Finding, ...]
    images: int
    targets: int
    wrong: float | None
    measured: str
    score: Score
    net: str
    seconds: float
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the findings are told elsewhere."""
        return {
            "images": self.images,
            "targets": self.targets,
            "suspects": len(self.findings),
            "wrong": None if self.wrong is None else round(self.wrong, 1),
            self.measured: asdict(self.score),
            "net": self.net,
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
        }


def check_labels(
    dataset: Dataset,
    *,
    minutes: float = 1.0,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> LabelCheck:
    """Find labels, values or boxes that look wrong, from three networks, each of which answers for the third of the
    images that it did not see: labels by confident learning (Northcutt et al., JAIR 2021), of several at once each by
    itself; values by how far off they are (`foveal.measure.value_suspects`); boxes by what detectors find
    (`foveal.measure.box_suspects`). Photographs are judged from a pretrained backbone, where its weights can be had:
    labels and values from its features, boxes by training it; anything else by networks trained from scratch, for the
    minutes.

    All images take part, test images included: nothing is learned for later, and a wrong label is wrong in any split.
    What is found is remembered, and reports of runs on the same images and targets show it.

    Args:
        minutes: for all of it, on this machine.

    Raises:
        SourceError: there are too few images, or their targets are all the same.
        RecipeError: the minutes are no time, or too few.
    """
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.out_of_fold import FOLDS, kept_by_features, kept_by_training
    from foveal.data.memo import remember_suspects
    from foveal.measure.folds import folds_of

    if not 0 < minutes < math.inf:
        raise RecipeError(f"Expected more than 0 minutes, found {minutes:g}.", remedy="Give it a minute at least.")
    began, on = time.monotonic(), choose_device(device)
    task, suspicion = _judged(dataset)
    parts = folds_of(dataset.strata, dataset.groups, FOLDS, seed)
    recipe, weights, notes = _beginning(dataset, task)
    if weights and recipe and not task.strides:  # one vector an image
        kept, net = kept_by_features(dataset, task, suspicion, parts, minutes, recipe, weights, on, progress)
    else:
        how = seed, progress, recipe, weights
        kept, net = kept_by_training(dataset, task, suspicion, parts, minutes, on, *how)
    told = suspicion.found(kept, dataset, seed)
    if told.score.value < told.least:
        notes += (f"the networks are right on little of it ({told.measured} {told.score}): give more --minutes",)
    counts = len(dataset), told.targets, told.wrong, told.measured, told.score
    found = LabelCheck(suspicion.what, told.findings, *counts, net, time.monotonic() - began, notes)
    known = {name: getattr(found, name) for name in ("what", "targets", "wrong", "measured", "notes")}
    remember_suspects(dataset, found.findings, {**known, "score": asdict(found.score)})
    return found


def check_shortcuts(
    dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
) -> "tuple[Shortcuts, tuple[Finding, ...]]":
    """How well a part of the image, its colours, or its file tell the label, the labels or the values, each on its own;
    and a finding for each that tells them far better than an answer that is always the same, and no worse than the
    thing itself.

    Raises:
        SourceError: the images have boxes, or there are too few of them, or their targets are all the same.
    """
    with extra("train"):
        from foveal.data.cache import pixels
    from foveal.measure.shortcuts import SIDE, chosen, find_shortcuts, histogram, shortcut_findings, views_of

    task, how = _told(dataset)
    rows = chosen(dataset.strata, seed)
    some = _subset(dataset, rows)
    contract = InputContract(
        height=THUMBNAIL, width=THUMBNAIL, channels=3 if some.channels == 3 else 1, resize="stretch"
    )
    array = pixels(some, task.reader, contract, progress=progress)[np.arange(len(some))]
    step = THUMBNAIL // SIDE
    small = array.reshape(len(some), SIDE, step, SIDE, step, -1).mean(axis=(2, 4)).round().astype(np.uint8)
    views = views_of(small, np.stack([histogram(image) for image in array])) | _file_views(some, progress)
    found = find_shortcuts(views, some.targets, some.groups, how, some.strata, some.labels, seed)
    return found, shortcut_findings(found)


def _told(dataset: Dataset) -> tuple[Task, Telling]:
    """The task of the dataset, and how well its targets are told.

    Raises:
        SourceError: they say where things are, or there are too few images.
    """
    from foveal.tasks import TASKS, named_task

    task = named_task(dataset.task)
    if task.telling is None:
        known = "; ".join(other.summary for other in TASKS.values() if other.telling)
        raise SourceError(
            f"Expected an answer for the whole image ({known}) to look for shortcuts, found {task.summary} in "
            f"{dataset.source.spec}: the border, the colours or the file of an image do not say where things are "
            "in it.",
            remedy="Leave --shortcuts out. To find out whether they tell which things are in an image, give a table "
            "of the images with the labels of their boxes.",
        )
    _enough(dataset, task, "shortcuts")
    return task, task.telling()


def _judged(dataset: Dataset) -> tuple[Task, Suspicion]:
    """The task of the dataset, and how its targets are judged.

    Raises:
        SourceError: they are not, or there are too few images.
    """
    from foveal.tasks import TASKS, named_task

    task, what = named_task(dataset.task), "label suspects"
    if task.suspicion is None:
        known = "; ".join(other.summary for other in TASKS.values() if other.suspicion)
        raise SourceError(
            f"Expected {known} to look for {what}, found {task.summary} in {dataset.source.spec}.",
            remedy="Leave the option out; or name another target or task, where there is one: --task classification.",
        )
    task.ready()
    _enough(dataset, task, what)
    return task, task.suspicion


def _enough(dataset: Dataset, task: Task, what: str) -> None:
    """
    Raises:
        SourceError: there are too few images, or labels.
    """
    counts = task.answer.summary(dataset.targets, dataset.labels)["labels"]
    placed = task.answer.placed
    used = sum(count > 0 for count in counts.values()) if placed else len(np.unique(dataset.strata))
    if used < (1 if placed else 2) or len(dataset) < FEWEST:
        wanted = "a label" if placed else "two labels" if counts else "different values"
        raise SourceError(
            f"Expected at least {FEWEST} images of {wanted} to look for {what}, found {len(dataset)} of {used}.",
            remedy="Add images.",
        )


def _beginning(dataset: Dataset, task: Task) -> "tuple[Recipe | None, Weights | None, tuple[str, ...]]":
    """What networks are trained with. For photographs the recipe and the weights of a pretrained backbone, where they
    can be had; otherwise the task's own recipe, or none where the minutes choose the net."""
    from foveal.engine.pretrained import find_weights, follow_weights

    own, notes = None if task.ladder else named_recipe(task.recipe, dataset), ()
    if not natural(dataset):
        return own, None, notes
    recipe = named_recipe(task.pretrained, dataset)
    try:
        weights = find_weights(recipe)
    except WeightsError as error:
        return own, None, (f"judged by networks trained from scratch: {' '.join(error.message.split())}",)
    settled = {"input.height", "input.width"} if task.strides else set()  # as `train` does: the images say which size
    return follow_weights(recipe, weights, settled), weights, notes


def _subset(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """These rows alone."""
    columns = {name: getattr(dataset, name)[rows] for name in ("targets", "strata", "groups", "splits", "sizes")}
    names = {name: tuple(getattr(dataset, name)[row] for row in rows.tolist()) for name in ("files", "cells")}
    return replace(dataset, **columns, **names)


def _file_views(dataset: Dataset, progress: Progress | None) -> dict[str, np.ndarray]:
    """What files give away; nothing where images are no files."""
    from foveal.measure.shortcuts import file_features, name_pattern, one_hot

    facts = []
    for number, file in enumerate(dataset.files, start=1):
        source = dataset.source.read(file)
        if isinstance(source, np.ndarray):
            return {}
        facts.append(_file_facts(source))
        if progress and number % ASKED == 0:
            progress("reading files", number, len(dataset))
    patterns = [name_pattern(*pair) for pair in zip(dataset.files, dataset.cells)]
    return {"file": file_features(facts), "name": one_hot(patterns)}


def _file_facts(source: bytes) -> "FileFacts":
    from PIL import Image

    from foveal.measure.shortcuts import FileFacts

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what the reader has dealt with: large images, odd EXIF
            image = Image.open(io.BytesIO(source))
            exif = "exif" in image.info or bool(image.getexif())
            return FileFacts(len(source), *image.size, image.mode, image.format or "", exif)
    except Exception:  # decoders raise whatever their format's parsing happens to hit; the pixels were read before
        return FileFacts(len(source), 0, 0, "", "", False)
