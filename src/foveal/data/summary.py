"""A dataset in a few numbers."""

from typing import Any

import numpy as np

from foveal.types import SPLITS, Dataset

__all__ = ["summary"]


def summary(dataset: Dataset) -> dict[str, Any]:
    """What `look --json` prints and a report keeps: counts by label and split, sizes, modes, findings."""
    labels = {label: int((dataset.targets == k).sum()) for k, label in enumerate(dataset.labels)}
    smallest, median, largest = ([int(v) for v in f(dataset.sizes, axis=0)] for f in (np.min, np.median, np.max))
    return {
        "source": dataset.source.spec,
        "images": len(dataset),
        "labels": labels,
        "splits": {name: len(dataset.rows(name)) for name in SPLITS},
        "given": list(dataset.given),
        "sizes": {"smallest": smallest, "median": median, "largest": largest},
        "channels": dataset.channels,
        "modes": dataset.modes,
        "findings": [finding.as_dict() for finding in dataset.findings],
        "fingerprint": dataset.fingerprint,
    }
