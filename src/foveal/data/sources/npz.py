"""Arrays of images and labels in one .npz, as MedMNIST and Keras have them: read where they lie, never unpickled."""

import math
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foveal.data.machine import digest, memory_budget
from foveal.data.sources.layout import as_cell
from foveal.data.sources.reading import AS_FOUND, refuse, signed
from foveal.errors import SourceError
from foveal.types import Entry, Finding, Reading, SplitName

__all__ = ["NpzSource", "open_npz"]

SUFFIX = ".npz"
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
HEADER = (*DAMAGE, SyntaxError, TypeError, MemoryError, tokenize.TokenError)  # of a text that is read as a literal
DIGITS = 5  # of an image's number in its name, at least

Pair = tuple[SplitName | None, str, str]
FORMS: tuple[tuple[Pair, ...], ...] = (
    (
        ("train", "train_images", "train_labels"),
        ("validation", "val_images", "val_labels"),
        ("test", "test_images", "test_labels"),
    ),
    (("train", "x_train", "y_train"), ("test", "x_test", "y_test")),
    ((None, "images", "labels"),),
)
"""Of each form the splits with the arrays of their images and labels: MedMNIST's (Yang et al., Scientific Data 10
(2023) 41), Keras', and one that is not divided."""


class _Array(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(eq=False)
class NpzSource:
    """Labels are read when it is opened, all pixels when the first image is asked for. Files are named `SPLIT/NUMBER`.

    Args:
        rows: file to the name of its array and its place there.
    """

    name: str
    spec: str
    signature: str
    path: Path
    listed: tuple[Entry, ...]
    rows: dict[str, tuple[str, int]]
    findings: tuple[Finding, ...]
    columns: tuple[str, ...]
    reading: Reading = AS_FOUND
    lock: threading.Lock = field(default_factory=threading.Lock)

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> np.ndarray:
        """
        Raises:
            SourceError: the file is damaged, or gone.
        """
        array, row = self.rows[file]
        with self.lock:
            image = self._pixels[array][row]
        return np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])

    @cached_property
    def _pixels(self) -> dict[str, np.ndarray]:
        return _read(self.path, dict.fromkeys(array for array, _ in self.rows.values()))


def open_npz(path: Path, reading: Reading = AS_FOUND) -> NpzSource:
    """Arrays of images (N, H, W) or (N, H, W, C) in uint8, C = 1 or 3, and of labels (N,), (N, 1) or (N, K).

    One label an image is its class; K of 0 and 1 are yes or no to K labels. A split whose two arrays are both missing
    is one that training carves.

    Raises:
        SourceError: it is damaged, of another form, too large for the memory, or an array is missing, has another
            type or size, or would have to be unpickled; the message names it.
    """
    refuse(reading, str(path), "arrays of images and labels", paths=True)
    path = path.resolve()
    status = path.stat()
    signature = signed(digest("npz", str(path), str(status.st_size), str(status.st_mtime_ns)), reading)
    arrays = _headers(path)
    form = _form(path, arrays)
    _check_images(path, arrays, form)
    labels = {name: _flat(path, name, array) for name, array in _read(path, [name for *_, name in form]).items()}
    listed, rows = [], {}
    for split, images, name in form:
        _check_count(path, arrays, images, name)
        count = arrays[images].shape[0]
        digits = max(DIGITS, len(str(count - 1)))
        files = [f"{_folder(images)}/{row:0{digits}}" for row in range(count)]
        listed += [Entry(file, cell, split) for file, cell in zip(files, _cells(labels[name]))]
        rows |= {file: (images, row) for row, file in enumerate(files)}
    others = sorted(set(arrays) - {name for pair in form for name in pair[1:]})
    told = Finding("extra-file", tuple(others), "arrays that are neither images nor labels", "They are left out.")
    about = path.stem or "arrays", str(path), signature, path
    entries = tuple(sorted(listed, key=lambda entry: entry.file))
    return NpzSource(*about, entries, rows, (told,) if others else (), _columns(path, labels), reading)


