"""How the score grows with the number of training images, and what more of them would buy."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.learning import new_run, refuse_taken
from foveal.api.looking import look, task_and_data
from foveal.api.preparing import Asked, prepare
from foveal.errors import RecipeError, RunError
from foveal.extras import extra
from foveal.files import write_atomic
from foveal.recipe import Recipe
from foveal.run import Run, free_run_path
from foveal.types import Dataset, Progress, Reading, Source, silent

if TYPE_CHECKING:
    from foveal.engine.devices import Device
    from foveal.report.learning_curve import LearningCurve, Trained

__all__ = ["SHARES", "begin_curve", "curve", "is_curve", "resume_curve"]

FILE = "shares.json"
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
REPEATS = 2
HELD_OUT, MOST_HELD_OUT = 0.15, 5000  # share, and images, where the minutes make the recipe
USED = 0.9  # of the minutes; the rest is for decoding and measuring
NEVER = 10**6  # epochs


def curve(
    source: "str | Path | Source | Dataset" = "digits",
    *,
    shares: Sequence[float] = SHARES,
    repeats: int = REPEATS,
    reach: float | None = None,
    minutes: float | None = None,
    task: str = "auto",
    reading: Reading | None = None,
    recipe: str | Recipe | None = None,
    net: Any = None,
    pretrained: bool | None = None,
    accept_licence: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    **changes: Any,
) -> "LearningCurve":
    """Train on growing shares of the training images, fit a power law with an offset, say what more images would buy.

    All trainings have the same recipe, with as many passes, and are measured on the validation images, which none of
    them learns from and nothing is chosen on: the weights of the last epoch are kept. The test images are not looked
    at. Smaller shares lie within larger ones, each label in its proportion, groups whole; each repeat draws its own.
    Killed, `resume_curve` goes on after the last training that was finished.

    Args:
        shares: of the training images, four different ones at least.
        repeats: trainings of each share, with other seeds and other images.
        reach: a score to say the number of images for.
        minutes: for everything. A recipe is made that fits; later repeats are left out where the time is over.
        out: the curve's folder, `runs/NAME-curve-N` when left out. Must not be there yet.
        progress: is told what is going on, how much is done, and of how much.
        source, task, reading, recipe, net, pretrained, accept_licence, device, changes: as for `train`.

    Raises:
        RecipeError: the shares will not do, or the net is a module, whose first weights come from no seed.
        FovealError: otherwise as `train`.
    """
    began = time.monotonic()
    how = {"pretrained": pretrained, "accept_licence": accept_licence, "device": device, "progress": progress}
    asked = Asked(source, task, reading, recipe, minutes, net, **how, changes=changes)
    path = begin_curve(asked, shares=shares, repeats=repeats, reach=reach, out=out)
    return resume_curve(path, progress=progress, began=began)


def begin_curve(
    asked: Asked, *, shares: Sequence[float], repeats: int, reach: float | None, out: str | Path | None = None
) -> Path:
    """The folder of a new curve, with its recipe and its division of the images; nothing is trained yet.

    Raises:
        FovealError: as `curve`.
    """
    with extra("train"):
        from foveal.engine.team import join

    refuse_taken(out)
    shares = _checked(shares, repeats, asked.net)
    if join().size > 1:
        raise RecipeError("A curve is measured by one process.", remedy="Leave out torchrun.")
    dataset, minutes, changes = asked.source, asked.minutes, dict(asked.changes)
    if not isinstance(dataset, Dataset):
        dataset = look(dataset, task=asked.task, reading=asked.reading, progress=asked.progress)
    if minutes is not None and "validation" not in dataset.given:
        changes.setdefault("validation", min(HELD_OUT, MOST_HELD_OUT / len(dataset)))
    each = USED * minutes / (repeats * sum(shares)) if minutes is not None else None
    at = prepare(replace(asked, source=dataset, minutes=each, changes=changes))
    own = at.ready.recipe.changed(keep="last", patience=None, validate_every=NEVER, pace=())
    at = replace(at, ready=replace(at.ready, recipe=own))
    path = Path(out) if out is not None else free_run_path(Path("runs"), f"{dataset.source.name}-curve")
    new_run(path, at)
    told = {"shares": shares, "repeats": repeats, "reach": reach, "minutes": minutes}
    write_atomic(path / FILE, json.dumps(told) + "\n")
    return path


def is_curve(path: Path | str) -> bool:
    """Whether a learning curve was begun in a folder."""
    return (Path(path) / FILE).is_file()


def resume_curve(
    path: Path | str, *, device: str | None = None, progress: Progress | None = None, began: float | None = None
) -> "LearningCurve":
    """Go on with a curve that was stopped or killed.

    Args:
        began: `time.monotonic()` when the work began that the minutes are for; now when left out.

    Raises:
        RunError: there is no curve, or the images have changed since.
    """
    with extra("train"):
        from foveal.engine.devices import choose_device

    run = Run.open(path)
    if not is_curve(path):
        raise RunError(f"Expected a learning curve (a folder with {FILE}) at {path}.")
    was = run.info["environment"]
    asked = json.loads((run.path / FILE).read_text())
    on = choose_device(device or was["device"], was["threads"])
    return _measured(run, asked, time.monotonic() if began is None else began, on, progress)


def _checked(shares: Sequence[float], repeats: int, net: Any) -> list[float]:
    from foveal.measure.learning_curve import FEWEST

    found = sorted(set(shares))
    if len(found) < FEWEST or not all(0 < share <= 1 for share in found):
        raise RecipeError(
            f"Expected {FEWEST} different shares or more, above 0 and at most 1; found "
            f"{', '.join(f'{share:g}' for share in shares) or 'none'}.",
            remedy="Give some such as 0.1 0.2 0.4 0.7 1.",
        )
    if repeats < 1:
        raise RecipeError(f"Expected one repeat or more, found {repeats}.")
    if net is not None and not isinstance(net, str | list | tuple):
        raise RecipeError(
            "A module of your own cannot be trained several times: its first weights come from no seed.",
            remedy="Give the net as a line or as layers of foveal.nets.",
        )
    return found


def _measured(
    run: Run, asked: dict[str, Any], began: float, device: "Device", progress: Progress | None
) -> "LearningCurve":
    from foveal.api.shares import keep, learn, rated, read, subset
    from foveal.data.cache import pixels
    from foveal.measure.learning_curve import FEWEST
    from foveal.report.curve_page import write_curve_page
    from foveal.report.learning_curve import build_curve

    task, dataset = task_and_data(run, progress)
    array = pixels(dataset, task.reader, run.recipe.input, progress=progress)
    sizes = {len(subset(dataset, share, run.recipe.seed)) for share in asked["shares"]}
    if len(sizes) < FEWEST:
        raise RecipeError(
            f"The shares of {len(dataset.rows('train')):,} training images are only {len(sizes)} different numbers of "
            f"images, and a law takes {FEWEST}.",
            remedy="Give shares farther apart, or more images.",
        )
    points: list[Trained] = []
    todo = [(repeat, share) for repeat in range(asked["repeats"]) for share in asked["shares"]]
    notes: list[str] = []
    for number, (repeat, share) in enumerate(todo, 1):
        seed = run.recipe.seed + repeat
        rows = subset(dataset, share, seed)
        place = run.path / "points" / f"{share:g}-{seed}.npz"
        if not place.is_file():
            if _over(points, repeat, len(rows), asked["minutes"], time.monotonic() - began):
                notes.append(f"{len(todo) - number + 1} of {len(todo)} trainings were left out: the minutes were over")
                break
            start = time.monotonic()
            tell = partial(progress or silent, f"training {number} of {len(todo)}, on {len(rows):,} images, step")
            network = learn(run, dataset, array, rows, seed, device, tell)
            columns = rated(run, task, dataset, array, network, device)
            training = np.array([share, len(rows), seed, time.monotonic() - start])
            keep(place, {"training": training, **columns})
        points.append(read(place))
    found = build_curve(
        points,
        folder=str(run.path),
        task=task.name,
        labels=dataset.labels,
        images=len(dataset.rows("train")),
        held_out=len(dataset.rows("validation")),
        reach=asked["reach"],
        seed=run.recipe.seed,
        notes=notes,
    )
    write_atomic(run.path / "curve.json", found.model_dump_json(indent=1) + "\n")
    write_curve_page(found, run.path / "curve.html")
    return found


def _over(points: "Sequence[Trained]", repeat: int, images: int, minutes: float | None, passed: float) -> bool:
    """Whether another training would not fit; the first of each share is always made."""
    if minutes is None or repeat == 0 or not points:
        return False
    rate = sum(point.seconds for point in points) / sum(point.images for point in points)
    return passed + rate * images > 60 * minutes
