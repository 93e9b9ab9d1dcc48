"""The same recipe trained with several seeds, on one division of the images: how far does the seed move the scores?"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.api.learning import refuse_taken, resuming, training
from foveal.api.looking import look
from foveal.api.measuring import report_of
from foveal.errors import RecipeError
from foveal.events import Event
from foveal.extras import extra
from foveal.files import write_atomic, write_folder
from foveal.run import Run, free_run_path
from foveal.series import Series
from foveal.types import Dataset, Progress, Reading, Source

if TYPE_CHECKING:
    from foveal.report.compared import Repeats

__all__ = ["begin_repeats", "repeat", "repeats_of", "resume_repeats", "trainings"]

FEWEST = 2


def repeat(
    source: "str | Path | Source | Dataset" = "digits",
    repeats: int = 5,
    *,
    task: str = "auto",
    reading: Reading | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    save_every: float = 30.0,
    on_event: Callable[[Event], object] = lambda event: None,
    **asked: Any,
) -> "Repeats":
    """Train the same recipe with several seeds, one after another, and say how far the seed moves the scores.

    The first is what `train` would make. The others have its recipe, as it was in the end, with the seeds that follow,
    and its division of the images, so that all have the same test images. Killed, `resume_repeats` goes on.

    Args:
        repeats: how many trainings, two or more.
        out: the folder of the series, `runs/NAME-N` when left out, with a run in each of `1`, `2`, …
        source, task, reading, device, save_every, on_event, asked: as for `train`. `minutes` are those of one training.

    Raises:
        FovealError: as `train`; or there are fewer than two repeats; or the net is a module, whose first weights come
            from no seed.
    """
    begin = {"task": task, "reading": reading, "out": out, "device": device, "save_every": save_every}
    series, first = begin_repeats(source, repeats, **begin, **asked)
    return _finish(series, trainings(series, first, save_every=save_every), on_event)


def resume_repeats(
    series: str | Path | Series,
    *,
    save_every: float = 30.0,
    on_event: Callable[[Event], object] = lambda event: None,
) -> "Repeats":
    """Go on with a series that was stopped or killed; each run ends with the bits it would have had.

    Raises:
        RunError: there is no series, or the images have changed since.
    """
    series = Series.open(series)
    return _finish(series, trainings(series, save_every=save_every), on_event)


def begin_repeats(
    source: "str | Path | Source | Dataset",
    repeats: int,
    *,
    task: str = "auto",
    reading: Reading | None = None,
    net: Any = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> tuple[Series, Iterator[Event]]:
    """A new series with its first run, and the events of its first training.

    Raises:
        FovealError: as `repeat`.
    """
    with extra("train"):
        from foveal.engine.team import join

    if repeats < FEWEST:
        raise RecipeError(f"Expected two repeats or more, found {repeats}.", remedy="For one, train without --repeats.")
    if net is not None and not isinstance(net, str | list | tuple):
        raise RecipeError(
            "A module of your own cannot be repeated: its first weights come from no seed.",
            remedy="Give the net as a line or as layers of foveal.nets; or train it anew, made again, for each seed.",
        )
    if join().size > 1:
        raise RecipeError(
            "Several processes train one network together; repeats are trained one after another.",
            remedy="Leave out --repeats, or torchrun.",
        )
    refuse_taken(out)
    dataset = source if isinstance(source, Dataset) else look(source, task=task, reading=reading, progress=progress)
    path = Path(out) if out is not None else free_run_path(Path("runs"), dataset.source.name)
    events = training(dataset, net=net, out=path / "1", progress=progress, **asked)
    seed = Run(path / "1").recipe.seed
    return Series.begin(path, range(seed, seed + repeats)), events


def trainings(
    series: Series,
    first: Iterator[Event] | None = None,
    *,
    device: str | None = None,
    save_every: float = 30.0,
    progress: Progress | None = None,
) -> Iterator[Iterator[Event]]:
    """The events of each training that is not finished, one after another: the next begins when it is asked for, and
    that must be after the one before has finished.

    Args:
        first: the events of the first training, where it has begun already.
    """
    for number, place in enumerate(series.places):
        run = Run(place)
        if number == 0 and first is not None:
            yield first
        elif not run.finished:
            if not (place / "run.json").is_file():
                _begin(series, place, series.seeds[number])
            yield resuming(run, device=device, save_every=save_every, progress=progress)


def _begin(series: Series, place: Path, seed: int) -> None:
    """A run like the first, with another seed; nothing of it is trained. `resuming` gives it its first weights."""
    first = Run.open(series.places[0])
    info = {name: value for name, value in first.info.items() if name != "plan"}
    info["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    recipe = first.recipe.changed(seed=seed)

    def fill(folder: Path) -> None:
        write_atomic(folder / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
        write_atomic(folder / "run.json", json.dumps(info, indent=2) + "\n")
        write_atomic(folder / "split.csv", first.split.read_bytes())
        if first.decisions.is_file():
            write_atomic(folder / "decisions.csv", first.decisions.read_bytes())

    write_folder(place, fill)


def repeats_of(series: Series, *, progress: Progress | None = None) -> "Repeats":
    """Mean, spread and interval of every score over the runs of a finished series, written to its `repeats.json`. Runs
    that have no report yet get one.

    Raises:
        RunError: a training has not finished.
    """
    with extra("train"):
        from foveal.measure.intervals import LEVEL
        from foveal.measure.paired import seeds
        from foveal.report.compared import RepeatedScore, Repeats, repeats_in_words

    reports = [report_of(Run.open(place), progress=progress) for place in series.places]
    scores = {}
    for name in reports[0].scores:
        values = [report.scores[name].value for report in reports if name in report.scores]
        if len(values) == len(reports):
            mean, deviation, low, high = seeds(name, values)
            scores[name] = RepeatedScore(mean=mean, deviation=deviation, low=low, high=high, level=LEVEL, values=values)
    headline = [name for name in reports[0].headline if name in scores]
    images = reports[0].data.splits.get("test", 0)
    repeats = Repeats(
        series=str(series.path),
        runs=[str(place) for place in series.places],
        seeds=list(series.seeds),
        images=images,
        headline=headline,
        scores=scores,
        words=repeats_in_words(headline[0], scores[headline[0]], images) if headline else "Nothing could be measured.",
    )
    write_atomic(series.path / "repeats.json", repeats.model_dump_json(indent=1) + "\n")
    return repeats


def _finish(series: Series, every: Iterator[Iterator[Event]], on_event: Callable[[Event], object]) -> "Repeats":
    for event in chain.from_iterable(every):
        on_event(event)
    return repeats_of(series)