def _headers(path: Path) -> dict[str, _Array]:
    """Name to header of every array; nothing else is read.

    Raises:
        SourceError: it is damaged, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            return {info.filename.removesuffix(".npy"): _header(path, archive, info) for info in infos}
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _header(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Array:
    """What an array says it is; it must be as long as that takes, so that no header can ask for more memory.

    Raises:
        SourceError: reading it would unpickle, or the header is none.
    """
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in reads:
                raise ValueError(f"version {version[0]}.{version[1]} of the format, which is not read")
            shape, _, dtype = reads[version](file)
            size = file.tell()
        except HEADER as error:
            raise SourceError(f"{name} in {path} has no header that can be read: {str(error)[:200]}.") from error
    if dtype.hasobject:
        raise SourceError(
            f"{name} in {path} holds Python objects, and reading those would run what the file says.",
            remedy=f"Store it as whole numbers: np.savez_compressed({path.name!r}, {name}=np.stack(images), …).",
        )
    expected = size + math.prod(shape) * dtype.itemsize
    if expected != info.file_size:
        raise SourceError(
            f"{name} in {path} is damaged: its header tells of {expected:,} bytes, found {info.file_size:,}."
        )
    return _Array(shape, dtype)


def _form(path: Path, arrays: Mapping[str, _Array]) -> tuple[Pair, ...]:
    """The pairs that are there, of the form that fits.

    Raises:
        SourceError: none fits, or one of a pair is missing.
    """
    found = ", ".join(sorted(arrays)[:12]) or "no array"
    for form in FORMS:
        there = tuple(pair for pair in form if pair[1] in arrays or pair[2] in arrays)
        missing = [name for pair in there for name in pair[1:] if name not in arrays]
        if missing:
            raise SourceError(
                f"Expected {' and '.join(missing)} in {path} beside the arrays that are there ({found}).",
                remedy="Images and labels of a split belong together: add what is missing, or take both out.",
            )
        if there and there[0][0] in (None, "train"):
            return there
    wanted = "; ".join(", ".join(name for pair in form for name in pair[1:]) for form in FORMS)
    raise SourceError(f"Expected one of these sets of arrays in {path}: {wanted}. Found {found}.")


def _check_images(path: Path, arrays: Mapping[str, _Array], form: Sequence[Pair]) -> None:
    whole = 0
    for _, name, labels in form:
        shape, dtype = arrays[name]
        if dtype != np.uint8:
            raise SourceError(
                f"Expected pixels of 0 to 255 as uint8 in {name} of {path}, found {dtype}.",
                remedy="There is no safe guess at their range: store them as uint8.",
            )
        flat = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
        if not flat or (shape[0] and not all(shape)):
            raise SourceError(
                f"Expected {name} of {path} to be images × height × width, or that × 1 or 3 channels; found "
                f"{' × '.join(map(str, shape))}.",
                remedy="Volumes are no images: store their slices as images.",
            )
        whole += sum(math.prod(array.shape) * array.dtype.itemsize for array in (arrays[name], arrays[labels]))
    if whole > memory_budget():
        raise SourceError(
            f"The arrays in {path} take {whole / 1e9:.1f} GB when decompressed, more than a quarter of the memory that "
            "is available.",
            remedy="Write them as files into class folders, or take the set in a smaller size.",
        )


def _check_count(path: Path, arrays: Mapping[str, _Array], images: str, labels: str) -> None:
    there, told = arrays[images].shape[0], arrays[labels].shape[0]
    if there != told:
        raise SourceError(
            f"Expected a label for each of the {there:,} images of {images} in {path}, found {told:,} in {labels}."
        )


def _read(path: Path, names: Sequence[str] | Mapping[str, Any]) -> dict[str, np.ndarray]:
    """
    Raises:
        SourceError: it is damaged, or was changed since it was opened.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in names}
    except (*DAMAGE, KeyError) as error:
        raise _damaged(path, error) from error


def _flat(path: Path, name: str, labels: np.ndarray) -> np.ndarray:
    """(N, K) labels.

    Raises:
        SourceError: they are no labels.
    """
    if labels.dtype.kind not in "iubfU" or labels.ndim not in (1, 2) or (labels.ndim == 2 and not labels.shape[1]):
        raise SourceError(
            f"Expected numbers or names for each image in {name} of {path}, one or K; found {labels.dtype}, "
            f"{' × '.join(map(str, labels.shape)) or 'a single one'}."
        )
    return labels.reshape(len(labels), -1)


def _cells(labels: np.ndarray) -> list[str]:
    return [as_cell([_text(value) for value in row]) for row in labels.tolist()]


def _text(value: Any) -> str:
    """A whole number without a point: the number of a class, or a yes or no."""
    if isinstance(value, str):
        return value
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _columns(path: Path, labels: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Names of the targets; none where each image has a class, `label` where it has a number with decimals.

    Raises:
        SourceError: not all splits have the same number of them.
    """
    widths = {name: array.shape[1] for name, array in labels.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{width} in {name}" for name, width in widths.items())
        raise SourceError(f"Expected as many labels an image in every split of {path}, found {told}.")
    width = next(iter(widths.values()))
    if width > 1:
        return tuple(f"label_{k}" for k in range(width))
    fractions = any(array.dtype.kind == "f" and (array % 1 != 0).any() for array in labels.values())
    return ("label",) if fractions else ()


def _folder(images: str) -> str:
    """`train` of `train_images` and of `x_train`."""
    return "images" if images == "images" else images.removesuffix("_images").removeprefix("x_")


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"Expected arrays in {path}, found a file that is damaged or cut off, or another one ({str(error)[:200]}).",
        remedy="Get it again.",
    )
