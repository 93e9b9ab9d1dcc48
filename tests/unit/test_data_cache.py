"""The pixel cache: the right pixels in the right rows, decoded once, and never a half-written file in its place."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.data import cache, look, machine
from foveal.data.arrays import HEADER, FilePixels, aside, stored
from foveal.data.cache import pixel_bytes, pixels
from foveal.errors import SourceError
from foveal.readers import ImageReader
from foveal.recipe import InputContract
from foveal.tasks import named_task
from foveal.types import Dataset

READER = ImageReader()
CONTRACT = InputContract(height=8, width=10, channels=3)


@pytest.fixture(autouse=True)
def folder(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FOVEAL_CACHE_GB", raising=False)
    return empty_cache / "pixels"


@pytest.fixture
def dataset(image_folder: Callable[..., Path]) -> Dataset:
    return look(image_folder({"dark": 70, "light": 61}), named_task("classification"))


def expected(dataset: Dataset, contract: InputContract = CONTRACT) -> np.ndarray:
    return np.stack([READER.prepare(READER.read(dataset.source.read(f)), contract)[0] for f in dataset.files])


def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "memory_budget", lambda: 0)


@pytest.mark.parametrize("mapped", [False, True])
def test_pixels_in_row_order_and_decoded_once(
    dataset: Dataset, mapped: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mapped:
        on_disk(monkeypatch)
        monkeypatch.setattr(machine, "LONG", -1.0)  # in threads
    told: list[tuple[str, int, int]] = []
    first = pixels(dataset, READER, CONTRACT, progress=lambda *step: told.append(step))
    assert isinstance(first, np.memmap) == mapped
    assert first.shape == (131, 8, 10, 3)
    assert np.array_equal(first, expected(dataset))
    what = "decoding (0.0 GB on the disk)" if mapped else "decoding"
    assert told == [(what, 64, 131), (what, 128, 131), (what, 131, 131)]
    (file,) = folder.iterdir()
    assert file.stat().st_size == 128 + pixel_bytes(dataset, CONTRACT) == 128 + 131 * 240

    def refuse(*_: object) -> bytes:
        raise AssertionError("decoded again")

    monkeypatch.setattr(type(dataset.source), "read", refuse)
    again = pixels(dataset, READER, CONTRACT)
    assert isinstance(again, np.memmap) == mapped
    assert np.array_equal(again, first)


def test_what_changes_the_pixels_has_a_file_of_its_own(dataset: Dataset, folder: Path) -> None:
    for contract in (
        CONTRACT,
        CONTRACT.model_copy(update={"resize": "pad"}),
        CONTRACT.model_copy(update={"channels": 1}),
    ):
        assert np.array_equal(pixels(dataset, READER, contract), expected(dataset, contract))
    assert len(list(folder.iterdir())) == 3
    pixels(dataset, READER, CONTRACT.model_copy(update={"mean": (0.5,), "std": (0.2,)}))
    assert len(list(folder.iterdir())) == 3
    part = replace(dataset, files=dataset.files[5:9], targets=dataset.targets[5:9])
    assert np.array_equal(pixels(part, READER, CONTRACT), expected(dataset)[5:9])
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "empty", "other shape", "pickle"])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_damaged_file_is_made_again(
    dataset: Dataset, damage: str, mapped: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mapped:
        on_disk(monkeypatch)
    pixels(dataset, READER, CONTRACT)
    (file,) = folder.iterdir()
    if damage == "other shape":
        np.save(file, np.zeros((2, 2), np.uint8))
    elif damage == "pickle":
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(file.read_bytes()[: 5000 if damage == "cut" else 0])
    assert np.array_equal(pixels(dataset, READER, CONTRACT), expected(dataset))


def test_a_full_disk_falls_back_to_memory(dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert np.array_equal(pixels(dataset, READER, CONTRACT), expected(dataset))
    assert list(folder.iterdir()) == []
    on_disk(monkeypatch)
    with pytest.raises(SourceError, match=r"take 0\.0 GB, too much for the memory, and .* \(No space left on device\)"):
        pixels(dataset, READER, CONTRACT)
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_read_any_more_is_named(
    dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(dataset.source.spec) / dataset.files[100]).write_bytes(b"no image")
    for budget in (1 << 40, 0):
        monkeypatch.setattr(cache, "memory_budget", lambda budget=budget: budget)
        with pytest.raises(
            SourceError, match=f"{dataset.files[100]} in .* could be read before.*not an image"
        ) as caught:
            pixels(dataset, READER, CONTRACT)
        assert caught.value.remedy
        assert not folder.exists() or list(folder.iterdir()) == []


def test_killed_half_way_leaves_nothing_in_place(dataset: Dataset, folder: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from foveal.data import cache, look
from foveal.recipe import InputContract
from foveal.tasks import named_task
cache.memory_budget = lambda: 0
task = named_task("classification")
def die(what, done, total):
    if done > 64:
        os.kill(os.getpid(), signal.SIGKILL)
cache.pixels(look(sys.argv[1], task), task.reader, InputContract(height=8, width=10, channels=3), progress=die)
"""
    result = subprocess.run([sys.executable, "-c", code, dataset.source.spec], check=False)
    assert result.returncode == -9
    assert [path.suffix for path in folder.iterdir()] == [".part"]
    assert np.array_equal(pixels(dataset, READER, CONTRACT), expected(dataset))
    assert sorted(path.suffix for path in folder.iterdir()) == [".npy", ".part"]


