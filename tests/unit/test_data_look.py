"""What `look` says of images: counts, findings, groups, and that a second look decodes nothing."""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.answers import Label
from foveal.data import look, scan, summary
from foveal.data.far import OUTLIER
from foveal.data.findings import CONTRADICTING, LEAK, NOTES
from foveal.data.seen import see
from foveal.data.sources.assemble import FAULTS
from foveal.data.sources.box_faults import BOX_FAULTS
from foveal.data.sources.layout import TEXTS
from foveal.data.twin_findings import CONTRARY, CUT, NEAR
from foveal.errors import SourceError, UnreadableImage
from foveal.measure.shortcuts import SHORTCUT
from foveal.measure.suspects import SUSPECT
from foveal.measure.value_suspects import VALUE_SUSPECT
from foveal.readers import ImageReader
from foveal.task import Task
from foveal.tasks import named_task
from foveal.types import Dataset, Facts, Finding, SplitName
from memory import Memory

pytestmark = pytest.mark.usefixtures("empty_cache")
TASK = named_task("classification")
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(40)]


def memory(
    images: dict[str, tuple[str, SplitName | None, bytes | np.ndarray]] | dict[str, bytes | np.ndarray],
) -> Memory:
    full = {
        file: value if isinstance(value, tuple) else (file.split("/")[0], None, value) for file, value in images.items()
    }
    return Memory(full)


def simple(**more: bytes | np.ndarray) -> Memory:
    images: dict[str, bytes | np.ndarray] = {f"{'ab'[k % 2]}/{k:02}": IMAGES[k] for k in range(8)}
    return memory({**images, **{key.replace("__", "/"): value for key, value in more.items()}})


def encoded(pixels: np.ndarray, kind: str, **options: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def of_kind(dataset: Dataset, kind: str) -> list[Finding]:
    return [finding for finding in dataset.findings if finding.kind == kind]


def test_columns() -> None:
    gray = IMAGES[0][..., 0]
    source = memory(
        {"b/10": IMAGES[1], "a/2": encoded(gray, "PNG"), "10/x": IMAGES[2][:3], "9/x": gray.astype(np.uint16) * 257}
    )
    dataset = look(source, TASK)
    assert dataset.files == ("10/x", "9/x", "a/2", "b/10")
    assert dataset.labels == ("9", "10", "a", "b")
    assert dataset.targets.tolist() == [1, 0, 2, 3]
    assert dataset.targets.dtype == np.int64
    assert dataset.sizes.tolist() == [[3, 5], [6, 5], [6, 5], [6, 5]]
    assert dataset.modes == {"RGB": 2, "I;16": 1, "L": 1}
    assert dataset.channels == 3
    assert dataset.splits.tolist() == [""] * 4
    assert dataset.given == ()
    assert dataset.groups.tolist() == [0, 1, 2, 3]
    assert look(memory({"a/1": gray, "b/1": gray}), replace(TASK, reader=ImageReader(50))).channels == 1


def test_unreadable_files_are_grouped_by_kind_of_reason() -> None:
    bad = {f"a__bad{k}": bytes([65 + k]) * 20 for k in range(5)}
    dataset = look(simple(**bad, b__zero=b"", b__cut=encoded(IMAGES[0], "JPEG")[:200]), TASK)
    found = of_kind(dataset, "unreadable")
    assert [finding.files for finding in found] == [tuple(f"a/bad{k}" for k in range(5)), ("b/cut",), ("b/zero",)]
    assert found[0].message.startswith('not an image: it starts with the text "AAAAAAAAAAAAAAAAAAAA"; it starts with')
    assert found[2].message == "empty: the file has 0 bytes"
    assert len(dataset) == 8


def test_exact_duplicates_are_found_however_they_are_stored() -> None:
    pixels = IMAGES[9]
    turned = Image.Exif()
    turned[0x0112] = 3
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[::-1, ::-1])).save(buffer, "PNG", exif=turned)
    source = simple(
        a__png=encoded(pixels, "PNG"),
        a__webp=encoded(pixels, "WEBP", lossless=True),
        a__raw=pixels,
        a__turned=buffer.getvalue(),
        a__reshaped=pixels.reshape(5, 6, 3),
    )
    dataset = look(source, TASK)
    (found,) = of_kind(dataset, "exact-duplicate")
    assert found.files == ("a/png", "a/raw", "a/turned", "a/webp")
    rows = [dataset.files.index(file) for file in found.files]
    assert len(set(dataset.groups[rows])) == 1
    assert len(set(dataset.groups)) == 10
    assert not of_kind(dataset, "contradicting-label")


