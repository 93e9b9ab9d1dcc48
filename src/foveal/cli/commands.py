"""One function a verb. Heavy imports wait until a verb runs, so that `--help` is immediate."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from foveal.cli.loading import uncollected as _uncollected
from foveal.cli.options import (
    ACCEPT_LICENCE,
    AT,
    BUNDLE,
    COVERAGE,
    DECISIONS,
    DEVICE,
    GROUP,
    GROUP_LEVEL,
    GROUP_PATTERN,
    JSON,
    MINUTES,
    NET,
    NETS,
    PATH,
    PATTERN,
    PRETRAINED,
    RISK,
    RUN,
    SAVE_EVERY,
    SETTINGS,
    SOURCE,
    SPLIT,
    TARGET,
    TASK,
    TOGETHER,
    WEIGHTS,
    completed,
    examples,
    reading_of,
    settings_of,
)
from foveal.cli.serving import SERVE, serve
from foveal.cli.shipping import EXPORT, export
from foveal.cli.studies import COMPARE, CURVE, compare, curve

__all__ = ["app"]

INTERRUPTED = 130
BOXES = "Boxes"

app = typer.Typer(
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


@app.command(
    epilog=examples(
        "foveal look photos/",
        "foveal look photos.zip --json",
        "foveal look faces/ --target-pattern '^(?P<age>[0-9]+)_'",
        "foveal look photos/ --augment sheet.png",
        "foveal look photos/ --suspects --minutes 2",
        "foveal look photos/ --shortcuts",
        "foveal look xrays/ --group-pattern '(?P<patient>p[0-9]+)_' --fix moves.csv",
    )
)
def look(
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
    augment: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw some images as training would change them, into this PNG file."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="The recipe whose augmentation --augment shows.")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what could be left out or grouped into this new table, to edit and to give to --decisions.",
            rich_help_panel=TOGETHER,
        ),
    ] = None,
    settings: SETTINGS = None,
    suspects: Annotated[
        bool, typer.Option("--suspects", help="Find labels that look wrong, by networks that learn from the others.")
    ] = False,
    shortcuts: Annotated[
        bool,
        typer.Option("--shortcuts", help="Say how well the border, the colours or the file alone tell the label."),
    ] = False,
    minutes: Annotated[float, typer.Option(metavar="M", help="For --suspects.")] = 1.0,
    as_json: JSON = False,
) -> None:
    """Say what is there: labels and counts, sizes, unreadable files, exact and near-duplicates, the split."""
    from foveal.api import check_labels, check_shortcuts, contact_sheet, look, propose_split
    from foveal.cli import show
    from foveal.cli.show_checks import show_checks, with_checks
    from foveal.data import summary, write_proposal
    from foveal.errors import SplitError
    from foveal.tasks import named_task

    columns = target, path_column, split_column, group_column, target_pattern
    reading = reading_of(*columns, group_pattern, group_level)
    with show.working(f"looking at {source}") as progress:
        dataset = look(source, task=task, reading=reading, decisions=decisions, progress=progress)
        if augment:
            contact_sheet(dataset, augment, recipe=recipe, **settings_of(settings or []))
        hidden = check_shortcuts(dataset, progress=progress) if shortcuts else None
        with _uncollected():
            judged = check_labels(dataset, minutes=minutes, progress=progress) if suspects else None
    if augment:
        show.err.print(f"wrote {augment}: a row an image, the first as it is, then as training sees it", soft_wrap=True)
    if fix:
        rows = write_proposal(dataset, fix)
        how = f"edit it, then give it to --decisions {fix}" if rows else "there is nothing to decide"
        show.err.print(f"wrote {fix}: {rows:,} proposals; {how}", soft_wrap=True)
    note = ""
    try:
        dataset = propose_split(dataset)
    except SplitError as error:
        note = str(error)
    data = summary(dataset, named_task(dataset.task))
    if as_json:
        show.json_object(with_checks(data, hidden, judged))
        return
    show.data(data, dataset, note)
    show_checks(hidden, judged)


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
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A named recipe (default, pretrained, detection, detection-pretrained, cookbook, cookbook-dropout) or "
            "the recipe.json of a run.",
            autocompletion=completed(
                "default", "pretrained", "detection", "detection-pretrained", "cookbook", "cookbook-dropout"
            ),
        ),
    ] = None,
    minutes: MINUTES = None,
    net: NET = None,
    pretrained: PRETRAINED = None,
    weights: WEIGHTS = None,
    accept_licence: ACCEPT_LICENCE = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Go on from a finished run with these images: its network and labels, and new ones after them.",
        ),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training images, such as 1.5.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    validation: Annotated[
        float | None, typer.Option(metavar="F", help="Share of the non-test images held out for validation.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of split, initial weights, order, augmentation and dropout.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better one on validation.")
    ] = None,
    settings: SETTINGS = None,
    at: AT = None,
    coverage: COVERAGE = None,
    risk: RISK = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Train N times, with the seeds SEED, SEED + 1, … and the same division of the images, and say how far "
            "the seed moves the scores; each takes its own time (and its own --minutes).",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run's folder; runs/NAME-N unless said.")] = None,
    device: DEVICE = None,
    save_every: SAVE_EVERY = 30.0,
    as_json: JSON = False,
) -> None:
    """Train a network on your images, then measure it once on the test images kept aside."""
    from foveal.api import begin_repeats, training, trainings
    from foveal.cli import BEGAN, show
    from foveal.cli.several import train_series

    flags = {"epochs": epochs, "batch_size": batch_size, "validation": validation, "seed": seed, "patience": patience}
    flags["weights"] = str(weights) if weights else None
    changes = {name: value for name, value in flags.items() if value is not None} | settings_of(settings or [])
    columns = target, path_column, split_column, group_column, target_pattern
    reading = reading_of(*columns, group_pattern, group_level)
    begin = {"pretrained": pretrained, "accept_licence": accept_licence, "start": start, "decisions": decisions}
    places = {"out": out, "device": device or "auto", "save_every": save_every}
    places |= {"at": at or (), "coverage": coverage, "risk": risk}
    with _uncollected(), show.working(f"looking at {source}") as progress:
        options = {"recipe": recipe, "minutes": minutes, "net": net, "progress": progress, "began": BEGAN}
        asked = {"task": task, "reading": reading, **begin, **options, **places, **changes}
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
    minutes: Annotated[float, typer.Option(metavar="M", help="From the start of the command to its result.")] = 1.0,
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
    from foveal.api import plan
    from foveal.cli import BEGAN, show

    columns = target, path_column, split_column, group_column, target_pattern
    reading = reading_of(*columns, group_pattern, group_level)
    options = {"minutes": minutes, "task": task, "net": net, "device": device or "auto", "began": BEGAN}
    begin: dict[str, Any] = {"pretrained": pretrained, "accept_licence": accept_licence, "reading": reading}
    begin["decisions"] = decisions
    changes: dict[str, Any] = ({"weights": str(weights)} if weights else {}) | settings_of(settings or [])
    with _uncollected(), show.working(f"looking at {source}") as progress:
        planned = plan(source, progress=progress, **begin, **options, **changes)
    show.json_object(planned.as_dict()) if as_json else show.plan(planned)


@app.command(
    epilog=examples(
        "foveal resume runs/digits-1",
    )
)
def resume(run: RUN, device: DEVICE = None, save_every: SAVE_EVERY = 30.0, as_json: JSON = False) -> None:
    """Go on with a run, a series of repeats or a learning curve that was stopped or killed; the result is the one it
    would have had."""
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
    with _uncollected(), show.working(f"opening {run}") as progress:
        events = resuming(run, device=device, save_every=save_every, progress=progress)
    _train(events, as_json)


@app.command(
    epilog=examples(
        "foveal evaluate runs/digits-1 --json",
        "foveal evaluate runs/xrays-1 --at PNEUMONIA:sensitivity=0.95",
        "foveal evaluate runs/photos-1 --coverage 0.8",
        "foveal evaluate runs/photos-1 --robustness",
    )
)
def evaluate(
    run: RUN,
    at: AT = None,
    coverage: COVERAGE = None,
    risk: RISK = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Measure, too, what images that are blurred, noisy, turned, hidden in part or shifted do to the first "
            "score.",
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Measure a run on its test images, counting the look, and write its report."""
    from foveal.api import evaluate
    from foveal.cli import show
    from foveal.cli.show_robustness import robustness as show_robustness

    measure = partial(evaluate, at=at or (), coverage=coverage, risk=risk, robustness=robustness)
    report = _measured(measure, run, f"evaluating {run}", as_json)
    if report.robustness and not as_json:
        show_robustness(report.robustness)
    show.json_object(report.as_dict()) if as_json else show.page(run)


