"""What was seen of a source, remembered for the next look: columns of numbers, and names in one piece."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from foveal.data.far import Far
from foveal.data.machine import cache_folder, digest, prune
from foveal.data.seen import Seen
from foveal.data.twins import Near
from foveal.files import write_atomic
from foveal.task import Reader, Task
from foveal.types import SPLITS, Dataset, Finding, Source, Twins

__all__ = [
    "memo_path",
    "recall",
    "recall_seen",
    "recall_suspects",
    "recall_task",
    "remember",
    "remember_seen",
    "remember_suspects",
    "remember_task",
    "seen_path",
]

VERSION = "6"  # of what is remembered and how it is found; a change makes every source be decoded again
DAMAGE = (OSError, ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile)
SPLIT_NAMES = np.array(["", *SPLITS], dtype="<U10")


def memo_path(source: Source, task: Task, decisions: bytes) -> Path:
    """By what decides a dataset: the source's files, how they are read and answered, what was decided about them, and
    Pillow's version."""
    answer = type(task.answer).__qualname__
    parts = (VERSION, source.signature, task.name, repr(task.reader), answer, PIL.__version__)
    decided = (hashlib.sha256(decisions).hexdigest(),) if decisions else ()
    return cache_folder("looks") / f"{digest(*parts, *decided)}.npz"


def seen_path(source: Source, reader: Reader) -> Path:
    """By what decides what is seen: the source's files, how they are read, and Pillow's version."""
    return cache_folder("looks") / f"{digest(VERSION, 'seen', source.signature, repr(reader), PIL.__version__)}.z"


def recall(path: Path, source: Source, task: Task) -> Dataset | None:
    """None where nothing is remembered, or what is there is damaged: what it held can be seen again."""
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            columns = {name: kept[name] for name in kept.files}
        os.utime(path)
        told = json.loads(columns["told"].tobytes())
        files = columns["files"].tobytes().decode().split("\0")
        cells = tuple(told["cells"][k] for k in columns["cells"].tolist())
        labels = tuple(told["labels"])
        targets = task.targets(cells, labels)
        return Dataset(
            source=source,
            task=task.name,
            files=tuple(files),
            cells=cells,
            targets=targets,
            strata=task.answer.strata(targets),
            groups=columns["groups"],
            splits=SPLIT_NAMES[columns["splits"]],
            labels=labels,
            sizes=columns["sizes"],
            channels=told["channels"],
            modes=told["modes"],
            findings=tuple(map(_finding, told["findings"])),
            fingerprint=told["fingerprint"],
            given=tuple(told["given"]),
            twins=Twins(columns["pairs"], columns["alike"], columns["mirrored"]),
        )
    except DAMAGE:
        return None


def _finding(told: dict[str, Any]) -> Finding:
    """From what `Finding.as_dict` gave."""
    facts = {name: value for name, value in told.items() if name not in ("kind", "files", "message", "remedy")}
    return Finding(told["kind"], tuple(told["files"]), told["message"], told["remedy"], facts)


def remember(path: Path, dataset: Dataset) -> None:
    """Keep what `recall` gives."""
    names = sorted(set(dataset.cells))
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
        cells=np.array([number[cell] for cell in dataset.cells], np.int32),
        splits=np.argmax(dataset.splits[:, None] == SPLIT_NAMES, axis=1).astype(np.uint8),
        groups=dataset.groups,
        sizes=dataset.sizes,
        pairs=dataset.twins.pairs,
        alike=dataset.twins.alike,
        mirrored=dataset.twins.mirrored,
    )
    _keep(path, kept.getvalue())


def recall_seen(path: Path, files: Sequence[str]) -> tuple[list[Seen | str], Near, Far] | None:
    """What was seen of these files, or why they cannot be read, and near-duplicates and outliers among them and
    others; None where one of them was not seen, or nothing is remembered."""
    try:
        told = json.loads(zlib.decompress(path.read_bytes()))
        seen = {file: facts if isinstance(facts, str) else Seen.of(facts) for file, facts in told["seen"].items()}
        near = [(str(one), str(other), float(alike), bool(mirrored)) for one, other, alike, mirrored in told["near"]]
        far = [(str(content), float(score), str(words)) for content, score, words in told["far"]]
        return [seen[file] for file in files], near, far
    except (*DAMAGE, zlib.error):
        return None


def remember_seen(path: Path, files: Sequence[str], seen: Sequence[Seen | str], near: Near, far: Far) -> None:
    """Keep what `recall_seen` gives."""
    told = {
        file: facts if isinstance(facts, str) else facts._replace(sketch=b"", traits=b"").told()
        for file, facts in zip(files, seen)
    }
    _keep(path, zlib.compress(json.dumps({"seen": told, "near": near, "far": far}).encode(), 1))


def recall_task(source: Source, tasks: Sequence[str]) -> str | None:
    """The task that was found for a source among these; None where nothing is remembered."""
    try:
        name = _task_path(source, tasks).read_text()
    except DAMAGE:
        return None
    return name if name in tasks else None


def remember_task(source: Source, tasks: Sequence[str], name: str) -> None:
    """Keep it: to list an archive only to find its task again takes as long as a second look."""
    _keep(_task_path(source, tasks), name.encode())


def recall_suspects(dataset: Dataset) -> dict[str, Any] | None:
    """What `remember_suspects` kept of the same images and targets, under the same names; None where there is none."""
    try:
        told = json.loads(_suspects_path(dataset).read_bytes())
        findings = tuple(map(_finding, told["findings"]))
        there = {file for finding in findings for file in finding.files} <= set(dataset.files)
        return {**told, "findings": findings} if there else None
    except DAMAGE:
        return None


def remember_suspects(dataset: Dataset, findings: Sequence[Finding], about: Mapping[str, Any]) -> None:
    """Keep what looked wrong of the targets: a report shows it.

    Args:
        about: JSON-ready, what else is to be known.
    """
    told = {**about, "findings": [finding.as_dict() for finding in findings]}
    _keep(_suspects_path(dataset), json.dumps(told).encode())


def _suspects_path(dataset: Dataset) -> Path:
    return cache_folder("looks") / f"{digest(VERSION, 'suspects', dataset.task, dataset.fingerprint)}.json"


def _task_path(source: Source, tasks: Sequence[str]) -> Path:
    return cache_folder("looks") / f"{digest(VERSION, 'task', source.signature, *tasks)}.txt"


def _keep(path: Path, data: bytes) -> None:
    """A full disk or a home that cannot be written to costs time at the next look, nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        prune(using=path)
