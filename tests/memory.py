"""A source that is made of what a test gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foveal.types import Entry, Finding, Reading, SplitName

__all__ = ["Memory"]


@dataclass(eq=False)
class Memory:
    """A source whose images are given.

    Args:
        images: file to (cell, split, content).
        reads: the files that were read, in order.
        listed: the entries, where they say more than `images` does.
    """

    images: Mapping[str, tuple[str, SplitName | None, bytes | np.ndarray]]
    signature: str = "memory"
    name: str = "memory"
    spec: str = "memory"
    findings: tuple[Finding, ...] = ()
    reads: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    reading: Reading = Reading()  # noqa: RUF009 (frozen)
    listed: Sequence[Entry] | None = None

    def entries(self) -> Sequence[Entry]:
        if self.listed is not None:
            return self.listed
        return [Entry(file, cell, split) for file, (cell, split, _) in sorted(self.images.items())]

    def read(self, file: str) -> bytes | np.ndarray:
        self.reads.append(file)
        return self.images[file][2]
