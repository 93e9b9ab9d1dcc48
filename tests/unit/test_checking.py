"""`look --suspects` and `look --shortcuts`, from images on the disk to findings."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import foveal
from foveal.api import LabelCheck, check_labels, check_shortcuts
from foveal.cli.commands import app
from foveal.cli.show_checks import show_checks, with_checks
from foveal.engine.out_of_fold import _affordable
from foveal.engine.plan import Planner
from foveal.errors import RecipeError, SourceError
from foveal.measured import Score
from foveal.recipe import InputContract
from foveal.tasks import named_task
from foveal.types import Finding, Reading


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
    assert len(wrong & {finding.files[0] for finding in found.findings[:9]}) >= 4
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
    command = ["look", str(mislabelled[0]), "--suspects", "--shortcuts", "--minutes", "0.4"]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.exception
    shown = result.output
    for text in ("suspects among 180 labels", "looks like", "the label told from", "shortcut"):
        assert text in shown
    told = json.loads(CliRunner().invoke(app, [*command[:2], "--shortcuts", "--json"]).stdout)
    assert told["shortcuts"]["views"]["colours"]["value"] > 0.9
    assert told["findings"][-1]["kind"] == "shortcut"
    assert told["findings"][-1]["constant"] == 0.5


@pytest.fixture
def drawn_boxes(tmp_path: Path) -> Path:
    """48 images of one bright square or two on dark noise, in YOLO's form. In the first one box is there twice."""
    root, rng = tmp_path / "squares", np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for k in range(48):
        pixels, corners = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8), []
        for left in (4, 36)[: 1 + k % 2]:
            x, y, side = left + int(rng.integers(4)), int(rng.integers(4, 40)), int(rng.integers(16, 21))
            pixels[y : y + side, x : x + side] = 230
            corners.append((x, y, side, side))
        if k == 0:
            corners += [(x, y, wide, high + 1) for x, y, wide, high in corners]
        lines = [f"0 {(x + w / 2) / 64} {(y + h / 2) / 64} {w / 64} {h / 64}\n" for x, y, w, h in corners]
        Image.fromarray(pixels).save(root / "images" / f"{k:02}.png")
        (root / "labels" / f"{k:02}.txt").write_text("".join(lines))
    (root / "data.yaml").write_text("names: [square]\ntrain: images\n")
    return root


def test_boxes_are_judged_by_detectors_that_did_not_see_them(
    drawn_boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def two_steps(planner: Planner) -> tuple[SimpleNamespace, None]:  # whatever the machine
        assert planner.own
        learned.append(planner.data.train)
        return SimpleNamespace(recipe=planner.own.changed(**planner.changes, epochs=0.5)), None

    monkeypatch.setattr(Planner, "plan", two_steps)
    told: list[str] = []
    dataset = foveal.look(drawn_boxes)
    found = check_labels(dataset, progress=lambda *what: told.append(what[0]))
    seen = np.bincount(np.concatenate(learned[-3:]), minlength=48)
    assert seen.tolist() == [2] * 48
    assert {f"training on part {k} of 3" for k in (1, 2, 3)} <= set(told)
    assert (found.what, found.images, found.targets, found.measured) == ("boxes", 48, 73, "recall")
    (double,) = [finding for finding in found.findings if finding.kind == "doubled-box-suspect"]
    assert double.files == ("images/00.png",)
    assert double.facts["at"] in ("labels/00.txt, line 1", "labels/00.txt, line 2")
    assert found.as_dict()["recall"]["n"] == 48
    assert found.notes[0].startswith("the networks are right on little of it (recall 0.0")
    json.dumps(with_checks({"findings": []}, None, found))


def test_minutes_that_are_too_few_are_told_as_they_were_given(drawn_boxes: Path) -> None:
    with pytest.raises(RecipeError, match=r"^0\.0005 minutes are too few to train 3 networks in turn: "):
        check_labels(foveal.look(drawn_boxes), minutes=0.0005)


@pytest.mark.parametrize(
    ("epochs", "side", "size"),
    [
        (12.0, 100, (320, 416)),  # enough passes at this size
        (6.75, 100, (256, 320)),  # three quarters of the sides: 240 and 312, in steps of 32
        (0.1, 100, (128, 160)),  # no less than 0.4
        (0.1, 25, (256, 320)),  # boxes of 25 pixels stay 20 wide
        (0.1, 12, (320, 416)),
        (None, 100, (128, 160)),  # not even a plan
    ],
)
def test_images_are_taken_smaller_for_more_passes(epochs: float | None, side: int, size: tuple[int, int]) -> None:
    boxes = np.full((4, 2, 6), np.nan, np.float32)
    boxes[:, 0] = (10, 10, 10 + side, 60 + side, 0, 0)

    def plan() -> tuple[SimpleNamespace, None]:
        if epochs is None:
            raise RecipeError("no time")
        return SimpleNamespace(recipe=SimpleNamespace(epochs=epochs)), None

    contract = InputContract(height=320, width=416, channels=3, resize="pad")
    planner = SimpleNamespace(contract=contract, data=SimpleNamespace(targets=boxes), plan=plan)
    smaller = _affordable(planner, named_task("detection"))  # pyright: ignore[reportArgumentType]
    assert (smaller.height, smaller.width) == size
    assert smaller.resize == "pad"


def test_suspects_among_boxes_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foveal.cli.show_checks.out", Console(width=150))
    facts = {"score": 0.93, "given": "cell", "suggested": None, "xyxy": [1.4, 2.0, 30.0, 40.0], "box": 3}
    missing = {"score": 0.81, "given": None, "suggested": "[cell]", "xyxy": [5.0, 6.0, 7.0, 8.0]}
    findings = (
        Finding("misplaced-box-suspect", ("a.png",), "", "Look at the box.", facts),
        Finding("missing-box-suspect", ("b.png",), "", "Look at the place.", missing),
    )
    score = Score(0.7, 0.6, 0.8, 0.95, 40, "bootstrap")
    show_checks(None, LabelCheck("boxes", findings, 40, 90, None, "recall", score, "detector", 61.0))
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[1:] == [
        "2 suspects among 90 boxes of 40 images",
        "judged by detector, recall 0.700 [0.600, 0.800] on images it did not see, 61 s",
        "1 misplaced-box-suspect, 1 missing-box-suspect",
        "suspect file labelled looks like where box score",
        "misplaced-box a.png cell – 1 2 30 40 3 0.93",
        "missing-box b.png – [cell] 5 6 7 8 – 0.81",
        "misplaced-box-suspect: Look at the box.",
        "missing-box-suspect: Look at the place.",
    ]


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
    assert found.constant.value == 0.5
    assert found.views["file"].value == 1.0
    dataset = foveal.look(tmp_path / "xrays", shortcuts=True)
    assert dataset.findings[-len(findings) :] == findings
    assert foveal.look(tmp_path / "xrays").findings == dataset.findings[: -len(findings)]


def test_images_that_are_no_files_have_no_view_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foveal.measure.shortcuts.MOST_IMAGES", 400)
    found, _ = check_shortcuts(foveal.look("digits"))
    assert set(found.views) == {"border", "centre", "without_centre", "tiny", "colours"}
    assert found.images == 400


def test_shortcuts_to_boxes_are_refused_in_words(drawn_boxes: Path) -> None:
    with pytest.raises(SourceError, match=r"found boxes .* do not say where things are in it"):
        check_shortcuts(foveal.look(drawn_boxes))


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str, Callable[[int], str]], Path]:
    """60 images, the k-th as bright as 4 k + 2, and what is written of the k-th."""

    def write(columns: str, cells: Callable[[int], str]) -> Path:
        lines = [f"path,{columns}"]
        for k in range(60):
            Image.fromarray(np.full((8, 8, 3), 4 * k + 2, np.uint8)).save(tmp_path / f"{k:02}.png")
            lines.append(f"{k:02}.png,{cells(k)}")
        (tmp_path / "table.csv").write_text("\n".join(lines))
        return tmp_path / "table.csv"

    return write


