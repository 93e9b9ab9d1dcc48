"""Divide images into train, validation and test: stratified, seeded, and never two of a group apart."""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foveal.data.findings import CONTRADICTING
from foveal.errors import RunError, SplitError
from foveal.files import write_atomic
from foveal.types import SPLITS, Dataset

__all__ = ["divide", "divide_at_random", "read_split", "stored_splits", "write_split"]

COLUMNS = ("file", "target", "split")
OLD_COLUMNS = ("file", "label", "split")
SPREAD = 3  # groups that a stratum needs to be in all three splits


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Rows that stay together, named by the first of their files."""

    rows: np.ndarray
    name: str


def divide(
    dataset: Dataset, *, validation: float | None, test: float | None, seed: int, settled: np.ndarray | None = None
) -> Dataset:
    """Give every image a split. What the source itself put into one stays there.

    Test is carved from the images that are in no split or in train, then validation from what is left of them. Per
    stratum and in all the counts are right to one image (largest remainder), as far as groups allow. Every stratum
    keeps an image in train; one with three groups or more has an image in each split that is carved. The images are
    ordered by a hash of seed and name: one more file moves few others, and the order of the rows does not matter. An
    image in no split goes where the source put another of its group.

    Args:
        validation: share of the images outside of test; None where the source has that split.
        test: share of all images that may be carved from; None where the source has that split.
        settled: (N,) bool, images that stay in the split where they are, and with them all of their groups.

    Raises:
        SplitError: a share is missing, or given for a split that is there, or leaves a split empty.
    """
    shares = {"test": test, "validation": validation}
    for name, share in shares.items():
        _check_share(dataset, name, share)
    _check_targets(dataset)
    splits = _joined(dataset)
    carved = {name: share for name, share in shares.items() if share is not None}
    free = splits == "train"
    if settled is not None:
        free &= ~np.isin(dataset.groups, dataset.groups[settled])
    strata = _strata(dataset, np.flatnonzero(free))
    spread = {k for k, groups in strata.items() if len(groups) >= SPREAD}
    for left, (name, share) in zip(reversed(range(len(carved))), carved.items()):
        keep = {k: 1 + left * (k in spread) for k in strata}
        splits[_carve(strata, share, f"{seed} {name}", keep, spread)] = name
    divided = dataset.with_splits(splits)
    _check_result(divided)
    return divided


def divide_at_random(dataset: Dataset, seed: int) -> Dataset:
    """Another division into splits of the same sizes, to one image: stratified and seeded, whatever belongs together
    and whatever the source says."""
    counts = {name: len(dataset.rows(name)) for name in SPLITS}
    left = len(dataset) - counts["test"]
    alone = replace(
        dataset, groups=np.arange(len(dataset)), splits=np.full_like(dataset.splits, ""), given=(), findings=()
    )
    test, validation = counts["test"] / len(dataset), counts["validation"] / left
    return dataset.with_splits(divide(alone, validation=validation, test=test, seed=seed).splits)


def write_split(dataset: Dataset, path: Path) -> None:
    """One line an image: file, target, split. UTF-8 CSV (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(zip(dataset.files, dataset.cells, dataset.splits))
    write_atomic(path, text.getvalue())


def read_split(path: Path, dataset: Dataset) -> Dataset:
    """The division that `write_split` wrote, for the same images.

    Raises:
        RunError: the file is damaged, or the images are not those that were divided; names what changed.
    """
    stored = _stored(path)
    now = dict(zip(dataset.files, dataset.cells))
    changes = {
        "missing": [file for file in stored if file not in now],
        "new": [file for file in now if file not in stored],
        "with another target": [file for file in now if file in stored and stored[file][0] != now[file]],
    }
    if any(changes.values()):
        told = [f"{len(files):,} {what} ({', '.join(files[:3])})" for what, files in changes.items() if files]
        raise RunError(
            f"The images in {dataset.source.spec} are not those that {path} divides: {'; '.join(told)}.",
            remedy="Bring the old images back, or train again.",
        )
    return dataset.with_splits(np.array([stored[file][1] for file in dataset.files], dtype="<U10"))


def stored_splits(path: Path) -> dict[str, str]:
    """File to split of the division that `write_split` wrote.

    Raises:
        RunError: the file is damaged.
    """
    return {file: split for file, (_, split) in _stored(path).items()}


def _stored(path: Path) -> dict[str, tuple[str, str]]:
    """File to target and split."""
    try:
        header, *rows = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True)
        stored = {file: (target, split) for file, target, split in rows}
        known = tuple(header) in (COLUMNS, OLD_COLUMNS)
        damaged = not known or not {split for _, split in stored.values()} <= set(SPLITS)
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} is missing or damaged: {error}.") from error
    if damaged:
        raise RunError(f"{path} is damaged: expected the columns {', '.join(COLUMNS)}, the splits {', '.join(SPLITS)}.")
    return stored


