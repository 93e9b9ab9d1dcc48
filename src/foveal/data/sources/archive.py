"""A .zip or .tar, read where it lies: nothing is unpacked to the disk."""

import lzma
import posixpath
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from foveal.data.machine import digest, memory_budget
from foveal.data.sources.interpret import interpret
from foveal.data.sources.layout import Layout, problems, refuse_large, writable
from foveal.data.sources.place import DEFLATED, STORED, Place, read_place
from foveal.data.sources.reading import AS_FOUND, signed
from foveal.errors import SourceError, UnreadableImage
from foveal.types import Entry, Finding, Reading

__all__ = ["ARCHIVE_SUFFIXES", "TarSource", "ZipSource", "open_archive"]

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class _Directory:
    archive: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]
    layout: Layout
    repeated: tuple[Finding, ...]


@dataclass(eq=False)
class ZipSource:
    """Members are decompressed when asked for, one at a time: they share the archive's file handle, and `zipfile`
    counts who uses it without a lock of its own. The directory is read when it is needed for the first time: of
    60,000 members that takes as long as everything else in a second look."""

    name: str
    spec: str
    signature: str
    path: Path
    reading: Reading = AS_FOUND
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def directory(self) -> _Directory:
        """
        Raises:
            SourceError: damaged.
        """
        try:
            return _directory(self.path, self.reading, self.spec)
        except DAMAGE as error:
            raise _damaged(self.path, error) from error

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.directory.repeated, *self.directory.layout.findings)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.directory.layout.columns

    def entries(self) -> Sequence[Entry]:
        return self.directory.layout.entries

    def read(self, file: str) -> bytes:
        """
        Raises:
            UnreadableImage: encrypted, damaged, or too large for an image.
        """
        member = self.directory.members[file]
        refuse_large(member.file_size)
        if member.flag_bits & ENCRYPTED:
            raise UnreadableImage("encrypted: reading it needs a password")
        try:
            with self.lock:
                return self.directory.archive.read(member)
        except (*DAMAGE, NotImplementedError) as error:
            raise UnreadableImage(f"damaged in the archive: {error}") from error

    def place(self, file: str) -> Place | None:
        member = self.directory.members[file]
        if member.flag_bits & ENCRYPTED or member.compress_type not in (STORED, DEFLATED):
            return None
        where = (member.header_offset, member.compress_size, member.compress_type)
        return Place(str(self.path), *where, member.CRC, member.file_size)


@dataclass(eq=False, slots=True)
class TarSource:
    """A plain .tar is read in place. A compressed one can only be read from its start, so it is decompressed once,
    when opened, and its files are kept in memory.

    Args:
        places: offset and size of each file in a plain .tar; empty for a compressed one.
        contents: the files of a compressed one.
    """

    name: str
    spec: str
    signature: str
    findings: tuple[Finding, ...]
    listed: tuple[Entry, ...]
    path: Path
    places: dict[str, tuple[int, int]]
    contents: dict[str, bytes]
    columns: tuple[str, ...]
    reading: Reading

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> bytes:
        """
        Raises:
            UnreadableImage: the archive cannot be opened any more, or the file is too large for an image.
        """
        if file in self.contents:
            return self.contents[file]
        offset, size = self.places[file]
        refuse_large(size)
        try:
            with self.path.open("rb") as archive:
                archive.seek(offset)
                return archive.read(size)
        except OSError as error:
            raise UnreadableImage(f"cannot be opened: {error.strerror or error}") from error

    def place(self, file: str) -> Place | None:
        return Place(str(self.path), *self.places[file]) if file in self.places else None


def open_archive(path: Path, reading: Reading = AS_FOUND, *, name: str = "", spec: str = "") -> ZipSource | TarSource:
    """List an archive, told by its content: the suffix may be wrong or missing.

    Members' names are names, nothing more: absolute ones and `..` reach no file outside.

    Args:
        name: instead of the file's own.
        spec: instead of the path.

    Raises:
        SourceError: it is damaged, or no archive, or compressed and too large to keep in memory.
    """
    path = path.resolve()
    status = path.stat()
    signature = signed(digest("archive", str(path), str(status.st_size), str(status.st_mtime_ns)), reading)
    about = (name or path.name.split(".")[0] or "archive", spec or str(path), signature)
    try:
        return ZipSource(*about, path, reading) if zipfile.is_zipfile(path) else _open_tar(path, about, reading)
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"Expected a .zip or .tar archive, found one that is damaged or cut off, or another file: {path} ({error})",
        remedy="Get it again, or give the folder itself.",
    )


