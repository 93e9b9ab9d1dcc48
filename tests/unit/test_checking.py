"""`look --suspects` and `look --shortcuts`, from images on the disk to findings."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.api import check_labels, check_shortcuts
from foveal.cli.commands import app
from foveal.cli.show_checks import with_checks
from foveal.errors import SourceError


@pytest.fixture
def mislabelled(image_folder: Callable[..., Path]) -> tuple[Path, set[str]]:
    """90 dark and 90 light images, of which six lie in the folder of the others."""
    root = image_folder({"dark": 90, "light": 90}, side=12)
    wrong = set()
    for k in (3, 40, 77):
        for own, other in (("dark", "light"), ("light", "dark")):
            (root / own / f"{own}-{k:03}.png").rename(root / other / f"{own}-{k:03}.png")
            wrong.add(f"{other}/{own}-{k:03}.png")
    return root, wrong


@pytest.mark.slow
def test_planted_labels_are_the_first_suspects(mislabelled: tuple[Path, set[str]]) -> None:
    root, wrong = mislabelled
    told = []
    dataset = foveal.look(root)
    found = check_labels(dataset, minutes=0.2, progress=lambda *what: told.append(what[0]))
    assert len(wrong & {finding.files[0] for finding in found.findings[:9]}) >= 5
    assert {"training on part 1 of 3", "training on part 3 of 3"} <= set(told)
    first = found.findings[0]
    assert {first.facts["given"], first.facts["suggested"]} == {"dark", "light"}
    assert first.files[0].startswith(first.facts["given"])
    data = with_checks({"findings": [{"kind": "animated"}]}, None, found)
    assert [finding["kind"] for finding in data["findings"]] == ["animated"] + ["label-suspect"] * len(found.findings)
    assert data["suspects"]["images"] == 180
    assert data["suspects"]["accuracy"]["low"] < 0.97
    json.dumps(data)


@pytest.mark.slow
def test_on_the_command_line(mislabelled: tuple[Path, set[str]]) -> None:
    command = ["look", str(mislabelled[0]), "--suspects", "--shortcuts", "--minutes", "0.2"]
    shown = CliRunner().invoke(app, command, env={"COLUMNS": "150"}).output
    for text in ("labels look wrong", "looks like", "the label told from", "shortcut"):
        assert text in shown
    told = json.loads(CliRunner().invoke(app, [*command[:2], "--shortcuts", "--json"]).stdout)
    assert told["shortcuts"]["views"]["colours"]["value"] > 0.9
    assert told["findings"][-1]["kind"] == "shortcut"
    assert told["findings"][-1]["majority"] == 0.5


def test_a_source_that_one_class_has_to_itself_is_a_shortcut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("ill", "well"):
        (tmp_path / "xrays" / label).mkdir(parents=True)
        for k in range(40):
            pixels = rng.integers(60, 200, (24, 24, 3), dtype=np.uint8)
            if label == "ill":  # another hospital: a white marker at the border, and another form of file
                pixels[:2, 2:8] = 255
                Image.fromarray(pixels).resize((30, 24)).save(tmp_path / "xrays" / label / f"scan_{k}.png")
            else:
                Image.fromarray(pixels).save(tmp_path / "xrays" / label / f"IMG-{k:04}.png")
    found, findings = check_shortcuts(foveal.look(tmp_path / "xrays"))
    views = {finding.facts["view"] for finding in findings}
    assert {"file", "name", "border"} <= views
    assert "centre" not in views
    assert found.majority.value == 0.5
    assert found.views["file"].value == 1.0
    dataset = foveal.look(tmp_path / "xrays", shortcuts=True)
    assert dataset.findings[-len(findings) :] == findings
    assert foveal.look(tmp_path / "xrays").findings == dataset.findings[: -len(findings)]


def test_images_that_are_no_files_have_no_view_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foveal.measure.shortcuts.MOST_IMAGES", 400)
    found, _ = check_shortcuts(foveal.look("digits"))
    assert set(found.views) == {"border", "centre", "without_centre", "tiny", "colours"}
    assert found.images == 400


def test_what_has_no_single_label_is_refused_in_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,age"]
    for k in range(40):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
        lines.append(f"{k}.png,{20.5 + k}")
    (tmp_path / "ages.csv").write_text("\n".join(lines))
    dataset = foveal.look(tmp_path / "ages.csv")
    with pytest.raises(SourceError, match="Expected one label an image to look for label suspects, found one value"):
        check_labels(dataset)
    told = CliRunner().invoke(app, ["look", str(tmp_path / "ages.csv"), "--shortcuts"])
    assert told.exit_code == 1


def test_a_handful_of_images_is_refused(image_folder: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match="at least 30 images of two labels"):
        check_labels(foveal.look(image_folder({"dark": 9, "light": 9})))


def test_rare_labels_are_told(image_folder: Callable[..., Path]) -> None:
    counts = {"common": 80, "rare": 3, "usual": 60}
    (finding,) = [one for one in foveal.look(image_folder(counts, side=4)).findings if one.kind == "imbalance"]
    assert finding.message.endswith("(48) in: rare (3)")
    assert len(finding.files) == 3
    even = image_folder({"common": 40, "usual": 8}, side=4, name="even")
    assert not [one for one in foveal.look(even).findings if one.kind == "imbalance"]


@pytest.mark.real
def test_chest_xrays_from_several_hospitals_are_told(real_data: Path) -> None:
    """One class of them comes from other hospitals, in other formats."""
    findings = foveal.look(real_data / "chest_xray3.zip", shortcuts=True).findings
    views = {finding.facts["view"] for finding in findings if finding.kind == "shortcut"}
    assert "file" in views
