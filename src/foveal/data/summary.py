"""A dataset in a few numbers."""

from typing import Any

import numpy as np

from foveal.task import Task
from foveal.types import SPLITS, Dataset

__all__ = ["summary"]


def summary(dataset: Dataset, task: Task) -> dict[str, Any]:
    """What `look --json` prints and a report keeps: the targets as the task's answer tells them (`labels`: counts by
    label), counts by split, sizes, modes, findings."""
    smallest, median, largest = ([int(v) for v in f(dataset.sizes, axis=0)] for f in (np.min, np.median, np.max))
    return {
        "source": dataset.source.spec,
        "images": len(dataset),
        **task.answer.summary(dataset.targets, dataset.labels),
        "splits": {name: len(dataset.rows(name)) for name in SPLITS},
        "given": list(dataset.given),
        "sizes": {"smallest": smallest, "median": median, "largest": largest},
        "channels": dataset.channels,
        "modes": dataset.modes,
        "findings": [finding.as_dict() for finding in dataset.findings],
        "fingerprint": dataset.fingerprint,
    }
