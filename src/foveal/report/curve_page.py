"""The page of a learning curve: one file, without scripts."""

import html
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foveal.files import write_atomic
from foveal.measure import ERRORS
from foveal.phrasing import counted
from foveal.report.learning_curve import ExpectedScore, LearningCurve
from foveal.report.plots import THIN, TRAIN, VALIDATION, ticks
from foveal.report.words import named, number

__all__ = ["curve_svg", "write_curve_page"]

HERE = Path(__file__).parent
LABELS_SHOWN = 30
STEPS = 60  # of the line
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, ABOVE, BELOW = 60, 620, 16, 312


def write_curve_page(curve: LearningCurve, path: Path) -> None:
    """One HTML page: the answer, the plot, the tables; every name in it is treated as hostile."""
    text = html.escape
    style = (HERE / "report.css").read_text()
    rows = "".join(
        f"<tr><th scope=row class=n>{one.images:,}</th><td class=n>{one.times:.2g}×</td>"
        f"<td class=s>{_cell(one, curve)}</td><td>{'measured' if one.measured else 'extrapolated'}</td></tr>"
        for one in curve.expected
    )
    shown = list(curve.labels.items())[:LABELS_SHOWN]
    label_name = curve.label_score or ""
    labels = "".join(
        f"<tr><th scope=row>{text(label)}</th><td class=s>{number(one.gain, label_name)} "
        f"<small>[{number(one.low, label_name)}, {number(one.high, label_name)}]</small></td>"
        f"<td class=n>{one.most:.0%}</td></tr>"
        for label, one in shown
    )
    of_labels = (
        f"<section><h2>What twice the images would do for each label</h2><table><thead><tr><th scope=col>label</th>"
        f"<th scope=col>{text(named(label_name))} gained</th><th scope=col class=n>gains most</th></tr></thead>"
        f"<tbody>{labels}</tbody></table></section>"
        if shown
        else ""
    )
    notes = "".join(f"<li>{text(note)}</li>" for note in curve.notes)
    title = f"{text(Path(curve.folder).name)}: learning curve"
    page = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>
{style}
</style></head><body><header><h1>{title}</h1>
<p class="soft">{counted(len(curve.points), "training")} on shares of
{counted(curve.images, "training image")}, each measured on the same
{counted(curve.held_out, "image")} held out (validation). No test image was looked at.</p></header><main>
<section aria-label="result"><p class="big">{text(curve.words)}</p>
<figure style="margin:0;max-width:46rem">{curve_svg(curve)}
<figcaption>Dots are trainings; the line is the law fitted to them, the band holds {curve.level:.0%} of trainings as the
law has it. To the right of the last dots it is an extrapolation.</figcaption></figure>
<table><thead><tr><th scope=col class=n>training images</th><th scope=col class=n>of what there is</th>
<th scope=col>{text(named(curve.score))}</th><th scope=col></th></tr></thead><tbody>{rows}</tbody></table>
<p class="how">error(n) = {curve.law["a"]:.4g}·(n / {curve.images:,})<sup>-{curve.law["b"]:.3g}</sup> +
{curve.law["c"]:.4g}. The same recipe and as many passes for each share. A law fitted to few trainings knows nothing of
images of another kind.</p>{f"<ul class=how>{notes}</ul>" if notes else ""}</section>
{of_labels}</main></body></html>
"""
    write_atomic(path, page)


def _cell(one: ExpectedScore, curve: LearningCurve) -> str:
    score, low, high = (number(value, curve.score) for value in (one.score, one.low, one.high))
    return f"{score} <small>[{low}, {high}]</small>"


def curve_svg(curve: LearningCurve) -> str:
    """Score over training images, on a logarithmic axis: dots, law and band."""
    expected = curve.expected
    sizes = [*(one.images for one in expected), *(point.images for point in curve.points)]
    values = [*(bound for one in expected for bound in (one.low, one.high)), *(point.score for point in curve.points)]
    marks = ticks(min(values), max(values))
    start, end = math.log(min(sizes)) - 0.05, math.log(max(sizes)) + 0.05

    def at(images: float, value: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * (math.log(images) - start) / (end - start)
        y = BELOW - (BELOW - ABOVE) * (value - marks[0]) / (marks[-1] - marks[0])
        return round(x, 1), round(y, 1)

    parts = [THIN.format(f"M{LEFT} {ABOVE}V{BELOW}H{RIGHT}")]
    for mark in marks:
        _, y = at(sizes[0], mark)
        parts.append(f'<g opacity=".15">{THIN.format(f"M{LEFT} {y}H{RIGHT}")}</g>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{mark:.4g}</text>')
    for images in _round_sizes(min(sizes), max(sizes)):
        x, _ = at(images, marks[0])
        parts.append(THIN.format(f"M{x} {BELOW}v4"))
        parts.append(f'<text x="{x}" y="{BELOW + 17}" text-anchor="middle">{images:,}</text>')
    band = [at(one.images, one.high) for one in expected] + [at(one.images, one.low) for one in expected[::-1]]
    parts.append(f'<path d="M{_path(band)}Z" fill="{VALIDATION}" fill-opacity=".15"/>')
    line = [at(images, _law(curve, images)) for images in np.geomspace(min(sizes), max(sizes), STEPS).tolist()]
    parts.append(f'<path d="M{_path(line)}" fill="none" stroke="{VALIDATION}" stroke-width="1.5"/>')
    for point in curve.points:
        x, y = at(point.images, point.score)
        parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{TRAIN}"/>')
    title = f"{named(curve.score)} on images held out"
    parts.append(f'<text x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 8}" text-anchor="middle">training images</text>')
    turned = f'x="{-(ABOVE + BELOW) / 2:g}" y="13" transform="rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turned}>{html.escape(title)}</text>")
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" fill="currentColor" width="100%"'
    label = f"{html.escape(title)}, by number of training images"
    return "\n".join([f'<svg {size} role="img" aria-label="{label}">', *parts, "</svg>"])


def _law(curve: LearningCurve, images: float) -> float:
    error = curve.law["a"] * (images / curve.images) ** -curve.law["b"] + curve.law["c"]
    return error if curve.score in ERRORS else 1 - error


def _round_sizes(low: int, high: int) -> list[int]:
    """1, 2 and 5 times powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [one for power in powers for step in (1, 2, 5) if low <= (one := step * 10**power) <= high]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x} {y}" for x, y in places)
