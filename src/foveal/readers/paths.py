"""What a person names on the command line, to the files it stands for."""

import glob
from collections.abc import Iterable
from pathlib import Path

from foveal.errors import FovealError

__all__ = ["image_files"]


def image_files(images: str | Path | Iterable[str | Path]) -> list[str]:
    """Folders and glob patterns to files; of a folder all at any depth but hidden ones. A file that is named stays.

    Raises:
        FovealError: a path or pattern matches nothing.
    """
    files: list[str] = []
    for image in [images] if isinstance(images, str | Path) else images:
        path = Path(image)
        if path.is_dir():
            found = sorted(str(p) for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        elif path.exists():
            found = [str(image)]
        else:
            matches = glob.glob(str(image), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
            found = sorted(match for match in matches if Path(match).is_file())
        if not found:
            what = "a folder without files" if path.is_dir() else "nothing"
            raise FovealError(f"Expected an image, a folder or a pattern, found {what} at {str(image)!r}.")
        files += found
    return files
