"""README.md beside the report: a model card, made of what was measured and of nothing else.

Its sections follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019 (arXiv 1810.03993); the fields at its
head are those that the Hugging Face hub reads.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foveal.files import write_atomic
from foveal.phrasing import counted, passes
from foveal.report.deciding import words_on_deciding
from foveal.report.page import cautions
from foveal.report.schema import Report
from foveal.report.schema_part import ReportScore
from foveal.report.words import columns_of, counted_groups, counts_of, named, number

__all__ = ["model_card", "write_card"]

MOST_LABELS = 30


def write_card(report: Report, path: Path, *, pipeline: str = "", weights: Mapping[str, Any] | None = None) -> None:
    """Write `model_card` to a file, in one step."""
    write_atomic(path, model_card(report, pipeline=pipeline, weights=weights))


def model_card(
    report: Report, *, pipeline: str = "", weights: Mapping[str, Any] | None = None, use: str | None = None
) -> str:
    """The card in Markdown, with YAML at its head.

    Args:
        pipeline: the hub's name for such a task; empty where it has none.
        weights: `name`, `origin`, `licence` and `sha256` of pretrained weights that training began with.
        use: how to use it, from its heading on; as a run unless said.
    """
    import yaml

    head = yaml.safe_dump(_head(report, pipeline), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{head}---\n",
        f"# {_plain(_title(report))}\n",
        _summary(report),
        _scores(report),
        _labels(report),
        _listed("How it decides", [_plain(text) for text in words_on_deciding(report)]),
        _listed("What a random split would have claimed", report.random_split.words if report.random_split else []),
        _listed("Before you quote this", cautions(report)),
        _data(report),
        _training(report, weights),
        USE if use is None else use,
    ]
    return "\n".join(part for part in parts if part)


USE = """\
## Use

```sh
foveal predict RUN photo.jpg                                # the run's folder; --json for one object a line
foveal train SOURCE --recipe RUN/recipe.json                # the same training again, on the same images
```

No licence is stated here: whoever made the images and the labels, and you, decide on it.
"""


def _title(report: Report) -> str:
    return f"{_source(report)}, {report.recipe.get('name', report.task)}"


def _source(report: Report) -> str:
    return Path(report.data.source).name or report.data.source


def _head(report: Report, pipeline: str) -> dict[str, Any]:
    metrics = [
        {"type": name, "name": named(name), "value": round(score.value, 6)} for name, score in _shown(report).items()
    ]
    result = {
        "task": {"type": pipeline or report.task, "name": report.task},
        "dataset": {"name": _source(report), "type": "images", "split": report.split},
        "metrics": metrics,
    }
    return {
        "library_name": "foveal",
        **({"pipeline_tag": pipeline} if pipeline else {}),
        "tags": ["foveal", report.task],
        **({"model-index": [{"name": _title(report), "results": [result]}]} if metrics else {}),
    }


def _shown(report: Report) -> dict[str, ReportScore]:
    """The scores, those of the headline first."""
    return {name: report.scores[name] for name in dict.fromkeys([*report.headline, *report.scores])}


def _summary(report: Report) -> str:
    input_ = report.recipe.get("input", {})
    size = f"{input_.get('height')}×{input_.get('width')}×{input_.get('channels')}"
    labels = f" Labels: {', '.join(map(_plain, list(report.data.labels)[:MOST_LABELS]))}" if report.data.labels else ""
    more = len(report.data.labels) - MOST_LABELS
    return (
        f"A convolutional network for {report.task}, made with Foveal {report.environment.get('foveal', '')}: "
        f"`{report.recipe.get('net')}`, for images of {size}.{labels}{f' and {more} more' if more > 0 else ''}"
        f"{'.' if labels else ''}\n"
    )


def _scores(report: Report) -> str:
    if not report.scores:
        return ""
    titles = ["", *(named(name) for name in _shown(report))]
    networks = {"this network": report.scores, **{named(name): row for name, row in report.baselines.items()}}
    rows = [
        [_plain(name), *(_score(row.get(score), score) for score in _shown(report))] for name, row in networks.items()
    ]
    first = next(iter(_shown(report).values()))
    level = (
        f"On {counted(first.n, f'{report.split} image')} that were looked at {_times(report.looks)}; in brackets the "
        f"interval that holds the truth {first.level:.0%} of the time. Below, what guesses reach without a network.\n"
    )
    return f"## Scores\n\n{level}\n{_table(titles, rows)}"


def _labels(report: Report) -> str:
    rows = list(report.per_label.items())[:MOST_LABELS]
    if not report.scores or len(rows) < 2:
        return ""
    columns, counts = columns_of(row for _, row in rows), counts_of(row for _, row in rows)
    lines = [
        [
            _plain(label),
            *(_score(row.get(name), name) for name in columns),
            *(f"{row[name]:,}" if isinstance(row.get(name), int) else "–" for name in counts),
        ]
        for label, row in rows
    ]
    what = "values" if report.points else "labels"
    more = len(report.per_label) - len(rows)
    rest = f"\n{more} more are in report.json.\n" if more else ""
    return f"## The {what}\n\n{_table([what[:-1], *map(named, [*columns, *counts])], lines)}{rest}"


def _data(report: Report) -> str:
    data, groups = report.data, report.groups
    splits = ", ".join(f"{count:,} {split}" for split, count in data.splits.items() if count)
    given = f" ({', '.join(data.given)} as the source divides them)" if data.given else ""
    found = [f"{kind}: {count:,}" for kind, count in data.findings.items()]
    lines = [
        f"{counted(data.images, 'image')} of {_plain(_source(report))}: {splits}{given}.",
        *([f"Intervals count the {_plain(counted_groups(groups))} of the test images."] if groups else []),
        f"Fingerprint of contents and targets: `{data.fingerprint}`.",
        *([f"Found by `foveal look`: {', '.join(found)}."] if found else []),
    ]
    return _listed("Data", lines)


def _training(report: Report, weights: Mapping[str, Any] | None) -> str:
    recipe, where = report.recipe, report.environment
    last = report.history[-1] if report.history else None
    done = (last.epoch if last.passes is None else last.passes) if last else 0
    taken = f" in {report.history[-1].seconds:,.0f} s" if report.history else ""
    began = "From scratch."
    if weights:
        began = (
            f"Began with pretrained weights, {_plain(str(weights.get('name')))} from "
            f"{_plain(str(weights.get('origin')))}; licence: {_plain(str(weights.get('licence')))}."
        )
    lines = [
        began,
        f"{passes(done)} epoch{'' if done == 1 else 's'}{taken} on {_plain(str(where.get('device_name')))}, "
        f"{recipe.get('precision')}, "
        f"{recipe.get('optimizer')}, batches of {recipe.get('batch_size')}, seed {recipe.get('seed')}; "
        "all of it in recipe.json.",
    ]
    return _listed("Training", lines)


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _score(score: object, name: str) -> str:
    if not isinstance(score, ReportScore):
        return "–"
    return f"{number(score.value, name)} [{number(score.low, name)}, {number(score.high, name)}]"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _plain(text: str) -> str:
    """A name as text: what Markdown or HTML would take for its own is written out."""
    return re.sub(r"([\\`*_\[\]|<>#])", r"\\\1", " ".join(text.split()))
