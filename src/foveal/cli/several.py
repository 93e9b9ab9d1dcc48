"""What a person sees of several trainings: a series of repeats, and two networks or recipes compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from foveal.cli import show
from foveal.cli.loading import uncollected
from foveal.cli.options import INTERRUPTED
from foveal.cli.show_training import training
from foveal.cli.stopping import stopped_with
from foveal.events import Event
from foveal.phrasing import command, counted
from foveal.report import named, number
from foveal.run import Run
from foveal.series import Series

if TYPE_CHECKING:
    from foveal.report.compared import ComparedScore, Comparison, Repeats
    from foveal.report.learning_curve import LearningCurve

__all__ = ["comparison", "go_on_with_curve", "learning_curve", "repeats", "train_on_random_split", "train_series"]

IMAGES_SHOWN = 10  # each way
TRUTH_SHOWN = 30  # characters, in a terminal
SEEDS_SHOWN = 6  # columns
LABELS_SHOWN = 20
METHODS = {
    "tango": "Tango's score (p: McNemar, mid-p)",
    "bootstrap": "a bootstrap that draws the same images for both",
}


def train_series(series: Series, every: Iterator[Iterator[Event]], as_json: bool) -> None:
    """Show each training as it goes, then what they say together; Ctrl-C stops between two steps."""
    from foveal.api import repeats_of

    count, go_on = len(series.seeds), command("foveal", "resume", series.path)
    with stopped_with(f"What was trained is kept. Go on with: {go_on}"):
        for events in every:
            begun = len(series.runs)
            show.err.print(f"training {begun} of {count}, seed {series.seeds[begun - 1]}", style="bold")
            if training(events) is None:
                show.err.print(f"The whole series: [bold]{escape(go_on)}[/]", soft_wrap=True)
                raise typer.Exit(INTERRUPTED)
        with show.working("measuring on the test images") as progress:
            found = repeats_of(series, progress=progress)
    show.json_object({"series": str(series.path), "repeats": found.as_dict()}) if as_json else repeats(found)


def train_on_random_split(run: Path) -> None:
    """Show the training of a run's recipe on a random division of its images, unless it is finished; Ctrl-C stops
    between two steps."""
    from foveal.api import begin_random_split, resuming

    with uncollected(), show.working(f"dividing the images of {run} at random") as progress:
        other = begin_random_split(Run.open(run), progress)
        events = None if other.finished else resuming(other, progress=progress)
    if events is not None:
        show.err.print("training on a random split", style="bold")
        if training(events, command("foveal", "evaluate", run, "--random-split")) is None:
            raise typer.Exit(INTERRUPTED)


def repeats(found: "Repeats") -> None:
    """Mean, spread and interval of each score; of few trainings every one's own."""
    table = Table("", "mean", "± deviation", "interval of the mean", box=None, header_style="bold", pad_edge=False)
    shown = found.seeds if len(found.seeds) <= SEEDS_SHOWN else []
    for seed in shown:
        table.add_column(f"seed {seed}", justify="right")
    for name in _first(found.headline, found.scores):
        score = found.scores[name]
        mean, deviation, low, high, *values = (
            number(value, name) for value in (score.mean, score.deviation, score.low, score.high, *score.values)
        )
        style = "bold" if name in found.headline else ""
        table.add_row(named(name), mean, deviation, f"\\[{low}, {high}]", *values[: len(shown)], style=style)
    show.out.print(table)
    show.out.print()
    show.out.print(escape(found.words))
    show.out.print(f"series: [bold]{escape(found.series)}[/]", soft_wrap=True)


def comparison(found: "Comparison") -> None:
    """The two answers, the scores behind them, the labels, and the images that changed."""
    networks, out = found.networks, show.out
    out.print("[bold]Do these two networks differ?[/]")
    out.print(escape(networks.words))
    out.print()
    order = _first(networks.headline, networks.scores)
    out.print(_table("", {named(name): (name, networks.scores[name], name in networks.headline) for name in order}))
    told = f"{networks.images:,} test images, the same for both"
    if networks.groups < networks.images:
        told += f", in {networks.groups:,} groups"
    looks = " and ".join(f"{count}×" for count in networks.looks)
    methods = " and ".join(dict.fromkeys(METHODS[score.method] for score in networks.scores.values()))
    out.print(f"{told}, looked at {looks}; intervals at 95% by {methods}", style="dim")
    if networks.label_score:
        out.print()
        name = networks.label_score
        out.print(_table(named(name), {label: (name, one, one.differs) for label, one in networks.per_label.items()}))
        sure = sum(one.differs for one in networks.per_label.values())
        out.print(f"{sure or 'none'} of these differ{'s' if sure == 1 else ''}, all asked about at once", style="dim")
    _changed(found)
    out.print()
    out.print("[bold]Do the two recipes differ?[/]")
    out.print(escape(found.recipes_words))
    if found.recipes:
        out.print()
        rows = {named(name): (name, one, name in networks.headline) for name, one in found.recipes.scores.items()}
        out.print(_table("mean of", rows))


