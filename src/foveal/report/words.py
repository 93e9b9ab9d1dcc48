"""How names and numbers of a report are written, on its page and in a terminal."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from foveal.measure import ERRORS, PER_LABEL
from foveal.phrasing import counted
from foveal.report.schema import Report
from foveal.report.schema_part import ReportGroups

__all__ = ["columns_of", "counted_groups", "counts_of", "named", "number", "words_on_looks"]

SPELLED = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "auroc": "AUROC",
    "ece": "ECE",
    "f1": "F1",
    "jpeg": "JPEG",
    "mae": "MAE",
    "map": "mAP",
    "r2": "R²",
    "rmse": "RMSE",
    "support": "images",
    "top5": "top-5",
}
DIGITS = 3  # of a number in the user's unit


def named(name: str) -> str:
    """A field's name as people write it."""
    return " ".join(SPELLED.get(word, word) for word in name.split("_"))


def counted_groups(groups: ReportGroups) -> str:
    """How many there are: `38 patients`; `38 groups (study and patient)` where the name is no plain word."""
    if groups.kind.isalpha() and not groups.kind.endswith(("s", "x", "y", "h")):
        return counted(groups.count, groups.kind)
    kind = f" ({named(groups.kind)})" if groups.kind else ""
    return counted(groups.count, "group") + kind


def number(value: float, name: str) -> str:
    """A score of that name, or one of its bounds: three digits of an error, which has the user's unit, three decimals
    of all others."""
    if name.removeprefix("train_").removeprefix("validation_") not in ERRORS:
        return f"{round(value, 3) + 0.0:.3f}"  # never -0.000
    if not math.isfinite(value) or not 1e-6 < abs(value) < 1e15:
        return f"{value:.{DIGITS}g}"
    decimals = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(decimals, 0)}f}"


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The scores that a table of labels has, in the order of `PER_LABEL`; those that no row has are left out."""
    there = {name for row in rows for name, score in row.items() if not isinstance(score, int)}
    return [*(name for name in PER_LABEL if name in there), *sorted(there - set(PER_LABEL))]


def counts_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Likewise the counts: `support`, and what else there is."""
    there = {name for row in rows for name, score in row.items() if isinstance(score, int)}
    return [*(name for name in PER_LABEL if name in there), *sorted(there - set(PER_LABEL))]


def words_on_looks(report: Report) -> str:
    """One sentence on what the looks of all runs at these test images do to the first score; empty where this run alone
    has looked."""
    all_looks = report.all_looks
    if all_looks is None or all_looks.runs < 2 or not all_looks.too_good or not report.headline:
        return ""
    name = report.headline[0]
    better = "low" if name in ERRORS else "high"
    return (
        f"{all_looks.runs:,} runs have looked at test images of this set, {all_looks.looks:,} times in all: if this "
        f"one is kept because its number is the best of them, its {named(name)} is too {better} by up to about "
        f"{number(all_looks.too_good, name)} on average, by the luck of the choice alone."
    )
