"""How often test images were looked at, by any run on this machine: one file a set of images, one line a look.

A run counts its own looks in its folder. Who trains forty runs and keeps the best has looked forty times, once in each.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist

from platformdirs import user_state_path

__all__ = ["Looks", "looks_at", "note_look", "state_folder", "too_good"]


@dataclass(frozen=True, slots=True)
class Looks:
    """At the test images of one set of images.

    Args:
        looks: by all runs.
        runs: how many runs looked.
    """

    looks: int
    runs: int


def state_folder() -> Path:
    """`$FOVEAL_STATE`, or else in the user's folder for what programs remember; may not be there yet."""
    root = os.environ.get("FOVEAL_STATE")
    return Path(root).expanduser() if root else user_state_path("foveal")


def note_look(fingerprint: str, run: Path, verb: str) -> None:
    """Note one look, as one short write at the end of the file: several processes may do so at once. Where the folder
    cannot be written to, the look is counted by its run alone.

    Args:
        fingerprint: of the images.
    """
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "run": str(run.resolve()), "verb": verb})
    with suppress(OSError):
        path = _path(fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # The line break in front parts it from a line that a crash cut off.
            os.write(handle, f"\n{line}\n".encode())
        finally:
            os.close(handle)


def looks_at(fingerprint: str) -> Looks | None:
    """None where nothing is known; a line cut off by a crash is left out."""
    runs = []
    try:
        lines = _path(fingerprint).read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            runs.append(json.loads(line)["run"])
    return Looks(len(runs), len(set(runs))) if runs else None


def too_good(low: float, high: float, level: float, runs: int) -> float:
    """By how much the best of so many runs is too good on average if only chance makes them differ: the largest of k
    normal numbers lies Φ⁻¹((k - 0.375) / (k + 0.25)) of their standard deviations above their mean, and that deviation
    is the one behind the interval. Runs on the same images resemble each other, so it is less; it is the most to fear.

    Source: for the largest of k, Blom, Statistical Estimates and Transformed Beta-Variables (1958); for what choosing
    on test images does, Blum and Hardt, "The Ladder", ICML 2015, arXiv 1502.04585, and Dwork et al., "The reusable
    holdout", Science 349 (2015), 636-638.

    Args:
        low, high: the interval of the score at `level`.
    """
    deviation = (high - low) / 2 / NormalDist().inv_cdf((1 + level) / 2)
    return deviation * NormalDist().inv_cdf((runs - 0.375) / (runs + 0.25)) if runs > 1 else 0.0


def _path(fingerprint: str) -> Path:
    return state_folder() / "looks" / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:32]}.jsonl"
