"""report.html: one file for people. Nothing is loaded from outside, and every name in it is treated as hostile."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foveal.files import write_atomic
from foveal.measure import BASELINES, ERROR_KINDS, ERRORS, PER_LABEL, PER_LABEL_OF_BOXES, SCORES
from foveal.phrasing import counted, passes
from foveal.report.deciding import words_on_deciding
from foveal.report.found import found_of
from foveal.report.names import file_name
from foveal.report.plots import (
    BOX_KINDS,
    Curve,
    box_sample_svg,
    boxes_svg,
    confusion_uri,
    curves_svg,
    picture_uri,
    precision_recall_svg,
    scatter_svg,
    thumbnail_uri,
    ticks,
)
from foveal.report.random_split import random_split_rows
from foveal.report.robustness import robustness_panels
from foveal.report.schema import Report, ReportConfusion, ReportMistake, printable
from foveal.report.schema_part import ReportScore
from foveal.report.trust import trust_cautions, trust_of
from foveal.report.words import columns_of, counted_groups, counts_of, named, number, words_on_looks
from foveal.wishes import QUANTITIES

__all__ = ["cautions", "write_page"]

HERE = Path(__file__).parent
FEW_IMAGES = 100
FEW_GROUPS = 20
LABELS_WITH_NUMBERS = 20
LABELS_FIRST = 10
CONFUSIONS_SHOWN = 20
VALUES_SHOWN = 12  # predicted against true
CURVES_SHOWN = 12  # precision over recall
VALUES_NAMED = 3
SHORT_NAME = 3
SMALL_SIDE = 64
SHARES = ("accuracy", "top5_accuracy")
PLOTTED = ("ap", "f1", "r2")  # the scores of a label that are drawn, the first that there is; 1 is the best


def write_page(report: Report, images: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the report as one HTML page that works from a disk, without a network and without scripts.

    Args:
        images: file to its picture, uint8 H×W×C, C = 1 or 3, of those that `pictured` names; those missing are shown as
            a blank.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": _percent,
        "count": "{:,}".format,
        "file": file_name,
        "number": number,
        "flat": _flat,
        "named": named,
        "opening": _opening,
        "passes": passes,
        "placed": _placed,
        "unbroken": _unbroken,
    }
    pictures = {printable(file): image for file, image in images.items()}
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("report.html").render(
        report=report,
        title=f"{Path(report.data.source).name or report.data.source} · {report.recipe.get('name', report.task)}",
        style=(HERE / "report.css").read_text(),
        script=script,
        script_digest=digest,
        subject=_subject(report),
        headline=_headline(report),
        together=counted_groups(report.groups) if report.groups else None,
        deciding=words_on_deciding(report),
        cautions=cautions(report),
        rivals=_rivals(report),
        axis=_axis(report, _rivals(report)),
        divisions=(divisions := random_split_rows(report)),
        divisions_axis=_axis(report, divisions),
        curves=_curves(report),
        confusion=_confusion(report.confusion) if report.confusion and report.scores else None,
        scatters=[scatter_svg(p.name, p.truth, p.predicted, p.half_width) for p in report.points[:VALUES_SHOWN]],
        precision_recall=_precision_recall(report),
        errors=[(kind, ERROR_KINDS.get(kind, ""), row) for kind, row in report.errors.items()],
        worse=robustness_panels(report.robustness) if report.robustness else None,
        labels=_labels(report) if report.scores and report.per_label else None,
        mistakes=_mistakes(report, pictures),
        checked=found_of(report, pictures),
        trust=trust_of(report),
        quantities=QUANTITIES,
        samples={kind: box_sample_svg(kind) for kind in BOX_KINDS},
        meanings={**SCORES, **BASELINES},
        row_meanings={**PER_LABEL, **(PER_LABEL_OF_BOXES if report.data.boxes else {})},
    )
    write_atomic(path, page)


def _subject(report: Report) -> str:
    """What the images are taken to, or what is in them."""
    if report.data.boxes:
        labels = len(report.data.boxes)
        return f"with {counted(sum(report.data.boxes.values()), 'box', 'boxes')} of {counted(labels, 'label')}"
    if report.data.labels:
        return f"into {counted(len(report.data.labels), 'label')}"
    return f"to {_list(list(report.per_label))}" if report.per_label else ""


def _list(names: list[str]) -> str:
    more = [f"{len(names) - VALUES_NAMED} more"] if len(names) > VALUES_NAMED else []
    *first, last = names[:VALUES_NAMED] + more
    return f"{', '.join(first)} and {last}" if first else last


def _headline(report: Report) -> dict[str, Any] | None:
    """The first score; how many images it counts where it is a share of images; whose error it is where it is one; of
    several labels how often it tells an image with one from one without; of boxes the share that is found, and that of
    those shown that are right."""
    if not report.headline:
        return None
    name = report.headline[0]
    score = report.scores[name]
    off = (_list(list(report.per_label)) if report.per_label else "the value") if name == "mae" else None
    right = round(score.value * score.n) if name in SHARES else None
    found = {"name": name, "score": score, "right": right, "off": off, "several": len(report.per_label) > 1}
    tells = report.scores.get("macro_auroc") if name == "map" else None
    return {**found, "tells": tells, "finds": report.scores.get("recall"), "shown": report.scores.get("precision")}


def cautions(report: Report) -> list[str]:
    """What a careful reader must know before they quote the number, in whole sentences."""
    if not report.headline:
        what = "No test image has any of the labels" if report.data.splits["test"] else "The test split has no images"
        return [f"{what}, so nothing could be measured. Give it some and evaluate again."]
    name = report.headline[0]
    score = report.scores[name]
    rivals = {other: row[name] for other, row in report.baselines.items() if name in row}
    found = _against(score, rivals, name)
    if report.groups and report.groups.count < FEW_GROUPS:
        few = f"Only {counted_groups(report.groups)} among the test images"
        found.append(f"{few}: a few others would have moved the number a lot. Trust the interval.")
    elif score.n < FEW_IMAGES:
        images = f"Only {score.n} test images" if score.n > 1 else "Only one test image"
        found.append(f"{images}: a few other images would have moved the number a lot. Trust the interval.")
    if told := words_on_looks(report):
        found.append(told)
    if report.looks > 1:
        found.append(
            f"The test split has been looked at {report.looks:,} times. Every look that leads to a change makes the "
            "number a bit more optimistic; only the first is fully honest."
        )
    absent = sum(row.get("support") == 0 for row in report.per_label.values())
    if absent:
        labels, they = (f"{absent} labels have", "they are") if absent > 1 else ("1 label has", "it is")
        found.append(f"{labels} no test image: how well {they} recognised is not known from this test.")
    if strange := report.data.findings.get("not-in-train"):
        images = f"{strange:,} images outside of training have" if strange > 1 else "One image outside of training has"
        found.append(f"{images} a label that no training image has: it cannot be said of them. Was it misspelt?")
    apart = report.without_twins
    if apart and name in apart.scores:
        told, left = named(name), apart.scores[name]
        text = f"{number(left.value, name)} [{number(left.low, name)}, {number(left.high, name)}]"
        many = f"{apart.left_out:,} test images show" if apart.left_out > 1 else "One test image shows"
        them = f"them, on the other {apart.images:,}" if apart.left_out > 1 else f"it, on the other {apart.images:,}"
        found.append(
            f"{many} what an image that the network learned from shows, too: the same, or a copy that was cropped, "
            f"resized or mirrored. Without {them}: {told} {text} instead of {number(score.value, name)}."
        )
    coverage, level = report.scores.get("coverage"), report.settled.get("level")
    if coverage and level and coverage.high < level:
        found.append(
            f"The intervals around the answers were made to hold {level:.0%} of the true values. On the test images "
            f"they held {_percent(coverage.value)}, at most {_percent(coverage.high)}: they are too narrow."
        )
    return [*found, *trust_cautions(report)]


def _against(score: ReportScore, rivals: Mapping[str, ReportScore], of: str) -> list[str]:
    """
    Args:
        rivals: name of a baseline to its score.
        of: name of the score.
    """
    better = [other for other, its in rivals.items() if _beats(its, score, of)]
    near = [other for other, its in rivals.items() if other not in better and not _beats(score, its, of)]
    found = []
    if better:
        they, do = ("The baselines", "do") if len(better) > 1 else ("The baseline", "does")
        found.append(f"{they} {_quoted(better)} {do} better than the network.")
    if near:
        those = "those of the baselines" if len(near) > 1 else "that of the baseline"
        text = f"The interval overlaps {those} {_quoted(near)}"
        found.append(f"{text}: how much better the network is, if at all, is uncertain.")
    return found


def _quoted(names: Sequence[str]) -> str:
    *first, last = (f"“{named(name)}”" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def _beats(one: ReportScore, other: ReportScore, name: str) -> bool:
    return one.high < other.low if name in ERRORS else one.low > other.high


def _rivals(report: Report) -> list[dict[str, Any]]:
    """The network and the baselines on the first score, for the plot of dots and intervals."""
    if not report.headline:
        return []
    name = report.headline[0]
    rows = [{"name": "this network", "what": "", "score": report.scores[name], "own": True}]
    for other, scores in report.baselines.items():
        if name in scores:
            told = {"name": named(other), "what": BASELINES.get(other, ""), "score": scores[name]}
            rows.append({**told, "own": False})
    return rows


def _axis(report: Report, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a plot of the first score ends, the numbers at its axis, and on which side of it the better ones are.
    Errors begin at 0, too, and have no largest."""
    name = report.headline[0] if report.headline else ""
    if name not in ERRORS or not rows:
        return {"end": 1, "marks": ("0", "0.5", "1"), "better": "right"}
    end = ticks(0, max(row["score"].high for row in rows))[-1]
    return {"end": end, "marks": tuple(f"{mark:.4g}" for mark in (0, end / 2, end)), "better": "left"}


