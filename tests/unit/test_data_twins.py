"""Near-duplicates are found, others are not; what is told of them, and how they hold a division together."""

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from copies import COPIES, jpeg, photo
from foveal.data import divide, look
from foveal.data.alignment import Scale, aligned
from foveal.data.linking import FEW, MOST_SHARE, rows_with_twins, united
from foveal.data.seen import Seen, see
from foveal.data.sketch import SIZE, sketch
from foveal.data.twins import ALIKE, near_duplicates
from foveal.readers import ImageReader
from foveal.tasks import named_task
from foveal.types import Dataset, Finding, SplitName, Twins
from memory import Memory

pytestmark = pytest.mark.usefixtures("empty_cache")
TASK = named_task("classification")


def seen_of(images: list[bytes]) -> list[Seen]:
    return [see(ImageReader(), image)[0] for image in images]


def kinds(dataset: Dataset, kind: str) -> list[Finding]:
    return [finding for finding in dataset.findings if finding.kind == kind]


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(kind: str) -> None:
    originals = [photo(seed) for seed in range(40)]
    seen = seen_of([*(jpeg(image) for image in originals), *(COPIES[kind](image) for image in originals[:10])])
    found = near_duplicates(seen)
    rows = {facts.content: row for row, facts in enumerate(seen)}
    assert {(rows[one], rows[other]) for one, other, *_ in found} == {(row, 40 + row) for row in range(10)}
    assert all(ALIKE <= alike < 1 for *_, alike, _ in found)
    assert {mirrored for *_, mirrored in found} == {kind == "mirrored"}
    assert [alike for *_, alike, _ in found] == sorted((alike for *_, alike, _ in found), reverse=True)


def test_few_images_say_what_they_have() -> None:
    """What photographs have in common is known even where there are only two."""
    pair = seen_of([jpeg(photo(0)), jpeg(photo(0), 40)])
    assert len(near_duplicates(pair)) == 1
    assert near_duplicates(seen_of([jpeg(photo(0)), jpeg(photo(1))])) == []
    assert near_duplicates(pair[:1]) == near_duplicates([]) == []


def test_gray_images_and_16_bits() -> None:
    gray = [photo(seed).convert("L") for seed in range(12)]
    deep = [np.asarray(image, np.uint16)[..., None] * 16 for image in gray[:3]]  # 12 bits of 16
    seen = [see(ImageReader(), jpeg(image))[0] for image in gray] + [see(ImageReader(), image)[0] for image in deep]
    rows = {facts.content: row for row, facts in enumerate(seen)}
    found = {(rows[one], rows[other]) for one, other, *_ in near_duplicates(seen)}
    assert found == {(0, 12), (1, 13), (2, 14)}


def test_a_sketch_is_the_cosine_transform() -> None:
    rows, columns = np.mgrid[:32, :32]
    wave = 100 + 50 * np.cos(np.pi * 3 * (rows + 0.5) / 32) * np.cos(np.pi * 2 * (columns + 0.5) / 32)
    found = np.frombuffer(sketch(wave.round().astype(np.uint8)[..., None]), "<f2")
    assert found.shape == (SIZE,)
    assert np.argmax(np.abs(found)) == 3 * 16 + 2
    assert found[3 * 16 + 2] == pytest.approx(1500 * 800 / np.hypot(800, 300), rel=0.01)
    assert not found[256:].any(), "gray has no color"
    assert sketch(np.zeros((15, 99, 3), np.uint8)) == b""


def test_mirrored_frequencies_change_their_sign() -> None:
    image = np.asarray(photo(3))
    one, other = (np.frombuffer(sketch(np.ascontiguousarray(a)), "<f2") for a in (image, image[:, ::-1]))
    pair = one.astype(np.float32)[None], other.astype(np.float32)[None]
    scale = Scale.of(np.stack([one, other]))
    turned, _ = aligned(*pair, np.array([True]), scale)
    straight, _ = aligned(*pair, np.array([False]), scale)
    assert turned[0] == pytest.approx(1, abs=1e-3)
    assert straight[0] < 0.6


