"""Tables and images in Parquet, and data sets of the Hugging Face hub."""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from foveal.data import look, open_source
from foveal.data.sources.parquet import ParquetSource
from foveal.errors import MissingExtra, OfflineError, SourceError, UnreadableImage
from foveal.types import Entry
from tabled import LABEL, draw, of_kind, packed, pairs, png, table

pytestmark = pytest.mark.usefixtures("empty_cache")


class Hub:
    """Parquet as the hub has it."""

    def __init__(self) -> None:
        self.pa = pytest.importorskip("pyarrow")
        self.pq = pytest.importorskip("pyarrow.parquet")

    def write(self, path: Path, columns: dict[str, Any], names: list[str] | None = None, **options: Any) -> Path:
        made = self.pa.table(columns)
        if names:
            label = {"names": names, "_type": "ClassLabel"}
            told = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
            made = made.replace_schema_metadata({"huggingface": json.dumps(told)})
        path.parent.mkdir(parents=True, exist_ok=True)
        self.pq.write_table(made, path, **options)
        return path

    def images(self, numbers: Iterable[int | None]) -> Any:
        rows = [{"bytes": None if k is None else png(k), "path": f"{k}.png"} for k in numbers]
        kind = self.pa.struct([("bytes", self.pa.binary()), ("path", self.pa.string())])
        return self.pa.array(rows, kind)


