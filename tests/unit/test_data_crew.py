"""Many images at once: processes, threads and one thread give the same, and what goes wrong there has a name."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal.data import crew, look, scan
from foveal.data.arrays import decoded_path
from foveal.data.cache import pixels
from foveal.data.crew import hirable, hired, spread
from foveal.data.machine import workers
from foveal.data.sources import open_source
from foveal.errors import SourceError
from foveal.readers import ImageReader
from foveal.recipe import InputContract
from foveal.tasks import named_task
from foveal.types import Dataset

TASK = named_task("classification")
CONTRACT = InputContract(height=40, width=30, channels=3)
COUNT = 300


@pytest.fixture(autouse=True)
def two_workers(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEAL_WORKERS", "2")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Small ones, and in the middle three that cannot be decoded."""
    rng = np.random.default_rng(0)
    made = {}
    for k in range(COUNT):
        side = 12 + k % 9
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side + 3, 3), dtype=np.uint8)).save(buffer, ("PNG", "JPEG")[k % 2])
        made[f"{'ab'[k % 2]}/{k:03}.img"] = buffer.getvalue()
    made["a/150.img"] = made["a/150.img"][:60]
    made["b/151.img"] = b"no image"
    made["a/152.img"] = b""
    return made


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    return packed(files, tmp_path / "photos")


def packed(files: dict[str, bytes], path: Path) -> Path:
    """As a folder, a .zip or a .tar."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, data in files.items():
                opened.writestr(name, data)
    elif path.suffix == ".tar":
        with tarfile.open(path, "w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


def in_processes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The workers that were asked, in the order of their answers."""
    asked: list[Any] = []
    answer = crew._answer
    monkeypatch.setattr(crew, "WORTH", -1.0)
    monkeypatch.setattr(crew, "QUICK", 1e9)
    monkeypatch.setattr(crew, "_answer", lambda worker: (asked.append(worker), answer(worker))[1])
    return asked


def everything(path: Path) -> tuple[Dataset, np.ndarray]:
    dataset = look(path, TASK)
    return dataset, pixels(dataset, TASK.reader, CONTRACT)


@pytest.mark.parametrize("name", ["photos", "photos.zip", "photos.tar"])
def test_processes_give_what_one_thread_gives(
    files: dict[str, bytes], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "photos":  # one large enough for torch to resize
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(buffer, "JPEG")
        files = {**files, "a/170.img": buffer.getvalue()}
    source_path = packed(files, tmp_path / name)
    one, its_pixels = everything(source_path)
    assert len(one) == COUNT - 3
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "another"))
    asked = in_processes(monkeypatch)
    other, other_pixels = everything(source_path)
    assert len(asked) == 2 * 3  # 300 files in pieces of 64, twice; the first two of each were tried here
    assert other.fingerprint == one.fingerprint
    assert other.findings == one.findings
    assert other.files == one.files
    assert np.array_equal(other.sizes, one.sizes)
    assert np.array_equal(other_pixels, its_pixels)
    expected = [TASK.reader.load(one.source.read(file), CONTRACT)[0] for file in one.files]
    assert np.abs(its_pixels.astype(int) - np.stack(expected)).max() <= 1


def test_what_a_process_cannot_read_is_read_here(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one, its_pixels = everything(folder)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "another"))
    asked = in_processes(monkeypatch)
    place = type(one.source).place  # type: ignore[attr-defined]
    monkeypatch.setattr(
        type(one.source), "place", lambda self, file: None if file.endswith("7.img") else place(self, file)
    )
    other, other_pixels = everything(folder)
    assert asked
    assert other.findings == one.findings
    assert np.array_equal(other_pixels, its_pixels)


def test_a_file_that_breaks_later_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = look(folder, TASK)
    file = dataset.files[-20]
    (folder / file).write_bytes(b"no image")
    in_processes(monkeypatch)
    with pytest.raises(SourceError, match=f"{file} in .* cannot be now: not an image"):
        pixels(dataset, TASK.reader, CONTRACT)
    assert not list((tmp_path / "cache" / "pixels").iterdir())


@pytest.mark.parametrize("last_words", ["import os; os.abort()", "raise SystemExit(3)", "print('[')"])
def test_a_process_that_dies_is_an_error_with_a_name(
    folder: Path, last_words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"input(); print('ready', flush=True); input(); {last_words}"

    def start() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    in_processes(monkeypatch)
    monkeypatch.setattr(crew, "_start", start)
    with pytest.raises(
        SourceError, match=r"ended by itself \(exit code .*files from \w/.* to \w/.*\.img in "
    ) as caught:
        look(folder, TASK)
    assert "FOVEAL_WORKERS=1" in caught.value.remedy


def test_where_no_process_starts_the_work_is_done_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, its_pixels = everything(folder)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "another"))
    asked = in_processes(monkeypatch)
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name != "nt" else sys.executable)
    other, other_pixels = everything(folder)
    assert not asked
    assert other.fingerprint == one.fingerprint
    assert np.array_equal(other_pixels, its_pixels)


