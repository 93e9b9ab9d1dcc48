"""Whether the labels of somebody's images look right, and whether something else than the thing gives them away."""

import io
import time
import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import SourceError, WeightsError
from foveal.extras import extra
from foveal.measured import Score
from foveal.recipe import InputContract
from foveal.recipes import named_recipe, natural
from foveal.task import Task
from foveal.types import Dataset, Finding, Progress

if TYPE_CHECKING:
    from foveal.engine.pretrained import Weights
    from foveal.measure.shortcuts import FileFacts, Shortcuts
    from foveal.recipe import Recipe

__all__ = ["LabelCheck", "check_labels", "check_shortcuts"]

THUMBNAIL = 32  # pixels that histograms are taken from
ASKED = 20  # images between two signs of life


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What came of looking for wrong labels.

    Args:
        findings: one a suspect, the worst first.
        images: that were looked at: all that can be used.
        wrong: how many labels are wrong, as estimated.
        accuracy: of the networks that judged, out of fold, against the labels as they are given; the lower it is, the
            less they say of a single label.
        net: of those networks, in one line.
        seconds: that it took.
        notes: what a person should know of how it came about.
    """

    findings: tuple[Finding, ...]
    images: int
    wrong: float
    accuracy: Score
    net: str
    seconds: float
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the findings are told elsewhere."""
        return {
            "images": self.images,
            "suspects": len(self.findings),
            "wrong": round(self.wrong, 1),
            "accuracy": asdict(self.accuracy),
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
    """Find labels that look wrong: confident learning (Northcutt et al., JAIR 2021) from three networks, each of which
    answers for the third of the images that it did not see. Photographs are judged from the features of a pretrained
    backbone, where its weights can be had, anything else by small networks trained for the minutes.

    All images take part, test images included: nothing is learned for later, and a wrong label is wrong in any split.

    Args:
        minutes: for all of it, on this machine.

    Raises:
        SourceError: the images do not have one label each, or too few of them.
        RecipeError: the minutes are no time, or too few.
    """
    with extra("train"):
        from foveal.engine.devices import choose_device
        from foveal.engine.out_of_fold import FOLDS, probabilities_by_features, probabilities_by_training
    from foveal.measure.folds import folds_of
    from foveal.measure.intervals import wilson
    from foveal.measure.suspects import find_suspects, suspect_findings

    began, task = time.monotonic(), _exclusive(dataset, "label suspects")
    on, labels = choose_device(device), dataset.targets.astype(np.int64)
    parts = folds_of(dataset.strata, dataset.groups, FOLDS, seed)
    weights, notes = _weights(dataset)
    if weights:
        found, net = probabilities_by_features(dataset, task, parts, minutes, *weights, on, progress)
    else:
        found, net = probabilities_by_training(dataset, task, parts, minutes, on, seed, progress)
    suspects = find_suspects(found, labels)
    findings = suspect_findings(suspects, found, labels, dataset.labels, dataset.files)
    accuracy = wilson(int((found.argmax(axis=1) == labels).sum()), len(labels))
    return LabelCheck(findings, len(dataset), suspects.wrong, accuracy, net, time.monotonic() - began, notes)


def check_shortcuts(
    dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
) -> "tuple[Shortcuts, tuple[Finding, ...]]":
    """How well a part of the image, its colours, or its file tell the label, each on its own; and a finding for each
    that tells it far better than the most frequent label, and no worse than the thing itself.

    Raises:
        SourceError: the images do not have one label each, or too few of them.
    """
    with extra("train"):
        from foveal.data.cache import pixels
    from foveal.measure.shortcuts import SIDE, chosen, find_shortcuts, histogram, shortcut_findings, views_of

    task = _exclusive(dataset, "shortcuts")
    rows = chosen(dataset.targets, seed)
    some = _subset(dataset, rows)
    contract = InputContract(
        height=THUMBNAIL, width=THUMBNAIL, channels=3 if some.channels == 3 else 1, resize="stretch"
    )
    array = pixels(some, task.reader, contract, progress=progress)[np.arange(len(some))]
    step = THUMBNAIL // SIDE
    small = array.reshape(len(some), SIDE, step, SIDE, step, -1).mean(axis=(2, 4)).round().astype(np.uint8)
    views = views_of(small, np.stack([histogram(image) for image in array])) | _file_views(some, progress)
    found = find_shortcuts(views, some.targets.astype(np.int64), some.groups, seed)
    return found, shortcut_findings(found)


def _exclusive(dataset: Dataset, what: str) -> Task:
    """The task of the dataset.

    Raises:
        SourceError: its targets are not one label an image, or there are too few images.
    """
    from foveal.tasks import named_task

    task = named_task(dataset.task)
    if not task.answer.exclusive:
        raise SourceError(
            f"Expected one label an image to look for {what}, found {task.summary} in {dataset.source.spec}.",
            remedy="Leave the option out; or name another target or task, where there is one: --task classification.",
        )
    used = int((np.bincount(dataset.targets, minlength=1) > 0).sum())
    if used < 2 or len(dataset) < 30:
        raise SourceError(
            f"Expected at least 30 images of two labels to look for {what}, found {len(dataset)} of {used}.",
            remedy="Add images.",
        )
    return task


def _weights(dataset: Dataset) -> "tuple[tuple[Recipe, Weights] | None, tuple[str, ...]]":
    """The recipe and the weights of a pretrained backbone, for photographs where they can be had."""
    from foveal.engine.pretrained import find_weights, follow_weights

    if not natural(dataset):
        return None, ()
    recipe = named_recipe("pretrained", dataset)
    try:
        weights = find_weights(recipe)
    except WeightsError as error:
        return None, (f"judged by networks trained from scratch: {' '.join(error.message.split())}",)
    return (follow_weights(recipe, weights, set()), weights), ()


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
