"""Training: planned, begun, gone on with, and measured at its end."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.api.beginning import begin_again, network_at_start
from foveal.api.looking import task_and_data
from foveal.api.measuring import report_of
from foveal.api.preparing import Asked, Prepared, module_and_line, prepare
from foveal.api.settling import check_wish
from foveal.errors import RecipeError, RunError
from foveal.events import Event, Started
from foveal.extras import extra
from foveal.files import write_atomic, write_folder
from foveal.phrasing import command
from foveal.recipe import Recipe
from foveal.run import Run, free_run_path
from foveal.series import is_series
from foveal.task import Task
from foveal.types import Dataset, Progress, Reading, Source
from foveal.wishes import Wish, wish_of

if TYPE_CHECKING:
    from torch import nn

    from foveal.engine.devices import Device
    from foveal.engine.pace import Pace
    from foveal.engine.plan import Plan
    from foveal.engine.team import Team
    from foveal.nets import Layer

    Net = str | Sequence[Layer] | nn.Module

__all__ = ["new_run", "plan", "refuse_taken", "resume", "resuming", "train", "training"]


def plan(
    source: "str | Path | Source | Dataset" = "digits",
    *,
    minutes: float = 1.0,
    task: str = "auto",
    reading: Reading | None = None,
    decisions: str | Path | None = None,
    net: "Net | None" = None,
    pretrained: bool | None = None,
    accept_licence: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    began: float | None = None,
    **changes: Any,
) -> "Plan":
    """What `train` would do with so many minutes: the recipe, and the time, memory and accuracy to expect.

    Measures this machine for a moment; trains nothing and looks at no test image.

    Args:
        minutes: for everything, from the start of the program to the printed result.
        began: `time.monotonic()` when the work began that the minutes are for; now when left out.
        source, task, reading, decisions, net, pretrained, accept_licence, device, changes: as for `train`.

    Raises:
        FovealError: as `train`.
    """
    how = {"pretrained": pretrained, "accept_licence": accept_licence, "decisions": decisions, "device": device}
    asked = Asked(source, task, reading, None, minutes, net, **how, began=began, progress=progress, changes=changes)
    at = prepare(asked)
    assert at.ready.plan is not None
    return at.ready.plan


def training(
    source: "str | Path | Source | Dataset" = "digits",
    *,
    task: str = "auto",
    reading: Reading | None = None,
    decisions: str | Path | None = None,
    recipe: str | Recipe | None = None,
    minutes: float | None = None,
    net: "Net | None" = None,
    pretrained: bool | None = None,
    accept_licence: bool = False,
    start: str | Path | Run | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    save_every: float = 30.0,
    progress: Progress | None = None,
    began: float | None = None,
    at: str | Sequence[str] = (),
    coverage: float | str | None = None,
    risk: float | str | None = None,
    cost: str | Sequence[str] = (),
    **changes: Any,
) -> Iterator[Event]:
    """`train` as a generator of events, `Started` to `Finished`; closing it saves the state and stops.

    The test split is not looked at: that is `evaluate`'s.

    Args:
        began: `time.monotonic()` when the work began that the minutes are for; now when left out.

    Raises:
        FovealError: as `train`, before the first event where the mistake can be known by then.
    """
    wish = wish_of(at, coverage, risk, cost)
    with extra("train"):
        from foveal.engine.team import join

    how = {"pretrained": pretrained, "accept_licence": accept_licence, "start": start, "device": device}
    how["decisions"] = decisions
    asked = Asked(source, task, reading, recipe, minutes, net, **how, began=began, progress=progress, changes=changes)
    team, path = join(), Path()
    with team.after_lead():
        if team.lead:
            refuse_taken(out)
        if team.size > 1 and minutes is not None:
            raise RecipeError(
                "The minutes are those of one process on its own: several cannot measure the machine together.",
                remedy="Make the recipe first, in one process: foveal plan SOURCE --minutes M --json. Then give what "
                "it calls `recipe` to all: --recipe recipe.json",
            )
        found = prepare(asked)
        check_wish(wish, found.task, found.ready.dataset)
        network = network_at_start(found, team)
        if team.lead:
            path = new_run(out, found, wish)
    path = Path(team.tell(str(path)))
    _agree(team, found.ready.recipe, found.ready.dataset)
    told = (*found.ready.plan.reasons, *found.ready.plan.late) if found.ready.plan else ()
    notes = (*found.notes, *told, *_noted(found.ready.dataset))
    places = found.ready.dataset, found.ready.pixels, network, found.device, save_every, notes
    return _events(Run(path), found.task, found.ready.recipe, *places, pace=found.ready.pace)


def new_run(out: str | Path | None, at: Prepared, wish: Wish | None = None) -> Path:
    """The folder of a new run, with what is known before training."""
    from foveal.data import write_split
    from foveal.engine.devices import environment

    dataset = at.ready.dataset
    path = Path(out) if out is not None else free_run_path(Path("runs"), dataset.source.name)
    info = {
        "task": at.task.name,
        "source": dataset.source.spec,
        "source_name": dataset.source.name,
        "reading": dataset.source.reading.as_dict(),
        "labels": list(dataset.labels),
        "fingerprint": dataset.fingerprint,
        "environment": environment(at.device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if wish:
        info["wish"] = wish.as_dict()
    if dataset.decisions:
        info["decisions"] = hashlib.sha256(dataset.decisions).hexdigest()
    if at.start:
        info["start"] = str(at.start.path.resolve())
    if at.weights:
        info["weights"] = at.weights.as_dict()
    if at.ready.plan:
        info["plan"] = at.ready.plan.as_dict()

    def fill(folder: Path) -> None:
        write_atomic(folder / "recipe.json", at.ready.recipe.model_dump_json(indent=2) + "\n")
        write_atomic(folder / "run.json", json.dumps(info, indent=2) + "\n")
        write_split(dataset, folder / "split.csv")
        if dataset.decisions:
            write_atomic(folder / "decisions.csv", dataset.decisions)

    refuse_taken(path)
    write_folder(path, fill)
    return path


def train(
    source: "str | Path | Source | Dataset" = "digits",
    *,
    task: str = "auto",
    reading: Reading | None = None,
    decisions: str | Path | None = None,
    recipe: str | Recipe | None = None,
    minutes: float | None = None,
    net: "Net | None" = None,
    pretrained: bool | None = None,
    accept_licence: bool = False,
    start: str | Path | Run | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    save_every: float = 30.0,
    on_event: Callable[[Event], object] = lambda event: None,
    at: str | Sequence[str] = (),
    coverage: float | str | None = None,
    risk: float | str | None = None,
    cost: str | Sequence[str] = (),
    **changes: Any,
) -> Run:
    """Train a network on somebody's images, then measure it on the test split, once.

    Args:
        source: as for `look`, or a `Dataset`.
        task: what to learn: `classification`, `regression`, `multilabel`, `detection`; `auto` tells by how the targets
            are written.
        reading: where the targets are, in a table or in the names of files, where that is not plain.
        decisions: a table of what to leave out and what belongs together, as for `look`; the run keeps a copy.
        recipe: a named recipe, the path of a `recipe.json`, or one of your own; the task's default when left out.
        minutes: make a recipe that gets the most out of so many, everything included, instead of `recipe`.
        net: a line (`32c3-mp2-128n`), a zoo name, a sequence of `foveal.nets` layers, or a `torch.nn.Module` that maps
            normalised (B, C, H, W) pixels to (B, outputs); the recipe's when left out. `timm/NAME` is a backbone.
        pretrained: begin with pretrained weights: True, or an error where they cannot be had; False, from scratch; when
            left out, with a backbone and for photographs, where they can be had. `weights=FILE` takes those of a file.
        accept_licence: take weights whose licence is none of Apache, MIT and BSD, too.
        start: a finished run to go on from: its recipe, its network, its labels first and in their order, its division
            of the images that it knew.
        out: the run's folder; `runs/NAME-N` when left out. Must not be there yet.
        device: `auto`, `cpu`, `cuda`, `mps`.
        save_every: seconds between checkpoints within an epoch.
        on_event: is shown each event, for a progress display.
        at: an operating point, `sensitivity=0.95` of the second of two labels or `LABEL:sensitivity=0.95`, likewise
            specificity and precision; where several labels may be true, one a label. What it takes is chosen on the
            validation images, kept in the run, and applied by `predict`; the report says what it came to.
        coverage: share of the images that are to be answered, those that the network is surest of; others are marked
            `abstained`.
        risk: share of the answers that may be wrong; what the network is less sure of is marked likewise.
        cost: what mistakes cost: `TRUE:ANSWER=10`, `LABEL:missed=10`, `LABEL:false=2`, where every other mistake costs
            1; and `abstain=0.3`, what no answer costs. The answer is then the one that is expected to cost least.
        changes: fields of the recipe to change (`epochs=5, seed=1`).

    Raises:
        FovealError: the images, the net, the recipe or the folder will not do; the message says which and why.
        NonFiniteLoss: the loss became NaN; the last good state is kept.
    """
    places: dict[str, Any] = {"out": out, "device": device, "save_every": save_every}
    how: dict[str, Any] = {"pretrained": pretrained, "accept_licence": accept_licence, "start": start}
    how |= {"reading": reading, "decisions": decisions, "at": at, "coverage": coverage, "risk": risk}
    how["cost"] = cost
    events = training(source, task=task, recipe=recipe, minutes=minutes, net=net, **how, **places, **changes)
    return _finish(events, net, on_event)


def resuming(
    run: str | Path | Run,
    *,
    net: "nn.Module | None" = None,
    device: str | None = None,
    save_every: float = 30.0,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """`resume` as a generator of events.

    Args:
        device: another than the run's own; the result then differs in the last bits.
    """
    with extra("train"):
        from foveal.engine.checkpoint import latest_checkpoint
        from foveal.engine.devices import choose_device, environment
        from foveal.engine.predictor import network_for
        from foveal.engine.team import join
    from foveal.data.cache import pixels

    team = join()
    with team.after_lead():
        run = Run.open(run)
        was = run.info["environment"]
        on = choose_device(device or was["device"], was["threads"])
        record, dataset = task_and_data(run, progress)
        network = network_for(run.recipe, record, dataset.labels, net)
        if latest_checkpoint(run.checkpoints)[0] is None:
            begin_again(run, network, dataset)
        array = pixels(dataset, record.reader, run.recipe.input, progress=progress)
    _agree(team, run.recipe, dataset)
    now = environment(on)
    changed = [f"{key} was {was[key]}, is {now[key]}" for key in was if was[key] != now.get(key)]
    notes = (f"the result can differ in the last bits: {'; '.join(changed)}",) if changed else ()
    return _events(run, record, run.recipe, dataset, array, network, on, save_every, notes)


def resume(
    run: str | Path | Run,
    *,
    net: "nn.Module | None" = None,
    save_every: float = 30.0,
    on_event: Callable[[Event], object] = lambda event: None,
) -> Run:
    """Go on with a run that was stopped or killed, to the bits it would have had (same machine, threads, versions).

    Args:
        net: the user's own module again, where the run was made with one.

    Raises:
        RunError: there is no run, or the images have changed since.
    """
    return _finish(resuming(run, net=net, save_every=save_every), net, on_event)


def _events(
    run: Run,
    task: Task,
    recipe: Recipe,
    dataset: Dataset,
    array: np.ndarray,
    network: Any,
    device: "Device",
    save_every: float,
    notes: tuple[str, ...] = (),
    pace: "Pace | None" = None,
) -> Iterator[Event]:
    from foveal.engine.steps import training_set
    from foveal.engine.team import join
    from foveal.engine.train import train

    data = training_set(dataset, array, task, recipe.input)
    events = train(network, task.answer, recipe, data, run, device, save_every, join(), pace)
    started = next(events)
    assert isinstance(started, Started)
    yield replace(started, notes=notes + started.notes)
    yield from events


def _agree(team: "Team", recipe: Recipe, dataset: Dataset) -> None:
    """
    Raises:
        RunError: not every process of the team learns the same from the same images.
    """
    team.agree(recipe.model_dump_json(), "their recipe")
    team.agree(dataset.fingerprint, "their images")


def _finish(events: Iterator[Event], net: Any, on_event: Callable[[Event], object]) -> Run:
    """Run a training to its end and evaluate it, unless that was done before."""
    from foveal.engine.team import join

    run = None
    for event in events:
        if isinstance(event, Started):
            run = Run(event.run)
        on_event(event)
    assert run is not None
    team = join()
    with team.after_lead():
        if team.lead:
            report_of(run, net=module_and_line(net, run.recipe)[0])
    return run


def _noted(dataset: Dataset) -> tuple[str, ...]:
    """One line on what `look` would name, where there is anything that matters."""
    counts: Counter[str] = Counter()
    for finding in dataset.findings:
        if finding.kind not in ("ignored", "empty-folder"):
            counts[finding.kind] += max(1, len(finding.files))
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    looked = command("foveal", "look", dataset.source.spec)
    decided = " with the same --decisions" if dataset.decisions else ""
    return (f"among the images: {told}; {looked}{decided} names them",) if told else ()


def refuse_taken(out: str | Path | None) -> None:
    """See that nothing is lost by writing there.

    Raises:
        RunError: something is at `out` already; an empty folder is taken away.
    """
    if out is None or not (path := Path(out)).exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
        return
    remedy = "Choose another --out."
    if (path / "run.json").is_file() or is_series(path):
        remedy = f"Choose another --out, or go on with it: {command('foveal', 'resume', path)}"
    raise RunError(f"{path} is already there, and nothing is overwritten.", remedy=remedy)