def _check_share(dataset: Dataset, name: str, share: float | None) -> None:
    if share is not None and name in dataset.given:
        raise SplitError(
            f"{dataset.source.name} brings its own {name} split, and a share of {share:g} for it was asked for too.",
            remedy=f"Leave the share out ({name}=null, on the command line --set {name}=null), or take {name} out of "
            "the source.",
        )
    if share is None and name not in dataset.given:
        raise SplitError(
            f"{dataset.source.name} has no {name} split of its own, and no share for it was given.",
            remedy=f"Give one, such as {name}=0.15 (on the command line --set {name}=0.15).",
        )


def _check_targets(dataset: Dataset) -> None:
    if len(set(dataset.cells)) == 1:
        raise SplitError(
            f"All {len(dataset):,} images have the same target, {dataset.cells[0]!r}: there is nothing to tell apart.",
            remedy="Add images of something else.",
        )


def _check_result(dataset: Dataset) -> None:
    counts = {name: len(dataset.rows(name)) for name in SPLITS}
    if empty := [name for name, count in counts.items() if not count]:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise SplitError(
            f"The {len(dataset):,} images cannot be divided: nothing is left for {' and '.join(empty)} ({told}).",
            remedy="Each class should have three different images or more: one each to train, validate and test.",
        )


def _joined(dataset: Dataset) -> np.ndarray:
    """(N,) the splits that the source names. Images in none are where the rest of their group is: in test before
    validation before train, and in train where no other is."""
    theirs: dict[int, str] = {}
    for name in SPLITS:
        theirs.update(dict.fromkeys(dataset.groups[dataset.splits == name].tolist(), name))
    groups = dataset.groups.tolist()
    named = [split or theirs.get(group, "train") for split, group in zip(dataset.splits.tolist(), groups)]
    return np.array(named, dtype=dataset.splits.dtype)


def _strata(dataset: Dataset, pool: np.ndarray) -> dict[int, list[_Group]]:
    """The pool's groups by stratum: that of the first of their files. A group with images of the same pixels and
    different targets counts for none and is left in train."""
    contrary = _contrary(dataset)
    members: dict[int, list[int]] = defaultdict(list)
    for row in pool:
        members[int(dataset.groups[row])].append(int(row))
    strata: dict[int, list[_Group]] = defaultdict(list)
    for number, rows in members.items():
        if number not in contrary:
            first = min(rows, key=dataset.files.__getitem__)
            strata[int(dataset.strata[first])].append(_Group(np.array(rows, dtype=np.int64), dataset.files[first]))
    return dict(sorted(strata.items()))


def _contrary(dataset: Dataset) -> set[int]:
    """Groups with images that contradict each other, as `look` found them."""
    files = {file for finding in dataset.findings if finding.kind == CONTRADICTING for file in finding.files}
    return {int(group) for file, group in zip(dataset.files, dataset.groups) if file in files}


def _carve(
    strata: dict[int, list[_Group]], share: float, salt: str, keep: dict[int, int], spread: set[int]
) -> np.ndarray:
    """Take groups out of the strata; their rows.

    Args:
        keep: groups of each stratum that must be left.
        spread: strata that must give one.
    """
    sizes = np.array([sum(len(group.rows) for group in groups) for groups in strata.values()])
    most = np.maximum(sizes - list(keep.values()), 0)
    least = np.minimum([k in spread for k in strata], most)
    taken: list[np.ndarray] = []
    for (k, groups), quota in zip(strata.items(), _quotas(sizes, share, least, most)):
        groups.sort(key=lambda group: hashlib.sha256(f"{salt} {group.name}".encode()).digest())
        chosen = _take(groups, int(quota), len(groups) - keep[k], k in spread)
        strata[k] = [group for group in groups if group not in chosen]
        taken += [group.rows for group in groups if group in chosen]
    return np.concatenate([np.array([], dtype=np.int64), *taken])


def _quotas(sizes: np.ndarray, share: float, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Images to take from each stratum: `share` of it rounded down, then one more for those with the largest rest until
    the total is right; within `least` and `most`."""
    exact = sizes * share
    quotas = np.clip(np.floor(exact + 1e-9).astype(int), least, most)
    missing = max(1, round(float(sizes.sum() * share))) - int(quotas.sum())
    for k in np.argsort(quotas - exact, kind="stable")[: max(missing, 0)]:
        quotas[k] += quotas[k] < most[k]
    return quotas


def _take(groups: Sequence[_Group], quota: int, allowed: int, must: bool) -> set[_Group]:
    """Groups in their order, each that still fits; then the smallest of the others, if that comes closer.

    Args:
        allowed: groups that may be taken at most.
        must: take one even if none fits.
    """
    chosen: set[_Group] = set()
    for group in groups:
        if len(group.rows) <= quota and len(chosen) < allowed:
            chosen.add(group)
            quota -= len(group.rows)
    others = [group for group in groups if group not in chosen]
    if others and len(chosen) < allowed:
        smallest = min(others, key=lambda group: len(group.rows))
        if len(smallest.rows) - quota < quota or (must and not chosen):
            chosen.add(smallest)
    return chosen
