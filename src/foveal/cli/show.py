"""What a person sees: tables and bars for a terminal, JSON for a program."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from foveal.cli.terminal import UNLIMITED, Murmur, err, json_object, out, printable
from foveal.data.far import few
from foveal.phrasing import amount, counted, listed
from foveal.report import (
    Report,
    columns_of,
    counted_groups,
    counts_of,
    named,
    number,
    trust_cautions,
    words_on_deciding,
    words_on_looks,
)
from foveal.types import SPLITS, Dataset, Finding, Progress

if TYPE_CHECKING:
    from foveal.api.continuing import BeforeAfter
    from foveal.engine.plan import Plan

__all__ = [
    "data",
    "description",
    "json_object",
    "page",
    "plan",
    "scores",
    "working",
    "wrote",
]

FILES_SHOWN = 3
MANY_NUMBERS = 12  # labels; the ten digits are no amounts
BAR = 20  # characters

# A score with its interval; in a table that is too wide for the terminal below one another, or the score alone.
ONE_LINE, TWO_LINES, BARE = "{} [dim]\\[{}, {}][/]", "{}\n[dim]\\[{}, {}][/]", "{}"


@contextmanager
def working(message: str) -> Iterator[Progress | None]:
    """A spinner on a terminal, with what is told to the yielded `progress`, and a bar where it is known of how much;
    otherwise a plain line, and what is told every 20 seconds."""
    if not err.is_terminal:
        murmur = Murmur()
        murmur(message)
        yield lambda what, done, total: murmur(f"{message}: {what} {_so_far(done, total)}")
        return
    with err.status(escape(message)) as status:

        def progress(what: str, done: int, total: int) -> None:
            told = f"{escape(message)}: {what} {_so_far(done, total)}"
            line = Table.grid(padding=(0, 1))
            line.add_column(no_wrap=True)
            line.add_row(told, *([ProgressBar(total, done, width=BAR)] if total else []))
            status.update(line)

        yield progress


def _so_far(done: int, total: int) -> str:
    return f"{done:,}" + (f" of {total:,}" if total else "")


def data(facts: dict[str, Any], dataset: Dataset, note: str) -> None:
    """The table of `look`."""
    sizes = facts["sizes"]
    spread = " – ".join(dict.fromkeys("×".join(map(str, sizes[key])) for key in ("smallest", "median", "largest")))
    modes = ", ".join(f"{name} {count:,}" for name, count in facts["modes"].items())
    told = (
        counted(len(facts["labels"]), "label") if facts["labels"] else f"values: {', '.join(facts.get('values', {}))}"
    )
    out.print(
        f"[bold]{escape(facts['source'])}[/]: {counted(facts['images'], 'image')}, {escape(told)}\n"
        f"height×width {spread} · {modes}",
        soft_wrap=True,
    )
    table, below = _labels(facts, dataset, note) if facts["labels"] else _values(facts, dataset, note)
    out.print(table)
    if below:
        _below(below)
    if note:
        out.print(f"[yellow]It cannot be trained on as it is:[/] {escape(note)}")
    elif len(dataset.given) < len(SPLITS):
        text = "* as training would divide it: stratified, seeded, duplicates and near-duplicates kept together"
        _below(text)
    if text := few(len(dataset) - dataset.twins.same):
        _below(text)
    if len(numeric := [name for name in dataset.labels if name.isdecimal()]) == len(dataset.labels) >= MANY_NUMBERS:
        text = f"all {len(numeric)} labels are numbers: if they are amounts, such as ages, learn them as values:"
        out.print(f"[yellow]note:[/] {text} --task regression", soft_wrap=True)
    for finding in dataset.findings:
        _finding(finding)


def _below(text: str) -> None:
    """A line below a table, as wide as the terminal (a caption is as narrow as its table); in a pipe it is whole."""
    out.print(text, style="dim", markup=False, soft_wrap=not out.is_terminal)


def _labels(facts: dict[str, Any], dataset: Dataset, note: str) -> tuple[Table, str]:
    """Images, or boxes, a label and split; of several labels at once each counts on its own. What to say below it."""
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
    below = f"{_divided(dataset, note)}; {facts['empty']:,} without a box" if kind == "boxes" else ""
    return table, below


def _values(facts: dict[str, Any], dataset: Dataset, note: str) -> tuple[Table, str]:
    """The values' range, and what to say below it."""
    kinds = ("smallest", "median", "mean", "largest")
    table = Table("value", box=None, header_style="bold", pad_edge=False)
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name, row in facts.get("values", {}).items():
        table.add_row(escape(name), *(amount(row[kind]) for kind in kinds))
    return table, _divided(dataset, note)


def _divided(dataset: Dataset, note: str) -> str:
    """Images a split, in a line."""
    counts = [f"{name} {len(dataset.rows(split)):,}" for name, split in zip(_splits(dataset, note), SPLITS)]
    return f"images: {', '.join(counts)}"


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