def test_no_process_is_left(folder: Path) -> None:
    source = open_source(folder)
    with hired(source, TASK.reader) as ask:
        assert ask
        found, _ = ask(0, [entry.file for entry in source.entries()[:3]])
        assert len(found) == 3
        mine = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True)
        assert mine.stdout.count("foveal.data.worker") == 2
    mine = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True)
    assert "foveal.data.worker" not in mine.stdout


def test_a_script_without_a_guard_is_not_run_again(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nprint('started')\n"
        "from foveal.data import crew\ncrew.WORTH, crew.QUICK = -1.0, 1e9\n"
        "import foveal\nprint(len(foveal.look(sys.argv[1])))\n"
    )
    told = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["started", str(COUNT - 3)]
    assert told.stderr == ""


class Other(ImageReader):
    """A reader that the workers do not know."""


def test_who_can_be_helped(tmp_path: Path, image_folder: Callable[..., Path]) -> None:
    source = open_source(image_folder({"a": 1}))
    assert hirable(source, ImageReader())
    assert not hirable(source, Other())
    assert not hirable(open_source("digits"), ImageReader())


def test_spread_keeps_the_order_and_asks_only_for_what_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [range(k, k + 4) for k in range(0, 80, 4)]
    hires: list[int] = []

    def here(piece: Sequence[int]) -> list[int]:
        return [k * k for k in piece]

    def hire() -> Any:
        hires.append(1)
        raise AssertionError

    expected = [here(piece) for piece in pieces]
    assert list(spread(pieces, here, lambda ask, piece: here(piece), hire)) == expected
    assert hires == []
    monkeypatch.setenv("FOVEAL_WORKERS", "1")
    monkeypatch.setattr(crew, "WORTH", -1.0)
    assert list(spread(pieces, here, lambda ask, piece: here(piece), hire)) == expected
    monkeypatch.setenv("FOVEAL_WORKERS", "2")
    monkeypatch.setattr(crew, "QUICK", -1.0)
    assert list(spread(pieces, here, lambda ask, piece: here(piece), hire)) == expected
    assert list(spread([], here, lambda ask, piece: here(piece), hire)) == []


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEAL_WORKERS", text)
    with pytest.raises(SourceError, match=f"FOVEAL_WORKERS, found '{text}'"):
        workers()


@pytest.mark.parametrize("processes", [False, True])
def test_images_of_one_shape_are_decoded_once(
    image_folder: Callable[..., Path], processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MANY", 100)
    if processes:
        in_processes(monkeypatch)
    path = image_folder({"a": 130, "b": 120}, side=12)
    (path / "a" / "bad.png").write_bytes(b"no image")
    dataset = look(path, TASK)
    expected = np.stack([TASK.reader.read(dataset.source.read(file)) for file in dataset.files])

    def refuse(*_: object) -> bytes:
        raise AssertionError("decoded again")

    monkeypatch.setattr(type(dataset.source), "read", refuse)
    right = InputContract(height=12, width=12, channels=3, resize="pad")
    assert np.array_equal(pixels(dataset, TASK.reader, right), expected)
    monkeypatch.undo()


@pytest.mark.parametrize("odd", ["other size", "gray", "sixteen bits", "large"])
def test_images_of_several_shapes_are_not_kept(
    odd: str, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MANY", 1)
    path = image_folder({"a": 70, "b": 3}, side=130 if odd == "large" else 12)
    array = {"other size": np.zeros((12, 13, 3), np.uint8), "gray": np.zeros((12, 12), np.uint8)}.get(odd)
    if odd == "sixteen bits":
        array = np.full((12, 12), 60_000, np.uint16)
    if array is not None:
        Image.fromarray(array).save(path / "a" / "odd.png")
    dataset = look(path, TASK)
    assert not decoded_path(dataset.source, TASK.reader, dataset.files).exists()
    contract = InputContract(height=12, width=12, channels=3)
    expected = [TASK.reader.load(dataset.source.read(file), contract)[0] for file in dataset.files]
    assert np.abs(pixels(dataset, TASK.reader, contract).astype(int) - np.stack(expected)).max() <= 1
