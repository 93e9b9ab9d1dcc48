"""What the page says of worse and shifted images: small multiples of one plot, and what they mean in words."""

import html
from collections.abc import Sequence
from typing import Any

from foveal.measure.shifts import SHIFTS
from foveal.report.plots import THIN, TRAIN, VALIDATION, tick_label, ticks
from foveal.report.schema_part import ReportScore
from foveal.report.schema_robustness import ReportCorruption, ReportRobustness

__all__ = ["HOW", "levels_svg", "robustness_panels"]

HOW: dict[str, str] = {
    "blur": "out of focus, or moved",
    "noise": "taken in bad light",
    "jpeg": "saved with more loss",
    "brightness": "half of them brighter, half darker",
    "contrast": "flat, as in fog",
    "rotation": "turned, half of them to each side",
    "occlusion": "a gray rectangle hides a part",
    "scale": "the thing is smaller, as from farther away",
}

# In units of the view box: the panel, and where its axes stand.
WIDTH, HEIGHT = 240, 178
LEFT, RIGHT, ABOVE, BELOW = 36, 232, 10, 140


def robustness_panels(found: ReportRobustness) -> dict[str, Any]:
    """For the template: a panel a corruption, all with the same axis; and a row a kind of shift."""
    every = [found.clean, *(level.score for kind in found.corruptions.values() for level in kind.levels)]
    marks = ticks(0, max(score.high for score in every))
    return {
        "panels": [
            {"name": name, "kind": kind, "how": HOW.get(name, ""), "svg": levels_svg(name, kind, found.clean, marks)}
            for name, kind in found.corruptions.items()
        ],
        "shifts": [(name, SHIFTS.get(name, ""), scores) for name, scores in found.shifts.items()],
        "farthest": max((len(scores) for scores in found.shifts.values()), default=0),
    }


def levels_svg(name: str, kind: ReportCorruption, clean: ReportScore, marks: Sequence[float]) -> str:
    """The score at each level, an `<svg>` that takes the width it is given: the band is the interval, the dashed line
    the clean score; a level that is significantly worse has a full dot, any other a ring.

    Args:
        marks: ticks of the upright axis, rising.
    """
    steps = 1 + len(kind.levels)

    def across(level: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (level + 0.35) / (steps - 0.3), 1)

    def up(value: float) -> float:
        return round(BELOW - (BELOW - ABOVE) * (value - marks[0]) / (marks[-1] - marks[0]), 1)

    parts = [THIN.format(f"M{LEFT} {ABOVE}V{BELOW}H{RIGHT}")]
    for mark in marks:
        parts.append(f'<g opacity=".15">{THIN.format(f"M{LEFT} {up(mark)}H{RIGHT}")}</g>')
        parts.append(f'<text x="{LEFT - 5}" y="{up(mark) + 4:g}" text-anchor="end">{tick_label(mark, marks)}</text>')
    for level, told in enumerate(["as it is", *(f"{one.strength:g}" for one in kind.levels)]):
        parts.append(f'<text x="{across(level)}" y="{BELOW + 15}" text-anchor="middle">{told}</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle:g}" y="{BELOW + 32}" text-anchor="middle">{html.escape(kind.parameter)}</text>')
    scores = [clean, *(one.score for one in kind.levels)]
    edge = [f"{across(k)} {up(score.high)}" for k, score in enumerate(scores)]
    edge += [f"{across(k)} {up(scores[k].low)}" for k in reversed(range(steps))]
    parts.append(f'<path d="M{"L".join(edge)}Z" fill="{VALIDATION}" fill-opacity=".15"/>')
    level_line = f"M{across(0)} {up(clean.value)}H{RIGHT}"
    parts.append(f'<path d="{level_line}" fill="none" stroke="{VALIDATION}" stroke-dasharray="3 3" opacity=".7"/>')
    line = "L".join(f"{across(k)} {up(score.value)}" for k, score in enumerate(scores))
    parts.append(f'<path d="M{line}" fill="none" stroke="{VALIDATION}" stroke-width="1.5"/>')
    worse = [False, *(one.worse for one in kind.levels)]
    for k, score in enumerate(scores):
        place = f'cx="{across(k)}" cy="{up(score.value)}" r="3.5"'
        look = f'fill="{TRAIN}"' if worse[k] else f'fill="Canvas" stroke="{VALIDATION}" stroke-width="1.5"'
        parts.append(f"<circle {place} {look}/>")
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="10" fill="currentColor"'
    return "\n".join([f'<svg {size} role="img" aria-label="Score by {html.escape(name)}">', *parts, "</svg>"])
