"""A series: the same recipe trained several times, with another seed each time, on the same division of the images.

series.json   how many trainings there are to be, and their seeds
1/ 2/ 3/ …    a run each
repeats.json  mean and spread of the scores, when all are done
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from foveal.errors import RunError
from foveal.files import write_atomic
from foveal.run import Run

__all__ = ["FILE", "Series", "is_series"]

FILE = "series.json"


def is_series(path: Path | str | Run) -> bool:
    """Whether there is a series at a path."""
    return not isinstance(path, Run) and (Path(path) / FILE).is_file()


@dataclass(frozen=True)
class Series:
    """Several trainings' folder."""

    path: Path

    @classmethod
    def open(cls, path: "Path | str | Series") -> "Series":
        """An existing series.

        Raises:
            RunError: there is none in that folder, or it is damaged.
        """
        if isinstance(path, Series):
            return path
        series = cls(Path(path))
        if not is_series(path):
            raise RunError(
                f"Expected a series of trainings (a folder with {FILE}) at {path}.",
                remedy="They are made by `foveal train --repeats N`.",
            )
        _ = series.seeds
        return series

    @classmethod
    def begin(cls, path: Path, seeds: Sequence[int]) -> "Series":
        """A series whose first run is there."""
        write_atomic(path / FILE, json.dumps({"repeats": len(seeds), "seeds": list(seeds)}) + "\n")
        return cls(path)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """
        Raises:
            RunError: series.json is damaged.
        """
        try:
            told: dict[str, Any] = json.loads((self.path / FILE).read_text())
            return tuple(int(seed) for seed in told["seeds"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunError(f"{self.path / FILE} is missing or damaged: {error}.") from error

    @property
    def places(self) -> tuple[Path, ...]:
        """Where its runs are, or will be, in order."""
        return tuple(self.path / str(number) for number in range(1, len(self.seeds) + 1))

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those that have begun."""
        return tuple(Run(place) for place in self.places if (place / "run.json").is_file())

    @property
    def finished(self) -> bool:
        runs = self.runs
        return len(runs) == len(self.seeds) and all(run.finished for run in runs)
