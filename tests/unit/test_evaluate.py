"""A finished run measured: the scores first, then the page, and its pictures."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.data.sources.folder import FolderSource
from foveal.report import Report

QUICK = {"net": "4c3-gap-8n", "epochs": 1, "batch_size": 16}


def pictures(page: Path) -> list[np.ndarray]:
    """Of the mistakes, in order."""
    encoded = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', page.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in encoded]


@pytest.fixture
def noise(tmp_path: Path) -> Callable[[tuple[int, int, int]], Path]:
    """Two classes of images that cannot be told apart, so that there are mistakes, (H, W, C) each."""

    def make(shape: tuple[int, int, int]) -> Path:
        rng = np.random.default_rng(0)
        for k in range(60):
            file = tmp_path / "noise" / ("heads", "tails")[k % 2] / f"{k:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8).squeeze()).save(file)
        return tmp_path / "noise"

    return make


def test_the_report_is_shown_when_it_is_written_and_the_page_is_not_yet_drawn(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    run = foveal.train(image_folder({"dark": 12, "light": 12}), out=tmp_path / "run", **QUICK)
    page, shown = run.report / "report.html", []
    page.unlink()

    def on_report(report: Report) -> None:
        assert Report.read(run.report / "report.json") == report
        assert not page.exists()
        shown.append(report)

    assert [foveal.evaluate(run, on_report=on_report)] == shown
    assert page.exists()


@pytest.mark.parametrize("shape", [(12, 12, 3), (12, 10, 1), (160, 150, 3)])
def test_pictures_of_mistakes_are_the_images_and_no_file_is_opened_for_them(
    noise: Callable[..., Path], shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = {"input.height": shape[0], "input.width": shape[1]}
    run = foveal.train(noise(shape), out=tmp_path / "run", **QUICK, **size)
    monkeypatch.delattr(FolderSource, "read")
    mistakes = foveal.evaluate(run).mistakes
    found = pictures(run.report / "report.html")
    assert len(mistakes) == len(found) > 0
    for mistake, picture in zip(mistakes, found):
        image = Image.open(tmp_path / "noise" / mistake.file).convert("RGB")
        image.thumbnail((128, 128), Image.Resampling.BILINEAR, reducing_gap=None)
        off = np.abs(np.asarray(image).astype(int) - picture)
        # A larger one is a JPEG, which noise is the hardest for; two images of it are 50 apart and more.
        assert off.max() <= 1 if max(shape) <= 64 else off.mean() <= 15


def test_pictures_of_images_that_were_cropped_or_shrunk_are_whole(noise: Callable[..., Path], tmp_path: Path) -> None:
    run = foveal.train(noise((20, 14, 3)), out=tmp_path / "run", **QUICK, **{"input.height": 8, "input.width": 8})
    mistakes = foveal.Report.read(run.report / "report.json").mistakes
    found = pictures(run.report / "report.html")
    assert len(mistakes) == len(found) > 0
    for mistake, picture in zip(mistakes, found):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "noise" / mistake.file)), picture)
