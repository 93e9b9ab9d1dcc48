"""A run: the folder in which one training lives, from its recipe to its report.

run.json            task, source, labels, fingerprint of the images, environment; written once
recipe.json         everything that decides the result
split.csv           which image is in which split
decisions.csv       what a person decided about the images, where they did
history.jsonl       one line an epoch
checkpoints/        what `resume` starts from
settled.json        what was chosen on the validation images when training was over: temperature, thresholds, widths of
                    intervals, what images look like; written anew when `evaluate` is given another operating point
weights.safetensors the trained network; there when training has finished
looks.jsonl         one line for every time the test split was looked at
report/             report.json, report.html and README.md, a model card
random-split/       the same recipe on a random division of the same images, where that was asked for: a run, but
                    never one to quote
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from foveal.errors import RunError
from foveal.files import write_atomic
from foveal.looks import Looks, looks_at, note_look
from foveal.recipe import Recipe, recipe_from
from foveal.wishes import Wish

__all__ = ["CUSTOM_NET", "Run", "free_run_path"]

CUSTOM_NET = "custom"
"""`recipe.net` of a network that the user brought as a `torch.nn.Module`."""


@dataclass(frozen=True)
class Run:
    """One training's folder. Reading is lazy; nothing but the paths is kept open."""

    path: Path

    @classmethod
    def open(cls, path: "Path | str | Run") -> "Run":
        """An existing run.

        Raises:
            RunError: there is no run in that folder.
        """
        if isinstance(path, Run):
            return path
        path = Path(path)
        if not (path / "run.json").is_file():
            if (path / "series.json").is_file():
                raise RunError(
                    f"{path} is a series of trainings, and one run was expected.",
                    remedy=f"Name one of them: {path / '1'}",
                )
            if (path / "bundle.json").is_file():
                raise RunError(
                    f"{path} is a bundle, which only answers, and a run was expected.",
                    remedy="Name the run that it was exported from.",
                )
            found = "an empty or unrelated folder" if path.is_dir() else "a file" if path.exists() else "nothing"
            raise RunError(
                f"Expected a run (a folder with run.json) at {path}, found {found}.",
                remedy="Runs are made by `foveal train`, in runs/ unless told otherwise.",
            )
        return cls(path)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def split(self) -> Path:
        return self.path / "split.csv"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.csv"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @cached_property
    def info(self) -> dict[str, Any]:
        """run.json: `task`, `source`, `source_name`, `labels`, `fingerprint`, `data`, `environment`, `created`; `wish`
        where an operating point was asked for.

        Raises:
            RunError: it is damaged.
        """
        return self._json("run.json")

    @cached_property
    def recipe(self) -> Recipe:
        return recipe_from(self._json("recipe.json"))

    def write_recipe(self, recipe: Recipe) -> None:
        """The recipe, whole or not there; the one that was read before is forgotten."""
        write_atomic(self.path / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
        self.__dict__.pop("recipe", None)

    @property
    def wish(self) -> Wish:
        """What training was to settle; nothing in a folder that is no run of a user's."""
        return Wish.from_dict(self.info.get("wish", {})) if (self.path / "run.json").is_file() else Wish()

    @cached_property
    def settled(self) -> dict[str, Any]:
        """What the answer chose on the validation images; empty where it chose nothing.

        Raises:
            RunError: it is damaged.
        """
        return self._json("settled.json") if (self.path / "settled.json").is_file() else {}

    def write_settled(self, settled: dict[str, Any]) -> None:
        write_atomic(self.path / "settled.json", json.dumps(settled, indent=2) + "\n")
        self.__dict__.pop("settled", None)

    @property
    def finished(self) -> bool:
        """Training is over and the weights are there."""
        return self.weights.is_file()

    def history(self) -> list[dict[str, Any]]:
        """One record an epoch; a line cut off by a crash is left out."""
        return _whole_lines(self.path / "history.jsonl")

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        write_atomic(self.path / "history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def looks(self) -> int:
        """How often the test split was looked at."""
        return len(_whole_lines(self.path / "looks.jsonl"))

    def count_look(self, verb: str) -> int:
        """Count one more look, here and among those of all runs on these images, before it is taken: a look that
        crashed was a look. Returns the run's own count."""
        with (self.path / "looks.jsonl").open("a") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "verb": verb}) + "\n")
        if (self.path / "run.json").is_file():
            note_look(self.info["fingerprint"], self.path, verb)
        return self.looks()

    def all_looks(self) -> Looks | None:
        """By all runs of this user on this machine at test images of the same set; None where that is not known."""
        return looks_at(self.info["fingerprint"])

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name} is missing or damaged: {error}.") from error


def free_run_path(folder: Path, name: str) -> Path:
    """`folder/name-N` with the lowest N above all that are there."""
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    taken = [int(match[1]) for path in folder.glob(f"{safe}-*") if (match := re.search(r"-(\d+)$", path.name))]
    return folder / f"{safe}-{max(taken, default=0) + 1}"


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
