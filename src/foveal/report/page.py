"""report.html: one file for people. Nothing is loaded from outside, and every name in it is treated as hostile."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foveal.files import write_atomic
from foveal.measure import BASELINES, SCORES
from foveal.report.plots import Curve, confusion_uri, curves_svg, thumbnail_uri
from foveal.report.schema import Report, ReportConfusion, ReportScore, printable

__all__ = ["write_page"]

HERE = Path(__file__).parent
FEW_IMAGES = 100
LABELS_WITH_NUMBERS = 20
LABELS_FIRST = 10
CONFUSIONS_SHOWN = 20
SHORT_NAME = 3
SMALL_SIDE = 64
SHARES = ("accuracy", "top5_accuracy")


def write_page(report: Report, images: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the report as one HTML page that works from a disk, without a network and without scripts.

    Args:
        images: file of a mistake to its picture, uint8 H×W×C, C = 1 or 3; those missing are shown as a blank.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": _percent,
        "count": "{:,}".format,
        "number": "{:.3f}".format,
        "flat": _flat,
        "named": _named,
    }
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("report.html").render(
        report=report,
        title=f"{Path(report.data.source).name or report.data.source} · {report.recipe.get('name', report.task)}",
        style=(HERE / "report.css").read_text(),
        script=script,
        script_digest=digest,
        headline=_headline(report),
        cautions=_cautions(report),
        rivals=_rivals(report),
        curves=_curves(report),
        confusion=_confusion(report.confusion) if report.confusion and report.scores else None,
        labels=_labels(report) if report.scores and report.per_label else None,
        mistakes=_mistakes(report, images),
        meanings={**SCORES, **BASELINES},
    )
    write_atomic(path, page)


def _headline(report: Report) -> dict[str, Any] | None:
    """The first score, and how many images it counts where it is a share of images."""
    if not report.headline:
        return None
    name = report.headline[0]
    score = report.scores[name]
    return {"name": name, "score": score, "right": round(score.value * score.n) if name in SHARES else None}


def _cautions(report: Report) -> list[str]:
    """What a careful reader must know before they quote the number, in whole sentences."""
    if not report.headline:
        return ["The test split has no images, so nothing could be measured. Give it some and evaluate again."]
    name = report.headline[0]
    score = report.scores[name]
    cautions = [text for other, row in report.baselines.items() if (text := _against(score, row.get(name), other))]
    if score.n < FEW_IMAGES:
        images = f"Only {score.n} test images" if score.n > 1 else "Only one test image"
        cautions.append(f"{images}: a few other images would have moved the number a lot. Trust the interval.")
    if report.looks > 1:
        cautions.append(
            f"The test split has been looked at {report.looks} times. Every look that leads to a change makes the "
            "number a bit more optimistic; only the first is fully honest."
        )
    absent = sum(row.get("support") == 0 for row in report.per_label.values())
    if absent:
        labels, they = (f"{absent} labels have", "they are") if absent > 1 else ("1 label has", "it is")
        cautions.append(f"{labels} no test image: how well {they} recognised is not known from this test.")
    return cautions


def _against(score: ReportScore, other: ReportScore | None, name: str) -> str | None:
    if other is None or score.low > other.high:
        return None
    told = _named(name)
    if score.high < other.low:
        return f"The baseline “{told}” does better than the network."
    return (
        f"The interval overlaps that of the baseline “{told}”: how much better the network is, if at all, is uncertain."
    )


def _rivals(report: Report) -> list[dict[str, Any]]:
    """The network and the baselines on the first score, for the plot of dots and intervals."""
    if not report.headline:
        return []
    name = report.headline[0]
    rows = [{"name": "this network", "what": "", "score": report.scores[name], "own": True}]
    for other, scores in report.baselines.items():
        if name in scores:
            told = {"name": _named(other), "what": BASELINES.get(other, ""), "score": scores[name]}
            rows.append({**told, "own": False})
    return rows


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
        falling = kind == "loss"
        panel: dict[str, Any] = {"name": kind, "svg": curves_svg(_named(kind), train, validation, falling=falling)}
        if validation:
            panel["best"] = (min if falling else max)(validation, key=lambda point: point[1])
            panel["last"] = validation[-1]
        panels.append(panel)
    return panels


def _points(rows: list[dict[str, Any]], key: str) -> Curve:
    return [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]


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


def _labels(report: Report) -> dict[str, Any]:
    """All labels in order; where they are many those with the lowest F1, too; and where the axis of F1 starts."""
    rows = list(report.per_label.items())
    f1 = {name: score for name, row in rows if isinstance(score := row.get("f1"), ReportScore)}
    start = min(0.9, math.floor(10 * min((score.low for score in f1.values()), default=0)) / 10)
    worst = sorted(f1, key=lambda name: f1[name].value)[:LABELS_FIRST] if len(rows) > LABELS_WITH_NUMBERS else []
    return {"all": rows, "worst": [(name, report.per_label[name]) for name in worst], "start": start}


def _mistakes(report: Report, images: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    pictures = {printable(file): image for file, image in images.items()}
    return [
        {
            "mistake": mistake,
            "image": thumbnail_uri(pictures[mistake.file]) if mistake.file in pictures else None,
            "small": mistake.file in pictures and max(pictures[mistake.file].shape[:2]) <= SMALL_SIDE,
        }
        for mistake in report.mistakes
    ]


def _named(name: str) -> str:
    """A field's name as people write it."""
    return name.replace("_", " ").replace("top5", "top-5").replace("f1", "F1")


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
