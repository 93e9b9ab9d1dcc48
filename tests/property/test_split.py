"""Whatever the classes and groups: nothing straddles, the counts are right, and only seed and names decide."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foveal.data import divide
from foveal.errors import SplitError
from foveal.types import SPLITS, Dataset, Finding

SHARES = st.floats(0.05, 0.5)
SIZES = st.lists(st.integers(3, 40), min_size=2, max_size=8)


def make(
    targets: np.ndarray, groups: np.ndarray, splits: np.ndarray, files: np.ndarray, contrary: bool = True
) -> Dataset:
    """
    Args:
        contrary: whether different targets in a group contradict each other, as in images of the same pixels.
    """
    mixed = [len(set(targets[groups == group])) > 1 for group in groups] if contrary else []
    found = Finding("contradicting-label", tuple(file for file, odd in zip(files.tolist(), mixed) if odd), "", "")
    source: Any = SimpleNamespace(name="set", spec="set")
    return Dataset(
        source=source,
        task="any",
        files=tuple(files.tolist()),
        cells=tuple(f"class {target}" for target in targets),
        targets=targets,
        strata=targets,
        groups=groups,
        splits=splits,
        labels=tuple(f"class {k}" for k in range(int(targets.max()) + 1)),
        sizes=np.ones((len(targets), 2), np.int64),
        channels=1,
        modes={},
        findings=(found,),
        fingerprint="",
        given=tuple(name for name in SPLITS if name in splits),
    )


@st.composite
def datasets(draw: st.DrawFn, grouped: bool) -> Dataset:
    targets = np.repeat(np.arange(len(sizes := draw(SIZES))), sizes)
    n = len(targets)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    groups = rng.integers(0, n, n) if grouped else rng.permutation(n)
    files = np.array([f"{k:04}.png" for k in rng.permutation(n)])
    return make(targets, groups, np.full(n, "", dtype="<U10"), files)


@settings(deadline=None)
@given(datasets(grouped=False), SHARES, SHARES, st.integers(0, 2**62))
def test_sizes_are_right_to_one(dataset: Dataset, validation: float, test: float, seed: int) -> None:
    divided = divide(dataset, validation=validation, test=test, seed=seed)
    per_class = {
        name: np.bincount(divided.targets[divided.rows(name)], minlength=len(dataset.labels)) for name in SPLITS
    }
    totals = np.bincount(dataset.targets)
    rest = totals - per_class["test"]
    # Every class is in every split; in tiny ones that caps the larger shares.
    assert all((column >= 1).all() for column in per_class.values())
    assert (np.abs(per_class["test"] - np.clip(totals * test, 1, totals - 2)) <= 1).all()
    assert (np.abs(per_class["validation"] - np.clip(rest * validation, 1, rest - 1)) <= 1).all()
    assert sum(map(sum, per_class.values())) == len(dataset)
    wanted = max(1, round(len(dataset) * test))
    if (totals * test >= 1).all() and (totals * test <= totals - 3).all():
        assert per_class["test"].sum() == wanted


@settings(deadline=None)
@given(datasets(grouped=True), SHARES, SHARES, st.integers(0, 2**62))
def test_no_group_straddles(dataset: Dataset, validation: float, test: float, seed: int) -> None:
    try:
        divided = divide(dataset, validation=validation, test=test, seed=seed)
    except SplitError:
        assume(False)
        raise
    for group in np.unique(dataset.groups):
        assert len(set(divided.splits[dataset.groups == group])) == 1
    assert set(divided.splits) == set(SPLITS)
    for k in range(len(dataset.labels)):
        mine = dataset.targets == k
        pure = [g for g in set(dataset.groups[mine].tolist()) if (dataset.targets[dataset.groups == g] == k).all()]
        here = {name: ((divided.splits == name) & mine).sum() for name in SPLITS}
        assert here["train"] >= 1
        if len(pure) >= 3:
            assert min(here.values()) >= 1
            largest = max(int((dataset.groups == g).sum()) for g in pure)
            in_pure = int(np.isin(dataset.groups, pure).sum())
            assert abs(int(here["test"]) - np.clip(in_pure * test, 1, in_pure - 2)) <= largest + 1


@settings(deadline=None)
@given(datasets(grouped=True), st.integers(0, 2**62), st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(dataset: Dataset, seed: int, shuffle: int) -> None:
    order = np.random.default_rng(shuffle).permutation(len(dataset))
    renumbered = np.random.default_rng(shuffle + 1).permutation(len(dataset))[dataset.groups]
    files = np.array(dataset.files)
    shuffled = make(dataset.targets[order], renumbered[order], dataset.splits[order], files[order])
    try:
        one = divide(dataset, validation=0.2, test=0.2, seed=seed)
    except SplitError:
        assume(False)
        raise
    other = divide(shuffled, validation=0.2, test=0.2, seed=seed)
    assert (one.splits[order] == other.splits).all()
    assert (divide(dataset, validation=0.2, test=0.2, seed=seed).splits == one.splits).all()


@settings(deadline=None)
@given(datasets(grouped=True), SHARES, st.integers(0, 2**62), st.data())
def test_what_the_source_divided_stays(dataset: Dataset, share: float, seed: int, data: st.DataObject) -> None:
    """Even where the source put one group into several splits; what is carved from train keeps groups whole there."""
    splits = np.array(
        data.draw(st.lists(st.sampled_from(["train", "train", "test"]), min_size=len(dataset), max_size=len(dataset)))
    )
    assume((splits == "test").any())
    source = make(dataset.targets, dataset.groups, splits.astype("<U10"), np.array(dataset.files))
    try:
        divided = divide(source, validation=share, test=None, seed=seed)
    except SplitError:
        assume(False)
        raise
    assert (divided.splits[splits == "test"] == "test").all()
    pool = splits == "train"
    for group in np.unique(dataset.groups[pool]):
        assert len(set(divided.splits[pool & (dataset.groups == group)])) == 1


@settings(deadline=None)
@given(datasets(grouped=True), SHARES, SHARES, st.integers(0, 2**62))
def test_no_named_group_straddles(dataset: Dataset, validation: float, test: float, seed: int) -> None:
    """Images of one patient may have different targets: none of them is left in train for that."""
    files = np.array(dataset.files)
    named = make(dataset.targets, dataset.groups, dataset.splits, files, contrary=False)
    try:
        divided = divide(named, validation=validation, test=test, seed=seed)
    except SplitError:
        assume(False)
        raise
    strata: dict[int, list[int]] = {}
    for group in np.unique(dataset.groups):
        rows = np.flatnonzero(dataset.groups == group)
        assert len(set(divided.splits[rows])) == 1
        strata.setdefault(int(dataset.targets[min(rows, key=lambda row: files[row])]), []).append(int(group))
    for groups in strata.values():
        splits = {str(divided.splits[dataset.groups == group][0]) for group in groups}
        assert "train" in splits
        assert len(groups) < 3 or splits == set(SPLITS)
