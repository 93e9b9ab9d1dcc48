"""Tables beside the images that they name."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foveal.tasks import named_task
from foveal.types import Finding, Source

__all__ = ["LABEL", "TABLES", "VALUE", "draw", "fixture", "of_kind", "packed", "pairs", "png", "table"]

TABLES = Path(__file__).parent / "fixtures" / "tables"
LABEL, VALUE = named_task("classification"), named_task("regression")


def png(number: int) -> bytes:
    """Another image for another number."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def draw(root: Path, files: Iterable[str]) -> Path:
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(png(number))
    return root


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root / name


def fixture(tmp_path: Path, name: str) -> Path:
    """A table of the fixtures beside the images that it names."""
    root = draw(tmp_path / "photos", [f"{letter}.png" for letter in "abcd"])
    return Path(shutil.copy(TABLES / name, root))


def pairs(source: Source) -> dict[str, str]:
    return {entry.file: entry.cell for entry in source.entries()}


def of_kind(source: Any, kind: str) -> list[Finding]:
    return [finding for finding in source.findings if finding.kind == kind]


def packed(root: Path, kind: str) -> Path:
    if kind == "folder":
        return root
    path = root.with_suffix(f".{kind}")
    files = [file for file in sorted(root.rglob("*")) if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as opened:
            for file in files:
                opened.write(file, file.relative_to(root).as_posix())
    else:
        with tarfile.open(path, "w") as tar:
            for file in files:
                tar.add(file, file.relative_to(root).as_posix())
    return path