def images(splits: bool) -> dict[str, tuple[str, SplitName | None, bytes]]:
    """Thirty photographs of two labels; of the first two cats a copy, the second of which is called a dog."""
    found: dict[str, tuple[str, SplitName | None, bytes]] = {}
    for seed in range(30):
        cell, split = ("cat", "dog")[seed % 2], ("train", "train", "test")[seed % 3] if splits else None
        found[f"{cell}/{seed:02}.jpg"] = (cell, split, jpeg(photo(seed)))
    found["cat/copy.jpg"] = ("cat", "test" if splits else None, COPIES["cropped"](photo(0)))
    found["dog/turned.jpg"] = ("dog", "train" if splits else None, COPIES["mirrored"](photo(4)))
    return found


def test_near_duplicates_are_told_and_stay_together() -> None:
    dataset = look(Memory(images(splits=False)), TASK)
    (one, other) = kinds(dataset, "near-duplicate")
    assert {one.files, other.files} == {("cat/00.jpg", "cat/copy.jpg"), ("cat/04.jpg", "dog/turned.jpg")}
    (contrary,) = kinds(dataset, "contradicting-twins")
    assert contrary.files == ("cat/04.jpg", "dog/turned.jpg")
    assert contrary.message.endswith("mirrored) with different labels: cat and dog")
    row = dataset.files.index
    assert dataset.groups[row("cat/00.jpg")] == dataset.groups[row("cat/copy.jpg")]
    assert len(set(dataset.groups.tolist())) == len(dataset) - 2
    for seed in range(5):
        divided = divide(dataset, validation=0.2, test=0.3, seed=seed)
        assert divided.splits[row("cat/00.jpg")] == divided.splits[row("cat/copy.jpg")]
        assert divided.splits[row("cat/04.jpg")] == divided.splits[row("dog/turned.jpg")]


def test_twins_in_given_splits_are_leaks() -> None:
    there = images(splits=True)
    there["test/exact.jpg"] = ("cat", "test", there["cat/06.jpg"][2])
    dataset = look(Memory(there), TASK)
    exact, near = kinds(dataset, "leak")
    assert exact.files == ("cat/06.jpg", "test/exact.jpg")
    assert exact.message == "the same pixels in train and test"
    assert near.files == ("cat/00.jpg", "cat/copy.jpg")
    assert near.message.endswith(" in train and test")
    assert [finding.files for finding in kinds(dataset, "near-duplicate")] == [("cat/04.jpg", "dog/turned.jpg")]
    assert not kinds(dataset, "exact-duplicate")


def test_many_pairs_become_one_finding() -> None:
    there: dict[str, tuple[str, SplitName | None, bytes]] = {}
    for seed in range(25):
        there[f"a/{seed}.jpg"] = ("ab"[seed % 2], None, jpeg(photo(seed)))
        there[f"b/{seed}.jpg"] = ("ab"[seed % 2], None, jpeg(photo(seed), 40))
    (found,) = kinds(look(Memory(there), TASK), "near-duplicate")
    assert found.message.startswith("25 pairs of near-duplicates (alike to 0.9")
    pairs = list(zip(found.files[::2], found.files[1::2]))
    assert {(one[2:], other[2:]) for one, other in pairs} == {(f"{seed}.jpg",) * 2 for seed in range(25)}


def test_a_second_look_compares_nothing_again() -> None:
    source = Memory(images(splits=True))
    first, reads = look(source, TASK), len(source.reads)
    again = look(source, TASK)
    assert len(source.reads) == reads
    assert (again.twins.pairs == first.twins.pairs).all()
    assert (again.twins.alike == first.twins.alike).all()
    assert (again.twins.mirrored == first.twins.mirrored).all()
    assert again.twins.pairs.shape == (2, 2)
    assert again.groups.tolist() == first.groups.tolist()


def pairs_of(count: int, links: list[tuple[int, int, float]]) -> Twins:
    return Twins(
        np.array([link[:2] for link in links], np.int64).reshape(-1, 2),
        np.array([link[2] for link in links], np.float32),
        np.zeros(len(links), bool),
    )


def test_a_chain_is_cut_where_it_is_weakest() -> None:
    count = 100
    chain = [(k, k + 1, 0.99 - 0.0001 * k) for k in range(60)]
    groups, cut = united(np.arange(count), (), pairs_of(count, chain))
    sizes = np.bincount(groups)
    assert sizes.max() == MOST_SHARE * count
    assert cut.tolist() == [19, 39, 59], "each time the group is full"
    assert groups[0] == groups[19] != groups[20]


