"""What was seen of a source, remembered for the next look: columns of numbers, and names in one piece."""

import json
import os
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL

from foveal.data.machine import cache_folder, digest, prune
from foveal.files import write_atomic
from foveal.task import Task
from foveal.types import SPLITS, Dataset, Finding, Source

__all__ = ["memo_path", "recall", "remember"]

VERSION = "2"  # of what is remembered; a change makes every source be decoded again
DAMAGE = (OSError, ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile)
SPLIT_NAMES = np.array(["", *SPLITS], dtype="<U10")


def memo_path(source: Source, task: Task) -> Path:
    """By what decides a dataset: the source's files, how they are read and answered, and Pillow's version."""
    answer = type(task.answer).__qualname__
    parts = (VERSION, source.signature, task.name, repr(task.reader), answer, PIL.__version__)
    return cache_folder("looks") / f"{digest(*parts)}.npz"


def recall(path: Path, source: Source, task: Task) -> Dataset | None:
    """None where nothing is remembered, or what is there is damaged: what it held can be seen again."""
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            columns = {name: kept[name] for name in kept.files}
        os.utime(path)
        told = json.loads(columns["told"].tobytes())
        files = columns["files"].tobytes().decode().split("\0")
        cells = [told["cells"][k] for k in columns["cells"].tolist()]
        labels = tuple(told["labels"])
        return Dataset(
            source=source,
            files=tuple(files),
            targets=task.targets(cells, labels),
            groups=columns["groups"],
            splits=SPLIT_NAMES[columns["splits"]],
            labels=labels,
            sizes=columns["sizes"],
            channels=told["channels"],
            modes=told["modes"],
            findings=tuple(Finding(**{**finding, "files": tuple(finding["files"])}) for finding in told["findings"]),
            fingerprint=told["fingerprint"],
            given=tuple(told["given"]),
        )
    except DAMAGE:
        return None


def remember(path: Path, dataset: Dataset, cells: Sequence[str]) -> None:
    """
    Args:
        cells: (N,) the targets as written.
    """
    names = sorted(set(cells))
    number = {name: k for k, name in enumerate(names)}
    told = {
        "cells": names,
        "labels": dataset.labels,
        "channels": dataset.channels,
        "modes": dataset.modes,
        "findings": [finding.as_dict() for finding in dataset.findings],
        "fingerprint": dataset.fingerprint,
        "given": dataset.given,
    }
    kept = BytesIO()
    np.savez(
        kept,
        told=np.frombuffer(json.dumps(told).encode(), np.uint8),
        files=np.frombuffer("\0".join(dataset.files).encode(), np.uint8),
        cells=np.array([number[cell] for cell in cells], np.int32),
        splits=np.argmax(dataset.splits[:, None] == SPLIT_NAMES, axis=1).astype(np.uint8),
        groups=dataset.groups,
        sizes=dataset.sizes,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, kept.getvalue())
    except OSError:
        return  # a full disk or a home that cannot be written to costs time at the next look, nothing else
    prune(using=path)
