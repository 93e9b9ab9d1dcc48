"""From a list of paths to classes and splits: the rules that folders and archives share."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foveal.errors import UnreadableImage
from foveal.types import Entry, Finding, SplitName

__all__ = [
    "IMAGE_SUFFIXES",
    "SPLIT_NAMES",
    "Layout",
    "arrange",
    "as_cell",
    "folder_splits",
    "problems",
    "refuse_large",
    "visible",
    "writable",
]

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")
LARGEST_FILE = 1 << 30

TEXTS = {  # kind of finding: message, remedy
    "no-class": (
        "files outside of class folders: nothing says what they show",
        "They are left out. Move images into class folders.",
    ),
    "no-split": (
        "files in folders beside the split folders (train, validation, test)",
        "They are left out. Move them into a split folder.",
    ),
    "ignored": ("hidden or system files", "Nothing to do: they are left out."),
    "empty-class": ("class folders without a file: no class is made of them", "Add images, or remove the folders."),
    "empty-folder": ("folders without a file", "Nothing to do."),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a list of paths means: the images, and what is none.

    Args:
        columns: names of the targets; empty where they are names of folders.
    """

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class _Folder:
    folders: dict[str, "_Folder"] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def at(self, parts: Iterable[str]) -> "_Folder":
        """The folder of that path below this one, made when missing."""
        folder = self
        for part in parts:
            folder = folder.folders.setdefault(part, _Folder())
        return folder

    def all_files(self) -> list[str]:
        """At any depth. A loop, because an archive can nest deeper than Python recurses."""
        files: list[str] = []
        waiting: list[_Folder] = [self]
        while waiting:
            folder = waiting.pop()
            files += folder.files
            waiting.extend(folder.folders.values())
        return files


def arrange(files: Iterable[str], folders: Iterable[str]) -> Layout:
    """Read paths (with `/`) as [wrapper/][split/]class/…/file.

    A lone top folder is a wrapper when it holds folders and no images. Split folders count as such when at least one
    of them holds folders; else `train` is a class like any other (a set of vehicles has one).

    Args:
        files: all files, hidden ones too.
        folders: the folders that are listed as such, to find the empty ones.
    """
    hidden: set[str] = set()
    inside = _by_folder(files, folders, hidden)
    top, depth, no_class = _unwrap(_tree(inside))
    entries: list[Entry] = []
    no_split: list[str] = []
    has_splits = any(inner.folders for name, inner in top.folders.items() if name.casefold() in SPLIT_NAMES)
    no_class += top.files
    for name, folder in top.folders.items():
        split = SPLIT_NAMES.get(name.casefold())
        if not has_splits:
            entries += [Entry(file, name) for file in folder.all_files()]
        elif split is None:
            no_split += folder.all_files()
        else:
            no_class += folder.files
            for cell, inner in folder.folders.items():
                entries += [Entry(file, cell, split) for file in inner.all_files()]
    empty_classes, empty_folders = _empty(inside, depth + has_splits)
    told = {
        "no-class": no_class,
        "no-split": no_split,
        "ignored": sorted(hidden),
        "empty-class": empty_classes,
        "empty-folder": empty_folders,
    }
    findings = tuple(Finding(kind, tuple(told[kind]), *TEXTS[kind]) for kind in TEXTS if told[kind])
    return Layout(tuple(sorted(entries, key=lambda entry: entry.file)), findings)


def visible(files: Iterable[str], folders: Iterable[str]) -> tuple[list[str], tuple[Finding, ...]]:
    """The files that are not hidden, and a finding with those that are."""
    hidden: set[str] = set()
    inside = _by_folder(files, folders, hidden)
    told = (Finding("ignored", tuple(sorted(hidden)), *TEXTS["ignored"]),) if hidden else ()
    return [file for here in inside.values() for file in here], told


def as_cell(cells: Sequence[str]) -> str:
    """The one target of an image, or the JSON array of several."""
    return cells[0] if len(cells) == 1 else json.dumps(cells, ensure_ascii=False)


