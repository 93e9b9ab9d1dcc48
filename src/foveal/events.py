"""What the training loop says as it goes. The terminal prints these, tests collect them; nothing else flows out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["EpochEnded", "Event", "Finished", "Paced", "Probing", "Saved", "Started", "Step"]


@dataclass(frozen=True, slots=True)
class Started:
    """The first event.

    Args:
        images: in the training split.
        epochs: of the whole training, the last of which may be a part of one.
        steps: in a whole epoch.
        total: steps of the whole training.
        epoch: the first epoch that will run, from 0; above 0 when resumed.
        step: the first step of it, from 0.
        notes: what a person should know, such as a checkpoint that had to be passed over.
    """

    run: Path
    images: int
    epochs: int
    steps: int
    total: int
    parameters: int
    device: str
    precision: str
    epoch: int = 0
    step: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probing:
    """Features are being computed, for the output layer that fits them best.

    Args:
        done: images.
        total: of so many.
    """

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Step:
    """One batch learned from.

    Args:
        step: within the epoch, from 1.
        loss: mean over the epoch so far.
        scores: the answer's plain scores, means over the epoch so far.
    """

    epoch: int
    step: int
    loss: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """One line of history.jsonl: epoch (from 1; 0 is the probe), passes over the training images so far (3.02 where the
    fourth epoch is a part of one), learning_rate, train_loss, train_SCORE, validation_loss, validation_SCORE, and
    seconds of training so far."""

    epoch: int
    row: dict[str, Any]
    best: bool


@dataclass(frozen=True, slots=True)
class Paced:
    """The clock asked for another number of steps in all; the run's recipe has it."""

    total: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is on the disk and read back."""

    path: Path
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event.

    Args:
        reason: `done`, or `patience`.
        kept: the epoch whose weights were kept, from 1; 0 is the probe.
        weights_sha256: over names, shapes and values of the weights.
    """

    reason: str
    epochs: int
    kept: int
    seconds: float
    weights_sha256: str


Event = Started | Probing | Step | Paced | EpochEnded | Saved | Finished