def exactly(monkeypatch: pytest.MonkeyPatch, outputs: np.ndarray) -> None:
    """Networks that say this."""
    monkeypatch.setattr(
        "foveal.engine.out_of_fold.kept_by_training",
        lambda dataset, task, suspicion, *how: (list(suspicion.kept(outputs, ())), "net"),
    )


def test_suspects_among_several_labels(
    table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cells(k: int) -> str:
        light = {0: "1", 1: ""}.get(k, str(int(k >= 30)))
        return f"{light},{k % 2}"

    rows = np.arange(60)
    light = np.where(rows == 0, -4.0, np.where(rows >= 30, 3.0, -3.0))
    exactly(monkeypatch, np.stack([light, np.where(rows % 2, 3.0, -3.0)], axis=1))
    found = check_labels(foveal.look(table("light,odd", cells), reading=Reading(target=("light", "odd"))))
    assert (found.what, found.images, found.targets, found.measured) == ("labels", 60, 119, "macro_auroc")
    (finding,) = found.findings
    assert (finding.kind, finding.files) == ("label-suspect", ("00.png",))
    assert (finding.facts["name"], finding.facts["given"], finding.facts["suggested"]) == ("light", "yes", "no")
    assert finding.facts["score"] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-4)
    monkeypatch.setattr("foveal.cli.show_checks.out", Console(width=150))
    show_checks(None, found)
    assert "00.png light yes no 0.98" in " ".join(capsys.readouterr().out.split())
    json.dumps(with_checks({"findings": []}, None, found))


def test_suspects_among_values(table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = foveal.look(table("age", lambda k: str(90.5 if k == 7 else k + 0.5)))
    off = np.where(np.arange(60) % 2, 1.0, -1.0)
    exactly(monkeypatch, (np.arange(60) + 0.5 + off).astype(np.float32)[:, None])
    found = check_labels(dataset)
    (finding,) = found.findings
    assert (found.what, found.targets, found.measured) == ("values", 60, "r2")
    assert (finding.kind, finding.files) == ("value-suspect", ("07.png",))
    assert (finding.facts["given"], finding.facts["suggested"]) == (90.5, 8.5)
    json.dumps(with_checks({"findings": []}, None, found))


def test_shortcuts_to_several_labels_and_to_values(table: Callable[..., Path]) -> None:
    labels = table("light,odd", lambda k: f"{int(k >= 30)},{k % 2}")
    shown = (
        CliRunner()
        .invoke(
            app, ["look", str(labels), "--target", "light", "--target", "odd", "--shortcuts"], env={"COLUMNS": "170"}
        )
        .output
    )
    assert "the labels told from" in shown
    assert "mean AUROC" in shown
    assert "light 1.000" in shown
    values = table("age", lambda k: str(k + 0.5))
    told = json.loads(CliRunner().invoke(app, ["look", str(values), "--shortcuts", "--json"]).stdout)
    assert told["shortcuts"]["measured"] == "r2"
    assert told["shortcuts"]["views"]["centre"]["value"] > 0.95
    assert told["shortcuts"]["constant"]["value"] == 0


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
