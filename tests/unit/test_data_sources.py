"""Folders, archives and built-in sets: which file is an image of which class, and what is said of the rest."""

import io
import json
import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foveal.data import machine, open_source
from foveal.data.findings import nothing_usable
from foveal.data.sources import archive, layout
from foveal.data.sources.layout import arrange
from foveal.data.sources.place import Located, Place, read_place
from foveal.errors import SourceError, UnreadableImage
from foveal.types import Entry, Finding, Source

FILES = {
    "train/cat/1.png": b"one",
    "train/dog/2.png": b"two",
    "val/cat/3.png": b"three",
    "Test/dog/deep/4.png": b"four",
}
EXPECTED = [
    Entry("Test/dog/deep/4.png", "dog", "test"),
    Entry("train/cat/1.png", "cat", "train"),
    Entry("train/dog/2.png", "dog", "train"),
    Entry("val/cat/3.png", "cat", "validation"),
]


def fill(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def make_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files:
            opened.writestr(name, data)
    return path


def make_tar(path: Path, mode: str, files: Iterable[tuple[str, bytes]], *special: tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as opened:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
        for info in special:
            opened.addfile(info)
    return path


def kinds(source: Source) -> dict[str, tuple[str, ...]]:
    return {finding.kind: finding.files for finding in source.findings}


def listed(
    files: list[str], folders: list[str] | None = None
) -> tuple[list[tuple[str, str, str | None]], list[Finding]]:
    arranged = arrange(files, folders or [])
    return [(entry.file, entry.cell, entry.split) for entry in arranged.entries], list(arranged.findings)


ZIP = "photos.zip"
TARS = {
    "photos.tar": "w",
    "photos.tar.gz": "w:gz",
    "photos.tgz": "w:gz",
    "photos.tar.bz2": "w:bz2",
    "photos.tar.xz": "w:xz",
}


def test_one_image_is_for_predict(tmp_path: Path) -> None:
    image = tmp_path / "my cat.JPG"
    image.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SourceError, match=r"Expected many images .* found one: .*my cat\.JPG\.") as refused:
        open_source(image)
    assert f"foveal predict RUN '{image}'" in refused.value.remedy
    assert len(open_source(make_zip(image, FILES.items())).entries()) == 4, "the content decides, not the suffix"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_table_in_a_folder_without_classes_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"labels.{suffix}").write_text("x")
    source = open_source(tmp_path)
    assert f"Or give the table: {source.spec}/labels.{suffix}" in nothing_usable(source, 0, ()).remedy