def _placed(score: ReportScore, start: float, end: float) -> dict[str, str]:
    """Where its interval and its dot are from `start` to `end`, in percent from the left; `right` from the right."""
    low, value, high = (
        min(max(100 * (bound - start) / (end - start), 0.0), 100.0) for bound in (score.low, score.value, score.high)
    )
    return {"left": f"{low:.1f}%", "dot": f"{value:.1f}%", "right": f"{100 - high:.1f}%"}


def _curves(report: Report) -> list[dict[str, Any]]:
    """One panel a quantity of the history, the loss first, with its best and last value on validation."""
    rows = [epoch.model_dump() for epoch in report.history]
    kinds = dict.fromkeys(
        key.removeprefix(split) for row in rows for split in ("train_", "validation_") for key in row if split in key
    )
    panels = []
    for kind in kinds:
        train, validation = (_points(rows, f"{split}_{kind}") for split in ("train", "validation"))
        if not train and not validation:
            continue
        falling = kind == "loss" or kind in ERRORS
        panel: dict[str, Any] = {"name": kind, "svg": curves_svg(named(kind), train, validation, falling=falling)}
        if validation:
            panel["best"] = (min if falling else max)(validation, key=lambda point: point[1])
            panel["last"] = validation[-1]
        panels.append(panel)
    return panels