def folder_splits(files: Sequence[str], inner: int = 0) -> list[SplitName | None]:
    """The split that the folders of each file name: one that all files lie in, or one directly below those.

    Args:
        inner: folders around a file that mean something else.
    """
    folders = [[] if _is_outside(file) else file.split("/")[: -1 - inner] for file in files]
    top = 1 + len(os.path.commonprefix(folders)) if folders else 0  # noqa: RUF071 (of lists, not of strings)
    named = ([part.casefold() for part in folder[:top]] for folder in folders)
    return [next((SPLIT_NAMES[name] for name in names if name in SPLIT_NAMES), None) for names in named]


def _is_outside(file: str) -> bool:
    """Whether it lies outside of the source, where folders are called as it happens."""
    return file.startswith(("/", "../")) or file[1:3] == ":/"


def problems(reasons: Iterable[tuple[str, str]]) -> list[Finding]:
    """Findings of kind `unreadable` for (file, reason) pairs, one for each reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file, reason in reasons:
        by_reason[reason].append(file)
    remedy = "They are left out. Replace or remove them."
    return [Finding("unreadable", tuple(sorted(files)), reason, remedy) for reason, files in by_reason.items()]


def refuse_large(size: int) -> None:
    """
    Raises:
        UnreadableImage: no file of this size is read into memory.
    """
    if size > LARGEST_FILE:
        raise UnreadableImage(f"too large: a file of {size / 2**30:.1f} GiB, the limit is {LARGEST_FILE >> 30} GiB")


def writable(name: str) -> str:
    """A name that any file or terminal can take: bytes that are no UTF-8 become visible escapes."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _by_folder(files: Iterable[str], folders: Iterable[str], hidden: set[str]) -> dict[str, list[str]]:
    """The visible files of each visible folder, `""` being the root; listed folders without any have an empty list.

    Hidden paths go into `hidden`, each cut after its first hidden part, which stands for all below it.
    """
    inside: dict[str, list[str]] = {folder: [] for folder in folders}
    for file in files:
        inside.setdefault(file.rpartition("/")[0], []).append(file)
    visible: dict[str, list[str]] = {}
    for folder, its_files in inside.items():
        parts = folder.split("/")
        first = next((k for k, part in enumerate(parts) if _is_system(part)), None)
        if first is not None:
            hidden.add("/".join(parts[: first + 1]))
        else:
            visible[folder] = sorted(file for file in its_files if not _is_system(file.rpartition("/")[2]))
            hidden.update(file for file in its_files if _is_system(file.rpartition("/")[2]))
    return visible


def _is_system(part: str) -> bool:
    return part.startswith(".") or part.casefold() in SYSTEM


def _tree(inside: Mapping[str, list[str]]) -> _Folder:
    root = _Folder()
    for folder, files in inside.items():
        root.at(folder.split("/") if folder else []).files = files
    return root


def _unwrap(folder: _Folder) -> tuple[_Folder, int, list[str]]:
    """Step into wrappers. The folder of the classes or splits, how deep it lies, and the files passed on the way."""
    depth, passed = 0, []
    while len(folder.folders) == 1:
        ((name, inner),) = folder.folders.items()
        holds_images = any(file.casefold().endswith(IMAGE_SUFFIXES) for file in inner.files)
        if name.casefold() in SPLIT_NAMES or not inner.folders or holds_images:
            break
        passed += folder.files
        folder, depth = inner, depth + 1
    return folder, depth, passed


def _empty(inside: Mapping[str, list[str]], class_depth: int) -> tuple[list[str], list[str]]:
    """Folders without a visible file, the topmost of each branch: those where classes are, and all others."""
    parts_of = [folder.split("/") for folder, files in inside.items() if files and folder]
    full = {"/".join(parts[:k]) for parts in parts_of for k in range(1, len(parts) + 1)}
    top: list[str] = []
    for folder in sorted(filter(None, inside), key=lambda folder: folder.split("/")):
        if folder not in full and not (top and folder.startswith(f"{top[-1]}/")):
            top.append(folder)
    at_class = [folder.count("/") == class_depth for folder in top]
    return [f for f, here in zip(top, at_class) if here], [f for f, here in zip(top, at_class) if not here]