@pytest.mark.parametrize("kind", ["folder", ZIP, *TARS])
def test_the_same_files_in_every_layout(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        path = fill(tmp_path / "photos", FILES)
    elif kind == ZIP:
        path = make_zip(tmp_path / kind, FILES.items())
    else:
        path = make_tar(tmp_path / kind, TARS[kind], FILES.items())
    source = open_source(path)
    assert list(source.entries()) == EXPECTED
    assert source.name == "photos"
    assert source.findings == ()
    assert {entry.file: source.read(entry.file) for entry in source.entries()} == FILES
    again = open_source(source.spec)
    assert again.signature == source.signature
    assert open_source(source) is source


@pytest.mark.parametrize("kind", ["folder", ZIP, "photos.tar"])
def test_signature_changes_with_a_file(tmp_path: Path, kind: str) -> None:
    def build(files: dict[str, bytes]) -> str:
        if kind == "folder":
            return open_source(fill(tmp_path / "photos", files)).signature
        path = tmp_path / kind
        path.unlink(missing_ok=True)
        make = make_zip(path, files.items()) if kind == ZIP else make_tar(path, "w", files.items())
        os.utime(make, ns=(len(files), len(files)))
        return open_source(make).signature

    one = build({"a/1.png": b"1"})
    two = build({"a/1.png": b"1", "a/2.png": b"2"})
    assert len({one, two}) == 2


def test_folder_signature_notices_a_rewritten_file(tmp_path: Path) -> None:
    path = fill(tmp_path / "photos", {"a/1.png": b"1"})
    before = open_source(path).signature
    os.utime(path / "a/1.png", ns=(1, 1))
    assert open_source(path).signature != before


def test_classes_without_splits() -> None:
    entries, findings = listed(["cat/1.png", "cat/old/2.png", "dog/3.png"])
    assert entries == [("cat/1.png", "cat", None), ("cat/old/2.png", "cat", None), ("dog/3.png", "dog", None)]
    assert findings == []


def test_a_class_may_be_called_train() -> None:
    entries, _ = listed(["bus/1.png", "train/2.png"])
    assert entries == [("bus/1.png", "bus", None), ("train/2.png", "train", None)]


def test_wrappers_are_stepped_into() -> None:
    entries, findings = listed(["set/README.md", "set/data/train/cat/1.png", "set/data/test/cat/2.png", "LICENSE"])
    assert [entry[1:] for entry in entries] == [("cat", "test"), ("cat", "train")]
    assert [(f.kind, f.files) for f in findings] == [("no-class", ("LICENSE", "set/README.md"))]


def test_one_class_with_folders_inside_is_no_wrapper() -> None:
    entries, _ = listed(["cat/1.png", "cat/old/2.png"])
    assert [entry[1] for entry in entries] == ["cat", "cat"]


def test_what_is_no_image_of_a_class_is_named() -> None:
    entries, findings = listed(
        ["train/cat/1.png", "train/stray.png", "extra/a/2.png", "notes.txt", "train/cat/.hidden", "__MACOSX/train/._1"],
        ["train/dog", "train/cat/empty", "train/cat/empty/inner", "val"],
    )
    assert entries == [("train/cat/1.png", "cat", "train")]
    assert {finding.kind: set(finding.files) for finding in findings} == {
        "no-class": {"notes.txt", "train/stray.png"},
        "no-split": {"extra/a/2.png"},
        "ignored": {"train/cat/.hidden", "__MACOSX"},
        "empty-class": {"train/dog"},
        "empty-folder": {"train/cat/empty", "val"},
    }
    assert all(finding.message and finding.remedy for finding in findings)


def test_very_deep_names_do_not_recurse() -> None:
    deep = "cat/" + "a/" * 5000 + "1.png"
    assert listed([deep, "dog/2.png"])[0][0] == (deep, "cat", None)


def test_folder_links_pipes_and_loops(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", {"cat/1.png": b"1", "dog/2.png": b"2"})
    other = fill(tmp_path / "elsewhere", {"3.png": b"3"})
    (root / "cat/loop").symlink_to(root)
    (root / "cat/linked").symlink_to(other)
    (root / "cat/gone.png").symlink_to(root / "nothing")
    os.mkfifo(root / "dog/pipe.png")
    source = open_source(root)
    assert [entry.file for entry in source.entries()] == ["cat/1.png", "cat/linked/3.png", "dog/2.png"]
    assert source.read("cat/linked/3.png") == b"3"
    told = {(finding.kind, finding.files): finding.message for finding in source.findings}
    assert ("symlink-loop", ("cat/loop",)) in told
    assert "a link to nothing" in told["unreadable", ("cat/gone.png",)]
    assert "a named pipe" in told["unreadable", ("dog/pipe.png",)]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_folder_without_permission_is_named(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", {"cat/1.png": b"1", "dog/2.png": b"2", "cat/3.png": b"3"})
    (root / "dog").chmod(0)
    (root / "cat/3.png").chmod(0)
    source = open_source(root)
    (root / "dog").chmod(0o700)
    assert kinds(source) == {"unreadable": ("dog",)}
    with pytest.raises(UnreadableImage, match="Permission denied"):
        source.read("cat/3.png")


def test_folder_that_vanishes_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path / "photos", {"cat/1.png": b"1"}))
    (tmp_path / "photos/cat/1.png").unlink()
    with pytest.raises(UnreadableImage, match="cannot be opened: No such file"):
        source.read("cat/1.png")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_files_too_large_to_be_images(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LARGEST_FILE", 3)
    files = {"cat/1.png": b"123", "cat/2.png": b"1234"}
    source = open_source(
        fill(tmp_path / "a", files) if kind == "folder" else make_zip(tmp_path / "a.zip", files.items())
    )
    assert source.read("cat/1.png") == b"123"
    with pytest.raises(UnreadableImage, match="too large: a file of"):
        source.read("cat/2.png")


def test_zip_names_are_only_names(tmp_path: Path) -> None:
    names = ["../../cat/1.png", "/abs/../cat/2.png", "./dog/3.png", "dog//4.png"]
    source = open_source(make_zip(tmp_path / "evil.zip", [(name, name.encode()) for name in names]))
    assert [entry.file for entry in source.entries()] == ["abs/cat/2.png", "cat/1.png", "dog/3.png", "dog/4.png"]
    assert source.read("cat/1.png") == b"../../cat/1.png"
    assert list(tmp_path.iterdir()) == [tmp_path / "evil.zip"]


def test_zip_with_backslashes(tmp_path: Path) -> None:
    path = tmp_path / "windows.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("cat/1.png", b"1")
        opened.writestr("dog/2.png", b"2")
    path.write_bytes(path.read_bytes().replace(b"cat/1", b"cat\\1").replace(b"dog/2", b"dog\\2"))
    source = open_source(path)
    assert [(entry.file, entry.cell) for entry in source.entries()] == [("cat/1.png", "cat"), ("dog/2.png", "dog")]
    assert source.read("dog/2.png") == b"2"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_a_name_twice(tmp_path: Path) -> None:
    source = open_source(
        make_zip(tmp_path / "a.zip", [("cat/1.png", b"old"), ("cat/1.png", b"new"), ("dog/1.png", b"")])
    )
    assert kinds(source)["repeated-name"] == ("cat/1.png",)
    assert source.read("cat/1.png") == b"new"
    assert len(source.entries()) == 2


def test_zip_members_encrypted_or_damaged(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("cat/1.png", b"x" * 100), ("dog/2.png", b"y" * 100)])
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    data[first + 8] |= 1  # the flag of encryption in the first directory entry
    start = data.index(b"dog/2.png") + len("dog/2.png")
    data[start : start + 2] = b"\xff\xff"  # the second member's compressed data
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(UnreadableImage, match="encrypted"):
        source.read("cat/1.png")
    with pytest.raises(UnreadableImage, match="damaged in the archive"):
        source.read("dog/2.png")


@pytest.mark.parametrize("name", ["photos.tar", "photos.tar.gz"])
def test_tar_links_and_devices(tmp_path: Path, name: str) -> None:
    hard, soft, lost, fifo = (tarfile.TarInfo(f"dog/{kind}.png") for kind in ("hard", "soft", "lost", "fifo"))
    hard.type, hard.linkname = tarfile.LNKTYPE, "./cat/1.png"
    soft.type, soft.linkname = tarfile.SYMTYPE, "../cat/1.png"
    lost.type, lost.linkname = tarfile.SYMTYPE, "/etc/passwd"
    fifo.type = tarfile.FIFOTYPE
    path = make_tar(tmp_path / name, TARS[name], [("./cat/1.png", b"one")], hard, soft, lost, fifo)
    source = open_source(path)
    assert [entry.file for entry in source.entries()] == ["cat/1.png", "dog/hard.png", "dog/soft.png"]
    assert source.read("dog/hard.png") == source.read("dog/soft.png") == b"one"
    told = {finding.files: finding.message for finding in source.findings}
    assert "a link to nothing" in told["dog/lost.png",]
    assert "not a file" in told["dog/fifo.png",]


def test_tar_names_that_are_no_utf8(tmp_path: Path) -> None:
    source = open_source(make_tar(tmp_path / "a.tar", "w", [("cat/\udce9\n.png", b"1"), ("dog/2.png", b"2")]))
    assert [entry.file for entry in source.entries()] == ["cat/\\udce9\n.png", "dog/2.png"]
    assert source.read("cat/\\udce9\n.png") == b"1"


def test_compressed_tar_must_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tar(tmp_path / "a.tar.gz", "w:gz", FILES.items())
    monkeypatch.setattr(archive, "memory_budget", lambda: 12)
    with pytest.raises(SourceError, match=r"plain \.tar"):
        open_source(path)


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos.tar.gz", "photos.tar.xz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    files = [(f"cat/{k}.png", np.random.default_rng(k).bytes(3000)) for k in range(9)]
    make_zip(path, files) if name == ZIP else make_tar(path, TARS.get(name, "w"), files)
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], b"nonsense", b""):
        path.write_bytes(broken)
        with pytest.raises(SourceError, match=r"damaged or cut off, or another file"):
            open_source(path)
    if name == ZIP:  # its end is whole, its directory is not: that is read when it is needed
        path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x01\x03"))
        with pytest.raises(SourceError, match=r"damaged or cut off, or another file"):
            open_source(path).entries()


