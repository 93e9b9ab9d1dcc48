"""Sources of boxes: exact coordinates, official splits, and every mistake told with its place."""

import tarfile
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from annotated import HEAD, SIDEWAYS, Files, cells, coco, found, picture, thing, voc
from crafted import chunk, saved
from foveal.answers.boxes import Boxes, parsed_cell
from foveal.data import look, open_source
from foveal.data.sources.layout import Layout
from foveal.errors import FovealError, SourceError, UnreadableImage
from foveal.readers import ImageReader
from foveal.readers.image import size_of
from foveal.tasks import named_task
from foveal.types import Reading

EXAMPLES: dict[str, Files] = {
    "voc": {"Annotations/1.xml": voc(thing("cat", 1, 1, 50, 40)), "JPEGImages/1.png": picture()},
    "coco": {"a.json": coco([[0, 0, 50, 40]], ("cat",)), "1.png": picture()},
    "yolo": {"data.yaml": "train: images\nnames: [cat]", "labels/1.txt": "0 .25 .25 .5 .5", "images/1.png": picture()},
    "table": {"boxes.csv": f"{HEAD}\n1.png,cat,0,0,50,40\n", "1.png": picture()},
}


def write(files: Files, root: Path) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return root


@pytest.mark.parametrize("form", EXAMPLES)
def test_folders_and_archives_say_the_same(form: str, tmp_path: Path) -> None:
    folder = write(EXAMPLES[form], tmp_path / "pets")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, f"wrapper/{file.relative_to(folder)}")
        archive.writestr("__MACOSX/x.json", "{}")
    for suffix in ("tar", "tar.gz"):
        with tarfile.open(tmp_path / f"pets.{suffix}", "w:gz" if "gz" in suffix else "w") as tar:
            tar.add(folder, "pets")
    for path in (folder, tmp_path / "pets.zip", tmp_path / "pets.tar", tmp_path / "pets.tar.gz"):
        source = open_source(path)
        assert source.columns == ("boxes",)
        assert list(cells(source).values()) == [[["cat", 0, 0, 50, 40]]]
        assert {finding.kind for finding in source.findings} <= {"ignored"}
        file = source.entries()[0].file
        assert source.read(file) == picture()


@pytest.mark.parametrize("form", ["voc", "coco", "yolo"])
def test_nothing_can_be_said_of_annotations(form: str) -> None:
    with pytest.raises(SourceError, match="Leave it out"):
        found(EXAMPLES[form], Reading(target=("age",)))


def test_the_task_is_told_by_the_source(tmp_path: Path) -> None:
    folder = write(EXAMPLES["coco"], tmp_path / "pets")
    (folder / "2.png").write_bytes(b"")
    dataset = look(folder, named_task("detection"))
    assert dataset.labels == ("cat",)
    assert dataset.targets[0, 0].tolist() == [0, 0, 50, 40, 0, 0]
    write({"1.png": b"broken"}, folder)
    with pytest.raises(SourceError, match=r"Expected images with a target \(boxes\)"):
        look(folder, named_task("detection"))


def test_an_encrypted_or_damaged_member_is_told(tmp_path: Path) -> None:
    files = {**EXAMPLES["voc"], "Annotations/2.xml": voc(thing("cat", 1, 1, 9, 9)), "JPEGImages/2.png": picture()}
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"<xmax>9", b"<xmax>8"))  # another checksum
    source = open_source(path)
    assert list(cells(source)) == ["JPEGImages/1.png"]
    assert {finding.kind for finding in source.findings} == {"wrong-file", "missing-annotation"}


@pytest.mark.real
def test_blood_cells(real_data: Path) -> None:
    """Two boxes that are a click, seven cells that were drawn twice, two pixels apart."""
    source = open_source(real_data / "bccd.zip")
    entries = source.entries()
    assert len(entries) == 364
    assert Counter(entry.split for entry in entries) == {"train": 205, "validation": 87, "test": 72}
    boxes = Counter(box[0] for entry in entries for box in parsed_cell(entry.cell))
    assert boxes == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert Boxes().labels([entry.cell for entry in entries], source.columns) == ("Platelets", "RBC", "WBC")
    told = {finding.kind: finding for finding in source.findings}
    assert set(told) == {"empty-box", "doubled-box"}
    assert "(2): BCCD/Annotations/BloodImage_00338.xml, line 158 (RBC 504, 337, 504, 337)" in told["empty-box"].message
    assert "(7): " in told["doubled-box"].message
    assert len(told["doubled-box"].files) == 7
    corners = [value for entry in entries for box in parsed_cell(entry.cell) for value in box[1:5]]
    assert (min(corners), max(corners)) == (0, 640)


@pytest.mark.parametrize("form", EXAMPLES)
def test_errors_are_the_users_own(form: str) -> None:
    """Every file of an annotated folder replaced by something else: nothing but a Foveal error is raised."""
    for name in EXAMPLES[form]:
        for data in (
            b"",
            b"\0" * 100,
            b"\xff\xfe",
            b"{" * 100_000,
            b"<a>" * 1000,
            "ä".encode("utf-16"),
            b"[[1,2],[3]]",
        ):
            with suppress(FovealError):
                assert isinstance(found({**EXAMPLES[form], name: data}), Layout), name


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, SIDEWAYS, 8])
def test_the_size_in_a_header_is_that_of_the_decoded_image(kind: str, orientation: int) -> None:
    data = picture(60, 40, kind, orientation)
    facts = ImageReader().inspect(data)[1]
    assert size_of(data) == (facts.width, facts.height) == ((40, 60) if orientation in (SIDEWAYS, 8) else (60, 40))
    assert kind in ("TIFF", "WEBP", "AVIF") or size_of(data[:-20]) == size_of(data), "the end is not needed"


def test_an_orientation_behind_the_pixels_of_a_png() -> None:
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    data = saved(Image.new("RGB", (60, 40)), "PNG")
    whole = data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    assert size_of(whole) == (40, 60)
    with pytest.raises(UnreadableImage, match="not an image"):
        size_of(b"hello")
    with pytest.raises(UnreadableImage, match="truncated"):
        size_of(data[:20])