def test_duplicates_across_splits_and_labels() -> None:
    images: dict[str, tuple[str, SplitName | None, bytes | np.ndarray]] = {
        f"{split}/{cell}/{k}": (cell, split, IMAGES[k + 10 * i + 4 * j])
        for i, split in enumerate(("train", "test"))
        for j, cell in enumerate("ab")
        for k in range(4)
    }
    images["train/a/twin"] = ("a", "train", IMAGES[30])
    images["test/a/twin"] = ("a", "test", IMAGES[30])
    images["train/b/odd"] = ("b", "train", IMAGES[31])
    images["train/a/odd"] = ("a", "train", IMAGES[31])
    dataset = look(memory(images), TASK)
    assert dataset.given == ("train", "test")
    (across,), (within,) = (of_kind(dataset, kind) for kind in ("leak", "exact-duplicate"))
    assert (across.files, across.message) == (("test/a/twin", "train/a/twin"), "the same pixels in train and test")
    assert within.files == ("train/a/odd", "train/b/odd")
    (contrary,) = of_kind(dataset, "contradicting-label")
    assert contrary.files == within.files
    assert contrary.message.endswith("a, b")


def test_many_duplicates_become_one_finding() -> None:
    images = {f"a/{k:02}{copy}": IMAGES[k] for k in range(30) for copy in "xy"}
    images |= {f"b/{k}": IMAGES[30 + k] for k in range(5)}
    (found,) = of_kind(look(memory(images), TASK), "exact-duplicate")
    assert len(found.files) == 60
    assert found.files[:2] == ("a/00x", "a/00y")
    assert found.message.startswith("30 groups of files")


def test_notes_of_the_reader_become_findings() -> None:
    frames = [Image.fromarray(image) for image in IMAGES[10:12]]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    dataset = look(simple(a__moving=buffer.getvalue(), b__dim=IMAGES[12].astype(np.uint16)), TASK)
    assert of_kind(dataset, "animated")[0].files == ("a/moving",)
    assert of_kind(dataset, "narrow-range")[0].files == ("b/dim",)


def test_labels_with_too_little() -> None:
    dataset = look(simple(c__1=IMAGES[20], c__2=IMAGES[21], d__1=b"no image"), TASK)
    (tiny,) = of_kind(dataset, "tiny-class")
    assert tiny.files == ("c/1", "c/2")
    assert "in: c" in tiny.message
    (empty,) = of_kind(dataset, "empty-class")
    assert "in: d" in empty.message
    assert dataset.labels == ("a", "b", "c")
    (one,) = of_kind(look(Memory(memory({f"a/{k}": IMAGES[k] for k in range(4)}).images, "one"), TASK), "one-class")
    assert one.message == "all images are of one class: a"


def test_a_class_that_train_lacks() -> None:
    images: dict[str, tuple[str, SplitName | None, bytes | np.ndarray]] = {
        f"{k}": ("Cat" if k == 5 else "cat", "test" if k > 2 else "train", IMAGES[k]) for k in range(6)
    }
    assert of_kind(look(memory(images), TASK), "not-in-train")[0].files == ("5",)


def test_nothing_usable_says_what_was_found() -> None:
    with pytest.raises(SourceError, match="2 files in class folders, none of which can be read") as caught:
        look(memory({"a/1": b"text here", "b/2": b""}), TASK)
    assert 'it starts with the text "text here": a/1' in caught.value.message
    stray = Memory({}, "empty", findings=(Finding("no-class", ("x.png",), "files outside of class folders", ""),))
    with pytest.raises(SourceError, match="no file in a class folder") as caught:
        look(stray, TASK)
    assert "files outside of class folders: x.png" in caught.value.message
    assert "CLASS/IMAGE" in caught.value.remedy


