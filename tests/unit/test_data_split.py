"""Dividing by hand-checked numbers, refusing the impossible, and writing a division down."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foveal.data import divide, read_split, split, write_split
from foveal.errors import RunError, SplitError
from foveal.types import SPLITS, Dataset, Finding


def dataset(
    targets: Sequence[Any],
    *,
    groups: Sequence[int] | None = None,
    splits: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    contrary: Sequence[int] = (),
) -> Dataset:
    n = len(targets)
    names = tuple(f"class {k}" for k in range(max(targets) + 1)) if labels is None else tuple(labels)
    column = np.array(splits if splits is not None else [""] * n, dtype="<U10")
    paths = tuple(files) if files is not None else tuple(f"{k:05}.png" for k in range(n))
    found = Finding("contradicting-label", tuple(paths[row] for row in contrary), "", "")
    return Dataset(
        source=SimpleNamespace(name="set", spec="somewhere/set"),  # type: ignore[arg-type]
        task="any",
        files=paths,
        cells=tuple(names[target] if names else str(target) for target in targets),
        targets=np.array(targets),
        strata=np.array(targets) if names else np.zeros(n, np.int64),
        groups=np.arange(n) if groups is None else np.array(groups),
        splits=column,
        labels=names,
        sizes=np.ones((n, 2), np.int64),
        channels=3,
        modes={"RGB": n},
        findings=(found,) if contrary else (),
        fingerprint="",
        given=tuple(name for name in SPLITS if name in column),
    )


def counts(divided: Dataset) -> dict[str, list[int]]:
    classes = len(divided.labels) or 1
    return {name: np.bincount(divided.targets[divided.rows(name)], minlength=classes).tolist() for name in SPLITS}


def test_a_fifth_of_cifar_is_a_thousand_of_each_class() -> None:
    targets = np.repeat(np.arange(10), 6000)
    given = np.where(np.arange(60_000) % 6 == 0, "test", "train")
    divided = divide(dataset(targets.tolist(), splits=given.tolist()), validation=0.2, test=None, seed=0)
    assert counts(divided) == {"train": [4000] * 10, "validation": [1000] * 10, "test": [1000] * 10}
    assert (divided.splits[given == "test"] == "test").all()


def test_seventy_fifteen_fifteen() -> None:
    divided = divide(dataset([0] * 100 + [1] * 60 + [2] * 40), validation=0.15 / 0.85, test=0.15, seed=0)
    assert counts(divided) == {"train": [70, 42, 28], "validation": [15, 9, 6], "test": [15, 9, 6]}


def test_largest_remainder_makes_the_total_right() -> None:
    divided = divide(dataset([0] * 13 + [1] * 13 + [2] * 14), validation=0.2, test=0.25, seed=0)
    assert counts(divided)["test"] in ([3, 3, 4], [3, 4, 3], [4, 3, 3])
    assert len(divided.rows("test")) == 10
    assert len(divided.rows("validation")) == 6


@pytest.mark.parametrize("size", [3, 4, 5])
def test_every_class_of_three_is_in_all_splits(size: int) -> None:
    divided = divide(dataset([k for k in range(7) for _ in range(size)]), validation=0.1, test=0.1, seed=3)
    assert all(min(column) >= 1 for column in counts(divided).values())


def test_smaller_classes_keep_their_image_in_train() -> None:
    divided = divide(dataset([0] * 20 + [1] * 2 + [2]), validation=0.3, test=0.3, seed=0)
    assert min(counts(divided)["train"]) >= 1
    assert counts(divided)["train"][2] == 1


def test_duplicates_stay_together_and_count_as_one_choice() -> None:
    groups = [0] * 8 + list(range(1, 13))
    divided = divide(
        dataset([0] * 20 + [1] * 20, groups=groups + list(range(100, 120))), validation=0.25, test=0.2, seed=5
    )
    assert len(set(divided.splits[:8])) == 1
    assert counts(divided) == {"train": [12, 12], "validation": [4, 4], "test": [4, 4]}


def test_a_class_of_pairs_still_reaches_every_split() -> None:
    divided = divide(
        dataset([0] * 6 + [1] * 6, groups=[0, 0, 1, 1, 2, 2, *range(10, 16)]), validation=0.1, test=0.1, seed=0
    )
    assert counts(divided)["test"][0] == counts(divided)["validation"][0] == counts(divided)["train"][0] == 2


def test_contradicting_duplicates_are_left_in_train() -> None:
    targets, groups = [0] * 30 + [1] * 30, [*range(30), *range(10), *range(30, 50)]
    for seed in range(5):
        twins = dataset(targets, groups=groups, contrary=[*range(10), *range(30, 40)])
        divided = divide(twins, validation=0.3, test=0.3, seed=seed)
        contrary = np.isin(divided.groups, range(10))
        assert (divided.splits[contrary] == "train").all()


def test_given_splits_are_never_touched() -> None:
    splits = ["train"] * 40 + ["validation"] * 4 + ["test"] * 6
    given = dataset([k % 2 for k in range(50)], splits=splits, groups=[*range(49), 0])
    divided = divide(given, validation=None, test=None, seed=0)
    assert divided.splits.tolist() == splits
    carved = divide(
        dataset([k % 2 for k in range(50)], splits=splits[:44] + ["train"] * 6), validation=None, test=0.5, seed=0
    )
    assert (carved.splits[40:44] == "validation").all()
    assert len(carved.rows("test")) == 23


def test_without_labels_all_images_are_one_stratum() -> None:
    divided = divide(dataset([0.5 * k for k in range(100)], labels=()), validation=0.25, test=0.2, seed=0)
    assert [len(divided.rows(name)) for name in SPLITS] == [60, 20, 20]


def test_seed_and_names_decide() -> None:
    base = dataset([k % 3 for k in range(90)])
    one, same, other = (divide(base, validation=0.2, test=0.2, seed=seed).splits for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    assert divide(base, validation=0.2, test=0.2, seed=0).targets is base.targets


def test_one_more_image_moves_few_others() -> None:
    files = [f"{k:04}.png" for k in range(1000)]
    before = divide(dataset([k % 2 for k in range(1000)], files=files), validation=0.2, test=0.2, seed=0)
    after = divide(
        dataset([k % 2 for k in range(1000)] + [0], files=[*files, "new.png"]), validation=0.2, test=0.2, seed=0
    )
    assert (before.splits != after.splits[:1000]).sum() <= 3


@pytest.mark.parametrize(
    ("splits", "shares", "words"),
    [
        (None, (None, 0.2), "has no validation split of its own"),
        (None, (0.2, None), "has no test split of its own"),
        (["test"] * 5 + ["train"] * 15, (0.2, 0.2), "brings its own test split, and a share of 0.2"),
        (["validation"] * 5 + ["train"] * 15, (0.2, 0.2), "brings its own validation split"),
        (["test"] * 20, (0.2, None), "nothing is left for train and validation"),
    ],
)
def test_shares_must_match_the_source(
    splits: list[str] | None, shares: tuple[float | None, float | None], words: str
) -> None:
    with pytest.raises(SplitError, match=words) as caught:
        divide(dataset([k % 2 for k in range(20)], splits=splits), validation=shares[0], test=shares[1], seed=0)
    assert caught.value.remedy


def test_too_little_to_divide() -> None:
    with pytest.raises(SplitError, match=r"All 5 images have the same target, 'class 0'"):
        divide(dataset([0] * 5), validation=0.2, test=0.2, seed=0)
    with pytest.raises(
        SplitError, match=r"The 2 images cannot be divided: nothing is left for validation and test"
    ) as caught:
        divide(dataset([0, 1]), validation=0.2, test=0.2, seed=0)
    assert "three different images" in caught.value.remedy
    with pytest.raises(SplitError, match="the same target"):
        divide(dataset([0]), validation=0.2, test=0.2, seed=0)


def test_a_division_is_written_and_read_back(tmp_path: Path) -> None:
    files = [
        "a,b.png",
        'say "cheese".png',
        "two\nlines.png",
        "cr\r.png",
        "crlf\r\n.png",
        "жук.png",
        " space .png",
        "=1+1.png",
    ]
    base = dataset([0, 1] * 4, files=files, labels=["cat, small", "dog\n"])
    divided = base.with_splits(np.array(["train", "validation", "test", "train"] * 2, dtype="<U10"))
    path = tmp_path / "split.csv"
    write_split(divided, path)
    assert path.read_bytes().startswith(b'file,target,split\r\n"a,b.png","cat, small",train\r\n')
    assert (read_split(path, base).splits == divided.splits).all()
    order = np.random.default_rng(0).permutation(8)
    shuffled = dataset(base.targets[order].tolist(), files=[files[k] for k in order], labels=base.labels)
    assert (read_split(path, shuffled).splits == divided.splits[order]).all()


def test_changed_images_are_named(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_split(divide(dataset([0, 1] * 10), validation=0.2, test=0.2, seed=0), path)
    files = [f"{k:05}.png" for k in range(1, 21)]
    targets = [1, 0] * 10
    targets[4] = 0
    targets[3] = 1
    with pytest.raises(RunError) as caught:
        read_split(path, dataset(targets, files=files))
    assert "1 missing (00000.png)" in caught.value.message
    assert "1 new (00020.png)" in caught.value.message
    assert "2 with another target (00004.png, 00005.png)" in caught.value.message


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"file,label,split\r\nx,y\r\n", b"a,b,c\r\n", b'file,label,split\r\n00000.png,class 0,"tr'],
)
def test_a_damaged_division(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        read_split(tmp_path / "split.csv", dataset([0, 1] * 3))
    with pytest.raises(RunError, match="missing"):
        read_split(tmp_path / "nothing.csv", dataset([0, 1] * 3))


def test_a_division_of_an_older_version_is_read(tmp_path: Path) -> None:
    base = dataset([0, 1] * 3)
    lines = [f"{file},{cell},{SPLITS[k % 3]}\r\n" for k, (file, cell) in enumerate(zip(base.files, base.cells))]
    (tmp_path / "split.csv").write_text("".join(["file,label,split\r\n", *lines]), newline="")
    assert read_split(tmp_path / "split.csv", base).splits.tolist() == [*SPLITS, *SPLITS]


def test_a_named_group_counts_for_the_stratum_of_its_first_file() -> None:
    targets = [k % 2 for k in range(40)]
    files = [f"{k:05}.png" for k in range(40)]
    files[0], files[1] = files[1], files[0]  # the group's first file is then in the second row, of class 1
    mixed = dataset(targets, groups=[0, 0, *range(2, 40)], files=files)
    strata = split._strata(mixed, np.arange(40))
    assert [len(strata[k]) for k in (0, 1)] == [19, 20]
    assert "00000.png" in {group.name for group in strata[1]}
    pair = dataset([0, 1, *[0] * 8, *[1] * 8], groups=[0, 0, *range(2, 18)], contrary=[])
    names = {divide(pair, validation=0.2, test=0.4, seed=seed).splits[0] for seed in range(20)}
    assert names > {"train"}, "it is not left in train, as a contradiction would be"


def test_images_in_no_split_follow_their_group() -> None:
    splits = ["train", "", "validation", "", "test", "", "", ""] + ["train"] * 12
    groups = [0, 0, 1, 1, 1, 1, 2, 3, *range(4, 16)]
    given = dataset([k % 2 for k in range(20)], splits=splits, groups=groups)
    divided = divide(given, validation=None, test=None, seed=0)
    assert divided.splits[:8].tolist() == ["train", "train", "validation", "test", "test", "test", "train", "train"]
