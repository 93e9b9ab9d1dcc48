"""One function a verb. Heavy imports wait until a verb runs, so that `--help` is immediate."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from foveal.cli.answering import PREDICT, predict
from foveal.cli.inside import EXPLAIN, explain
from foveal.cli.loading import uncollected
from foveal.cli.looking import LOOK, look
from foveal.cli.options import (
    ACCEPT_LICENCE,
    AT,
    COST,
    COVERAGE,
    DECISIONS,
    DEVICE,
    GROUP,
    GROUP_LEVEL,
    GROUP_PATTERN,
    INTERRUPTED,
    JSON,
    MINUTES,
    NET,
    NETS,
    PATH,
    PATTERN,
    PRETRAINED,
    RECIPE,
    RISK,
    RUN,
    SAVE_EVERY,
    SETTINGS,
    SOURCE,
    SPLIT,
    TARGET,
    TASK,
    WEIGHTS,
    changes_of,
    completed,
    examples,
    option,
    reading_of,
)
from foveal.cli.serving import SERVE, serve
from foveal.cli.shipping import EXPORT, export, settled_of, told_of_bundles
from foveal.cli.stopping import ANEW, Verbs, begun, measured, stopped_with
from foveal.cli.studies import COMPARE, CURVE, compare, curve

__all__ = ["app"]

START_HELP = "Go on from a finished run with these images: its network and labels, and new ones after them."
START = Annotated[Path | None, option("--from", "RUN", START_HELP)]
VALIDATION_HELP = "Share of the non-test images held out for validation."
VALIDATION = Annotated[float | None, option("--validation", "F", VALIDATION_HELP)]
SEED_HELP = "Of split, initial weights, order, augmentation and dropout."
PATIENCE_HELP = "Stop after so many epochs without a better one on validation."
REPEATS_HELP = (
    "Train N times, with the seeds SEED, SEED + 1, … and the same division of the images, and say how far the seed "
    "moves the scores; each takes its own time (and its own --minutes)."
)
REPEATS = Annotated[int | None, option("--repeats", "N", REPEATS_HELP, min=2)]
ROBUSTNESS_HELP = (
    "Measure, too, what images that are blurred, noisy, turned, hidden in part or shifted do to the first score."
)
RANDOM_SPLIT_HELP = (
    "Train the same recipe once more, on a random division of the same images, and say what that would have claimed."
)
OUTPUTS_HELP = "What the output layer gives: the number of classes; 10 unless said."
DESCRIBED_HELP = f"A line, or {', '.join(NETS)}; or the folder of a run or of a bundle, whose network is then meant."

app = typer.Typer(
    cls=Verbs,
    name="foveal",
    help="From your own images to a convolutional network you understand and can ship.",
    epilog="Start with [bold]foveal train[/bold] (digits that need no download) or [bold]foveal look photos/[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"foveal {version('foveal')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


app.command(epilog=LOOK)(look)


@app.command(
    epilog=examples(
        "foveal train",
        "foveal train photos/ --minutes 5",
        "foveal train photos/ --epochs 30",
        "foveal train photos/ --decisions moves.csv",
        "foveal train cifar10 --recipe cookbook",
        "foveal train cells.zip --minutes 20",
        "foveal train photos/ --net 32c3-mp2-64c3-mp2-128n --set learning_rate=0.0005",
        "foveal train xrays/ --at PNEUMONIA:sensitivity=0.95",
        "foveal train photos/ --epochs 30 --repeats 5",
    )
)
def train(
    source: SOURCE = "digits",
    task: TASK = "auto",
    target: TARGET = None,
    path_column: PATH = None,
    split_column: SPLIT = None,
    group_column: GROUP = None,
    target_pattern: PATTERN = None,
    group_pattern: GROUP_PATTERN = None,
    group_level: GROUP_LEVEL = None,
    decisions: DECISIONS = None,
    recipe: RECIPE = None,
    minutes: MINUTES = None,
    net: NET = None,
    pretrained: PRETRAINED = None,
    weights: WEIGHTS = None,
    accept_licence: ACCEPT_LICENCE = False,
    start: START = None,
    epochs: Annotated[float | None, option("--epochs", None, "Passes over the training images, such as 1.5.")] = None,
    batch_size: Annotated[int | None, option("--batch-size", None, "Images a step.")] = None,
    validation: VALIDATION = None,
    seed: Annotated[int | None, option("--seed", None, SEED_HELP)] = None,
    patience: Annotated[int | None, option("--patience", None, PATIENCE_HELP)] = None,
    settings: SETTINGS = None,
    at: AT = None,
    coverage: COVERAGE = None,
    risk: RISK = None,
    cost: COST = None,
    repeats: REPEATS = None,
    out: Annotated[Path | None, option("--out", "RUN", "The run's folder; runs/NAME-N unless said.")] = None,
    device: DEVICE = None,
    save_every: SAVE_EVERY = 30.0,
    as_json: JSON = False,
) -> None:
    """Train a network on your images, then measure it once on the test images kept aside."""
    from foveal.cli import BEGAN

    fields = {"epochs": epochs, "batch_size": batch_size, "validation": validation, "seed": seed, "patience": patience}
    columns = target, path_column, split_column, group_column, target_pattern
    asked: dict[str, Any] = {"task": task, "decisions": decisions, "recipe": recipe, "minutes": minutes, "net": net}
    asked |= {"pretrained": pretrained, "accept_licence": accept_licence, "start": start, "began": BEGAN}
    asked |= {"at": at or (), "coverage": coverage, "risk": risk, "cost": cost or ()}
    asked |= {"out": out, "device": device or "auto", "save_every": save_every}
    asked |= changes_of(settings, weights, **fields)
    with stopped_with(partial(begun, out)):
        from foveal.api import begin_repeats, training, trainings
        from foveal.cli import show
        from foveal.cli.several import train_series

        asked["reading"] = reading_of(*columns, group_pattern, group_level)
        with uncollected(), show.working(f"looking at {source}") as progress:
            asked["progress"] = progress
            series, events = begin_repeats(source, repeats, **asked) if repeats else (None, training(source, **asked))
    if series is None:
        _train(events, as_json)
    else:
        train_series(series, trainings(series, events, device=device, save_every=save_every), as_json)


@app.command(
    epilog=examples(
        "foveal plan photos/ --minutes 5",
        "foveal plan cifar10 --minutes 1 --json",
    )
)
def plan(
    source: SOURCE = "digits",
    minutes: Annotated[float, option("--minutes", "M", "From the start of the command to its result.")] = 1.0,
    task: TASK = "auto",
    target: TARGET = None,
    path_column: PATH = None,
    split_column: SPLIT = None,
    group_column: GROUP = None,
    target_pattern: PATTERN = None,
    group_pattern: GROUP_PATTERN = None,
    group_level: GROUP_LEVEL = None,
    decisions: DECISIONS = None,
    net: NET = None,
    pretrained: PRETRAINED = None,
    weights: WEIGHTS = None,
    accept_licence: ACCEPT_LICENCE = False,
    settings: SETTINGS = None,
    device: DEVICE = None,
    as_json: JSON = False,
) -> None:
    """Say what `train --minutes` would do: the recipe, and the time, memory and accuracy to expect."""
    from foveal.cli import BEGAN

    columns = target, path_column, split_column, group_column, target_pattern
    asked: dict[str, Any] = {"minutes": minutes, "task": task, "decisions": decisions, "net": net}
    asked |= {"pretrained": pretrained, "accept_licence": accept_licence, "device": device or "auto", "began": BEGAN}
    asked |= changes_of(settings, weights)
    with stopped_with(f"Nothing was planned, and nothing written. {ANEW}"):
        from foveal.api import plan
        from foveal.cli import show

        asked["reading"] = reading_of(*columns, group_pattern, group_level)
        with uncollected(), show.working(f"looking at {source}") as progress:
            planned = plan(source, progress=progress, **asked)
    show.json_object(planned.as_dict()) if as_json else show.plan(planned)


@app.command(
    epilog=examples(
        "foveal resume runs/digits-1",
    )
)
def resume(run: RUN, device: DEVICE = None, save_every: SAVE_EVERY = 30.0, as_json: JSON = False) -> None:
    """Go on with a run, a series of repeats or a learning curve that was stopped or killed; the result is the one it
    would have had."""
    with stopped_with("It is as it was. The same command goes on with it."):
        from foveal.api import is_curve, resuming, trainings
        from foveal.cli import show
        from foveal.cli.several import go_on_with_curve, train_series
        from foveal.series import Series, is_series

        if is_curve(run):
            go_on_with_curve(run, as_json, device=device)
            return
        if is_series(run):
            series = Series.open(run)
            train_series(series, trainings(series, device=device, save_every=save_every), as_json)
            return
        with uncollected(), show.working(f"opening {run}") as progress:
            events = resuming(run, device=device, save_every=save_every, progress=progress)
    _train(events, as_json)


@app.command(
    epilog=examples(
        "foveal evaluate runs/digits-1 --json",
        "foveal evaluate runs/xrays-1 --at PNEUMONIA:sensitivity=0.95",
        "foveal evaluate runs/photos-1 --coverage 0.8",
        "foveal evaluate runs/xrays-1 --cost PNEUMONIA:NORMAL=10 --cost abstain=0.3",
        "foveal evaluate runs/photos-1 --robustness",
        "foveal evaluate runs/xrays-1 --random-split",
    )
)
def evaluate(
    run: RUN,
    at: AT = None,
    coverage: COVERAGE = None,
    risk: RISK = None,
    cost: COST = None,
    robustness: Annotated[bool, option("--robustness", None, ROBUSTNESS_HELP)] = False,
    random_split: Annotated[bool, option("--random-split", None, RANDOM_SPLIT_HELP)] = False,
    as_json: JSON = False,
) -> None:
    """Measure a run on its test images, counting the look, and write its report."""
    wish = {"at": at or (), "coverage": coverage, "risk": risk, "cost": cost or ()}
    settled = settled_of(run)
    go_on = "What was trained on a random split is kept; the same command goes on." if random_split else ANEW
    with stopped_with(measured(run, anew=go_on)):
        from foveal.api import evaluate
        from foveal.cli import show
        from foveal.cli.several import train_on_random_split
        from foveal.cli.show_robustness import robustness as show_robustness

        if random_split:
            train_on_random_split(run)
        measure = partial(evaluate, **wish, robustness=robustness, random_split=random_split)
        report = _measured(measure, run, f"evaluating {run}", as_json)
    if report.robustness and not as_json:
        show_robustness(report.robustness)
    show.json_object(report.as_dict()) if as_json else show.page(run)
    if settled_of(run) != settled:
        told_of_bundles(run)


app.command(epilog=COMPARE)(compare)
app.command(epilog=CURVE)(curve)
app.command(epilog=EXPLAIN)(explain)
app.command(epilog=EXPORT)(export)
app.command(epilog=SERVE)(serve)


app.command(epilog=PREDICT)(predict)


@app.command(
    epilog=examples(
        "foveal describe cookbook --input 32x32x3",
        "foveal describe '32c5-mp2-64c5-mp2-128n' --input 28x28x1",
        "foveal describe detector --input 320x416x3 --outputs 3",
        "foveal describe runs/photos-1",
    )
)
def describe(
    net: Annotated[
        str,
        typer.Argument(metavar="NET", help=DESCRIBED_HELP, autocompletion=completed(*NETS)),
    ] = "cookbook",
    size: Annotated[str | None, option("--input", "HxWxC", "Height, width, channels; 32x32x3 unless said.")] = None,
    outputs: Annotated[int | None, option("--outputs", None, OUTPUTS_HELP, min=1)] = None,
    task: TASK = "auto",
    as_json: JSON = False,
) -> None:
    """Show a network layer by layer: shape, parameters, FLOPs, receptive field, and what dense layers would need."""
    from foveal.api import describe
    from foveal.cli import show

    description = describe(net, size=_size(size) if size else None, outputs=outputs, task=task)
    show.json_object(description.as_dict()) if as_json else show.description(description)


def _train(events: Any, as_json: bool) -> None:
    """Show the events, let Ctrl-C stop between two steps, then evaluate what was trained."""
    from foveal.api import before_after, report_of
    from foveal.cli import follower, show
    from foveal.cli.show_training import following, training

    if follower():
        if not following(events):
            raise typer.Exit(INTERRUPTED)
        return
    run = training(events)
    if run is None:
        raise typer.Exit(INTERRUPTED)
    with stopped_with(measured(run, trained=True)):
        report = _measured(report_of, run, "measuring on the test images", as_json)
    found = before_after(run)
    if as_json:
        more = {"before_after": found.as_dict()} if found else {}
        show.json_object({"run": str(run), "report": report.as_dict(), **more})
        return
    if found:
        show.before_after(found, report.headline)
    show.page(run)


def _measured(measure: Callable[..., Any], run: Path, message: str, as_json: bool) -> Any:
    """The report; its scores are shown as soon as they are known, before the page is drawn."""
    from foveal.cli import show

    with uncollected(), ExitStack() as waiting:
        progress = waiting.enter_context(show.working(message))

        def told(report: Any) -> None:
            waiting.close()
            if not as_json:
                show.scores(report)

        return measure(run, progress=progress, on_report=told)


def _size(text: str) -> tuple[int, int, int]:
    from foveal.errors import NetError
    from foveal.nets import parse_input

    try:
        return parse_input(text)
    except NetError as error:
        raise typer.BadParameter(error.message, param_hint="--input") from None