def test_fingerprint_is_of_content_and_labels_not_of_names() -> None:
    images = {f"{'ab'[k % 2]}/{k}": IMAGES[k] for k in range(6)}
    base = look(memory(images), TASK).fingerprint
    renamed = {f"{file[0]}/zz{9 - int(file[2:])}": encoded(pixels, "PNG") for file, pixels in images.items()}
    assert look(Memory(memory(renamed).images, "renamed"), TASK).fingerprint == base
    moved = {("a/1" if file == "b/1" else file): pixels for file, pixels in images.items()}
    changed = {**images, "a/0": images["a/0"] ^ 1}
    divided = {file: (file[0], "test", pixels) for file, pixels in images.items()}
    for k, other in enumerate((moved, changed, {**images, "a/9": IMAGES[9]}, divided)):
        assert look(Memory(memory(other).images, str(k)), TASK).fingerprint != base


def test_a_second_look_decodes_nothing(empty_cache: Path) -> None:
    source = simple(a__bad=b"no image", b__dim=IMAGES[12].astype(np.uint16))
    first = look(source, TASK)
    assert sorted(source.reads) == sorted(source.images)
    second = look(source, TASK)
    assert sorted(source.reads) == sorted(source.images)
    assert second.fingerprint == first.fingerprint
    assert second.findings == first.findings
    assert (second.sizes == first.sizes).all()
    assert second.modes == first.modes
    look(replace(source, signature="changed"), TASK)
    assert len(source.reads) == 2 * len(source.images)
    look(source, replace(TASK, reader=ImageReader(megapixels=1)))
    assert len(source.reads) == 3 * len(source.images)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "other columns", "pickle"])
def test_a_damaged_memory_is_made_again(empty_cache: Path, damage: str) -> None:
    source = simple()
    first = look(source, TASK)
    (memo,) = (empty_cache / "looks").glob("*.npz")
    (seen,) = (empty_cache / "looks").glob("*.z")
    whole = memo.read_bytes()
    if damage == "other columns":
        np.savez(memo, files=np.zeros(3, np.uint8))
    elif damage == "pickle":
        np.savez(memo, told=np.array([{}], dtype=object), allow_pickle=True)
    else:
        middle = whole.index(b'"labels"')
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        memo.write_bytes({"empty": b"", "text": b"{}", "cut": whole[:-100], "flipped": flipped}[damage])
    source.reads.clear()
    assert look(source, TASK).fingerprint == first.fingerprint
    assert source.reads == [], "what was seen of each file is remembered on its own"
    memo.write_bytes(b"")
    seen.write_bytes(seen.read_bytes()[:-9])
    again = look(source, TASK)
    assert len(source.reads) == 8
    assert again.fingerprint == first.fingerprint
    source.reads.clear()
    look(source, TASK)
    assert source.reads == []


def test_everything_is_remembered() -> None:
    images: dict[str, tuple[str, SplitName | None, bytes | np.ndarray]] = {
        f"{split}/{cell}/{k}\n": (cell, split, IMAGES[k % 7 + 7 * (cell == "b")])
        for k, split in enumerate(("train", "validation", "test", "train"))
        for cell in "ab"
    }
    images["train/b/bad"] = ("b", "train", b"no image")
    first, second = (look(memory(images), TASK) for _ in range(2))
    for name in ("task", "files", "cells", "labels", "channels", "modes", "findings", "fingerprint", "given"):
        assert getattr(first, name) == getattr(second, name), name
    for name in ("targets", "strata", "groups", "splits", "sizes"):
        one, other = getattr(first, name), getattr(second, name)
        assert np.array_equal(one, other), name
        assert one.dtype == other.dtype, name


def test_what_is_remembered_belongs_to_a_task() -> None:
    class Backwards(Label):
        def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
            return super().labels(cells)[::-1]

    assert look(simple(), TASK).labels == ("a", "b")
    assert look(simple(), replace(TASK, answer=Backwards())).labels == ("b", "a")


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "file"))
    assert len(look(simple(), TASK)) == 8


def test_progress_counts_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "CHUNK", 3)
    told: list[tuple[str, int, int]] = []
    look(simple(), TASK, progress=lambda *step: told.append(step))
    assert told == [("decoding", 3, 8), ("decoding", 6, 8), ("decoding", 8, 8)]


