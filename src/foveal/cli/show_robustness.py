"""The tables of `evaluate --robustness`."""

from rich.markup import escape
from rich.table import Table

from foveal.cli.show import out
from foveal.report import named, number
from foveal.report.schema_robustness import ReportRobustness

__all__ = ["robustness"]

SAID = {
    "same": "share of the images whose answer stays the same",
    "spreads": "mean change of the answer, in standard deviations of the true values",
}


def robustness(found: ReportRobustness) -> None:
    """The score at each level with its strength below it, then what shifts do."""
    out.print()
    out.print(_levels(found))
    text = f"{named(found.score)} of {found.images:,} test images made worse in five steps; * worse with p < 0.05"
    out.print(f"{text} (paired, Holm's correction); intervals in the report", style="dim", soft_wrap=True)
    for name, reason in found.left_out.items():
        out.print(f"{name} left out: {escape(reason)}", style="dim", soft_wrap=True)
    if found.shifts:
        out.print()
        out.print(_shifts(found))
        out.print(SAID[found.change], style="dim", soft_wrap=True)


def _levels(found: ReportRobustness) -> Table:
    steps = max((len(kind.levels) for kind in found.corruptions.values()), default=0)
    titles = ("made worse by", "as it is", *map(str, range(1, steps + 1)), "worse from")
    table = Table(*titles, box=None, header_style="bold", pad_edge=False)
    for name, kind in found.corruptions.items():
        cells = []
        for one in kind.levels:
            value = number(one.score.value, found.score)
            cells.append(f"{f'[yellow]{value}*[/]' if one.worse else value}\n[dim]{one.strength:g}[/]")
        first = f"{kind.levels[kind.first_worse - 1].strength:g}" if kind.first_worse else "–"
        clean = number(found.clean.value, found.score)
        table.add_row(f"{named(name)}\n[dim]{escape(kind.parameter)}[/]", clean, *cells, first)
    return table


def _shifts(found: ReportRobustness) -> Table:
    farthest = max(map(len, found.shifts.values()))
    table = Table(
        "shifted", *(f"{k} px" for k in range(1, farthest + 1)), box=None, header_style="bold", pad_edge=False
    )
    for name, scores in found.shifts.items():
        table.add_row(name, *(f"{one.value:.3f} [dim]\\[{one.low:.3f}, {one.high:.3f}][/]" for one in scores))
    return table
