"""What `look --suspects` and `look --shortcuts` print."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from foveal.api import LabelCheck
from foveal.cli.show import out, printable
from foveal.measure.shortcuts import VIEWS, Shortcuts
from foveal.measured import Score
from foveal.phrasing import counted
from foveal.types import Finding

__all__ = ["show_checks", "with_checks"]

Hidden = tuple[Shortcuts, tuple[Finding, ...]]

SHOWN = 20  # suspects; --json has them all
MEASURED = {"accuracy": "right", "macro_auroc": "mean AUROC", "r2": "R²"}
COLUMNS = {
    "name": "of",
    "given": "labelled",
    "suggested": "looks like",
    "xyxy": "where",
    "suggested_xyxy": "found at",
    "box": "box",
    "score": "score",
}


def with_checks(data: dict[str, Any], hidden: Hidden | None, judged: LabelCheck | None) -> dict[str, Any]:
    """What `look --json` prints, with what the checks found: their findings after the others."""
    findings = [finding.as_dict() for finding in (*(hidden[1] if hidden else ()), *(judged.findings if judged else ()))]
    told = {**data, "findings": [*data["findings"], *findings]}
    return {
        **told,
        **({"shortcuts": hidden[0].as_dict()} if hidden else {}),
        **({"suspects": judged.as_dict()} if judged else {}),
    }


def show_checks(hidden: Hidden | None, judged: LabelCheck | None) -> None:
    if hidden:
        _shortcuts(*hidden)
    if judged:
        _suspects(judged)


def _shortcuts(found: Shortcuts, findings: tuple[Finding, ...]) -> None:
    how, several = found.how, bool(found.by_label)
    head = (f"{how.it} told from", MEASURED[how.measured], *(["best told"] if several else []), "")
    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    table.add_row("nothing", _score(found.constant), *([""] if several else []), how.constant, style="dim")
    telling = found.telling()
    for name, score in found.views.items():
        cells = name.replace("_", " "), _score(score), *_best(found, name), VIEWS[name]
        table.add_row(*cells, style="yellow" if name in telling else "")
    whole = "the whole image shrunk to 16 × 16 pixels"
    table.add_row("whole", _score(found.whole), *_best(found, "whole"), whole, style="dim")
    out.print()
    out.print(table)
    out.print(f"regression, cross-validated on {counted(found.images, 'image')}", style="dim")
    for finding in findings:
        out.print(f"[yellow]{finding.kind}[/]: {escape(finding.message)}\n    {escape(finding.remedy)}", soft_wrap=True)


def _best(found: Shortcuts, view: str) -> tuple[str, ...]:
    """A cell where there are several labels or values."""
    label = found.best_told(view)
    if not found.by_label:
        return ()
    return (f"{escape(printable(label))} {found.by_label[view][label].value:.3f}" if label else "–",)


def _suspects(judged: LabelCheck) -> None:
    out.print()
    for note in judged.notes:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    among = f"{judged.targets:,} {judged.what} of {counted(judged.images, 'image')}"
    told = f"{counted(len(judged.findings), 'suspect')} among {among}"
    if judged.wrong is not None:
        told += f"; about {judged.wrong:,.0f} {'is' if round(judged.wrong) == 1 else 'are'} wrong, by estimate"
    out.print(f"[bold]{told}[/]", soft_wrap=True)
    how = f"{escape(judged.net)}, {judged.measured} {_score(judged.score)} on images it did not see"
    out.print(f"judged by {how}, {judged.seconds:.0f} s", style="dim", soft_wrap=True)
    if not judged.findings:
        return
    kinds = Counter(finding.kind for finding in judged.findings)
    if len(kinds) > 1:
        out.print(", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()), soft_wrap=True)
    shown = judged.findings[:SHOWN]
    out.print(_table(shown))
    more = len(judged.findings) - SHOWN
    if more > 0:
        out.print(f"and {more:,} more: --json has them all, the worst first", style="dim")
    for kind, remedy in {finding.kind: finding.remedy for finding in shown}.items():
        out.print(f"    {f'[yellow]{kind}[/]: ' if len(kinds) > 1 else ''}{escape(remedy)}", soft_wrap=True)


def _table(findings: Sequence[Finding]) -> Table:
    """A row a suspect, a column for each fact that any of them has."""
    columns = {name: title for name, title in COLUMNS.items() if any(name in one.facts for one in findings)}
    many = len({finding.kind for finding in findings}) > 1
    head = (*(["suspect"] if many else []), "file", *columns.values())
    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        kind = [finding.kind.removesuffix("-suspect")] if many else []
        cells = [_cell(finding.facts.get(name)) for name in columns]
        table.add_row(*kind, escape(printable(finding.files[0])), *map(escape, cells))
    return table


def _cell(fact: Any) -> str:
    """A fact of a suspect: a box, a score, a name."""
    if isinstance(fact, list):
        return " ".join(f"{value:.0f}" for value in fact)
    return f"{fact:.2f}" if isinstance(fact, float) else "–" if fact is None else printable(str(fact))


def _score(score: Score) -> str:
    return f"{score.value:.3f} [dim]\\[{score.low:.3f}, {score.high:.3f}][/]"