def _points(rows: list[dict[str, Any]], key: str) -> Curve:
    places = [row["epoch"] if row["passes"] is None else row["passes"] for row in rows]
    return [(place, row[key]) for place, row in zip(places, rows) if row.get(key) is not None]


def _confusion(confusion: ReportConfusion) -> dict[str, Any]:
    """Few labels: a table of numbers. Many: a heat map of pixels, and the confusions that happen most."""
    counts = np.array(confusion.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(counts) <= LABELS_WITH_NUMBERS:
        cells = [list(zip(*row)) for row in zip(confusion.counts, shares.tolist(), np.sqrt(shares).round(2).tolist())]
        turned = max(map(len, confusion.labels)) > SHORT_NAME
        return {"labels": confusion.labels, "rows": list(zip(confusion.labels, cells)), "turned": turned}
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    worst = [divmod(int(cell), len(counts)) for cell in np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_SHOWN]]
    top = [(confusion.labels[i], confusion.labels[j], int(wrong[i, j]), shares[i, j]) for i, j in worst if wrong[i, j]]
    return {"labels": confusion.labels, "rows": None, "top": top, "image": confusion_uri(shares)}


def _labels(report: Report) -> dict[str, Any] | None:
    """All labels, or values, in order, with the columns of their table; where they are many those with the lowest
    score, too; which score is drawn and where its axis starts. A single value has no table: its scores are above."""
    rows = list(report.per_label.items())
    if report.points and len(rows) == 1:
        return None
    columns, counts = columns_of(report.per_label.values()), counts_of(report.per_label.values())
    key = next((name for name in PLOTTED if name in columns), None)
    drawn = {name: score for name, row in rows if key and isinstance(score := row.get(key), ReportScore)}
    start = min(0.9, math.floor(10 * min((score.low for score in drawn.values()), default=0)) / 10)
    worst = sorted(drawn, key=lambda name: drawn[name].value)[:LABELS_FIRST] if len(rows) > LABELS_WITH_NUMBERS else []
    return {
        "what": "value" if report.points else "label",
        "all": rows,
        "worst": [(name, report.per_label[name]) for name in worst],
        "columns": columns,
        "counts": counts,
        "drawn": key,
        "start": start,
    }


