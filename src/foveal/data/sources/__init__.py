"""Where images come from: one file a layout, and `open_source`, which finds the one that fits."""

from difflib import get_close_matches
from pathlib import Path

from foveal.data.sources.archive import open_archive
from foveal.data.sources.cifar import CIFAR, open_cifar
from foveal.data.sources.digits import open_digits
from foveal.data.sources.folder import open_folder
from foveal.data.sources.hub import HUB, open_hub
from foveal.data.sources.layout import IMAGE_SUFFIXES
from foveal.data.sources.npz import SUFFIX as ARRAYS
from foveal.data.sources.npz import open_npz
from foveal.data.sources.reading import AS_FOUND, refuse
from foveal.data.sources.table import SPREADSHEETS, TABLES, open_table
from foveal.errors import SourceError
from foveal.phrasing import command
from foveal.types import Progress, Reading, Source

__all__ = ["BUILT_IN", "open_source"]

BUILT_IN = ("digits", *CIFAR)


def open_source(spec: str | Path | Source, reading: Reading = AS_FOUND, *, progress: Progress | None = None) -> Source:
    """The source that a path or a built-in name stands for. A built-in name wins over a folder called the same:
    write `./digits` for the folder.

    Args:
        reading: how the targets are to be found, where the source leaves that open.
        progress: is told about downloads; when left out, a terminal gets a line for every tenth.

    Raises:
        SourceError: there is nothing of that name, nothing that can be read, or what `reading` says does not fit.
        OfflineError: it must be downloaded and cannot be.
        MissingExtra: a package that reads it is not installed.
    """
    if not isinstance(spec, str | Path):
        if reading not in (AS_FOUND, spec.reading):
            refuse(reading, spec.spec, "a source that is open already")
        return spec
    if spec in BUILT_IN:
        refuse(reading, str(spec), "images that bring their labels")
        return open_digits() if spec == "digits" else open_cifar(str(spec), progress=progress)
    if isinstance(spec, str) and spec.startswith(HUB):
        return open_hub(spec, reading, progress=progress)
    path = Path(spec).expanduser()
    try:
        if path.is_dir():
            return open_folder(path, reading)
        if path.is_file():
            return _open_file(path, reading)
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:  # a name too long, one with a null character, a folder one may not list
        raise SourceError(f"{str(spec)!r} cannot be opened: {error}.") from error
    raise SourceError(
        f"Expected a folder of class folders, a .zip or .tar of one, a table ({', '.join(TABLES)}), arrays ({ARRAYS}), "
        f"hf:OWNER/NAME, or one of {', '.join(BUILT_IN)}; found nothing called {str(spec)!r}.",
        remedy=_suggestion(path, siblings),
    )


def _open_file(path: Path, reading: Reading) -> Source:
    suffix = path.suffix.casefold()
    if suffix in SPREADSHEETS:
        raise SourceError(
            f"Expected a table as text, found the spreadsheet {path}.", remedy="Save it as CSV, in UTF-8."
        )
    if suffix == ARRAYS:
        return open_npz(path, reading)
    if suffix in TABLES:
        return open_table(path, reading)
    try:
        return open_archive(path, reading)
    except SourceError:
        if suffix not in IMAGE_SUFFIXES:
            raise
        raise SourceError(
            f"Expected many images (a folder of class folders, a .zip or .tar of one, a table), found one: {path}.",
            remedy="Give the folder of all images. What a trained network says of one: "
            f"{command('foveal', 'predict', 'RUN', path)}",
        ) from None


def _suggestion(path: Path, siblings: list[str]) -> str:
    names = [*BUILT_IN, *siblings] if path.parent == Path() else siblings
    close = get_close_matches(path.name, names, n=1)
    if not close:
        return f"Looked in {path.parent.resolve()}."
    return f"Did you mean {path.parent / close[0]}?"
