"""report.html: whole without a network, harmless whatever the labels are called, and honest in words."""

import base64
import hashlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.examples import Examples
from foveal.measure import measure_labels
from foveal.report import Report, build_report, write_page
from foveal.report.page import cautions
from foveal.report.plots import LEFT
from foveal.tasks import TASKS
from paged import HOSTILE, Page, data_of


def history(epochs: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": e,
            "learning_rate": 0.001,
            "train_loss": 1 / e,
            "train_accuracy": 1 - 0.5 / e,
            "validation_loss": 0.5 + (e - 4) ** 2 / 50,
            "validation_accuracy": 0.9 - 0.3 / e,
            "seconds": 2.0 * e,
        }
        for e in range(1, epochs + 1)
    ]


def make(
    names: list[str], n: int, *, looks: int = 1, right: float = 0.9, epochs: int = 6, rows: Any = None
) -> tuple[Report, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(names), n)
    said = np.where(rng.random(n) < right, truth, rng.integers(0, len(names), n))
    pixels = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    files = [f"test/{names[k]}/{i}.png" for i, k in enumerate(truth)]
    test, train = (Examples(files, some, truth) for some in (pixels, pixels[::-1]))
    measurement = measure_labels(np.eye(len(names))[said] * 4, test, train, names, seed=0)
    data = data_of("a/folder/flowers", n, labels=dict.fromkeys(names, 2 * n // len(names)))
    report = build_report(
        measurement,
        task=TASKS["classification"],
        looks=looks,
        recipe={"name": "cookbook", "input": {"height": 8, "mean": [0.5, 0.25]}, "patience": None},
        data=data,
        environment={"foveal": "0.1.0"},
        history=history(epochs) if rows is None else rows,
    )
    return report, {mistake.file: pixels[files.index(mistake.file)] for mistake in measurement.mistakes}


def written(folder: Path, *args: Any, **options: Any) -> tuple[Report, Page]:
    report, images = make(*args, **options)
    write_page(report, images, folder / "report.html")
    return report, Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Page]:
    return written(tmp_path_factory.mktemp("plain"), ["cat", "dog", "mouse"], 1260)


def test_nothing_is_loaded_from_outside(plain: tuple[Report, Page]) -> None:
    _, page = plain
    links = [(tag, key, value) for tag, attributes in page.elements for key, value in attributes.items()]
    for tag, key, value in links:
        if key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert str(value).startswith(("data:image/png;base64,", "#")), (tag, key)
        assert not key.startswith("on"), (tag, key)
    assert not {"link", "iframe", "object", "embed", "base", "form", "foreignobject"} & {
        tag for tag, _ in page.elements
    }
    assert "@import" not in page.text
    assert not re.findall(r"url\((?!#)", page.text)


def test_only_its_own_script_may_run(plain: tuple[Report, Page]) -> None:
    _, page = plain
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy") or ""
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    report, page = written(tmp_path, HOSTILE, 60, right=0.5)
    assert report.mistakes
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    for name in HOSTILE:
        assert " ".join(name.split()) in page.said
    assert HOSTILE[0] in {head.get("title") for head in page.all("th")}


def test_result_in_words(plain: tuple[Report, Page]) -> None:
    report, page = plain
    score = report.scores["accuracy"]
    right = round(score.value * 1260)
    bounds = f"[{100 * score.low:.1f}, {100 * score.high:.1f}]"
    assert f"{right:,} of 1,260 test images right: {100 * score.value:.1f}% {bounds}" in page.said
    assert "flowers · cookbook" in page.said
    assert "Before you quote this" not in page.said
    for name in ("majority", "linear pixels", "macro F1"):
        assert name in page.said


def test_cautions(tmp_path: Path) -> None:
    _, page = written(tmp_path, ["cat", "dog", "mouse"], 20, right=0.2, looks=4)
    assert "Only 20 test images" in page.said
    assert "looked at 4 times" in page.said
    assert "The interval overlaps those of the baselines “majority”, “colour histogram”, “nearest" in page.said


def test_a_baseline_that_is_better_is_named(tmp_path: Path) -> None:
    report, images = make(["cat", "dog"], 300, right=0.0)
    better = report.model_copy(
        update={
            "baselines": {
                "majority": {
                    "accuracy": report.scores["accuracy"].model_copy(update={"value": 0.99, "low": 0.98, "high": 1.0})
                }
            }
        }
    )
    write_page(better, images, tmp_path / "report.html")
    said = Page((tmp_path / "report.html").read_text()).said
    assert "The baseline “majority” does better than the network." in said
    assert "overlaps" not in said


def test_a_label_without_test_images_is_told(tmp_path: Path) -> None:
    report, images = make(["cat", "dog"], 300)
    per_label = {**report.per_label, "ghost": {"support": 0}}
    write_page(report.model_copy(update={"per_label": per_label}), images, tmp_path / "report.html")
    said = Page((tmp_path / "report.html").read_text()).said
    assert "1 label has no test image" in said
    assert "ghost – – – 0" in said


def test_few_labels_have_a_table_of_numbers(plain: tuple[Report, Page]) -> None:
    report, page = plain
    assert report.confusion is not None
    cells = re.findall(r'title="(\w+) called (\w+): (\d+) \(', page.text)
    labels = report.confusion.labels
    assert cells == [(labels[i], labels[j], str(report.confusion.counts[i][j])) for i in range(3) for j in range(3)]


def test_many_labels_have_a_heat_map_and_their_worst(tmp_path: Path) -> None:
    names = [f"kind {k}" for k in range(30)]
    report, page = written(tmp_path, names, 2000, right=0.8)
    assert report.confusion is not None
    assert "Most frequent confusions" in page.said
    assert "The 10 labels with the lowest F1" in page.said
    assert "All 30 labels" in page.said
    counts = np.array(report.confusion.counts)
    np.fill_diagonal(counts, 0)
    i, j = np.unravel_index(counts.argmax(), counts.shape)
    assert re.search(rf"is was called images share kind {i} kind {j} {counts[i, j]} ", page.said)
    assert len(page.text) < 500_000


def test_tables_and_pictures_are_named_for_those_who_hear_the_page(plain: tuple[Report, Page]) -> None:
    report, page = plain
    assert all(head.get("scope") in ("row", "col") for head in page.all("th"))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.all("svg") if "viewbox" in svg)
    assert len(page.all("h1")) == 1
    assert dict(page.elements)["html"] == {"lang": "en"}
    assert len(page.all("img")) == len(report.mistakes)


