"""Arrays of pixels kept as .npy files in the cache: whole or not there; in memory, or read row by row."""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL

from foveal.data.machine import cache_folder, digest, prune
from foveal.files import flush_folder
from foveal.task import Reader
from foveal.types import Source

__all__ = ["HEADER", "FilePixels", "aside", "decoded_path", "stored"]

HEADER = 128  # bytes of a .npy header for any shape that occurs here (NEP 1 pads it to a multiple of 64)


def decoded_path(source: Source, reader: Reader, files: Sequence[str]) -> Path:
    """Where the pixels of exactly these files are kept as they are decoded, if they all have one shape."""
    return (
        cache_folder("pixels") / f"{digest('decoded 1', repr(reader), PIL.__version__, source.signature, *files)}.npy"
    )


class FilePixels(np.memmap):
    """(N, …) uint8 on the disk. An array like any other; only that rows taken by number are read, not mapped.

    Mapped pages count as the process's memory until the kernel wants them back: an epoch over 100,000 photographs of
    160 pixels would show 7.7 GB. What is read stays in the kernel's page cache, which is nobody's memory. Where the
    system cannot read at a place (Windows), rows are mapped all the same.
    """

    handle: int | None = None

    def __array_finalize__(self, obj: Any) -> None:
        super().__array_finalize__(obj)
        self.handle = None  # views are plain mapped arrays

    def __getitem__(self, key: Any) -> Any:
        if self.handle is not None and isinstance(key, np.ndarray) and key.ndim == 1 and key.dtype.kind in "iu":
            return self.rows(key)
        return super().__getitem__(key)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:  # pyright: ignore
        rows = np.asarray(indices)
        if self.handle is not None and axis == 0 and rows.ndim == 1 and out is None and mode == "raise":
            return self.rows(rows)
        return super().take(indices, axis, out, mode)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """(n, …) those rows, in memory. Neighbours are read together.

        Raises:
            IndexError: there is no such row.
        """
        assert self.handle is not None
        chosen = np.asarray(numbers, np.int64)
        if len(chosen) and not (-len(self) <= chosen.min() and chosen.max() < len(self)):
            raise IndexError(f"row numbers from {chosen.min()} to {chosen.max()} of {len(self)} rows")
        chosen = np.where(chosen < 0, chosen + len(self), chosen)
        out = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        size = out[:1].nbytes
        starts = np.flatnonzero(np.diff(chosen, prepend=-2) != 1).tolist()
        for start, end in pairwise([*starts, len(chosen)]):
            _read_into(self.handle, self.offset + int(chosen[start]) * size, out[start:end])
        return out


def stored(path: Path, shape: tuple[int, ...], in_memory: bool) -> np.ndarray | None:
    """The array in the file, if it is there and uint8 of that shape. It counts as used now: pruned last.

    Args:
        in_memory: the kernel's copy of the file is the array (changes stay in this process): copying 180 MB out of it
            took half a second, which a short training would notice.
    """
    try:
        if in_memory:
            mapped = np.load(path, mmap_mode="c", allow_pickle=False)
            _read_ahead(mapped)
            array = mapped.view(np.ndarray)
        else:
            array = np.load(path, mmap_mode="r", allow_pickle=False).view(FilePixels)
            if hasattr(os, "preadv"):
                array.handle = os.open(path, os.O_RDONLY)
                weakref.finalize(array, os.close, array.handle)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged
    return array if array.shape == shape and array.dtype == np.uint8 else None


@contextmanager
def aside(path: Path, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """A .npy file that is filled beside its place, from `HEADER` on, and appears there whole. Its room on the disk is
    taken at once, where the system can. What a killed process leaves is pruned like the rest.

    Raises:
        OSError: there is no room, or no right to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False)  # noqa: SIM115 (closed below)
    part = Path(file.name)
    try:
        with file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.flush()
            assert file.tell() == HEADER
            _reserve(file.fileno(), HEADER + int(np.prod(shape)))
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    flush_folder(path.parent)
    prune(using=path)


def _reserve(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.truncate(handle, size)


def _read_ahead(mapped: np.ndarray) -> None:
    if hasattr(mmap, "MADV_WILLNEED") and isinstance(mapped.base, mmap.mmap):
        mapped.base.madvise(mmap.MADV_WILLNEED)


def _read_into(handle: int, place: int, out: np.ndarray) -> None:
    left: Any = memoryview(out.reshape(-1))  # pyright: ignore[reportArgumentType]
    while left:
        count = os.preadv(handle, [left], place)
        if not count:
            raise OSError("a file of pixels in the cache became shorter while it was read")
        left, place = left[count:], place + count
