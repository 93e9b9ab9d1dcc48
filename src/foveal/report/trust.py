"""What a report's page says of how far answers can be trusted."""

from typing import Any

from foveal.measure import ERRORS
from foveal.report.deciding import cost_cautions, cost_rows, costs_told
from foveal.report.schema import Report
from foveal.report.schema_part import ReportScore
from foveal.report.schema_trust import ReportOperating, ReportSelective
from foveal.report.trust_plots import reliability_svg, risk_coverage_svg
from foveal.report.words import named, number

__all__ = ["trust_cautions", "trust_of"]

SLICES_NAMED = 3


def trust_of(report: Report) -> dict[str, Any]:
    """For the template: what there is of calibration, operating points, silence and parts of the images."""
    return {
        "calibration": _calibration(report),
        "operating": report.operating,
        "selective": _selective(report),
        "costs": _costs(report),
        "slices": _slices(report),
        "unlike": report.unlike,
    }


def trust_cautions(report: Report) -> list[str]:
    """What a careful reader must know before they rely on an answer, in whole sentences."""
    cautions = [text for point in report.operating if (text := _of_point(point))]
    if report.selective and (text := _of_silence(report.selective)):
        cautions.append(text)
    if report.costs:
        cautions += cost_cautions(report.costs)
    worse = [part for part in report.slices if part.worse]
    if worse:
        told = "; ".join(
            f"{part.name} ({named(report.headline[0])} {_bounds(part.score, report.headline[0])})"
            for part in worse[:SLICES_NAMED]
        )
        more = f"; and {len(worse) - SLICES_NAMED} more" if len(worse) > SLICES_NAMED else ""
        cautions.append(f"It does worse on a part of the images: {told}{more}.")
    return cautions


def _of_point(point: ReportOperating) -> str | None:
    told = f"a {point.quantity} of {point.wanted:g} of “{point.label}”"
    if not point.met:
        return f"The validation images are too few, or the network too weak, for {told}: the threshold is the nearest."
    score = point.scores.get(point.quantity)
    if score is None:
        return f"Asked for was {told}, and the test images cannot tell what became of it."
    if score.high < point.wanted:
        return f"Asked for was {told}; on the test images it is {_bounds(score, point.quantity)}."
    return None


def _of_silence(selective: ReportSelective) -> str | None:
    if selective.threshold is None or not selective.wanted:
        return None
    risk = selective.wanted.get("risk")
    if not selective.met:
        return (
            f"On the validation images no threshold leaves so few answers wrong as asked for ({risk:g}): the nearest."
        )
    error = selective.error_answered
    if risk is not None and error is not None and error.low > risk:
        return (
            f"Asked for was a risk of {risk:g}; on the test images {_bounds(error, 'error')} of the answers are wrong."
        )
    return None


def _bounds(score: ReportScore, name: str) -> str:
    value, low, high = (number(bound, name) for bound in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def _calibration(report: Report) -> dict[str, Any] | None:
    found = report.calibration
    if found is None:
        return None
    told = "Share of right answers over how sure the network was"
    after = {"svg": reliability_svg(found.bins, told), "score": found.ece}
    if found.temperature == 1:
        return {"temperature": None, "panels": [{**after, "name": "as predict gives them"}]}
    before = {"svg": reliability_svg(found.bins_before, f"{told}, before the temperature"), "score": found.ece_before}
    panels = [{**before, "name": "as the network gives them"}, {**after, "name": "divided by the temperature"}]
    return {"temperature": found.temperature, "panels": panels}


def _selective(report: Report) -> dict[str, Any] | None:
    found = report.selective
    if found is None:
        return None
    answered, error = found.answered, found.error_answered
    at = (answered.value, error.value) if answered is not None and error is not None else None
    name, wanted = next(iter((found.wanted or {}).items()), ("", 0.0))
    return {"found": found, "svg": risk_coverage_svg(found.errors, at), "name": name, "wanted": wanted}


def _costs(report: Report) -> dict[str, Any] | None:
    """With where the axis of their plot ends."""
    found = report.costs
    if found is None:
        return None
    rows = cost_rows(found)
    end = max(row["score"].high for row in rows) or 1.0
    return {"found": found, "told": costs_told(found), "rows": rows, "end": end}


def _slices(report: Report) -> dict[str, Any] | None:
    """With where the axis of their plot starts and ends."""
    if not report.slices:
        return None
    name = report.headline[0]
    whole = report.scores[name]
    scores = [whole, *(part.score for part in report.slices)]
    low, high = min(score.low for score in scores), max(score.high for score in scores)
    room = 0.05 * (high - low) or 0.05
    if name not in ERRORS:
        low, high = max(low - room, -1.0 if name == "r2" else 0.0), min(high + room, 1.0)
    else:
        low, high = max(low - room, 0.0), high + room
    return {"name": name, "whole": whole, "rows": report.slices, "start": low, "end": high}