def test_any_reader_that_keeps_the_contract_will_do() -> None:
    class Halves:
        def inspect(self, source: bytes | np.ndarray) -> tuple[np.ndarray, Facts]:
            assert isinstance(source, np.ndarray)
            if source.shape[1] == 4:
                raise UnreadableImage("four: never")
            return source[:3], Facts(source.shape[1], 3, "half", 1, "test", ())

    task: Task = replace(TASK, reader=Halves(), answer=Label())  # type: ignore[arg-type]
    dataset = look(simple(a__four=np.zeros((9, 4, 3), np.uint8)), task)
    assert dataset.modes == {"half": 8}
    assert dataset.sizes[0].tolist() == [3, 5]
    assert of_kind(dataset, "unreadable")[0].message == "four: never"


def test_folder_to_dataset(image_folder: Callable[..., Path]) -> None:
    dataset = look(image_folder({"dark": 5, "light": 4}), TASK)
    assert len(dataset) == 9
    assert dataset[0].file == "dark/dark-000.png"
    assert dataset[8].target == 1
    assert look(dataset.source.spec, TASK).fingerprint == dataset.fingerprint


def grouped(rows: Sequence[tuple[int, str | None]], signature: str = "grouped") -> Memory:
    """Of (which of `IMAGES`, name of the group), in that order."""
    images = {f"{'ab'[k % 2]}/{k:02}": IMAGES[image] for k, (image, _) in enumerate(rows)}
    source = replace(memory(images), signature=signature)
    groups = {f"{'ab'[k % 2]}/{k:02}": group for k, (_, group) in enumerate(rows)}
    return replace(source, listed=[replace(entry, group=groups[entry.file]) for entry in source.entries()])


def test_groups_unite_pixels_and_names() -> None:
    rows = [(0, "x"), (1, "y"), (0, "y"), (3, None), (3, "z"), (5, None), (6, "z"), (7, None)]
    dataset = look(grouped(rows), TASK)
    by_file = dict(zip(dataset.files, dataset.groups.tolist()))
    number = [by_file[f"{'ab'[k % 2]}/{k:02}"] for k in range(8)]
    assert number[0] == number[1] == number[2]
    assert number[3] == number[4] == number[6]
    assert len(set(number)) == 4
    assert list(dict.fromkeys(dataset.groups.tolist())) == [0, 1, 2, 3], "numbered as they appear"
    twins = {finding.files for finding in of_kind(dataset, "exact-duplicate")}
    assert twins == {("a/00", "a/02"), ("a/04", "b/03")}, "a name alone makes no duplicate"


def test_fingerprint_is_of_groups_where_there_are_any() -> None:
    rows: list[tuple[int, str | None]] = [(k, None) for k in range(6)]
    without = look(grouped(rows), TASK).fingerprint
    contents = [see(TASK.reader, IMAGES[k])[0].content for k in range(6)]
    lines = sorted(f"{'ab'[k % 2]}\0\0{content}\n" for k, content in enumerate(contents))
    assert without == hashlib.sha256("".join(lines).encode()).hexdigest(), "as it was before there were groups"
    named = [look(grouped([(k, f"{name}{k}") for k in range(6)], name), TASK).fingerprint for name in "pq"]
    assert len({without, *named}) == 3


def test_summary_has_what_the_answer_tells() -> None:
    told = summary(look(simple(), TASK), TASK)
    assert list(told)[:4] == ["source", "images", "labels", "splits"]
    assert told["labels"] == {"a": 4, "b": 4}
    numbers = replace(memory({f"1.5/{k}": IMAGES[k] for k in range(3)}), columns=("age",), signature="n")
    task = named_task("regression")
    told = summary(look(numbers, task), task)
    assert told["labels"] == {}
    assert told["values"]["age"]["mean"] == 1.5


def test_the_reference_page_knows_every_kind() -> None:
    root = Path(__file__).parents[2]
    sources = [path.read_text() for path in (root / "src/foveal/data").rglob("*.py")]
    made = {kind for text in sources for kind in re.findall(r'Finding\(\s*"([a-z-]+)"', text)}
    made |= {kind for text in sources for kind in re.findall(r'_grouped\(\s*"([a-z-]+)"', text)}
    made |= {*NOTES, *TEXTS, CONTRADICTING, LEAK, NEAR, CONTRARY, CUT, OUTLIER, SUSPECT, VALUE_SUSPECT, SHORTCUT}
    made |= {kind for kind, _, _ in (*FAULTS.values(), *BOX_FAULTS.values())}
    page = (root / "docs/reference/sources.md").read_text()
    assert made == set(
        re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|$", page.partition("## Findings")[2].partition("## ")[0], re.M)
    )
    assert len(made) == 49