def _first(headline: list[str], scores: "Mapping[str, object]") -> list[str]:
    return [*headline, *(name for name in scores if name not in headline)]


def _table(title: str, rows: "Mapping[str, tuple[str, ComparedScore, bool]]") -> Table:
    """
    Args:
        rows: title to the score's name, the score, and whether it is bold.
    """
    table = Table(title, box=None, header_style="bold", pad_edge=False)
    for column in ("first", "second", "difference", "p"):
        table.add_column(column, justify="right")
    for label, (name, score, bold) in rows.items():
        first, second, value, low, high = (
            number(value, name) for value in (score.first, score.second, score.value, score.low, score.high)
        )
        p = "< 0.001" if score.p < 0.001 else f"{score.p:.3f}"
        difference = f"{'+' if score.value > 0 else ''}{value} [dim]\\[{low}, {high}][/]"
        table.add_row(escape(label), first, second, difference, p, style="bold" if bold else "")
    return table


def _changed(found: "Comparison") -> None:
    networks, out = found.networks, show.out
    worse = [image for image in networks.changed if image.second_wrong > image.first_wrong]
    better = [image for image in networks.changed if image.second_wrong < image.first_wrong][::-1]
    out.print()
    out.print(f"{counted(networks.to_wrong, 'image')} right → wrong, {networks.to_right:,} wrong → right")
    for title, images in (("worse in the second", worse), ("better in the second", better)):
        if not images:
            continue
        table = Table(title, "truth", "first", "second", box=None, header_style="bold", pad_edge=False)
        for image in images[:IMAGES_SHOWN]:
            long = len(image.truth) > TRUTH_SHOWN and out.is_terminal
            truth = f"{image.truth[: TRUTH_SHOWN - 1]}…" if long else image.truth
            table.add_row(*(escape(show.printable(text)) for text in (image.file, truth, image.first, image.second)))
        out.print(table)
        if len(images) > IMAGES_SHOWN:
            out.print(f"… and {len(images) - IMAGES_SHOWN:,} more; --json has all", style="dim")


def go_on_with_curve(path: Path, as_json: bool, *, device: str | None = None, began: float | None = None) -> None:
    """Train what a learning curve still lacks, and show what it says; what Ctrl-C interrupts is trained anew later."""
    from foveal.api import resume_curve

    go_on = f"Go on with: {command('foveal', 'resume', path)}"
    with stopped_with(go_on), uncollected(), show.working(f"learning curve in {path}") as progress:
        found = resume_curve(path, device=device, progress=progress, began=began)
    show.json_object(found.as_dict()) if as_json else learning_curve(found)


def learning_curve(found: "LearningCurve") -> None:
    """The answer, the score at each number of images, and what twice as many would do for each label."""
    out, name = show.out, found.score
    out.print(escape(found.words))
    out.print()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("training images", "of what there is", named(name), "trained"):
        table.add_column(title, justify="right")
    for one in found.expected:
        values = [number(point.score, name) for point in found.points if point.images == one.images]
        score, low, high = (number(value, name) for value in (one.score, one.low, one.high))
        told = f"{score} [dim]\\[{low}, {high}][/]"
        table.add_row(f"{one.images:,}", f"{one.times:.2g}×", told, ", ".join(values) or "–")
    out.print(table)
    law = f"error = {found.law['a']:.4g}·(n / {found.images:,})^-{found.law['b']:.3g} + {found.law['c']:.4g}"
    out.print(
        f"measured on {counted(found.held_out, 'image')} held out (validation), that nothing was learned from or "
        f"chosen on; {law}; intervals hold {found.level:.0%} of trainings",
        style="dim",
    )
    if len(found.labels) > 1 and found.label_score:
        out.print()
        table = Table("twice the images", box=None, header_style="bold", pad_edge=False)
        table.add_column(f"{named(found.label_score)} gained", justify="right")
        table.add_column("gains most", justify="right")
        for label, one in list(found.labels.items())[:LABELS_SHOWN]:
            gain, low, high = (number(value, found.label_score) for value in (one.gain, one.low, one.high))
            table.add_row(escape(label), f"{gain} [dim]\\[{low}, {high}][/]", f"{one.most:.0%}")
        out.print(table)
    for note in found.notes:
        show.err.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    out.print(f"plot: [bold]{escape(found.folder)}/curve.html[/]", soft_wrap=True)
