"""The 1,797 handwritten digits that ship with scikit-learn: 8×8, gray, ten classes, no download."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.data.sources.reading import AS_FOUND
from foveal.extras import extra
from foveal.types import Entry, Finding, Reading

__all__ = ["DigitsSource", "open_digits"]


@dataclass(eq=False, slots=True)
class DigitsSource:
    """Alpaydin and Kaynak (1998), test part. Values 0 to 16 become round(value · 255 / 16)."""

    listed: tuple[Entry, ...]
    pixels: dict[str, np.ndarray]
    name: str = "digits"
    spec: str = "digits"
    signature: str = "digits-1"
    findings: tuple[Finding, ...] = ()
    columns: tuple[str, ...] = ()
    reading: Reading = AS_FOUND

    def entries(self) -> Sequence[Entry]:
        return self.listed

    def read(self, file: str) -> np.ndarray:
        return self.pixels[file]


def open_digits() -> DigitsSource:
    """
    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    with extra("train"):
        from sklearn.datasets import load_digits
    images, targets = load_digits(return_X_y=True)
    pixels = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    files = [f"{target}/digit-{row:04}" for row, target in enumerate(targets)]
    entries = sorted((Entry(file, file.split("/")[0]) for file in files), key=lambda entry: entry.file)
    return DigitsSource(tuple(entries), dict(zip(files, pixels)))
