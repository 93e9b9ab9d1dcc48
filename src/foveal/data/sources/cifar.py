"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 60,000 images of 32×32, from the official binary archives."""

import os
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveal.data.machine import cache_folder
from foveal.data.sources.archive import DAMAGE, open_archive
from foveal.data.sources.download import check, fetch
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import OfflineError, SourceError
from foveal.types import Entry, Finding, Progress, Reading, Source, SplitName

__all__ = ["CIFAR", "BinaryArchive", "CifarSource", "open_cifar"]

PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class BinaryArchive:
    """Where an official archive is and how its records are laid out: label bytes, then 3×32×32 pixels.

    Args:
        train: names of its files for training, without folder; `test` likewise.
        names: the file with one class name a line.
        label_bytes: in front of each image; the last one is the label (of CIFAR-100's two, the fine one).
    """

    url: str
    sha256: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int


CIFAR = {
    "cifar10": BinaryArchive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
        ("test_batch.bin",),
        "batches.meta.txt",
        label_bytes=1,
    ),
    "cifar100": BinaryArchive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ("train.bin",),
        ("test.bin",),
        "fine_label_names.txt",
        label_bytes=2,
    ),
}


@dataclass(eq=False, slots=True)
class CifarSource:
    """All pixels in memory, (N, 3, 32, 32); files are named `split/class/number in the archive`."""

    name: str
    spec: str
    signature: str
    listed: tuple[Entry, ...]
    rows: dict[str, int]
    pixels: np.ndarray
    findings: tuple[Finding, ...] = ()
    columns: tuple[str, ...] = ()
    reading: Reading = AS_FOUND

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> np.ndarray:
        return np.ascontiguousarray(self.pixels[self.rows[file]].transpose(1, 2, 0))


def open_cifar(name: str, *, archive: BinaryArchive | None = None, progress: Progress | None = None) -> Source:
    """`NAME.zip` in `$FOVEAL_DATA` (class folders), else the official archive in the cache, else downloaded there.

    Raises:
        OfflineError: it is in neither place and cannot be downloaded; names both ways out.
        SourceError: the archive is damaged.
    """
    archive = archive or CIFAR[name]
    folder = os.environ.get("FOVEAL_DATA")
    own = Path(folder).expanduser() / f"{name}.zip" if folder else None
    if own and own.is_file():
        return open_archive(own, name=name, spec=name)
    path = cache_folder("downloads") / archive.url.rpartition("/")[2]
    if path.is_file():
        check(path, archive.sha256)  # it may have been put there by hand
    else:
        _download(name, archive, path, progress or _Lines())
    return _read(name, archive, path)


def _download(name: str, archive: BinaryArchive, path: Path, progress: Progress) -> None:
    try:
        for done, total in fetch(archive.url, path, archive.sha256):
            progress(f"downloading {path.name}", done, total)
    except OfflineError as error:
        raise OfflineError(
            f"{name} is not on this machine, and {error.message}",
            remedy=f"Put {name}.zip (class folders train/ and test/) into a folder and set FOVEAL_DATA to that folder; "
            f"or download {archive.url} on another machine and put it here as {path}",
        ) from error


class _Lines:
    """A line on stderr for every tenth that has come, where somebody watches."""

    def __init__(self) -> None:
        self.tenths = -1

    def __call__(self, what: str, done: int, total: int) -> None:
        tenths = done * 10 // total if total else done >> 24
        if tenths > self.tenths and sys.stderr.isatty():
            self.tenths = tenths
            of = f" of {total / 1e6:.0f}" if total else ""
            sys.stderr.write(f"{what}: {done / 1e6:.0f}{of} MB\n")


def _read(name: str, archive: BinaryArchive, path: Path) -> CifarSource:
    wanted: dict[str, bytes] = dict.fromkeys((*archive.train, *archive.test, archive.names), b"")
    try:
        with tarfile.open(path, "r|gz") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content and (base := member.name.rpartition("/")[2]) in wanted:
                    wanted[base] = content.read()
    except DAMAGE as error:
        raise SourceError(f"{path} is damaged: {error}.", remedy="Delete it; it will be downloaded again.") from error
    labels = wanted[archive.names].decode().split()
    listed, blocks = [], []
    splits: tuple[tuple[SplitName, tuple[str, ...]], ...] = (("train", archive.train), ("test", archive.test))
    for split, files in splits:
        records = np.frombuffer(b"".join(wanted[file] for file in files), np.uint8)
        records = records.reshape(-1, archive.label_bytes + PIXELS)
        cells = [labels[k] for k in records[:, archive.label_bytes - 1]]
        listed += [Entry(f"{split}/{cell}/{row:05}", cell, split) for row, cell in enumerate(cells)]
        blocks.append(records[:, archive.label_bytes :].reshape(-1, 3, 32, 32))
    rows = {entry.file: row for row, entry in enumerate(listed)}
    signature = f"{name}-{archive.sha256}"
    entries = tuple(sorted(listed, key=lambda entry: entry.file))
    return CifarSource(name, name, signature, entries, rows, np.concatenate(blocks))
