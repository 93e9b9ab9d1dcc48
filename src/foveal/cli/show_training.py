"""A training as a person sees it: what it is about, a bar, a line an epoch; and how it is stopped."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from foveal.cli.show import err
from foveal.cli.terminal import Murmur
from foveal.errors import LeadEnded
from foveal.events import EpochEnded, Event, Finished, Paced, Probing, Started, Step
from foveal.phrasing import command, counted, passes
from foveal.report import number
from foveal.run import Run

__all__ = ["following", "training"]


def training(events: Iterator[Event], go_on: str = "") -> Path | None:
    """Show a training as it goes. Returns the run's folder, or None when it was stopped with Ctrl-C.

    The first Ctrl-C (or SIGTERM) stops after the step in hand, with everything saved; a second one stops at once.

    Args:
        go_on: the command that goes on with it; `foveal resume` when left out.

    Raises:
        KeyboardInterrupt: the second one came before it was known where the run is.
    """
    stop, murmur = False, Murmur()
    started: Started | None = None

    def ask_to_stop(kind: int, frame: object) -> None:
        nonlocal stop
        if stop:
            raise KeyboardInterrupt
        stop = True

    before = {kind: signal.signal(kind, ask_to_stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        started = _started(events)
        _introduce(started)
        with _bar(started) as bar:
            task = bar.add_task("", total=started.total, status="")
            bar.update(task, completed=started.epoch * started.steps + started.step)
            for event in () if stop else events:
                if stop:
                    break
                _progress(event, bar, task, started)
                if isinstance(event, Probing) and bar.disable:
                    murmur(f"fitting the output layer: features of {event.done:,} of {event.total:,} images")
            if stop:
                events.close()  # pyright: ignore[reportAttributeAccessIssue]
    except KeyboardInterrupt:
        if started is None:
            raise
        _stopped(started.run, go_on, "at once: what was learned since the last checkpoint is lost")
        return None
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    if stop:
        _stopped(started.run, go_on, "with everything saved")
    return None if stop else started.run


def _started(events: Iterator[Event]) -> Started:
    event = next(events)
    assert isinstance(event, Started)
    return event


def _stopped(run: Path, go_on: str, how: str) -> None:
    program = "foveal" if int(os.environ.get("WORLD_SIZE", "1")) == 1 else "torchrun … -m foveal"
    told = escape(go_on or f"{program} {command('resume', run)}")
    err.print(f"Stopped, {how}. Go on with: [bold]{told}[/]", soft_wrap=True)


def following(events: Iterator[Event]) -> bool:
    """Take part in a training that another process shows, to its end; or False when that one stopped on Ctrl-C."""
    asked = False

    def note(kind: int, frame: object) -> None:
        nonlocal asked
        asked = True

    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, note)
    try:
        for _ in events:
            pass
    except LeadEnded:
        if not asked:
            raise
        return False
    return True


def _introduce(started: Started) -> None:
    recipe = Run(started.run).recipe
    sizes = f"{counted(started.images, 'image')}, {counted(started.parameters, 'parameter')}"
    epochs = _passes(started.total, started)
    length = f"{epochs} epoch{'' if epochs == '1' else 's'} of {counted(started.steps, 'step')}"
    where = f"{started.precision} on {escape(started.device)}"
    err.print(f"[bold]{escape(str(started.run))}[/]: {sizes}, {length}, {where}", soft_wrap=True)
    size = "×".join(map(str, (recipe.input.height, recipe.input.width, recipe.input.channels)))
    err.print(f"input {size} ({recipe.input.resize} where the size differs), net {escape(recipe.net)}", soft_wrap=True)
    for note in started.notes:
        err.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    err.print("* the best epoch on validation so far", style="dim")
    if started.epochs and started.epoch == started.epochs:
        err.print("training was finished before")
    elif started.epoch or started.step:
        done = _passes(started.epoch * started.steps + started.step, started)
        place = f"epoch {started.epoch + 1}, step {started.step + 1}"
        err.print(f"going on from {place}: {done} of {epochs} epochs are done")


def _passes(steps: float, started: Started) -> str:
    """So many steps as epochs: `3.02`."""
    return passes(steps / started.steps)


def _bar(started: Started) -> Bar:
    return Bar(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )


def _progress(event: Event, bar: Bar, task: Any, started: Started) -> None:
    total = bar.tasks[task].total or started.total  # the clock may have changed it
    epochs = _passes(total, started)
    if isinstance(event, Step):
        scores = " ".join(f"{name} {number(value, name)}" for name, value in event.scores.items())
        done = event.epoch * started.steps + event.step
        bar.update(
            task, completed=done, status=f"epoch {_passes(done, started)}/{epochs} loss {event.loss:.3f} {scores}"
        )
    elif isinstance(event, Probing):
        bar.update(task, status=f"features of {event.done:,} of {event.total:,} images")
    elif isinstance(event, Paced):
        bar.update(task, total=event.total)
    elif isinstance(event, EpochEnded):
        parts = [f"epoch {passes(event.row['passes']):>{len(epochs)}}/{epochs}" if event.epoch else "probe"]
        for split in ("train", "validation"):
            values = {k.removeprefix(f"{split}_"): v for k, v in event.row.items() if k.startswith(f"{split}_")}
            told = [f"{name} {number(value, name)}" for name, value in values.items()]
            parts += [" ".join([split, *told])] if told else []
        parts.append(f"{event.row['seconds']:.0f} s{' *' if event.best else ''}")
        err.print(" · ".join(parts), soft_wrap=True)
    elif isinstance(event, Finished) and event.reason == "done" and event.epochs < started.epochs:
        planned = _passes(started.total, started)
        err.print(f"ended after {epochs} of {planned} epochs: the minutes for training were over")
    elif isinstance(event, Finished) and event.reason == "patience":
        err.print(f"stopped early: no better epoch on validation since {event.kept}")
