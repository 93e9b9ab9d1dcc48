"""How answers are decided, in sentences: an operating point, silence, or what mistakes cost."""

from collections.abc import Sequence
from typing import Any

from foveal.report.schema import Report
from foveal.report.schema_part import ReportScore
from foveal.report.schema_trust import ReportCost, ReportCosts
from foveal.report.words import number

__all__ = ["cost_cautions", "cost_rows", "costs_told", "words_on_deciding"]

LABELS_NAMED = 5


def words_on_deciding(report: Report) -> list[str]:
    """What was asked for and what it comes to on the test images, a sentence each; empty where nothing was."""
    told = []
    for point in report.operating:
        scores = ", ".join(f"{name} {_percent(score)}" for name, score in point.scores.items())
        asked = (
            f"Asked for a {point.quantity} of {point.wanted:g}, it says “{point.label}” from {point.threshold:.3g} on"
        )
        told.append(f"{asked}: {scores or 'the test images cannot tell what that comes to'}.")
    found = report.selective
    if found and found.wanted and found.answered:
        name, wanted = next(iter(found.wanted.items()))
        asked = f"to answer {100 * wanted:g}% of the images" if name == "coverage" else f"for a risk of {wanted:g}"
        told.append(f"Asked {asked}, {_answered(found.answered, found.error_answered)}.")
    if report.costs:
        told.append(_of_costs(report.costs))
    return told


def _answered(answered: ReportScore, wrong: ReportScore | None) -> str:
    error = f" and is wrong in {_percent(wrong)} of these" if wrong else ""
    return f"it answers {_percent(answered)} of the test images{error}"


def _of_costs(costs: ReportCosts) -> str:
    silent = f", where {_answered(costs.answered, costs.error_answered)}" if costs.answered else ""
    mean, plain, always = (_cost(score) for score in (costs.mean, costs.plain, costs.always))
    _, likeliest, constant = (row["name"] for row in cost_rows(costs))
    return (
        f"Decided by what mistakes cost ({costs_told(costs)}), an image costs {mean} on average{silent}; {likeliest} "
        f"would cost {plain}, {constant} {always}."
    )


def costs_told(costs: ReportCosts) -> str:
    """What the user said, in words."""
    named = [_mistake(mistake) for mistake in costs.mistakes]
    silence = [] if costs.abstain is None else [f"no answer {costs.abstain:g}"]
    return ", ".join([*named, *silence, f"any {'other ' if named else ''}mistake 1"])


def _mistake(mistake: ReportCost) -> str:
    if mistake.answer is None:
        return f"“{mistake.true}” missed {mistake.cost:g}"
    if mistake.true is None:
        return f"“{mistake.answer}” said wrongly {mistake.cost:g}"
    return f"“{mistake.true}” answered “{mistake.answer}” {mistake.cost:g}"


def cost_rows(costs: ReportCosts) -> list[dict[str, Any]]:
    """The answers given and the two that take no notice of costs: `name`, `score`, and what is `saved` beside it."""
    return [
        {"name": "what is expected to cost least", "score": costs.mean, "saved": None},
        {"name": "the likeliest answer", "score": costs.plain, "saved": costs.saved},
        {"name": _constant(costs), "score": costs.always, "saved": costs.saved_always},
    ]


def _constant(costs: ReportCosts) -> str:
    if costs.silent:
        return "no answer at all"
    if not costs.constant:
        return "always none of the labels"
    more = len(costs.constant) - LABELS_NAMED
    return f"always {_list(costs.constant[:LABELS_NAMED])}{f' and {more} more' if more > 0 else ''}"


def _list(labels: Sequence[str]) -> str:
    return ", ".join(f"“{label}”" for label in labels)


def cost_cautions(costs: ReportCosts) -> list[str]:
    """Where the answers are not surely cheaper than those that take no notice of costs, or of the images."""
    _, plain, always = cost_rows(costs)
    told = []
    if costs.saved.low <= 0:
        told.append(f"By the test images it is not certain that the answers cost less than {plain['name']} would.")
    if costs.saved_always.low <= 0:
        told.append(
            f"By the test images it is not certain that the answers cost less than {always['name']} would, for which "
            "no network is needed."
        )
    return told


def _percent(score: ReportScore) -> str:
    return f"{100 * score.value:.1f}% [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _cost(score: ReportScore) -> str:
    value, low, high = (number(bound, "cost") for bound in (score.value, score.low, score.high))
    return value if score.method == "exact" else f"{value} [{low}, {high}]"
