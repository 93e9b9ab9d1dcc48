"""The model card: what it says is what was measured, and no name in it breaks its form."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from foveal.report import Report, model_card, write_card
from foveal.report.schema import ReportData, ReportEpoch
from foveal.report.schema_part import ReportScore
from foveal.types import SplitName

ACCURACY = ReportScore(value=0.875, low=0.81, high=0.92, level=0.95, n=160, method="wilson")
MAJORITY = ReportScore(value=0.5, low=0.42, high=0.58, level=0.95, n=160, method="wilson")
WEIGHTS = {"name": "mobilenetv2_100", "origin": "a_file.safetensors", "licence": "bsd-3-clause", "sha256": "00"}


def report(labels: tuple[str, ...] = ("cat", "dog"), source: str = "photos/pets.zip", **changes: object) -> Report:
    splits: dict[SplitName, int] = {"train": 640, "validation": 0, "test": 160}
    data = ReportData(
        source=source,
        images=800,
        labels=dict.fromkeys(labels, 400),
        splits=splits,
        given=["test"],
        sizes={},
        channels=3,
        modes={},
        findings={"unreadable": 2},
        fingerprint="abc",
    )
    fields = {
        "task": "classification",
        "headline": ["accuracy"],
        "scores": {"macro_f1": MAJORITY, "accuracy": ACCURACY},
        "baselines": {"majority": {"accuracy": MAJORITY}},
        "per_label": {label: {"recall": ACCURACY, "support": 80} for label in labels},
        "confusion": None,
        "mistakes": [],
        "looks": 1,
        "history": [ReportEpoch(epoch=9, learning_rate=0.0, seconds=12.3)],
        "recipe": {
            "name": "default",
            "net": "32c3-gap",
            "seed": 4,
            "input": {"height": 64, "width": 48, "channels": 3},
        },
        "data": data,
        "environment": {"foveal": "0.1.0", "device_name": "a CPU"},
        "created": datetime(2026, 11, 26, tzinfo=UTC),
    }
    return Report(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def head(text: str) -> dict[str, object]:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_hub_reads_its_head(tmp_path: Path) -> None:
    write_card(report(), tmp_path / "README.md", pipeline="image-classification")
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("foveal", "image-classification")
    first = card.data.eval_results[0]
    assert (first.metric_type, first.metric_value, first.dataset_name) == ("accuracy", 0.875, "pets.zip")


def test_it_says_what_was_measured() -> None:
    text = model_card(report(), pipeline="image-classification", weights=WEIGHTS)
    assert "| this network | 0.875 [0.810, 0.920] | 0.500 [0.420, 0.580] |" in text
    assert "| majority | 0.500 [0.420, 0.580] | – |" in text
    assert "| cat | 0.875 [0.810, 0.920] | 80 |" in text
    assert "On 160 test images that were looked at once" in text
    assert "640 train, 160 test (test as the source divides them)" in text
    assert "mobilenetv2\\_100 from a\\_file.safetensors; licence: bsd-3-clause" in text
    assert "9 epochs in 12 s on a CPU" in text
    part = report(history=[ReportEpoch(epoch=4, passes=3.018, learning_rate=0.0, seconds=12.3)])
    assert "- 3.02 epochs in 12 s" in model_card(part)


def test_from_scratch_and_without_a_name_on_the_hub() -> None:
    text = model_card(report())
    assert "From scratch." in text
    assert "pipeline_tag" not in head(text)


def test_cautions_stand_in_it() -> None:
    assert "does better than the network" in model_card(
        report(baselines={"majority": {"accuracy": ACCURACY.model_copy(update={"low": 0.95, "high": 0.99})}})
    )


def test_without_test_images_there_are_no_scores() -> None:
    text = model_card(report(scores={}, headline=[], baselines={}, per_label={}))
    assert "## Scores" not in text
    assert "model-index" not in head(text)


def test_of_many_labels_the_first() -> None:
    text = model_card(report(labels=tuple(f"label {k}" for k in range(100))))
    assert "and 70 more" in text
    assert "70 more are in report.json" in text


@pytest.mark.parametrize(
    "name", ["a|b", "a\nb", "<script>", "---", "`x`", "[a](b)", "# a", "a: b", "'", '"', "ä\u202e"]
)
def test_no_name_breaks_its_form(name: str) -> None:
    text = model_card(report(labels=(name, "dog"), source=name), pipeline="image-classification")
    assert head(text)["tags"] == ["foveal", "classification"]
    lines = [line for line in text.splitlines() if line.startswith("| ") and "0.875" in line]
    assert [line.replace("\\|", "").count("|") for line in lines] == [4, 4, 4]
    assert "<script>" not in text.split("---\n", 2)[2].replace("\\<script\\>", "")