def scores(report: Report) -> None:
    """The tables of `evaluate`."""
    out.print(_fitting(lambda form: _beside(report, form))[1])
    out.print()
    if not report.headline:
        out.print("nothing could be measured: no test image has any of the labels", style="yellow")
        return
    first = report.scores[report.headline[0]]
    told = f"on {counted(first.n, 'test image')}, looked at {report.looks:,}×; intervals at {first.level:.0%}"
    if report.groups:
        told += f", of {counted_groups(report.groups)}"
    if apart := report.without_twins:
        shown = [
            f"{named(name)} {_score(apart.scores[name], name)}" for name in report.headline if name in apart.scores
        ]
        have, them = ("images have", "them") if apart.left_out > 1 else ("image has", "it")
        twins = f"{apart.left_out:,} test {have} a twin among those it learned from"
        out.print(f"{twins}; without {them}: {', '.join(shown)}", soft_wrap=True)
        out.print()
    for text in report.random_split.words if report.random_split else []:
        out.print(escape(text), soft_wrap=True)
        out.print()
    form, rows = _fitting(lambda form: _rows(report, form))
    out.print(rows)
    _below(f"{told}{', those of the labels in the report' if form == BARE else ''}")
    if looked := words_on_looks(report):
        _below(looked)
    _decisions(report)


def _fitting(table: Callable[[str], Table]) -> tuple[str, Table]:
    """The first form in which a table of scores fits the terminal, and the table in it."""
    wide = out.options.update_width(UNLIMITED)
    forms = {form: table(form) for form in (ONE_LINE, TWO_LINES, BARE)}
    fitting = (form for form, rows in forms.items() if out.measure(rows, options=wide).maximum <= out.width)
    form = next(fitting, BARE)
    return form, forms[form]


def _beside(report: Report, form: str) -> Table:
    """The network's scores, and below them those of the baselines."""
    table = Table("", *map(named, report.headline), box=None, header_style="bold", pad_edge=False)
    for name, row in {"this network": report.scores, **report.baselines}.items():
        cells = [_score(row[score], score, form) if score in row else "" for score in report.headline]
        table.add_row(named(name), *cells, style="bold" if name == "this network" else "")
    return table


def _decisions(report: Report) -> None:
    """What became of an operating point, where one was asked for; and of which images it does worse."""
    for text in words_on_deciding(report):
        out.print(escape(text), soft_wrap=True)
    for text in trust_cautions(report):
        out.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def _rows(report: Report, form: str) -> Table:
    """The scores of each label or value. Of a single value those that are not shown already."""
    columns, counts = columns_of(report.per_label.values()), counts_of(report.per_label.values())
    if report.points and len(report.per_label) == 1:
        columns = [name for name in columns if name not in report.headline]
    table = Table("", *map(named, columns), box=None, header_style="bold", pad_edge=False)
    for name in counts:
        table.add_column(named(name), justify="right")
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
    _below(f"on the {counted(found.images, 'test image')} of what the old network knew")


def wrote(file: Path, what: str = "") -> None:
    """On stderr: where something that was asked for is."""
    err.print(escape(f"wrote {file}: {what}" if what else f"wrote {file}"), soft_wrap=True)


def page(run: Path) -> None:
    """Where the page of a report is."""
    out.print(f"report: [bold]{escape(str(run / 'report' / 'report.html'))}[/]", soft_wrap=True)


def explanation(found: Any) -> None:
    """One file's lines of `explain`: the answer, each map with its badge, and the page."""
    file = escape(printable(found.file))
    if found.error is not None:
        err.print(f"[red]{file}[/]: {escape(printable(found.error))}", soft_wrap=True)
        return
    out.print(f"{file}  [bold]{escape(printable(str(found.prediction)))}[/]", soft_wrap=True)
    if found.maps:
        out.print(f"  maps for {escape(printable(str(found.maps[0].attribution.chosen)))}:", soft_wrap=True)
    for one in found.maps:
        color, told = ("green", "") if one.passed else ("yellow", f": {_failed(one)}")
        out.print(f"  {one.attribution.method:<22}[{color}]{one.badge}[/]{told}", soft_wrap=True)
    out.print(f"  page: [bold]{escape(str(found.page))}[/]", soft_wrap=True)


def _failed(one: Any) -> str:
    """Which tests a map failed, in a word each; the page has the numbers."""
    names = [check.name for check in one.checks if not check.passed]
    if not names:
        return escape(printable(one.reason))
    return f"it failed {'the test' if len(names) == 1 else 'the tests'} of {listed(names)}"


def inside_network(page: Path) -> None:
    """Where the page of a network by itself is."""
    out.print(f"page: [bold]{escape(str(page))}[/]", soft_wrap=True)


def description(description: Any) -> None:
    """The table of `describe`."""
    titles = ("layer", "output", "parameters", "FLOPs", "receptive field", "as a dense layer")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="left" if title == "layer" else "right", overflow="fold")
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
    more = f" and {len(finding.files) - FILES_SHOWN:,} more" if len(finding.files) > FILES_SHOWN else ""
    files = f"\n    {escape(printable(shown))}{more}" if shown else ""
    out.print(
        f"[yellow]{finding.kind}[/]: {escape(printable(finding.message))}{files}\n    {escape(finding.remedy)}",
        soft_wrap=True,
    )