@pytest.mark.parametrize("kind", ["folder", ZIP, "stored.zip", *TARS])
def test_places_hold_what_the_source_reads(tmp_path: Path, kind: str) -> None:
    files = {name: data * 500 for name, data in FILES.items()}
    path = fill(tmp_path / "photos", files) if kind == "folder" else tmp_path / kind
    if kind in TARS:
        make_tar(path, TARS[kind], files.items())
    elif kind != "folder":
        with zipfile.ZipFile(
            path, "w", zipfile.ZIP_STORED if kind.startswith("stored") else zipfile.ZIP_DEFLATED
        ) as opened:
            for name, data in files.items():
                opened.writestr(name, data)
    source = open_source(path)
    assert isinstance(source, Located)
    for name, data in files.items():
        place = source.place(name)
        if kind in ("photos.tar", "folder", ZIP, "stored.zip"):
            assert place is not None
            assert read_place(Place(*json.loads(json.dumps(place)))) == data
        else:
            assert place is None  # compressed as a whole


def test_places_that_are_not_what_they_were(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("cat/1.png", bytes(5000))])
    source = open_source(path)
    assert isinstance(source, Located)
    place = source.place("cat/1.png")
    assert place is not None
    wrong = {"offset": place.offset + 1, "size": 10**6, "checksum": 1, "whole": 4000, "path": str(tmp_path / "none")}
    for field, value in wrong.items():
        with pytest.raises((OSError, ValueError, zlib.error)):
            read_place(place._replace(**{field: value}))
    with pytest.raises(UnreadableImage, match="too large"):
        read_place(place._replace(whole=1 << 40))
    encrypted = bytearray(path.read_bytes())
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(encrypted)
    again = open_source(path)
    assert isinstance(again, Located)
    assert again.place("cat/1.png") is None


