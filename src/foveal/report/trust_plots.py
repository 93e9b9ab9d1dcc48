"""Pictures of how far answers can be trusted: reliability, and error over coverage. Legible on white and on black."""

from collections.abc import Sequence

from foveal.report.plots import (
    FROM_LEFT,
    FROM_TOP,
    SIDE,
    THIN,
    TRAIN,
    VALIDATION,
    square,
    tick_label,
    ticks,
    unit_square,
)
from foveal.report.schema_trust import ReportBin

__all__ = ["reliability_svg", "risk_coverage_svg"]

LEAST_HEIGHT = 1.5  # of the bar that says how many answers a bin has
FOOT = 40  # height of the tallest of these
LABEL = "Share of wrong answers over share of images that are answered, the surest first"


def reliability_svg(bins: Sequence[ReportBin], label: str) -> str:
    """How many answers are right over how sure they are, an `<svg>` that takes the width it is given: a dot a bin with
    its interval, on the diagonal where the probabilities are what they say; at the foot how many answers a bin has.

    Args:
        bins: one at least.
        label: for those who cannot see it; text of ours.
    """
    right, bottom = FROM_LEFT + SIDE, FROM_TOP + SIDE
    most = max(part.share.n for part in bins)
    parts = [*unit_square(), THIN.format(f"M{FROM_LEFT} {bottom}L{right} {FROM_TOP}")]
    for part in bins:
        x, width = FROM_LEFT + SIDE * part.low, SIDE * (part.high - part.low)
        height = max(LEAST_HEIGHT, FOOT * part.share.n / most)
        place = f'x="{x:.1f}" y="{bottom - height:.1f}" width="{width - 1:.1f}" height="{height:.1f}"'
        parts.append(f'<rect {place} fill="{VALIDATION}" fill-opacity=".25"/>')
    for part in bins:
        x = FROM_LEFT + SIDE * part.confidence
        low, value, high = (bottom - SIDE * bound for bound in (part.share.low, part.share.value, part.share.high))
        told = f"sure {part.confidence:.3f}, right {part.share.value:.3f}, {part.share.n:,} answers"
        line = f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{VALIDATION}" stroke-width="2"/>'
        parts.append(
            f'<g><title>{told}</title>{line}<circle cx="{x:.1f}" cy="{value:.1f}" r="3.5" fill="{VALIDATION}"/></g>'
        )
    return square(parts, "how sure (mean probability)", "how many are right", label)


def risk_coverage_svg(errors: Sequence[float], at: tuple[float, float] | None) -> str:
    """Error over coverage, an `<svg>` that takes the width it is given.

    Args:
        errors: share of wrong answers among the surest 1, 2, … of as many parts.
        at: share that is answered and share of these that is wrong, at the threshold.
    """
    right, bottom = FROM_LEFT + SIDE, FROM_TOP + SIDE
    marks = ticks(0, max(max(errors), at[1] if at else 0.0, 0.01))

    def place(coverage: float, error: float) -> str:
        return f"{FROM_LEFT + SIDE * coverage:.1f} {bottom - SIDE * error / marks[-1]:.1f}"

    parts = [THIN.format(f"M{FROM_LEFT} {FROM_TOP}V{bottom}H{right}")]
    for mark in marks:
        y = float(place(0, mark).split()[1])
        parts.append(f'<g opacity=".15">{THIN.format(f"M{FROM_LEFT} {y}H{right}")}</g>')
        parts.append(f'<text x="{FROM_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick_label(mark, marks)}</text>')
    for mark in (0, 0.25, 0.5, 0.75, 1):
        x = place(mark, 0).split()[0]
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{mark:g}</text>')
    line = "L".join(place((step + 1) / len(errors), error) for step, error in enumerate(errors))
    parts.append(f'<path d="M{line}" fill="none" stroke="{VALIDATION}" stroke-width="1.5"/>')
    if at is not None:
        x, y = place(*at).split()
        parts.append(f'<circle cx="{x}" cy="{y}" r="4.5" fill="{TRAIN}"/>')
    return square(parts, "share of the images that are answered", "share of the answers that are wrong", LABEL)
