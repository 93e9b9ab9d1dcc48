"""What `look --suspects` and `look --shortcuts` print."""

from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from foveal.api import LabelCheck
from foveal.cli.show import out, printable
from foveal.measure.shortcuts import VIEWS, Shortcuts
from foveal.measured import Score
from foveal.types import Finding

__all__ = ["show_checks", "with_checks"]

Hidden = tuple[Shortcuts, tuple[Finding, ...]]

SHOWN = 20  # suspects; --json has them all


def with_checks(data: dict[str, Any], hidden: Hidden | None, judged: LabelCheck | None) -> dict[str, Any]:
    """What `look --json` prints, with what the checks found: their findings after the others."""
    findings = [finding.as_dict() for finding in (*(hidden[1] if hidden else ()), *(judged.findings if judged else ()))]
    told = {**data, "findings": [*data["findings"], *findings]}
    return {
        **told,
        **({"shortcuts": asdict(hidden[0])} if hidden else {}),
        **({"suspects": judged.as_dict()} if judged else {}),
    }


def show_checks(hidden: Hidden | None, judged: LabelCheck | None) -> None:
    if hidden:
        _shortcuts(*hidden)
    if judged:
        _suspects(judged)


def _shortcuts(found: Shortcuts, findings: tuple[Finding, ...]) -> None:
    table = Table("the label told from", "right", "", box=None, header_style="bold", pad_edge=False)
    table.add_row("nothing", _score(found.majority), "always saying the most frequent label", style="dim")
    telling = found.telling()
    for name, score in found.views.items():
        table.add_row(name.replace("_", " "), _score(score), VIEWS[name], style="yellow" if name in telling else "")
    table.add_row("whole", _score(found.whole), "the whole image shrunk to 16 × 16 pixels", style="dim")
    out.print()
    out.print(table)
    out.print(f"logistic regression, cross-validated on {found.images:,} images", style="dim")
    for finding in findings:
        out.print(f"[yellow]{finding.kind}[/]: {escape(finding.message)}\n    {escape(finding.remedy)}", soft_wrap=True)


def _suspects(judged: LabelCheck) -> None:
    out.print()
    for note in judged.notes:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    told = (
        f"{len(judged.findings):,} of {judged.images:,} labels look wrong; about {judged.wrong:,.0f} are, by estimate"
    )
    out.print(f"[bold]{told}[/]", soft_wrap=True)
    how = f"{escape(judged.net)}, {_score(judged.accuracy)} right on images it did not see, {judged.seconds:.0f} s"
    out.print(f"judged by {how}", style="dim", soft_wrap=True)
    if not judged.findings:
        return
    table = Table("file", "labelled", "looks like", "score", box=None, header_style="bold", pad_edge=False)
    for finding in judged.findings[:SHOWN]:
        given, suggested, score = (finding.facts[key] for key in ("given", "suggested", "score"))
        table.add_row(escape(printable(finding.files[0])), escape(given), escape(suggested), f"{score:.2f}")
    out.print(table)
    more = len(judged.findings) - SHOWN
    if more > 0:
        out.print(f"and {more:,} more: --json has them all, the worst first", style="dim")
    out.print(f"    {judged.findings[0].remedy}", soft_wrap=True)


def _score(score: Score) -> str:
    return f"{score.value:.3f} [dim]\\[{score.low:.3f}, {score.high:.3f}][/]"