def test_a_table_of_paths_as_parquet(tmp_path: Path) -> None:
    root = draw(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    nan = float("nan")
    columns = {"file": ["a.png", "b.png", "c.png", "d.png"], "age": [31.5, nan, 7.0, 1.0], "group": [1, None, 1, 1]}
    source = open_source(Hub().write(root / "ages.parquet", columns))
    assert pairs(source) == {"a.png": "31.5", "b.png": "", "c.png": "7.0"}
    assert [(entry.group, entry.where) for entry in source.entries()][:2] == [
        ("1", "ages.parquet, row 1"),
        (None, "ages.parquet, row 2"),
    ]
    assert of_kind(source, "missing-file")[0].message.endswith("ages.parquet, row 4")
    (root / "broken.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceError, match=r"Expected a Parquet file, .*: broken\.parquet") as caught:
        open_source(root / "broken.parquet")
    assert "as CSV" in caught.value.remedy


def test_images_within_parquet(tmp_path: Path) -> None:
    write = Hub()
    columns = {"image": write.images([*range(9), None]), "label": [0, 1] * 4 + [-1, 0]}
    path = write.write(tmp_path / "pets.parquet", columns, ["cat", "dog"], row_group_size=4)
    source = open_source(path)
    assert isinstance(source, ParquetSource)
    assert source.columns == ("label",)
    assert [entry.cell for entry in source.entries()] == ["cat", "dog"] * 4 + ["", "cat"]
    assert source.entries()[4] == Entry("pets/000005", "cat", None, None, "pets.parquet, row 5")
    for k in (8, 0, 5):
        assert source.read(f"pets/{k + 1:06}") == png(k)
    with pytest.raises(UnreadableImage, match="empty: the row holds no image"):
        source.read("pets/000010")
    dataset = look(path, LABEL)
    assert len(dataset) == 8
    assert dataset.labels == ("cat", "dog")
    assert [finding.kind for finding in dataset.findings] == ["wrong-target", "unreadable"]
    os.utime(path, ns=(1, 1))
    assert open_source(path).signature != source.signature
    path.unlink()
    with pytest.raises(UnreadableImage, match="cannot be read"):
        open_again(source).read("pets/000001")


def open_again(source: ParquetSource) -> ParquetSource:
    source.held.clear()
    return source


def test_row_groups_are_kept_as_long_as_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.data.sources import parquet

    write = Hub()
    path = write.write(tmp_path / "a.parquet", {"image": write.images(range(9)), "age": range(9)}, row_group_size=3)
    source = open_source(path)
    assert isinstance(source, ParquetSource)
    for k in range(9):
        source.read(f"a/{k + 1:06}")
    assert len(source.held) == 3
    monkeypatch.setattr(parquet, "HELD", 1)
    source.held.clear()
    for k in range(9):
        assert source.read(f"a/{k + 1:06}") == png(k)
        assert len(source.held) == 1


def make_snapshot(root: Path) -> Path:
    write = Hub()
    for name, numbers in (("train-00000-of-00002", [0, 1]), ("train-00001-of-00002", [2, 3]), ("test-00000", [4])):
        columns = {"image": write.images(numbers), "label": [k % 2 for k in numbers]}
        write.write(root / f"data/{name}.parquet", columns, ["cat", "dog"])
    table(root, "about", "README.md")
    table(root, "*", ".gitattributes")
    return root


def test_a_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = make_snapshot(tmp_path / "snapshots" / commit)
    asked: list[tuple[Any, ...]] = []

    def snapshot_download(repository: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((repository, repo_type, revision))
        return str(root)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    told: list[tuple[str, int, int]] = []
    source = open_source("hf:some/pets", progress=lambda *step: told.append(step))
    assert told == [("downloading some/pets", 0, 0)]
    assert (source.name, source.spec) == ("pets", f"hf:some/pets@{commit}")
    assert [(entry.file, entry.cell, entry.split) for entry in source.entries()] == [
        ("data/test-00000/000001", "cat", "test"),
        ("data/train-00000-of-00002/000001", "cat", "train"),
        ("data/train-00000-of-00002/000002", "dog", "train"),
        ("data/train-00001-of-00002/000001", "cat", "train"),
        ("data/train-00001-of-00002/000002", "dog", "train"),
    ]
    assert source.read("data/train-00001-of-00002/000002") == png(3)
    assert {finding.kind: finding.files for finding in source.findings} == {
        "extra-file": ("README.md",),
        "ignored": (".gitattributes",),
    }
    assert open_source(source.spec).signature == source.signature
    assert asked == [("some/pets", "dataset", None), ("some/pets", "dataset", commit)]
    shutil.rmtree(root / "data")
    draw(root, ["train/a.png"])
    table(root / "train", "file_name,label\na.png,cat\n", "metadata.csv")
    assert pairs(open_source("hf:some/pets")) == {"train/a.png": "cat"}
    shutil.rmtree(root / "train")
    packed(draw(root / "pets", ["cat/a.png"]), "zip")
    shutil.rmtree(root / "pets")
    assert pairs(open_source("hf:some/pets@v1.0")) == {"cat/a.png": "cat"}
    shutil.copy(root / "pets.zip", root / "more.zip")
    with pytest.raises(SourceError, match=r"Expected one archive in hf:some/pets, found 2 .*more\.zip, pets\.zip"):
        open_source("hf:some/pets")


def test_the_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        OfflineError, match=r"^hf:some/pets is not on this machine, and cannot be downloaded: "
    ) as caught:
        open_source("hf:some/pets")
    assert "without HF_HUB_OFFLINE" in caught.value.remedy
    assert "hf download --repo-type dataset some/pets" in caught.value.remedy

    def refuse(*_: object, **__: object) -> str:
        raise huggingface_hub.errors.HFValidationError("Cannot have -- in it\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(SourceError, match=r"none that may be read: Cannot have -- in it\n") as caught:
        open_source("hf:some/pets")
    assert not isinstance(caught.value, OfflineError)
    for wrong in ("hf:pets", "hf:", "hf:a/b/c", "hf:a/b@", "hf:a b/c"):
        with pytest.raises(SourceError, match="Expected hf:OWNER/NAME"):
            open_source(wrong)


@pytest.mark.parametrize("missing", ["pyarrow", "huggingface_hub"])
def test_a_missing_package_is_named(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=missing) as caught:
        open_source("hf:some/pets" if missing == "huggingface_hub" else tmp_path / "a.parquet")
    assert caught.value.remedy.startswith("Install it with: pip install 'foveal[")
