"""The types that travel between the rooms: plain, frozen, numpy at most."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np

__all__ = [
    "NO_TWINS",
    "SPLITS",
    "Dataset",
    "Entry",
    "Facts",
    "Finding",
    "Geometry",
    "Progress",
    "Reading",
    "Sample",
    "Source",
    "SplitName",
    "Twins",
    "silent",
]

Progress = Callable[[str, int, int], object]
"""Is told what is going on (`downloading`, `decoding`, …), how much is done, and of how much (0 where not known)."""


def silent(what: str, done: int, total: int) -> None:
    """A `Progress` that tells nobody."""


SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as a source lists it, before anything is decoded.

    Args:
        file: its path inside the source, with `/`; unique there.
        cell: the target as written (a class folder's name, a CSV cell), not parsed. Where a source has several target
            columns: a JSON array of their cells.
        split: the split the source itself puts it in, or None.
        group: what it must not be parted from (a patient, a camera), by name; None where nothing is known.
        where: the line that it comes from, for messages (`labels.csv, line 17`); empty where it is its own file.
        spots: likewise of each part of the target, where parts have places of their own (boxes); `str` writes one out.
    """

    file: str
    cell: str
    split: SplitName | None = None
    group: str | None = None
    where: str = ""
    spots: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How the targets of a source are to be found, where it leaves that open. All of it may be left out.

    Args:
        target: columns of a table that hold what is to be learned.
        path: the column that names the files.
        split: the column that names the split of a row.
        group: the column that names what must stay together in a split.
        pattern: a regular expression with a group for each target, searched in the name of every file; the groups'
            names are the columns.
        group_pattern: a regular expression, searched in the path of every file; what its groups find must stay together
            in a split.
        group_level: which folder of the path must, counted from the top, from 1.
    """

    target: tuple[str, ...] = ()
    path: str | None = None
    split: str | None = None
    group: str | None = None
    pattern: str | None = None
    group_pattern: str | None = None
    group_level: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: what was said, nothing else."""
        return {name: list(value) if name == "target" else value for name, value in asdict(self).items() if value}

    def of_targets(self) -> dict[str, Any]:
        """`as_dict` without what any source can be asked, whatever its layout: how paths name groups."""
        return replace(self, group_pattern=None, group_level=None).as_dict()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Reading":
        """From what `as_dict` gave."""
        return cls(**{**told, "target": tuple(told.get("target", ()))})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a person should know about their images.

    Args:
        kind: `unreadable`, `exact-duplicate`, `contradicting-label`, …: a stable word.
        files: the files concerned, as the source names them.
        message: what was seen.
        remedy: what to do about it, or what was done.
        facts: what of the message a program may want (`score`, `given`, `suggested`, …), JSON-ready.
    """

    kind: str
    files: tuple[str, ...]
    message: str
    remedy: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        told = {"kind": self.kind, "files": list(self.files), "message": self.message, "remedy": self.remedy}
        return {**told, **self.facts}


@dataclass(frozen=True, eq=False)
class Twins:
    """Pairs of images that show the same: the same pixels, or a copy that was resized, compressed, cropped or mirrored.

    Of images with the same pixels the first is paired with each of the others, and stands for all of them elsewhere.

    Args:
        pairs: (P, 2) int64 row numbers, the smaller one first.
        alike: (P,) float32, how alike they are: 1 for the same pixels, less for all others.
        mirrored: (P,) bool, whether one is the mirror image of the other.
    """

    pairs: np.ndarray
    alike: np.ndarray
    mirrored: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def same(self) -> int:
        """Images with the same pixels as another that stands for them."""
        return int((self.alike >= 1).sum())


NO_TWINS = Twins(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, bool))


@dataclass(frozen=True, slots=True)
class Facts:
    """What decoding one file tells beside its pixels.

    Args:
        width: in pixels, after EXIF rotation.
        height: in pixels, after EXIF rotation.
        mode: how the pixels are stored: Pillow's mode (`RGB`, `L`, `I;16`, `CMYK`, …).
        frames: images in the file; the first is used.
        format: of the file (`JPEG`, `PNG`, …), or `pixels` where no file was decoded.
        notes: kinds of findings that this file is an example of (`animated`, `narrow-range`).
    """

    width: int
    height: int
    mode: str
    frames: int
    format: str
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Where images come from: a folder, an archive, a built-in set. One class a layout, in `data/sources/`.

    Attributes:
        name: short, fit for a folder's name (`flowers`, `cifar10`).
        spec: what the user typed; opening it again gives the same source.
        signature: changes whenever a file is added, removed or rewritten; cheap (names, sizes, times), not a hash of
            the content. How it is read is part of it.
        reading: how it was read, to open it again.
    """

    name: str
    spec: str
    signature: str
    reading: Reading

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the targets; empty where the cells are names of folders."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What listing met that is no image of a class (stray files, loops, unreadable folders)."""
        ...

    def entries(self) -> Sequence[Entry]:
        """The images, sorted by file."""
        ...

    def read(self, file: str) -> "bytes | np.ndarray":
        """The encoded bytes of one image, or its pixels (uint8, H×W×C) where the source stores pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Geometry:
    """How `prepare` mapped an image onto the net's input: x' = x · scale_x + offset_x, likewise y; in pixels.

    Args:
        width: of the original image, after EXIF rotation.
        height: of the original image, after EXIF rotation.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset: where it is, what it shows, what it must stay with, and in which split it is."""

    file: str
    target: Any
    group: int
    split: SplitName | None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Somebody's images, looked at: columns of equal length N, one row an image that can be used.

    Args:
        source: gives the bytes of each file.
        task: the name of the task that the targets were read for.
        files: paths inside the source, sorted.
        cells: the targets as written, length N.
        targets: parsed targets, length N; class indices (N,) int64 for one label; (N, K) float32 for K values, and for
            K labels at once (1 yes, 0 no, NaN not known).
        strata: (N,) int64; a division keeps the share of each number.
        groups: (N,) int64; rows with the same number never straddle a split.
        splits: (N,) str; `train`, `validation`, `test`, or empty where not assigned.
        labels: the names behind class indices, or of the columns of the targets, in order.
        sizes: (N, 2) int64, height and width in pixels after EXIF rotation.
        channels: 1 when every image is gray, otherwise 3.
        modes: images per mode as stored (`RGB`, `L`, `I;16`, `CMYK`, …).
        findings: what was seen on the way, unreadable files included.
        fingerprint: SHA-256 over the targets and contents, not over paths or order.
        given: the splits that the source itself named.
        twins: which images show the same.
        decisions: the file of decisions that was obeyed; empty where there was none.
    """

    source: Source
    task: str
    files: tuple[str, ...]
    cells: tuple[str, ...]
    targets: np.ndarray
    strata: np.ndarray
    groups: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    sizes: np.ndarray
    channels: int
    modes: dict[str, int]
    findings: tuple[Finding, ...]
    fingerprint: str
    given: tuple[SplitName, ...] = ()
    twins: Twins = NO_TWINS
    decisions: bytes = b""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Sample:
        return Sample(self.files[row], self.targets[row], int(self.groups[row]), self.splits[row] or None)

    def __iter__(self) -> Iterator[Sample]:
        return (self[row] for row in range(len(self)))

    def rows(self, split: SplitName) -> np.ndarray:
        """Row numbers of a split, ascending, int64."""
        return np.flatnonzero(self.splits == split)

    def with_splits(self, splits: np.ndarray) -> "Dataset":
        """The same images under another division."""
        return replace(self, splits=splits)
