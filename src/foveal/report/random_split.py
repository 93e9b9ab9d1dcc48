"""What a random split would have claimed: in words, and as rows of a plot."""

from collections.abc import Mapping
from typing import Any

from foveal.measure import ERRORS
from foveal.report.schema import Report
from foveal.report.schema_part import ReportScore
from foveal.report.schema_random_split import ReportClaim
from foveal.report.words import named, number

__all__ = ["random_split_rows", "told_random_split"]

WHO = {"network": "this network", "pixels": "the nearest training image"}


def told_random_split(found: Mapping[str, Any]) -> list[str]:
    """Its `words`.

    Args:
        found: all else that a `ReportRandomSplit` has, JSON-ready.
    """
    claims = {name: ReportClaim.model_validate(found[name]) for name in WHO if found[name]}
    return [_words(name, claim, found["score"], found["kind"], found["parted"]) for name, claim in claims.items()]


def _words(who: str, claim: ReportClaim, score: str, kind: str, parted: int) -> str:
    """Two sentences: both scores, and what is between them."""
    of = f"of a {named(kind)} that it has not seen" if kind else "of groups that it has not seen"
    where = "as the images are divided" if parted else f"on images {of}"
    random, own = (_told(one, score) for one in (claim.random, claim.own))
    if who == "network":
        text = f"A random split would have claimed {_an(score)} {named(score)} of {random}; {where} it is {own}."
    else:
        text = (
            f"Saying what is true of the training image whose pixels are nearest gives {_an(score)} {named(score)} of "
            f"{random} after random splits, and {own} {where}."
        )
    return f"{text} {_difference(claim.difference, score)}"


def _difference(difference: ReportScore, score: str) -> str:
    told = _told(difference, score)
    if difference.low > 0:
        return f"The difference, {told}, is memory."
    if difference.high < 0:
        return f"The random split looks worse, by {_told(_turned(difference), score)}."
    return f"Whether that is a difference cannot be told from so many groups: {told}."


def _turned(difference: ReportScore) -> ReportScore:
    ends = {"value": -difference.value, "low": -difference.high, "high": -difference.low}
    return difference.model_copy(update=ends)


def _told(score: ReportScore, name: str) -> str:
    return f"{number(score.value, name)} [{number(score.low, name)}, {number(score.high, name)}]"


def _an(name: str) -> str:
    """The article before a score's name as it is spoken: an accuracy, an MAE, an mAP."""
    return "an" if name[:1] in "aeio" or name in (*ERRORS[:1], "map", "r2") else "a"


def random_split_rows(report: Report) -> list[dict[str, Any]]:
    """For the plot: of the network, then of the nearest image, the division there is above the random one."""
    found = report.random_split
    if found is None:
        return []
    rows = []
    for name, who in WHO.items():
        claim: ReportClaim | None = getattr(found, name)
        if claim:
            rows.append({"name": who, "how": "as divided here", "score": claim.own, "own": name == "network"})
            draws = f", {claim.draws} of them" if claim.draws > 1 else ""
            rows.append({"name": who, "how": f"random split{draws}", "score": claim.random, "own": False})
    return rows
