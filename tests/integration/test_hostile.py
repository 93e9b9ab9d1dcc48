"""The folder of hostile files: every file is used, or named with its reason."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from foveal.cli import main
from foveal.data import divide, look, read_split, write_split
from foveal.data.cache import pixels
from foveal.recipe import InputContract
from foveal.tasks import named_task
from foveal.types import Dataset

TASK = named_task("classification")


@pytest.fixture(scope="module")
def hostile() -> ModuleType:
    path = Path(__file__).parents[1] / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(hostile: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "photos"
    hostile.make_hostile_folder(path)
    return path


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return look(folder, TASK)


def test_every_file_is_used_or_named(folder: Path, dataset: Dataset) -> None:
    named = {file for finding in dataset.findings for file in finding.files}
    on_disk = [
        str((Path(top) / name).relative_to(folder)).encode("utf-8", "backslashreplace").decode()
        for top, folders, names in os.walk(folder)
        for name in [*names, *(f for f in folders if (Path(top) / f).is_symlink())]
    ]
    assert len(on_disk) > 90
    for path in on_disk:
        above = {path, *map(str, Path(path).parents)}
        assert path in dataset.files or above & named, path


def test_unusable_files_have_the_right_reason(hostile: ModuleType, dataset: Dataset) -> None:
    reasons = {
        f: finding.message for finding in dataset.findings if finding.kind == "unreadable" for f in finding.files
    }
    assert reasons.keys() == hostile.UNREADABLE.keys()
    for file, start in hostile.UNREADABLE.items():
        assert start in reasons[file], (file, reasons[file])
        assert file not in dataset.files


def test_turned_images_equal_upright_ones(hostile: ModuleType, dataset: Dataset) -> None:
    for file, upright in hostile.EXIF_PAIRS.items():
        turned, straight = (TASK.reader.read(dataset.source.read(name)) for name in (file, upright))
        assert np.array_equal(turned, straight), file


def test_kinds_of_findings(dataset: Dataset) -> None:
    by_kind = {
        kind: {f for finding in dataset.findings if finding.kind == kind for f in finding.files}
        for kind in {finding.kind for finding in dataset.findings}
    }
    assert by_kind["symlink-loop"] == {"cats/loop"}
    assert by_kind["no-class"] == {"README.txt", "stray.png"}
    assert by_kind["empty-class"] == {"birds"}
    assert by_kind["empty-folder"] == {"cats/folder.jpg"}
    assert by_kind["ignored"] == {".git", "__MACOSX", "cats/.DS_Store", "cats/._good_1.png", "dogs/Thumbs.db"}
    assert by_kind["animated"] == {"dogs/animated.gif", "dogs/animated.png", "dogs/animated.webp", "dogs/pages.tiff"}
    assert by_kind["narrow-range"] == {"cats/gray12_in_16.png"}
    assert by_kind["contradicting-label"] == {"cats/contrary.png", "dogs/contrary.webp"}
    assert {"cats/same_a.png", "cats/same_b.bmp", "cats/linked.png", "cats/good_0.png"} <= by_kind["exact-duplicate"]
    assert dataset.labels == ("cats", "dogs")
    assert dataset.channels == 3
    assert (dataset.sizes.min(), dataset.sizes.max()) == (1, 20_000)


def test_findings_are_json_and_names_survive(dataset: Dataset) -> None:
    text = json.dumps([finding.as_dict() for finding in dataset.findings] + list(dataset.files), ensure_ascii=False)
    assert json.loads(text.encode("utf-8"))
    assert "dogs/two\nlines.png" in dataset.files
    if sys.platform == "linux":
        assert "dogs/latin1_\\udce9.png" in dataset.files
        assert dataset.source.read("dogs/latin1_\\udce9.png").startswith(b"\x89PNG")


def test_it_can_be_divided_and_prepared(dataset: Dataset, tmp_path: Path) -> None:
    divided = divide(dataset, validation=0.15, test=0.15, seed=0)
    for group in np.unique(divided.groups):
        assert len(set(divided.splits[divided.groups == group])) == 1
    write_split(divided, tmp_path / "split.csv")
    assert (read_split(tmp_path / "split.csv", dataset).splits == divided.splits).all()
    array = pixels(divided, TASK.reader, InputContract(height=16, width=16, channels=3))
    assert array.shape == (len(dataset), 16, 16, 3)


def test_looking_again_says_the_same(folder: Path, dataset: Dataset) -> None:
    again = look(folder, TASK)
    assert again.findings == dataset.findings
    assert again.fingerprint == dataset.fingerprint


def test_the_command_line_looks_and_trains(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--epochs", "1", "--net", "8c3-mp2-16n", "--out", "run"]
    outcomes = []
    for command in (["look", str(folder), "--json"], ["look", str(folder)], ["train", str(folder), *quick, "--json"]):
        with pytest.raises(SystemExit) as left:
            main(command)
        outcomes.append((left.value.code or 0, *capsys.readouterr()))
    assert [code for code, _, _ in outcomes] == [0, 0, 0], outcomes
    assert not any("Traceback" in err for _, _, err in outcomes)
    seen, result = json.loads(outcomes[0][1]), json.loads(outcomes[2][1])
    assert seen["images"] == result["report"]["data"]["images"] > 40
    assert result["report"]["scores"]["accuracy"]["n"] > 0
