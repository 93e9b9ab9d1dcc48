"""What a person sees: tables and bars for a terminal, JSON for a program."""

import os
import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table

from foveal.cli.terminal import err, json_object, out, printable
from foveal.errors import LeadEnded
from foveal.events import EpochEnded, Event, Finished, Paced, Probing, Started, Step
from foveal.report import Report, columns_of, counts_of, named, number, trust_cautions, words_on_looks
from foveal.run import Run
from foveal.types import SPLITS, Dataset, Finding, Progress

if TYPE_CHECKING:
    from foveal.api.continuing import BeforeAfter
    from foveal.engine.plan import Plan

__all__ = [
    "data",
    "description",
    "following",
    "json_object",
    "page",
    "plan",
    "scores",
    "training",
    "working",
]

FILES_SHOWN = 3
BAR = 20  # characters

# A score with its interval; in a table that is too wide for the terminal below one another, or the score alone.
ONE_LINE, TWO_LINES, BARE = "{} [dim]\\[{}, {}][/]", "{}\n[dim]\\[{}, {}][/]", "{}"
UNLIMITED = 10_000  # characters in a line


@contextmanager
def working(message: str) -> Iterator[Progress | None]:
    """A spinner on a terminal, with what is told to the yielded `progress`, and a bar where it is known of how much;
    nothing otherwise."""
    if not err.is_terminal:
        yield None
        return
    with err.status(escape(message)) as status:

        def progress(what: str, done: int, total: int) -> None:
            told = f"{escape(message)}: {what} {done:,}" + (f" of {total:,}" if total else "")
            line = Table.grid(padding=(0, 1))
            line.add_column(no_wrap=True)
            line.add_row(told, *([ProgressBar(total, done, width=BAR)] if total else []))
            status.update(line)

        yield progress


def data(facts: dict[str, Any], dataset: Dataset, note: str) -> None:
    """The table of `look`."""
    sizes = facts["sizes"]
    spread = " – ".join(dict.fromkeys("×".join(map(str, sizes[key])) for key in ("smallest", "median", "largest")))
    modes = ", ".join(f"{name} {count:,}" for name, count in facts["modes"].items())
    told = f"{len(facts['labels'])} labels" if facts["labels"] else f"values: {', '.join(facts.get('values', {}))}"
    out.print(
        f"[bold]{escape(facts['source'])}[/]: {facts['images']:,} images, {escape(told)}\n"
        f"height×width {spread} · {modes}",
        soft_wrap=True,
    )
    out.print(_labels(facts, dataset, note) if facts["labels"] else _values(facts, dataset, note))
    if note:
        out.print(f"[yellow]It cannot be trained on as it is:[/] {escape(note)}")
    elif len(dataset.given) < len(SPLITS):
        text = "* as training would divide it: stratified, seeded, duplicates and near-duplicates kept together"
        out.print(text, style="dim", soft_wrap=True)
    for finding in dataset.findings:
        _finding(finding)


def _labels(facts: dict[str, Any], dataset: Dataset, note: str) -> Table:
    """Images, or boxes, a label and split; of several labels at once each counts on its own."""
    from foveal.tasks import named_task

    kind, answer = "boxes" if "boxes" in facts else "labels", named_task(dataset.task).answer
    parts = [answer.summary(dataset.targets[dataset.rows(name)], dataset.labels)[kind] for name in SPLITS]
    table = Table("label" if kind == "labels" else "boxes of", box=None, header_style="bold", pad_edge=False)
    for name in _splits(dataset, note):
        table.add_column(name, justify="right")
    table.add_column("all", justify="right")
    for label in dataset.labels:
        counts = [*(part[label] for part in parts), facts[kind][label]]
        table.add_row(escape(label), *(f"{count:,}" for count in counts))
    if kind == "boxes":
        counted = zip(_splits(dataset, note), (len(dataset.rows(name)) for name in SPLITS))
        images = ", ".join(f"{name} {count:,}" for name, count in counted)
        table.caption, table.caption_justify = f"images: {images}; {facts['empty']:,} without a box", "left"
    return table


def _values(facts: dict[str, Any], dataset: Dataset, note: str) -> Table:
    """The values' range, and below it images a split."""
    kinds = ("smallest", "median", "mean", "largest")
    table = Table("value", box=None, header_style="bold", pad_edge=False)
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name, row in facts.get("values", {}).items():
        table.add_row(escape(name), *(f"{row[kind]:,.6g}" for kind in kinds))
    counts = [f"{name} {len(dataset.rows(split)):,}" for name, split in zip(_splits(dataset, note), SPLITS)]
    table.caption, table.caption_justify = ", ".join(counts), "left"
    return table


def _splits(dataset: Dataset, note: str) -> list[str]:
    """Their names; those that training would make have a star."""
    return [name if name in dataset.given or note else f"{name}*" for name in SPLITS]


