"""Every image as the net takes it, decoded once: in memory where that fits, mapped from the disk otherwise."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from foveal.data.machine import cache_folder, digest, in_threads, memory_budget, prune
from foveal.errors import SourceError, UnreadableImage
from foveal.files import flush_folder
from foveal.recipe import InputContract
from foveal.task import Reader
from foveal.types import Dataset, Progress

__all__ = ["pixel_bytes", "pixels"]

VERSION = "1"  # of what `prepare` makes of an image
CHUNK, CHUNK_BYTES = 64, 8 << 20  # images in one piece of work; fewer where they are large
GEOMETRY = {"height", "width", "channels", "resize", "interpolation"}


def pixel_bytes(dataset: Dataset, contract: InputContract) -> int:
    """What `pixels` takes, in memory and again on the disk."""
    return len(dataset) * contract.height * contract.width * contract.channels


def pixels(
    dataset: Dataset, reader: Reader, contract: InputContract, *, progress: Progress | None = None
) -> np.ndarray:
    """(N, height, width, channels) uint8 in the dataset's row order.

    Kept in the cache folder as one .npy file, so the next call decodes nothing. The array is in memory when it takes
    no more than a quarter of what is available, and otherwise mapped from that file, read-only. On a full disk it is
    kept in memory alone, if it fits.

    Raises:
        SourceError: an image cannot be read any more; or the array fits neither the memory nor the disk.
    """
    shape = (len(dataset), contract.height, contract.width, contract.channels)
    in_memory = pixel_bytes(dataset, contract) <= memory_budget()
    geometry = contract.model_dump_json(include=GEOMETRY)
    source = (dataset.source.signature, dataset.fingerprint, *dataset.files)
    path = cache_folder("pixels") / f"{digest(VERSION, repr(reader), geometry, *source)}.npy"
    stored = _load(path, shape, in_memory)
    if stored is not None:
        return stored
    blocks = _blocks(dataset, reader, contract, progress)
    if in_memory:
        return _fill(np.empty(shape, np.uint8), blocks, path)
    gigabytes = pixel_bytes(dataset, contract) / 1e9
    try:
        with _aside(path, shape) as file:
            for block in blocks:
                file.write(block.data)
    except OSError as error:
        raise SourceError(
            f"The decoded images take {gigabytes:.1f} GB, more than a quarter of the memory, and {path.parent} has no "
            f"room for them ({error.strerror or error}).",
            remedy="Make room there, set FOVEAL_CACHE to a folder with room, or choose a smaller input size.",
        ) from error
    mapped = _load(path, shape, in_memory)
    assert mapped is not None
    return mapped


def _load(path: Path, shape: tuple[int, ...], in_memory: bool) -> np.ndarray | None:
    try:
        array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
        os.utime(path)  # used now: pruned last
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _fill(array: np.ndarray, blocks: Iterator[np.ndarray], path: Path) -> np.ndarray:
    """Fill the array, then keep a copy on the disk, if it can be kept."""
    done = 0
    for block in blocks:
        array[done : done + len(block)] = block
        done += len(block)
    try:
        with _aside(path, array.shape) as file:
            file.write(array.data)
    except OSError:
        return array  # a full or read-only disk costs time at the next run, nothing else
    return array


@contextmanager
def _aside(path: Path, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """A .npy file that is written beside its place and appears there whole. What a killed process leaves is pruned
    like the rest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False)  # noqa: SIM115 (closed below)
    aside = Path(file.name)
    try:
        with file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    flush_folder(path.parent)
    prune(using=path)


def _blocks(
    dataset: Dataset, reader: Reader, contract: InputContract, progress: Progress | None
) -> Iterator[np.ndarray]:
    """(n, height, width, channels) at a time, in row order."""
    size = contract.height * contract.width * contract.channels
    step = int(np.clip(CHUNK_BYTES // size, 1, CHUNK))

    def decode(start: int) -> np.ndarray:
        files = dataset.files[start : start + step]
        return np.stack([_prepared(dataset, file, reader, contract) for file in files])

    done = 0
    for block in in_threads(decode, range(0, len(dataset), step)):
        yield block
        done += len(block)
        if progress:
            progress("decoding", done, len(dataset))


def _prepared(dataset: Dataset, file: str, reader: Reader, contract: InputContract) -> np.ndarray:
    try:
        return reader.prepare(reader.read(dataset.source.read(file)), contract)[0]
    except UnreadableImage as error:
        raise SourceError(
            f"{file} in {dataset.source.spec} could be read before and cannot be now: {error.message}.",
            remedy="Mend it, or look at the images again to leave it out.",
        ) from error
