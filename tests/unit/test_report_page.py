"""report.html: whole without a network, harmless whatever the labels are called, and honest in words."""

import base64
import hashlib
import io
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.examples import Examples
from foveal.measure import ERROR_KINDS, measure_boxes, measure_label_sets, measure_labels, measure_values
from foveal.measured import Measurement
from foveal.report import Report, build_report, write_page
from foveal.report.page import cautions
from foveal.report.plots import (
    ABOVE,
    BELOW,
    FROM_LEFT,
    FROM_TOP,
    LEFT,
    SIDE,
    boxes_svg,
    confusion_uri,
    curves_svg,
    picture_uri,
    precision_recall_svg,
    scatter_svg,
    thumbnail_uri,
    ticks,
)
from foveal.report.schema_part import ReportGroups
from foveal.report.words import counted_groups, named, number
from foveal.tasks import TASKS
from foveal.types import Geometry

VOID = {"meta", "img", "br", "link", "wbr"}
HOSTILE = ["<script>alert(1)</script>", "\" onmouseover='alert(2)'", "$\\frac{1}$ & {{ 7 * 7 }}\n日本"]


class Page(HTMLParser):
    """Elements with their attributes, texts, and whether every element was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


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
    data = {
        "source": "a/folder/flowers",
        "images": 2 * n,
        "labels": dict.fromkeys(names, 2 * n // len(names)),
        "splits": {"train": n, "validation": 0, "test": n},
        "given": [],
        "sizes": {key: [8, 8] for key in ("smallest", "median", "largest")},
        "channels": 3,
        "modes": {"RGB": 2 * n},
        "findings": [],
        "fingerprint": "ab" * 32,
    }
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


def test_svg_takes_the_colour_of_the_text_and_carries_no_date() -> None:
    svg = curves_svg("loss", [(1, 2.0), (2, 1.0)], [(1, 2.5), (2, 1.5)], falling=True)
    assert svg.startswith("<svg viewBox=")
    assert "currentColor" in svg
    assert "<text" in svg
    assert "date" not in svg.lower()
    assert "background" not in svg


def test_curves_stand_where_their_numbers_are() -> None:
    svg = curves_svg("loss", [(1, 2.0), (2, 1.0)], [(1, 2.5), (2, 1.5)], falling=True)
    labels = {
        (float(x), float(y)): text for x, y, text in re.findall(r'<text x="([^"]+)" y="([^"]+)"[^>]*>([^<]+)', svg)
    }
    heights = {float(text): y - 4 for (x, y), text in labels.items() if x < LEFT}
    assert list(heights) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert (heights[0], heights[2.5]) == (BELOW, ABOVE)
    epochs = {float(text): x for (x, y), text in labels.items() if y == BELOW + 16}
    assert list(epochs) == [0, 1, 2]
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="2"', svg)]
    assert dots == [(epochs[e], pytest.approx(heights[v], abs=0.1)) for e, v in [(1, 2), (2, 1), (1, 2.5), (2, 1.5)]]
    ring = re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="6"', svg)
    assert [(float(x), float(y)) for x, y in ring] == [dots[-1]], "the lowest of validation"
    highest = curves_svg("accuracy", [], [(1, 0.5), (2, 0.4)], falling=False)
    assert re.findall(r'cx="([^"]+)" cy="[^"]+" r="6"', highest) == [f"{epochs[1]}"]
    assert "training</text>" not in highest


@given(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(0, 1e6, allow_subnormal=False).filter(lambda spread: not 0 < spread < 1e-3),
)
def test_ticks_are_few_and_hold_what_is_between_them(low: float, spread: float) -> None:
    found = ticks(low, low + spread)
    assert 2 <= len(found) <= 6
    step = found[1] - found[0]
    np.testing.assert_allclose(np.diff(found), step, rtol=1e-6)
    assert f"{step:.0e}"[0] in "125"
    assert found[0] - low <= 1e-6 * step
    assert low + spread - found[-1] <= 1e-6 * step
    assert spread == 0 or found[-1] - found[0] <= 5 * spread


def test_ticks_of_epochs_are_whole() -> None:
    assert ticks(0, 1, smallest=1) == [0, 1]
    assert ticks(0, 12, smallest=1) == [0, 5, 10, 15]
    assert ticks(0, 0) == [0, 0.1]


def png(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_thumbnails_keep_their_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(png(thumbnail_uri(image)), image)
    np.testing.assert_array_equal(png(thumbnail_uri(image[..., :1])), image[..., 0])
    large = thumbnail_uri(np.zeros((400, 100, 3), np.uint8))  # a photograph's single pixels do not count
    photo = Image.open(io.BytesIO(base64.b64decode(large.removeprefix("data:image/jpeg;base64,"))))
    assert (photo.format, photo.size) == ("JPEG", (32, 128))


def test_heat_map_is_blue_on_the_diagonal_and_as_strong_as_the_root_of_the_share() -> None:
    pixels = png(confusion_uri(np.array([[0.75, 0.25], [0.0, 1.0]])))
    assert pixels[..., 3].tolist() == [[221, 128], [0, 255]]
    assert pixels[0, 0, 2] > pixels[0, 0, 0]
    assert pixels[0, 1, 0] > pixels[0, 1, 2]


def test_one_image_of_one_label(tmp_path: Path) -> None:
    _, page = written(tmp_path, ["cat"], 1)
    assert "1 of 1 test images right: 100.0% [20.7, 100.0]" in page.said
    assert "Only one test image" in page.said


SETTLED = {"level": 0.9, "half_width": {"age": 7.25, "height": 0.5}, "n": 60}


def of_task(
    task: str, measurement: Measurement, names: list[str], settled: dict[str, Any], rows: Any = None, n: int = 200
) -> Report:
    values = {name: {"smallest": 1.0, "median": 2.0, "mean": 2.5, "largest": 9.0} for name in names}
    data = {
        "source": "people",
        "images": 2 * n,
        **({"labels": {}, "values": values} if measurement.points else {"labels": dict.fromkeys(names, n)}),
        "splits": {"train": n, "validation": 0, "test": n},
        "given": [],
        "sizes": {key: [8, 8] for key in ("smallest", "median", "largest")},
        "channels": 3,
        "modes": {"RGB": 2 * n},
        "findings": [],
        "fingerprint": "ab" * 32,
    }
    return build_report(
        measurement,
        task=TASKS[task],
        looks=1,
        recipe={"name": "default"},
        data=data,
        environment={},
        history=rows or [],
        settled=settled,
    )


def of_values(names: list[str], *, error: float = 4.0, settled: dict[str, Any] | None = None) -> Report:
    rng = np.random.default_rng(0)
    settled = SETTLED if settled is None else settled
    truth = rng.normal(30, 10, (200, len(names))).astype(np.float32)
    pixels = rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    test, train = (Examples([f"{i}.png" for i in range(200)], some, truth) for some in (pixels, pixels[::-1]))
    outputs = truth + rng.normal(0, error, truth.shape).astype(np.float32)
    measurement = measure_values(outputs, test, train, names, 0, settled)
    rows = [
        {"epoch": e, "learning_rate": 0.1, "train_loss": 1 / e, "train_mae": 40 / e, "seconds": e}
        | {"validation_loss": 1 / e, "validation_mae": 41 / e}
        for e in (1, 2, 3)
    ]
    return of_task("regression", measurement, names, settled, rows)


def page_of(report: Report, folder: Path) -> Page:
    write_page(report, {}, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_a_value_is_told_in_its_unit(tmp_path: Path) -> None:
    report = of_values(["age"])
    page, mae = page_of(report, tmp_path), report.scores["mae"]
    told = [number(bound, "mae") for bound in (mae.value, mae.low, mae.high)]
    assert f"Age is off by {told[0]} [{told[1]}, {told[2]}] on average, on 200 test images" in page.said
    assert all(len(text) == 4 for text in told), "three digits"
    assert "Regression: 400 images to age, measured" in page.said
    assert "MAE beside guesses that need no network" in page.said
    assert "Less is better here: a network is worth having when its bar lies to the left of all others." in page.said
    assert "to the right" not in page.said.replace("A dot is a test image: to the right", "")
    assert "Before you quote this" not in page.said
    for name in ("mean", "ridge pixels", "RMSE", "R²", "median error", "coverage"):
        assert name in page.said
    assert "Largest errors" in page.said
    assert "Most confident" not in page.said
    assert (
        f"{report.mistakes[0].truth} → {report.mistakes[0].predicted} {report.mistakes[0].file[:-4]} .png" in page.said
    )
    assert "What is taken for what" not in page.said
    assert "Value by value" not in page.said, "the scores are above"
    assert "Settled on the validation images" in page.said
    assert "Validation MAE: best and last 13.7 (epoch 3)" in page.said


def test_the_axis_of_errors_begins_at_0_and_holds_all_bars(tmp_path: Path) -> None:
    report = of_values(["age"])
    page = page_of(report, tmp_path)
    (scale,) = [span for span in page.all("span") if span.get("class") == "scale"]
    end = float((scale["aria-label"] or "").removeprefix("from 0 to "))
    assert end >= max(row["mae"].high for row in report.baselines.values())
    dots = [float(x) for x in re.findall(r'<b style="left:([\d.]+)%"', page.text)]
    values = [report.scores["mae"].value, *(row["mae"].value for row in report.baselines.values())]
    assert dots == pytest.approx([100 * value / end for value in values], abs=0.06)


def test_cautions_about_values(tmp_path: Path) -> None:
    worse = page_of(of_values(["age"], error=30.0), tmp_path).said
    assert "The baselines “mean”, “colour histogram”, “nearest pixels” and “ridge pixels” do" in worse
    assert "The intervals around the answers were made to hold 90% of the true values. On the test images" in worse
    near = page_of(of_values(["age"], error=9.0), tmp_path).said
    assert "The interval overlaps those of the baselines “mean”, “colour histogram” and “ridge pixels”" in near
    without = page_of(of_values(["age"], settled={}), tmp_path)
    assert "The band is" not in without.said
    assert "± " not in without.said


def test_several_values_and_hostile_names(tmp_path: Path) -> None:
    names = [HOSTILE[0], HOSTILE[1], "height", "weight"]
    report = of_values(names)
    page = page_of(report, tmp_path)
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert page.said.count("Predicted against true") == 1
    panels = [svg for svg in page.all("svg") if "Predicted against true" in (svg.get("aria-label") or "")]
    assert len(panels) == 4
    assert "Value by value" in page.said
    assert "R², from 0.7 to 1" in page.said
    assert f"{HOSTILE[0]}, {' '.join(HOSTILE[1].split())}, height and 1 more are off by" in page.said


def test_several_labels_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["cat", "dog", "ghost"]
    truth = (rng.random((200, 3)) < [0.5, 0.2, 0]).astype(np.float32)
    truth[:50, 1] = np.nan
    examples = Examples([f"{i}.png" for i in range(200)], rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8), truth)
    outputs = rng.normal(0, 1, (200, 3)) + 4 * np.nan_to_num(truth) - 2
    settled = {"thresholds": {"cat": 0.5, "dog": 0.4, "ghost": 0.5}}
    report = of_task("multilabel", measure_label_sets(outputs, examples, examples, names, 0, settled), names, settled)
    page = page_of(report, tmp_path)
    best = report.scores["map"]
    tells = report.scores["macro_auroc"]
    share = f"{tells.value:.1%} [{100 * tells.low:.1f}, {100 * tells.high:.1f}]"
    assert f"one with a label and one without, it tells which is which {share} of the time" in page.said
    assert f"mAP {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]" in page.said
    assert "Multilabel: 400 images into 3 labels" in page.said
    assert "mAP beside guesses" in page.said
    assert "lies to the right of all others" in page.said
    start = 0.1 * int(10 * min(row["ap"].low for row in report.per_label.values() if "ap" in row))
    assert f"label AP AP, from {start:g} to 1 AUROC precision recall F1 images known" in page.said
    assert re.search(r"ghost (– |\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\] ){5}0 200", page.said)
    assert "1 label has no test image" in page.said
    assert "What is taken for what" not in page.said
    assert "Most confident mistakes" in page.said
    assert "not cat" in page.said
    assert "thresholds cat: 0.5, dog: 0.4, ghost: 0.5" in page.said


def of_boxes(names: list[str], folder: Path, *, found: bool = True, shift: float = 0.5) -> tuple[Report, Page]:
    """Twelve images, each with a box of every label beside the others; every third image has boxes elsewhere, too."""
    spread, half = 100 / len(names), 40 / len(names)
    true = np.array([[spread * k, 10, spread * k + 2 * half, 60, k, 0] for k in range(len(names))], np.float32)
    targets = np.tile(true, (12, 1, 1))
    outputs = np.full((12, 2 * len(names), 4 + len(names)), -50.0, np.float32)
    outputs[:, : len(names), :4] = true[:, :4] + [0, shift, 0, shift]
    outputs[:, len(names) :, :4] = true[:, :4] + [0, 30, 0, 40]
    if found:
        for k in range(len(names)):
            outputs[:, k, 4 + k] = 1.0
            outputs[::3, len(names) + k, 4 + k] = 0.5
    same = [Geometry(100, 100, 1.0, 1.0, 0.0, 0.0)] * 12
    examples = Examples([f"{i}/{names[0]}.png" for i in range(12)], np.zeros((12, 8, 8, 3), np.uint8), targets, same)
    settled = {"thresholds": dict.fromkeys(names, 0.55)}
    measurement = measure_boxes(outputs, examples, examples, names, 0, settled)
    report = of_task("detection", measurement, names, settled)
    boxes = report.data.model_copy(update={"boxes": dict.fromkeys(names, 24)})
    report = report.model_copy(update={"data": boxes})
    pictures = {mistake.file: np.full((30, 60, 3), 200, np.uint8) for mistake in measurement.mistakes}
    write_page(report, pictures, folder / "report.html")
    return report, Page((folder / "report.html").read_text(encoding="utf-8"))


def test_boxes_are_told_as_found_and_right(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert report.scores["recall"].value == 1
    shown = report.scores["precision"]
    assert shown.value == pytest.approx(24 / 32)
    told = f"75.0% [{100 * shown.low:.1f}, {100 * shown.high:.1f}]"
    assert re.search(
        rf"Finds 100\.0% \[\d\d\.\d, 100\.0\] of the true boxes; of those it shows, {re.escape(told)} are right",
        page.said,
    )
    assert "Detection: 400 images with 48 boxes of 2 labels, measured" in page.said
    assert "AP50 beside guesses that need no network" in page.said
    assert "mean boxes : draws as many boxes of each label" in page.said
    assert "lies to the right of all others" in page.said
    assert "Only 12 test images" in page.said
    assert "label AP AP, from" in page.said
    assert "AP50 precision recall images boxes cat" in page.said
    assert "test images with a box of this label" in page.said
    assert "What is taken for what" not in page.said


def test_a_baseline_as_good_as_the_boxes_is_told(tmp_path: Path) -> None:
    _, page = of_boxes(["cat", "dog"], tmp_path)
    assert "The interval overlaps that of the baseline “mean boxes”" in page.said
    _, page = of_boxes(["cat", "dog"], tmp_path, shift=40.0)
    assert "The baselines “mean box” and “mean boxes” do better than the network." in page.said


def test_boxes_that_are_never_shown(tmp_path: Path) -> None:
    _, page = of_boxes(["cat"], tmp_path, found=False)
    assert re.search(r"Finds 0\.0% \[0\.0, \d\d\.\d\] of the true boxes, for it shows none", page.said)
    assert "48 boxes" not in page.said
    assert "with 24 boxes of 1 label," in page.said
    assert "cat : no box has a score of 0.550 or more" in page.said


def test_kinds_of_wrong_boxes_are_counted(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert [kind for kind, row in report.errors.items() if row.count] == ["misplaced"]
    for kind, row in report.errors.items():
        assert f"{named(kind)} {ERROR_KINDS[kind]} {row.count} +{row.ap50_gain:.3f}" in page.said
    assert "misplaced and wrong class" in page.said


def test_worst_images_have_their_boxes_drawn_over_them(tmp_path: Path) -> None:
    report, page = of_boxes(["cat", "dog"], tmp_path)
    assert "Images with the most wrong boxes" in page.said
    assert "Largest errors" not in page.said
    assert page.said.count("2 boxes → 2 right, 2 false") == len(report.mistakes) == 4
    overlays = [svg for svg in page.all("svg") if svg.get("viewbox") == "0 0 400 200.0"]
    assert len(overlays) == 4, "as wide as the picture and half as high"
    assert len({(rect.get("stroke"), rect.get("stroke-dasharray")) for rect in page.all("rect")}) == 4
    for kind in ("right: found", "missed: there, and not found", "false: found, and not there"):
        assert kind in page.said
    assert [image["alt"] for image in page.all("img")] == ["2 boxes: 2 right, 2 false"] * 4
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.all("img"))


def test_hostile_labels_of_boxes(tmp_path: Path) -> None:
    report, page = of_boxes(HOSTILE, tmp_path)
    assert report.mistakes[0].boxes
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    for name in HOSTILE:
        assert f"{' '.join(name.split())} : from a score of 0.550 on" in page.said
        assert f"{' '.join(name.split())}, false" in page.said


def test_no_true_box_in_the_test_images(tmp_path: Path) -> None:
    report, _ = of_boxes(["cat"], tmp_path)
    nothing = {"scores": {}, "headline": [], "baselines": {}, "curves": [], "errors": {}}
    write_page(report.model_copy(update=nothing), {}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "No test image has any of the labels, so nothing could be measured." in page.said
    assert "Precision over recall" not in page.said
    assert page.said.count("no picture") == len(report.mistakes)


def test_many_labels_have_the_curves_of_the_worst(tmp_path: Path) -> None:
    report, _ = of_boxes(["cat"], tmp_path)
    curves = [
        report.curves[0].model_copy(update={"label": f"kind {k}", "precision": [0.5] * (100 - k)}) for k in range(20)
    ]
    page = page_of(report.model_copy(update={"curves": curves}), tmp_path)
    panels = [svg["aria-label"] or "" for svg in page.all("svg") if "Precision over" in (svg.get("aria-label") or "")]
    assert [label.split(" of ")[1].split(",")[0] for label in panels] == [f"kind {k}" for k in range(19, 7, -1)]
    assert "Of 20 labels, the 12 with the lowest." in page.said


def test_precision_stands_over_its_recall() -> None:
    svg = precision_recall_svg("a <b>", [1.0] * 51 + [0.5] * 25, (0.6, 0.5))
    assert "of a &lt;b&gt;, at" in svg
    assert "<b>" not in svg
    (line,) = re.findall(r'd="M([^"]+)" fill="none" stroke="#', svg)
    places = [tuple(map(float, place.split())) for place in line.split("L")]
    assert len(places) == 76
    assert (places[0], places[50]) == ((FROM_LEFT, FROM_TOP), (FROM_LEFT + SIDE / 2, FROM_TOP))
    assert places[75] == (FROM_LEFT + 0.75 * SIDE, FROM_TOP + SIDE / 2)
    ((x, y),) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert (float(x), float(y)) == (pytest.approx(FROM_LEFT + 0.6 * SIDE, abs=0.05), FROM_TOP + SIDE / 2)
    assert "<circle" not in precision_recall_svg("a", [], None)


def test_boxes_lie_where_their_shares_are() -> None:
    drawn = [([0.25, 0.5, 0.75, 1.0], "a <b>", "missed"), ([0.0, 0.0, 0.1, 0.1], "a label of many letters", "false")]
    svg = boxes_svg([*drawn, ([0.0, 0.0, 1.0, 1.0], "c", "right")], 0.5, named=True)
    assert svg.startswith('<svg viewBox="0 0 400 200.0"')
    places = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill="none" stroke="#fff"', svg
    )
    assert [tuple(map(float, place)) for place in places] == [(100, 100, 200, 100), (0, 0, 40, 20), (0, 0, 400, 200)]
    assert "<title>a &lt;b&gt;, missed</title>" in svg
    assert re.findall(r"<text[^>]*>([^<]+)", svg) == ["a &lt;b&gt;", "a label of ma…"]
    assert "<text" not in boxes_svg(drawn, 0.5, named=False)


def test_pictures_below_boxes_are_whole_and_larger() -> None:
    uri = picture_uri(np.full((300, 900, 1), 90, np.uint8))
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert picture.size == (400, 133)
    np.testing.assert_allclose(np.asarray(picture), 90, atol=2)


def test_dots_stand_where_their_numbers_are() -> None:
    svg = scatter_svg("a <b>", [0.0, 10.0, 5.0], [0.0, 5.0, 10.0], 2.0)
    assert "a &lt;b&gt; of 3 test images" in svg
    assert "<b>" not in svg
    dots = re.findall(r"M([\d.]+) ([\d.]+)h0", svg)
    across, up = ([float(pair[k]) for pair in dots] for k in (0, 1))
    assert across == [FROM_LEFT, FROM_LEFT + SIDE, FROM_LEFT + SIDE / 2]
    assert up == [FROM_TOP + SIDE, FROM_TOP + SIDE / 2, FROM_TOP]
    (band,) = re.findall(r'd="M([^"]+)Z"', svg)
    corners = [tuple(map(float, corner.split())) for corner in band.split("L")]
    for x, y in corners:
        true, said = (x - FROM_LEFT) / SIDE * 10, (FROM_TOP + SIDE - y) / SIDE * 10
        assert abs(true - said) <= 2.01
    assert len(corners) == 6
    assert 'Z"' not in scatter_svg("a", [0.0, 10.0], [0.0, 5.0], None)
    assert "nan" not in scatter_svg("a", [3.0], [3.0], 100.0)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.98765, "accuracy", "0.988"),
        (-3.21, "r2", "-3.210"),
        (4.3126, "mae", "4.31"),
        (43.126, "validation_mae", "43.1"),
        (43126.0, "rmse", "43,126"),
        (0.0043126, "median_error", "0.00431"),
        (0.0, "mae", "0"),
        (4.3126e-9, "mae", "4.31e-09"),
    ],
)
def test_numbers_in_words(value: float, name: str, text: str) -> None:
    assert number(value, name) == text


def test_names_in_words() -> None:
    names = {"top5_accuracy": "top-5 accuracy", "macro_f1": "macro F1", "map": "mAP", "macro_auroc": "macro AUROC"}
    assert {name: named(name) for name in names} == names
    assert [named(name) for name in ("ap50", "ap_small")] == ["AP50", "AP small"]
    assert [named(name) for name in ("r2", "support", "warmup")] == ["R²", "images", "warmup"]


def test_labels_that_training_does_not_know_are_a_caution(plain: tuple[Report, Page]) -> None:
    report, _ = plain
    data = report.data.model_copy(update={"findings": {"not-in-train": 5}})
    told = " ".join(cautions(report.model_copy(update={"data": data})))
    assert "5 images outside of training have a label that no training image has" in told
    assert "no training image" not in " ".join(cautions(report))


def test_what_belongs_together_is_counted_in_words() -> None:
    told = {("patient", 38): "38 patients", ("video", 1): "1 video", ("", 1200): "1,200 groups"}
    told |= {("study", 3): "3 groups (study)", ("study and patient", 1): "1 group (study and patient)"}
    assert {key: counted_groups(ReportGroups(kind=key[0], count=key[1])) for key in told} == told
    report = of_values(["age"])
    few, many = (report.model_copy(update={"groups": ReportGroups(kind="patient", count=n)}) for n in (19, 20))
    assert any(text.startswith("Only 19 patients among the test images: ") for text in cautions(few))
    assert cautions(many) == cautions(report)