def _precision_recall(report: Report) -> list[dict[str, Any]]:
    """A panel a label; where they are many, of those with the lowest average precision."""
    curves = report.curves
    if len(curves) > CURVES_SHOWN:
        curves = sorted(curves, key=lambda curve: sum(curve.precision))[:CURVES_SHOWN]
    return [{"curve": curve, "svg": precision_recall_svg(curve.label, curve.precision, curve.at)} for curve in curves]


def _mistakes(report: Report, pictures: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    several = len(report.per_label) > 1
    return [_mistake(mistake, pictures.get(mistake.file), several) for mistake in report.mistakes]


def _mistake(mistake: ReportMistake, picture: np.ndarray | None, several: bool) -> dict[str, Any]:
    """With its picture, and the boxes to lay over that.

    Args:
        several: labels, so that a box needs its name.
    """
    if picture is None:
        return {"mistake": mistake, "image": None, "small": False, "boxes": None}
    height, width = picture.shape[:2]
    boxes = [(box.xyxy, box.label, box.kind) for box in mistake.boxes]
    return {
        "mistake": mistake,
        "image": picture_uri(picture) if boxes else thumbnail_uri(picture),
        "small": max(height, width) <= SMALL_SIDE,
        "boxes": boxes_svg(boxes, height / width, named=several) if boxes else None,
    }


def _unbroken(text: str) -> str:
    """With intervals that no line ends in."""
    return re.sub(r" (\[-?[\d.,%e+-]+), (?=-?\d)", "\N{NO-BREAK SPACE}\\1,\N{NO-BREAK SPACE}", text)


def _opening(text: str) -> str:
    """As a sentence begins; a word with a capital of its own (`mAP`) stays as it is."""
    word = text.split(" ")[0]
    return text if word != word.lower() else text[:1].upper() + text[1:]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _flat(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        between = " × " if all(isinstance(item, int) for item in value) else ", "
        return between.join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)