def test_what_a_person_named_is_never_cut() -> None:
    names = ["film" if k < 50 else None for k in range(60)]
    groups, cut = united(np.arange(60), (names,), pairs_of(60, [(0, 1, 0.95), (0, 55, 0.95), (58, 59, 0.91)]))
    assert np.bincount(groups).max() == 50
    assert cut.tolist() == [1]
    assert groups[58] == groups[59]


@given(
    st.integers(2, 40).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.lists(
                st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.floats(0.9, 0.99)).filter(
                    lambda link: link[0] < link[1]
                ),
                max_size=40,
            ),
            st.lists(st.sampled_from([None, "a", "b"]), min_size=count, max_size=count),
        )
    )
)
def test_groups(told: tuple[int, list[tuple[int, int, float]], list[str | None]]) -> None:
    count, links, names = told
    twins = pairs_of(count, links)
    groups, cut = united(np.arange(count), (names,), twins)
    for name in ("a", "b"):
        assert len({int(group) for group, own in zip(groups, names) if own == name}) <= 1
    joined = np.delete(twins.pairs, cut, axis=0)
    assert (groups[joined[:, 0]] == groups[joined[:, 1]]).all()
    assert (groups[twins.pairs[cut, 0]] != groups[twins.pairs[cut, 1]]).all()
    named = max([names.count("a"), names.count("b"), 0])
    assert np.bincount(groups).max() <= max(FEW, MOST_SHARE * count, named)


def test_rows_with_twins() -> None:
    twins = Twins(
        np.array([(0, 1), (0, 2), (0, 5), (6, 7)]), np.array([1, 1, 0.95, 0.92], np.float32), np.zeros(4, bool)
    )
    measured = np.array([2, 3, 5, 7])
    assert rows_with_twins(twins, 8, measured, np.array([1, 4])).tolist() == [True, False, True, False]
    assert rows_with_twins(twins, 8, measured, np.array([5, 6])).tolist() == [True, False, True, True]
    assert rows_with_twins(twins, 8, measured, np.array([4])).tolist() == [False] * 4


@pytest.mark.real
def test_copies_of_real_photographs(tmp_path: Path) -> None:
    folder = os.environ.get("FOVEAL_DATA")
    if not folder or not Path(folder, "cats_dogs.zip").is_file():
        pytest.skip("FOVEAL_DATA has no cats_dogs.zip")
    with zipfile.ZipFile(Path(folder, "cats_dogs.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:300]
        originals = [archive.read(name) for name in names]
    copies = [make(Image.open(io.BytesIO(originals[k])).convert("RGB")) for k, make in enumerate(COPIES.values())]
    seen = seen_of([*originals, *copies])
    rows = {facts.content: row for row, facts in enumerate(seen)}
    found = {(rows[one], rows[other]) for one, other, *_ in near_duplicates(seen)}
    planted = {(k, 300 + k) for k in range(len(copies))}
    assert planted <= found
    assert len(found - planted) <= 3, "1 in 100 images"


@pytest.mark.real
def test_listed_pairs_of_cifar10() -> None:
    """The listed pairs among 2,000 other images; benchmarks/twins.py takes all 60,000."""
    folder = os.environ.get("FOVEAL_DATA")
    if not folder or not Path(folder, "cifair10_duplicates.csv").is_file():
        pytest.skip("FOVEAL_DATA has no cifair10_duplicates.csv")
    with Path(folder, "cifair10_duplicates.csv").open() as file:
        pairs = [(row["test_file"], row["train_file"]) for row in csv.DictReader(file) if row["kind"] == "near"]
    with zipfile.ZipFile(Path(folder, "cifar10.zip")) as archive:
        names = [name for pair in pairs for name in pair]
        others = [name for name in sorted(archive.namelist()) if name.endswith("7.webp")][:2000]
        seen = seen_of([archive.read(f"{name}.webp") for name in names] + [archive.read(name) for name in others])
    found = {frozenset(one[:2]) for one in near_duplicates(seen)}
    listed = [frozenset((seen[2 * k].content, seen[2 * k + 1].content)) for k in range(len(pairs))]
    assert sum(pair in found for pair in listed) >= 0.85 * len(pairs)


def test_too_many_images_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("twins", "twin_findings"):
        monkeypatch.setattr(f"foveal.data.{module}.MOST_COMPARED", 20)
    dataset = look(Memory(images(splits=False)), TASK)
    assert [finding.kind for finding in dataset.findings] == ["not-compared"]
    assert len(set(dataset.groups.tolist())) == len(dataset)