def _directory(path: Path, reading: Reading, spec: str) -> _Directory:
    archive = zipfile.ZipFile(path)
    infos = archive.infolist()
    # Some Windows tools write backslashes, against the format's rules (APPNOTE 4.4.17.1).
    backslashes = not any("/" in info.filename for info in infos)
    names = [_clean(info.filename.replace("\\", "/") if backslashes else info.filename) for info in infos]
    members = {name: info for name, info in zip(names, infos) if not info.is_dir()}
    folders = [name for name, info in zip(names, infos) if info.is_dir() and name]
    repeated = _repeated(name for name, info in zip(names, infos) if not info.is_dir())

    def read(file: str) -> bytes:
        try:
            return archive.read(members[file])
        except RuntimeError as error:  # encrypted, or compressed in a way that is not implemented
            raise SourceError(f"The table {file} in {path} cannot be read: {error}.") from error

    def head(file: str, most: int) -> bytes:
        with archive.open(members[file]) as opened:
            return opened.read(most)

    return _Directory(archive, members, interpret(members, folders, read, reading, spec, head), tuple(repeated))


@dataclass(slots=True)
class _TarListing:
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    reasons: list[tuple[str, str]] = field(default_factory=list)


def _open_tar(path: Path, about: tuple[str, str, str], reading: Reading) -> TarSource:
    try:
        with tarfile.open(path, "r:") as tar:
            listing = _list_tar(tar, path, compressed=False)
    except tarfile.ReadError:
        with tarfile.open(path, "r|*") as tar:
            listing = _list_tar(tar, path, compressed=True)
    kept = listing.contents or listing.places
    for name, target in listing.links.items():
        if target in listing.contents:
            listing.contents[name] = listing.contents[target]
        elif target in listing.places:
            listing.places[name] = listing.places[target]
        else:
            listing.reasons.append((name, "a link to nothing: the archive does not hold its target"))

    def read(file: str) -> bytes:
        if file in listing.contents:
            return listing.contents[file]
        return read_place(Place(str(path), *listing.places[file]))

    def head(file: str, most: int) -> bytes:
        if file in listing.contents:
            return listing.contents[file]
        offset, size = listing.places[file]
        return read_place(Place(str(path), offset, min(size, most)))

    layout = interpret(kept, listing.folders, read, reading, about[1], head)
    findings = [*problems(listing.reasons), *_repeated(listing.names), *layout.findings]
    places, contents = listing.places, listing.contents
    return TarSource(*about, tuple(findings), layout.entries, path, places, contents, layout.columns, reading)


def _list_tar(tar: tarfile.TarFile, path: Path, compressed: bool) -> _TarListing:
    listing, budget = _TarListing(), memory_budget()
    for member in tar:
        name = _clean(member.name)
        if member.isdir():
            listing.folders += [name] if name else []
            continue
        listing.names.append(name)
        if member.issym():
            listing.links[name] = _clean(posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname)))
        elif member.islnk():
            listing.links[name] = _clean(member.linkname)
        elif not member.isreg() or member.issparse():
            listing.reasons.append((name, "not a file: a device, pipe or sparse file"))
        elif not compressed:
            listing.places[name] = (member.offset_data, member.size)
        else:
            budget -= member.size
            if budget < 0:
                raise SourceError(
                    f"{path} is compressed as a whole, so its files must be kept in memory, and they do not fit.",
                    remedy="Decompress it to a plain .tar, which is read in place, or make it a .zip.",
                )
            content = tar.extractfile(member)
            assert content is not None
            listing.contents[name] = content.read()
    return listing


def _clean(name: str) -> str:
    return writable("/".join(part for part in name.split("/") if part not in ("", ".", "..")))


def _repeated(names: Iterable[str]) -> list[Finding]:
    twice = tuple(sorted(name for name, count in Counter(names).items() if count > 1))
    if not twice:
        return []
    message = "names that the archive holds more than once: the last of each is used"
    return [Finding("repeated-name", twice, message, "Make the archive again from a folder.")]
