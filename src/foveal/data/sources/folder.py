"""A folder: class folders, with or without split folders above them, or what a table or a pattern makes of it."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foveal.data.sources.interpret import interpret
from foveal.data.sources.layout import problems, refuse_large, writable
from foveal.data.sources.parquet import ParquetSource, open_shards, shards_among
from foveal.data.sources.place import Place
from foveal.data.sources.reading import AS_FOUND, signed
from foveal.data.sources.rows import table_bytes
from foveal.errors import SourceError, UnreadableImage
from foveal.types import Entry, Finding, Reading

__all__ = ["FolderSource", "open_folder"]

KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


@dataclass(eq=False, slots=True)
class FolderSource:
    """Files on the disk, read when asked for.

    Args:
        root: the folder; files that lie elsewhere have absolute names.
        listed: its images.
        odd: written name to true name, where the true one is no UTF-8.
    """

    name: str
    spec: str
    signature: str
    findings: tuple[Finding, ...]
    root: Path
    listed: tuple[Entry, ...]
    odd: dict[str, str]
    columns: tuple[str, ...]
    reading: Reading

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> bytes:
        """
        Raises:
            UnreadableImage: it cannot be opened, or is too large for an image.
        """
        try:
            with (self.root / self.odd.get(file, file)).open("rb") as opened:
                refuse_large(os.fstat(opened.fileno()).st_size)
                return opened.read()
        except OSError as error:
            raise UnreadableImage(f"cannot be opened: {error.strerror or error}") from error

    def place(self, file: str) -> Place:
        return Place(str(self.root / self.odd.get(file, file)))


@dataclass(slots=True)
class _Listing:
    files: dict[str, os.stat_result] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)


def open_folder(
    path: Path, reading: Reading = AS_FOUND, *, name: str = "", spec: str = ""
) -> FolderSource | ParquetSource:
    """List a folder. Nothing is skipped silently: what is no image is in the findings.

    Args:
        name: instead of the folder's own.
        spec: instead of the path.

    Raises:
        SourceError: the folder itself cannot be listed, or what was said of it does not fit.
    """
    path = path.resolve()
    name, spec = name or path.name or "root", spec or str(path)
    listing = _list(path)
    odd = {writable(file): file for file in listing.files if writable(file) != file}
    files = {writable(file): status for file, status in listing.files.items()}
    folders = [writable(folder) for folder in listing.folders]
    found = tuple(_met(listing))
    lines = (f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n" for file, status in sorted(files.items()))
    # With the folder's own path: unpacking gives coarse times, and other files can share names and sizes.
    digest = hashlib.sha256("".join([f"{writable(str(path))}\n", *lines]).encode()).hexdigest()
    signature = signed(digest, reading)
    shards, others, hidden = shards_among(path, files, folders)
    if shards and not reading.pattern:
        about = (shards, name, spec, signature, reading)
        if source := open_shards(*about, others=others, findings=(*found, *hidden)):
            return source

    def head(file: str, most: int) -> bytes:
        with (path / odd.get(file, file)).open("rb") as opened:
            return opened.read(most)

    layout = interpret(files, folders, lambda file: table_bytes(path / odd.get(file, file)), reading, spec, head)
    told = (*found, *layout.findings)
    return FolderSource(name, spec, signature, told, path, layout.entries, odd, layout.columns, reading)


def _met(listing: _Listing) -> list[Finding]:
    """What listing met that is no file."""
    found = problems((writable(file), reason) for file, reason in listing.reasons)
    if listing.loops:
        message = "links to a folder that they lie in: following them would never end"
        loops = tuple(sorted(map(writable, listing.loops)))
        found.insert(0, Finding("symlink-loop", loops, message, "They are not followed. Remove the links."))
    return found


def _list(root: Path) -> _Listing:
    listing = _Listing()
    try:
        waiting = [("", frozenset({_identity(root)}))]
        with os.scandir(root):
            pass
    except OSError as error:
        raise SourceError(f"The folder {root} cannot be listed: {error.strerror}.") from error
    while waiting:
        folder, ancestors = waiting.pop()
        try:
            with os.scandir(root / folder) as items:
                for item in items:
                    path = f"{folder}/{item.name}" if folder else item.name
                    inner = _take(item, path, ancestors, listing)
                    if inner:
                        waiting.append((path, inner))
        except OSError as error:
            listing.folders.remove(folder)  # nobody knows whether it is empty
            listing.reasons.append((folder, f"cannot be listed: {error.strerror or error}"))
    return listing


Ancestors = frozenset[tuple[int, int]]


def _take(item: "os.DirEntry[str]", path: str, ancestors: Ancestors, listing: _Listing) -> Ancestors | None:
    """Put one item where it belongs. For a folder to go into: the folders above what is in it, itself included."""
    try:
        status = item.stat()
    except FileNotFoundError:
        listing.reasons.append((path, "a link to nothing: its target does not exist"))
        return None
    except OSError as error:
        listing.reasons.append((path, f"cannot be opened: {error.strerror or error}"))
        return None
    if stat.S_ISREG(status.st_mode):
        listing.files[path] = status
    elif not stat.S_ISDIR(status.st_mode):
        listing.reasons.append((path, f"not a file: {KINDS.get(stat.S_IFMT(status.st_mode), 'a special file')}"))
    elif (identity := _identity(item.path)) in ancestors:
        listing.loops.append(path)
    else:
        listing.folders.append(path)
        if not item.name.startswith("."):  # not into .git and the like: the folder is named as a whole
            return ancestors | {identity}
    return None


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 (DirEntry.stat has no inode on Windows)
    return status.st_dev, status.st_ino