def test_identifiers_are_unique(plain: tuple[Report, Page]) -> None:
    counts = Counter(attributes["id"] for tag, attributes in plain[1].elements if "id" in attributes)
    assert [name for name, count in counts.items() if count > 1] == []


def test_settings_are_folded_and_readable(plain: tuple[Report, Page]) -> None:
    _, page = plain
    assert len(page.all("details")) == 3
    assert "input height: 8, mean: 0.5, 0.25" in page.said
    assert "patience null" in page.said
    assert "smallest: 8 × 8" in page.said


def test_mistakes_without_pictures_and_with_broken_names(tmp_path: Path) -> None:
    report, images = make(["cat", "dog"], 200, right=0.5)
    file = report.mistakes[0].file
    renamed = report.mistakes[0].model_copy(update={"file": "caf\\udce9.png"})
    report = report.model_copy(update={"mistakes": [renamed, *report.mistakes[1:3]]})
    write_page(report, {"caf\udce9.png": images[file]}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert len(page.all("img")) == 1
    assert page.said.count("no picture") == 2


@pytest.mark.parametrize(
    "rows", [[], history(1), [{"epoch": 1, "learning_rate": 0.1, "train_loss": 2.0, "seconds": 1}]]
)
def test_short_histories(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    _, page = written(tmp_path, ["cat", "dog"], 120, rows=rows)
    panels = [svg for svg in page.all("svg") if "by epoch" in (svg.get("aria-label") or "")]
    assert len(panels) == (0 if not rows else 2 if "train_accuracy" in rows[0] else 1)
    assert ("Learning curves" in page.said) == bool(rows)
    assert ("Validation loss" in page.said) == (len(panels) == 2)


def test_best_and_last_are_told(plain: tuple[Report, Page]) -> None:
    assert "Validation loss: best 0.500 (epoch 4), last 0.580 (epoch 6)" in plain[1].said
    assert "Validation accuracy: best and last 0.850 (epoch 6)" in plain[1].said


def test_the_last_epoch_is_told_as_the_part_that_it_is(tmp_path: Path) -> None:
    rows = [{**row, "passes": min(row["epoch"], 3.021)} for row in history(4)]
    _, page = written(tmp_path, ["cat", "dog"], 120, rows=rows)
    assert "Validation loss: best and last 0.500 (epoch 3.02)" in page.said
    loss = next(svg for svg in re.findall("<svg.*?</svg>", page.text, re.DOTALL) if "loss by epoch" in svg)
    marks = sorted({float(x) for x in re.findall('<circle cx="([^"]+)"', loss)})
    third, last = marks[2], marks[3]
    assert (last - LEFT) / (third - LEFT) == pytest.approx(3.021 / 3, abs=1e-3)
    assert ">4</text>" not in loss


def test_an_output_layer_that_was_fitted_alone_is_epoch_0(tmp_path: Path) -> None:
    rows = [{"epoch": 0, "learning_rate": 0.0, "validation_loss": 0.5, "validation_accuracy": 0.8, "seconds": 1.0}]
    _, page = written(tmp_path, ["cat", "dog"], 120, rows=rows)
    assert "Validation loss: best and last 0.500 (epoch 0)" in page.said
    assert "NaN" not in page.text


def test_no_test_images(tmp_path: Path) -> None:
    report, _ = make(["cat", "dog"], 50)
    unmeasured = {"scores": {}, "headline": [], "baselines": {}, "mistakes": [], "per_label": {"cat": {"support": 0}}}
    for images, told in {0: "The test split has no images", 9: "No test image has any of the labels"}.items():
        data = report.data.model_copy(update={"splits": {"train": 9, "validation": 9, "test": images}})
        write_page(report.model_copy(update={**unmeasured, "data": data}), {}, tmp_path / "report.html")
        page = Page((tmp_path / "report.html").read_text())
        assert f"{told}, so nothing could be measured." in page.said
        assert "Label by label" not in page.said


def test_a_score_that_is_no_share_of_images(tmp_path: Path) -> None:
    report, _ = make(["cat", "dog"], 50)
    other = report.model_copy(update={"headline": ["macro_f1"], "confusion": None, "per_label": {}, "mistakes": []})
    write_page(other, {}, tmp_path / "report.html")
    assert (
        f"macro F1 on 50 test images: {other.scores['macro_f1'].value:.3f} ["
        in Page((tmp_path / "report.html").read_text()).said
    )


def test_the_same_report_gives_the_same_page_in_any_thread(tmp_path: Path) -> None:
    report, images = make(["cat", "dog"], 100)

    def one(k: int) -> str:
        write_page(report, images, tmp_path / f"{k}.html")
        return (tmp_path / f"{k}.html").read_text()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(4)))) == 1


def test_one_image_of_one_label(tmp_path: Path) -> None:
    _, page = written(tmp_path, ["cat"], 1)
    assert "1 of 1 test images right: 100.0% [20.7, 100.0]" in page.said
    assert "Only one test image" in page.said


def test_labels_that_training_does_not_know_are_a_caution(plain: tuple[Report, Page]) -> None:
    report, _ = plain
    data = report.data.model_copy(update={"findings": {"not-in-train": 5}})
    told = " ".join(cautions(report.model_copy(update={"data": data})))
    assert "5 images outside of training have a label that no training image has" in told
    assert "no training image" not in " ".join(cautions(report))