def test_archive_type_is_told_by_content(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "photos", FILES.items())
    assert list(open_source(path).entries()) == EXPECTED


@pytest.mark.parametrize(
    "make", [lambda path: make_zip(path / "a.zip", MANY), lambda path: make_tar(path / "a.tar", "w", MANY)]
)
def test_archives_are_read_by_many_threads(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source = open_source(make(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(source.read, [name for name, _ in MANY] * 5))
    assert contents == [data for _, data in MANY] * 5


MANY = [(f"{'cat' if k % 2 else 'dog'}/{k}.png", np.random.default_rng(k).bytes(500 + k)) for k in range(200)]


def test_digits() -> None:
    source = open_source("digits")
    entries = source.entries()
    assert len(entries) == 1797
    assert len({entry.file for entry in entries}) == 1797
    assert [sum(entry.cell == str(k) for entry in entries) for k in range(3)] == [178, 182, 177]
    from sklearn.datasets import load_digits

    first = source.read("0/digit-0000")
    assert first.shape == (8, 8, 1)
    assert np.array_equal(first[..., 0], np.rint(load_digits().images[0] * 255 / 16))
    assert {int(source.read(entry.file).max()) for entry in entries} <= {round(k * 255 / 16) for k in range(17)}


def test_unknown_source_says_what_there_is(in_tmp: Path) -> None:
    (in_tmp / "flowers").mkdir()
    with pytest.raises(SourceError, match=r"one of digits, cifar10, cifar100; found nothing called 'flower'") as caught:
        open_source("flower")
    assert caught.value.remedy == "Did you mean flowers?"
    with pytest.raises(SourceError) as caught:
        open_source("cifar-10")
    assert "cifar10" in caught.value.remedy
    with pytest.raises(SourceError) as caught:
        open_source(in_tmp / "nothing" / "like" / "this")
    assert str(in_tmp / "nothing/like") in caught.value.remedy
    for odd in ("a\0b", "x" * 5000):
        with pytest.raises(SourceError):
            open_source(odd)


@pytest.mark.parametrize(("here", "allowed"), [(8 << 30, 2 << 30), (2 << 30, 8 << 30)])
def test_memory_budget_is_a_quarter_of_what_is_there(here: int, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_machine_memory", lambda: here)
    monkeypatch.setattr(machine, "_container_memory", lambda: allowed)
    assert machine.memory_budget() == 512 << 20


@pytest.mark.parametrize("long", [-1.0, 1e9])
def test_threads_keep_the_order_and_stop_early(long: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LONG", long)
    done: list[int] = []
    threads: set[int] = set()

    def work(k: int) -> int:
        done.append(k)
        threads.add(threading.get_ident())
        return k * k

    results = machine.in_threads(work, range(10_000))
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    results.close()  # type: ignore[attr-defined]
    assert len(done) < 1000
    assert (threads == {threading.get_ident()}) == (long > 0)
    assert list(machine.in_threads(work, range(100))) == [k * k for k in range(100)]
