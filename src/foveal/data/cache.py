"""Every image as the net takes it, decoded once: in memory where that fits, read from the disk otherwise."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from foveal.data.arrays import HEADER, aside, decoded_path, stored
from foveal.data.crew import Ask, hirable, hired, spread
from foveal.data.machine import cache_folder, digest, free_disk, memory_budget
from foveal.data.photos import resize
from foveal.errors import SourceError, UnreadableImage
from foveal.recipe import InputContract
from foveal.task import Reader
from foveal.types import Dataset, Progress

__all__ = ["pixel_bytes", "pixels"]

VERSION = "2"  # of what `load` makes of an image
CHUNK, CHUNK_BYTES = 64, 8 << 20  # images in one piece of work; fewer where they are large
GEOMETRY = {"height", "width", "channels", "resize", "interpolation"}

MOST_IN_MEMORY = 1 << 30  # bytes; rows read from a larger array's file come from the page cache nearly as quickly

WRITING = threading.Lock()  # where a file has one position for all threads (Windows)

Keep = Callable[[int, np.ndarray], object]


def pixel_bytes(dataset: Dataset, contract: InputContract) -> int:
    """What `pixels` takes, in memory and again on the disk."""
    return len(dataset) * contract.height * contract.width * contract.channels


def pixels(
    dataset: Dataset, reader: Reader, contract: InputContract, *, progress: Progress | None = None
) -> np.ndarray:
    """(N, height, width, channels) uint8 in the dataset's row order.

    Kept in the cache folder as one .npy file, so the next call decodes nothing; images that `look` saw in the right
    size are there already. The array is in memory when it takes no more than 1 GiB and a quarter of what is available.
    Otherwise it stays in that file: rows that are taken by number (`array[rows]`, `array.take`) are read from there,
    and the process does not grow. On a full disk it is kept in memory alone, if it fits.

    Args:
        progress: is told `decoding`, and where the array stays on the disk its size.

    Raises:
        SourceError: an image cannot be read any more; or the array fits neither the memory nor the disk.
    """
    shape = (len(dataset), contract.height, contract.width, contract.channels)
    in_memory = pixel_bytes(dataset, contract) <= min(memory_budget(), MOST_IN_MEMORY)
    path = _path(dataset, reader, contract)
    for place in (_seen_so(dataset, reader, contract), path):
        if place and (found := stored(place, shape, in_memory)) is not None:
            return found
    gigabytes = pixel_bytes(dataset, contract) / 1e9
    what = "decoding" if in_memory else f"decoding ({gigabytes:.1f} GB on the disk)"

    def tell(done: int, total: int) -> None:
        if progress:
            progress(what, done, total)

    try:
        if free_disk(path) < pixel_bytes(dataset, contract):
            raise OSError(0, f"{free_disk(path) / 1e9:.1f} GB are free")
        with aside(path, shape) as file:
            _fill_file(file, dataset, reader, contract, tell)
    except OSError as error:
        if not in_memory:
            raise SourceError(
                f"The decoded images take {gigabytes:.1f} GB, too much for the memory, and {path.parent} "
                f"has no room for them ({error.strerror or error}).",
                remedy="Make room there, set FOVEAL_CACHE to a folder with room, or choose a smaller input size.",
            ) from error
        array = np.empty(shape, np.uint8)
        _decode(dataset, reader, contract, tell, partial(_put, array))
        return array
    found = stored(path, shape, in_memory)
    assert found is not None
    return found


def _path(dataset: Dataset, reader: Reader, contract: InputContract) -> Path:
    geometry = contract.model_dump_json(include=GEOMETRY)
    source = (dataset.source.signature, dataset.fingerprint, *dataset.files)
    return cache_folder("pixels") / f"{digest(VERSION, repr(reader), geometry, *source)}.npy"


def _seen_so(dataset: Dataset, reader: Reader, contract: InputContract) -> Path | None:
    """Where `look` keeps the pixels of images that have the right size."""
    right = (dataset.sizes == (contract.height, contract.width)).all()
    return decoded_path(dataset.source, reader, dataset.files) if right else None


def _put(array: np.ndarray, row: int, image: np.ndarray) -> None:
    array[row] = image


def _write(file: IO[bytes], row: int, image: np.ndarray) -> None:
    """Straight from the thread that decoded it, while it is still in the processor's cache."""
    data: Any = np.ascontiguousarray(image)
    left, place = memoryview(data).cast("B"), HEADER + row * image.nbytes
    if not hasattr(os, "pwrite"):
        with WRITING:
            file.seek(place)
            file.write(left)
        return
    while left:
        count = os.pwrite(file.fileno(), left, place)
        left, place = left[count:], place + count


def _fill_file(
    file: IO[bytes], dataset: Dataset, reader: Reader, contract: InputContract, tell: Callable[[int, int], object]
) -> None:
    hire = None
    if hirable(dataset.source, reader):
        told = contract.model_dump(mode="json", include=GEOMETRY)
        hire = partial(hired, dataset.source, reader, fill=os.fspath(file.name), offset=HEADER, contract=told)
    # What is written goes to the disk meanwhile: at the end nobody has to wait for all of it.
    with ThreadPoolExecutor(1) as flusher:
        flushed: Future[None] | None = None

        def and_flush(done: int, total: int) -> None:
            nonlocal flushed
            if flushed is None or flushed.done():
                flushed = flusher.submit(os.fsync, file.fileno())
            tell(done, total)

        _decode(dataset, reader, contract, and_flush, partial(_write, file), hire)


def _decode(
    dataset: Dataset,
    reader: Reader,
    contract: InputContract,
    tell: Callable[[int, int], object],
    keep: Keep,
    hire: Callable | None = None,
) -> None:
    """Give every image to `keep`, with its row, in the thread that decoded it; but for those that other processes have
    written already."""
    size = contract.height * contract.width * contract.channels
    step = int(np.clip(CHUNK_BYTES // size, 1, CHUNK))
    pieces = [range(start, min(start + step, len(dataset))) for start in range(0, len(dataset), step)]

    def here(rows: Sequence[int]) -> int:
        for row in rows:
            keep(row, _prepared(dataset, dataset.files[row], reader, contract))
        return len(rows)

    def there(ask: Ask, rows: Sequence[int]) -> int:
        left, _ = ask(rows[0], dataset.files[rows[0] : rows[-1] + 1])
        here([rows[k] for k in left])
        return len(rows)

    done = 0
    for count in spread(pieces, here, there, hire):
        done += count
        tell(done, len(dataset))


def _prepared(dataset: Dataset, file: str, reader: Reader, contract: InputContract) -> np.ndarray:
    try:
        return reader.load(dataset.source.read(file), contract, resize)[0]
    except UnreadableImage as error:
        raise SourceError(
            f"{file} in {dataset.source.spec} could be read before and cannot be now: {error.message}.",
            remedy="Mend it, or look at the images again to leave it out.",
        ) from error
