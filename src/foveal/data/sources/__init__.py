"""Where images come from: one file a layout, and `open_source`, which finds the one that fits."""

from difflib import get_close_matches
from pathlib import Path

from foveal.data.sources.archive import open_archive
from foveal.data.sources.cifar import CIFAR, open_cifar
from foveal.data.sources.digits import open_digits
from foveal.data.sources.folder import open_folder
from foveal.errors import SourceError
from foveal.types import Progress, Source

__all__ = ["BUILT_IN", "open_source"]

BUILT_IN = ("digits", *CIFAR)


def open_source(spec: str | Path | Source, *, progress: Progress | None = None) -> Source:
    """The source that a path or a built-in name stands for. A built-in name wins over a folder called the same:
    write `./digits` for the folder.

    Args:
        progress: is told about downloads; when left out, a terminal gets a line for every tenth.

    Raises:
        SourceError: there is nothing of that name, or nothing that can be read.
        OfflineError: a built-in set must be downloaded and cannot be.
    """
    if not isinstance(spec, str | Path):
        return spec
    if spec == "digits":
        return open_digits()
    if isinstance(spec, str) and spec in CIFAR:
        return open_cifar(spec, progress=progress)
    path = Path(spec).expanduser()
    try:
        if path.is_dir():
            return open_folder(path)
        if path.is_file():
            return open_archive(path)
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:  # a name too long, one with a null character, a folder one may not list
        raise SourceError(f"{str(spec)!r} cannot be opened: {error}.") from error
    raise SourceError(
        f"Expected a folder of class folders, a .zip or .tar of one, or one of {', '.join(BUILT_IN)}; "
        f"found nothing called {str(spec)!r}.",
        remedy=_suggestion(path, siblings),
    )


def _suggestion(path: Path, siblings: list[str]) -> str:
    names = [*BUILT_IN, *siblings] if path.parent == Path() else siblings
    close = get_close_matches(path.name, names, n=1)
    if not close:
        return f"Looked in {path.parent.resolve()}."
    return f"Did you mean {path.parent / close[0]}?"