app.command(epilog=COMPARE)(compare)
app.command(epilog=CURVE)(curve)
app.command(epilog=EXPORT)(export)
app.command(epilog=SERVE)(serve)


@app.command(
    epilog=examples(
        "foveal predict runs/photos-1 new.jpg",
        "foveal predict runs/photos-1 inbox/ --json",
        "foveal predict runs/photos-1/bundle new.jpg",
        "foveal predict runs/photos-1 'shots/*.png'",
        "foveal predict runs/cells-1 inbox/ --draw drawn/",
        "foveal predict runs/cells-1 inbox/ --write found/ --format yolo",
    )
)
def predict(
    run: BUNDLE,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE…", help="Files, folders, or patterns in quotes.")],
    device: DEVICE = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw the boxes into copies of the images, in this folder.", rich_help_panel=BOXES
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write the boxes as annotations, into this folder; or into one file, NAME.json or NAME.jsonl.",
            rich_help_panel=BOXES,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="Of the annotations: coco, yolo, voc, or json (a line an image).",
            autocompletion=completed("coco", "yolo", "voc", "json"),
            rich_help_panel=BOXES,
        ),
    ] = "coco",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Say what is on images: the answer for each file, as they come. Boxes can be drawn and written, too."""
    from foveal.api import predict
    from foveal.cli import show_answers
    from foveal.cli.terminal import err, json_object

    answered, failed, stopped = 0, 0, False
    try:
        with show_answers.predicting() as progress:
            with _uncollected():
                options = {"device": device or "auto", "progress": progress}
                if draw or write:
                    from foveal.api.drawing import Places, predict_and_keep

                    answers = predict_and_keep(run, images, Places(draw, write, form), **options)
                else:
                    answers = predict(run, images, **options)
            with closing(answers):
                for answer in answers:
                    answered += answer.prediction is not None
                    failed += answer.prediction is None
                    json_object(answer.as_dict()) if as_json else show_answers.answer(answer)
    except KeyboardInterrupt:
        stopped = True
    show_answers.answered(answered, failed, stopped=stopped)
    for place in (draw, write):
        if place and place.exists():
            err.print(f"wrote {place}", soft_wrap=True)
    if stopped or failed:
        raise typer.Exit(INTERRUPTED if stopped else 1)


@app.command(
    epilog=examples(
        "foveal describe cookbook --input 32x32x3",
        "foveal describe '32c5-mp2-64c5-mp2-128n' --input 28x28x1",
        "foveal describe detector --input 320x416x3 --outputs 3",
    )
)
def describe(
    net: Annotated[
        str,
        typer.Argument(metavar="NET", help=f"A line, or {', '.join(NETS)}.", autocompletion=completed(*NETS)),
    ] = "cookbook",
    size: Annotated[str, typer.Option("--input", metavar="HxWxC", help="Height, width, channels.")] = "32x32x3",
    outputs: Annotated[int, typer.Option(min=1, help="What the output layer gives: the number of classes.")] = 10,
    task: TASK = "auto",
    as_json: JSON = False,
) -> None:
    """Show a network layer by layer: shape, parameters, FLOPs, receptive field, and what dense layers would need."""
    from foveal.api import describe
    from foveal.cli import show

    description = describe(net, size=_size(size), outputs=outputs, task=task)
    show.json_object(description.as_dict()) if as_json else show.description(description)


def _train(events: Any, as_json: bool) -> None:
    """Show the events, let Ctrl-C stop between two steps, then evaluate what was trained."""
    from foveal.api import before_after, report_of
    from foveal.cli import follower, show

    if follower():
        if not show.following(events):
            raise typer.Exit(INTERRUPTED)
        return
    run = show.training(events)
    if run is None:
        raise typer.Exit(INTERRUPTED)
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

    with _uncollected(), ExitStack() as waiting:
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