def plan(plan: "Plan") -> None:
    """The table of `plan`: what was decided and what to expect of it."""
    for line in (f"net {plan.recipe.net}", *plan.reasons):
        out.print(escape(line), soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{plan.began:.0f} s", "to load the images and to measure this machine")
    table.add_row(f"{plan.training:.0f} s", "training")
    table.add_row(f"{plan.measuring:.0f} s", "the test images and the report")
    table.add_row(f"{plan.seconds:.0f} s", f"in all, of {60 * plan.minutes:.0f} s", style="bold")
    table.add_row(f"{plan.memory / 1e9:.1f} GB", "memory at the peak, about")
    if plan.flops_per_second:
        table.add_row(f"{plan.flops_per_second / 1e9:.0f} GFLOP/s", "arithmetic of training on this machine")
    if plan.cifar10_accuracy:
        note = "the test accuracy that so much arithmetic gave on CIFAR-10; other images are easier or harder"
        table.add_row(f"{plan.cifar10_accuracy:.2f}", note)
    else:
        table.add_row("–", "accuracy: nobody knows for a network that was not trained on CIFAR-10 here")
    if plan.seconds > 60 * plan.minutes:
        table.add_row("!", "more than the minutes that were given: the least that can be done takes longer")
    out.print()
    out.print(table)


def training(events: Iterator[Event]) -> Path | None:
    """Show a training as it goes. Returns the run's folder, or None when it was stopped with Ctrl-C.

    The first Ctrl-C (or SIGTERM) stops after the step in hand, with everything saved; a second one stops at once.
    """
    started = next(events)
    assert isinstance(started, Started)
    _introduce(started)
    stop = False

    def ask_to_stop(kind: int, frame: object) -> None:
        nonlocal stop
        if stop:
            raise KeyboardInterrupt
        stop = True

    before = {kind: signal.signal(kind, ask_to_stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _bar(started) as bar:
            task = bar.add_task("", total=started.total, status="")
            bar.update(task, completed=started.epoch * started.steps + started.step)
            for event in events:
                if stop:
                    events.close()  # pyright: ignore[reportAttributeAccessIssue]
                    break
                _progress(event, bar, task, started)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    if stop:
        path = escape(shlex.quote(str(started.run)))
        program = "foveal" if int(os.environ.get("WORLD_SIZE", "1")) == 1 else "torchrun … -m foveal"
        err.print(f"Stopped, with everything saved. Go on with: [bold]{program} resume {path}[/]", soft_wrap=True)
        return None
    return started.run


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
    err.print(
        f"[bold]{escape(str(started.run))}[/]: {started.images:,} images, {started.parameters:,} parameters, "
        f"{recipe.epochs:g} epochs of {started.steps:,} steps, {started.precision} on {escape(started.device)}",
        soft_wrap=True,
    )
    size = "×".join(map(str, (recipe.input.height, recipe.input.width, recipe.input.channels)))
    err.print(f"input {size} ({recipe.input.resize} where the size differs), net {escape(recipe.net)}", soft_wrap=True)
    for note in started.notes:
        err.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    err.print("* the best epoch on validation so far", style="dim")
    if started.epochs and started.epoch == started.epochs:
        err.print("training was finished before")
    elif started.epoch or started.step:
        err.print(f"going on from epoch {started.epoch + 1}, step {started.step + 1}")


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
    if isinstance(event, Step):
        scores = " ".join(f"{name} {number(value, name)}" for name, value in event.scores.items())
        done = event.epoch * started.steps + event.step
        bar.update(task, completed=done, status=f"epoch {event.epoch + 1} loss {event.loss:.3f} {scores}")
    elif isinstance(event, Probing):
        bar.update(task, status=f"features of {event.done:,} of {event.total:,} images")
    elif isinstance(event, Paced):
        bar.update(task, total=event.total)
    elif isinstance(event, EpochEnded):
        epochs = max(started.epochs, event.epoch)  # the clock may have added one
        parts = [f"epoch {event.epoch:>{len(str(epochs))}}/{epochs}" if event.epoch else "probe"]
        for split in ("train", "validation"):
            values = {k.removeprefix(f"{split}_"): v for k, v in event.row.items() if k.startswith(f"{split}_")}
            told = [f"{name} {number(value, name)}" for name, value in values.items()]
            parts += [" ".join([split, *told])] if told else []
        parts.append(f"{event.row['seconds']:.0f} s{' *' if event.best else ''}")
        err.print(" · ".join(parts), soft_wrap=True)
    elif isinstance(event, Finished) and event.reason == "patience":
        err.print(f"stopped early: no better epoch on validation since {event.kept}")


def scores(report: Report) -> None:
    """The tables of `evaluate`."""
    table = Table("", *map(named, report.headline), box=None, header_style="bold", pad_edge=False)
    for name, row in {"this network": report.scores, **report.baselines}.items():
        cells = [_score(row[score], score) if score in row else "" for score in report.headline]
        table.add_row(named(name), *cells, style="bold" if name == "this network" else "")
    out.print(table)
    out.print()
    if not report.headline:
        out.print("nothing could be measured: no test image has any of the labels", style="yellow")
        return
    first = report.scores[report.headline[0]]
    told = f"on {first.n:,} test images, looked at {report.looks}×; intervals at {first.level:.0%}"
    wide = out.options.update_width(UNLIMITED)
    if apart := report.without_twins:
        shown = [
            f"{named(name)} {_score(apart.scores[name], name)}" for name in report.headline if name in apart.scores
        ]
        have, them = ("images have", "them") if apart.left_out > 1 else ("image has", "it")
        twins = f"{apart.left_out:,} test {have} a twin among those it learned from"
        out.print(f"{twins}; without {them}: {', '.join(shown)}", soft_wrap=True)
        out.print()
    forms = {form: _rows(report, form) for form in (ONE_LINE, TWO_LINES, BARE)}
    form = next((form for form, rows in forms.items() if out.measure(rows, options=wide).maximum <= out.width), BARE)
    out.print(forms[form])
    out.print(f"{told}{', those of the labels in the report' if form == BARE else ''}", style="dim")
    if looked := words_on_looks(report):
        out.print(looked, style="dim")
    _decisions(report)


def _decisions(report: Report) -> None:
    """What became of an operating point, where one was asked for; and of which images it does worse."""
    for point in report.operating:
        scores = [f"{name} {_score(score, name)}" for name, score in point.scores.items()]
        asked = f"{point.quantity} {point.wanted:g} of {escape(point.label)}, from {point.threshold:.3g} on"
        out.print(f"asked for {asked}: {', '.join(scores) or 'nothing to tell it by'}", soft_wrap=True)
    selective = report.selective
    if selective and selective.answered and selective.wanted:
        asked = ", ".join(f"{name} {value:g}" for name, value in selective.wanted.items())
        error = f", wrong among these {_score(selective.error_answered, '')}" if selective.error_answered else ""
        answered = f"answered {_score(selective.answered, '')}{error}"
        out.print(f"asked for {asked}, from {selective.threshold:.3f} on: {answered}", soft_wrap=True)
    for text in trust_cautions(report):
        out.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def _rows(report: Report, form: str) -> Table:
    """The scores of each label or value. Of a single value those that are not shown already."""
    columns, counts = columns_of(report.per_label.values()), counts_of(report.per_label.values())
    if report.points and len(report.per_label) == 1:
        columns = [name for name in columns if name not in report.headline]
    table = Table("", *map(named, columns), *map(named, counts), box=None, header_style="bold", pad_edge=False)
    for name, row in report.per_label.items():
        cells = [_score(row[key], key, form) if key in row else "–" for key in columns]
        table.add_row(escape(name), *cells, *(f"{row.get(key, 0):,}" for key in counts))
    return table


def before_after(found: "BeforeAfter", headline: Sequence[str]) -> None:
    """What the network that a training started from and the new one make of what the old one knew."""
    scores = [name for name in headline if name in found.before.scores and name in found.after.scores]
    table = Table("", "before", "after", box=None, header_style="bold", pad_edge=False)
    for name in scores:
        cells = [_score(one.scores[name], name) for one in (found.before, found.after)]
        table.add_row(named(name), *cells, style="bold")
    shown = (columns_of(found.before.per_label.values()) or [""])[-1]
    for label in found.labels:
        rows = found.before.per_label.get(label, {}), found.after.per_label.get(label, {})
        cells = [_score(row[shown], shown) if shown in row else "–" for row in rows]
        table.add_row(f"{escape(label)}, {named(shown)}", *cells)
    out.print()
    out.print(table)
    out.print(f"on the {found.images:,} test images of what the old network knew", style="dim")


def page(run: Path) -> None:
    """Where the page of a report is."""
    out.print(f"report: [bold]{escape(str(run / 'report' / 'report.html'))}[/]", soft_wrap=True)


def description(description: Any) -> None:
    """The table of `describe`."""
    titles = ("layer", "output", "parameters", "FLOPs", "receptive field", "as a dense layer")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="left" if title == "layer" else "right")
    for row in description.rows:
        table.add_row(
            escape(row.token),
            "×".join(map(str, row.shape)),
            f"{row.parameters:,}" if row.parameters else "",
            f"{row.flops:,}" if row.flops else "",
            "×".join(map(str, row.receptive_field)) if row.receptive_field else "",
            f"{row.dense_equivalent:,}" if row.dense_equivalent else "",
        )
    out.print(table)
    out.print(f"[bold]{description.parameters:,}[/] parameters, {description.flops / 1e6:,.2f} MFLOP an image forward")


def _score(score: Any, name: str, form: str = ONE_LINE) -> str:
    value, low, high = (number(bound, name) for bound in (score.value, score.low, score.high))
    return form.format(value, low, high)


def _finding(finding: Finding) -> None:
    shown = ", ".join(finding.files[:FILES_SHOWN])
    more = f" and {len(finding.files) - FILES_SHOWN} more" if len(finding.files) > FILES_SHOWN else ""
    files = f"\n    {escape(printable(shown))}{more}" if shown else ""
    out.print(
        f"[yellow]{finding.kind}[/]: {escape(printable(finding.message))}{files}\n    {escape(finding.remedy)}",
        soft_wrap=True,
    )