def test_pruning_takes_what_was_used_longest_ago(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    looks = folder.parent / "looks"
    looks.mkdir()
    downloads = folder.parent / "downloads"
    downloads.mkdir()
    paths = [
        folder / "old.npy",
        looks / "older.json",
        folder / "half.part",
        folder / "new.npy",
        downloads / "kept.tar.gz",
    ]
    for age, path in zip((30, 40, 35, 10, 50), paths):
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - age, time.time() - age))
    monkeypatch.setenv("FOVEAL_CACHE_GB", "2e-6")  # two of the four files fit
    machine.prune(using=folder / "old.npy")
    assert [path.exists() for path in paths] == [True, False, False, True, True]
    monkeypatch.setenv("FOVEAL_CACHE_GB", "0")
    machine.prune(using=folder / "old.npy")
    assert [path.exists() for path in paths] == [True, False, False, False, True]
    monkeypatch.setenv("FOVEAL_CACHE_GB", "plenty")
    with pytest.raises(SourceError, match="FOVEAL_CACHE_GB, found 'plenty'"):
        machine.prune(using=paths[0])


def test_the_file_in_use_stays_when_larger_than_the_limit(
    dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEAL_CACHE_GB", "1e-9")
    on_disk(monkeypatch)
    assert np.array_equal(pixels(dataset, READER, CONTRACT), expected(dataset))
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("meminfo", "cgroup"),
    [("MemTotal: 9 kB\nMemAvailable: 4000 kB\n", "max"), ("MemAvailable: 99999999 kB\n", "4596000")],
)
def test_memory_budget(meminfo: str, cgroup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"/proc/meminfo": meminfo, "/sys/fs/cgroup/memory.max": cgroup, "/sys/fs/cgroup/memory.current": "500000"}

    def read_text(self: Path, *_: Any) -> str:
        return texts[str(self)]

    monkeypatch.setattr(Path, "read_text", read_text)
    assert machine.memory_budget() == 1_024_000


def test_memory_budget_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path, *_: Any) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert machine.memory_budget() == 512_000
    monkeypatch.delattr(os, "sysconf")
    assert machine.memory_budget() == 1 << 30


def test_rows_from_the_disk_are_what_an_array_would_give(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (50, 4, 3, 1), dtype=np.uint8)
    with aside(tmp_path / "p.npy", array.shape) as file:
        file.seek(HEADER)
        file.write(array.tobytes())
    found = stored(tmp_path / "p.npy", array.shape, in_memory=False)
    assert isinstance(found, FilePixels)
    for rows in ([], [3], [3, 4, 5, 9, 8, 7, 0, 49, 49], [-1, -50], np.arange(50)):
        chosen = np.asarray(rows, np.int64)
        for got in (found[chosen], np.take(found, chosen, axis=0), found[chosen.astype(np.int32)]):
            assert type(got) is np.ndarray
            assert np.array_equal(got, array[chosen])
    assert np.array_equal(found, array)
    assert np.array_equal(found[5:9], array[5:9])
    assert np.array_equal(found[5:9][np.array([1, 2])], array[6:8])
    assert np.array_equal(found[7], array[7])
    assert np.array_equal(found[array[:, 0, 0, 0] > 99], array[array[:, 0, 0, 0] > 99])
    assert found[2, 1, 1, 0] == array[2, 1, 1, 0]
    assert found.mean() == array.mean()
    for rows in ([50], [-51]):
        with pytest.raises(IndexError):
            found[np.array(rows)]
    assert stored(tmp_path / "p.npy", (50, 4, 3, 3), in_memory=False) is None
    copy = stored(tmp_path / "p.npy", array.shape, in_memory=True)
    assert type(copy) is np.ndarray
    copy += 1  # this process's alone
    assert np.array_equal(found, array)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says which pages are mapped")
def test_an_epoch_from_the_disk_maps_nothing(tmp_path: Path) -> None:
    """64 MB read row by row in a process of its own: it grows by less than a tenth of that."""
    code = """
import sys
from pathlib import Path
import numpy as np
from foveal.data.arrays import aside, stored
from foveal.data.batches import gathered, row_batches
shape = (1000, 160, 134, 3)
with aside(Path(sys.argv[1]), shape):
    pass
array = stored(Path(sys.argv[1]), shape, in_memory=False)
def run(**options):
    return sum(len(gathered(array, rows)) for rows in row_batches(np.arange(1000), batch_size=10, seed=0, **options))
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def largest():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
assert run(epoch=0, start_step=90) == 100
before = resident()
assert run(epoch=0) == run(epoch=1, shuffle=False) == 1000
print(largest() - before)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.npy")], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) < 6.4e6, told.stdout


def test_a_disk_without_room_is_told_before_anything_is_decoded(
    dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(monkeypatch)
    monkeypatch.setattr(cache, "free_disk", lambda path: 5_000)
    told: list[object] = []
    with pytest.raises(SourceError, match=r"take 0\.0 GB, .* has no room for them \(0\.0 GB are free\)"):
        pixels(dataset, READER, CONTRACT, progress=lambda *step: told.append(step))
    assert told == []
    assert not folder.exists()


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "a" / "b") == machine.free_disk(tmp_path) > 0
