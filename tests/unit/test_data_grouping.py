"""Groups that paths name: by a pattern or by a level of folders, in any layout."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.api import look
from foveal.data import divide
from foveal.errors import SourceError
from foveal.types import Reading

pytestmark = pytest.mark.usefixtures("empty_cache")


@pytest.fixture
def xrays(tmp_path: Path) -> Path:
    """Two labels, eight patients with three images each: LABEL/PATIENT/pN_K.png."""
    rng = np.random.default_rng(0)
    for patient in range(16):
        for k in range(3):
            path = tmp_path / "xrays" / ("no", "yes")[patient % 2] / f"ward{patient // 4}" / f"p{patient}_{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
    return tmp_path / "xrays"


def patients(files: tuple[str, ...]) -> list[str]:
    return [file.rpartition("/")[2].partition("_")[0] for file in files]


@pytest.mark.parametrize("pattern", [r"(?P<patient>p\d+)_", r"/(p\d+)_\d", r"(?P<ward>ward\d)/(?P<patient>p\d+)"])
def test_a_pattern_keeps_patients_together_and_classes_in_proportion(xrays: Path, pattern: str) -> None:
    dataset = look(xrays, reading=Reading(group_pattern=pattern))
    names = patients(dataset.files)
    assert len(set(dataset.groups.tolist())) == 16
    assert len(set(zip(names, dataset.groups.tolist()))) == 16
    divided = divide(dataset, validation=0.25, test=0.25, seed=1)
    for name in set(names):
        assert len({split for split, own in zip(divided.splits, names) if own == name}) == 1
    test = divided.targets[divided.splits == "test"]
    assert np.bincount(test).tolist() == [6, 6], "a quarter of each label, in whole patients"


def test_a_level_of_folders_is_counted_from_the_top(xrays: Path) -> None:
    dataset = look(xrays, reading=Reading(group_level=2))
    wards = [file.split("/")[1] for file in dataset.files]
    assert len(set(zip(wards, dataset.groups.tolist()))) == 4, "folders of one name are one group"
    assert len(set(look(xrays, reading=Reading(group_level=1)).groups.tolist())) == 2


def test_archives_and_lists(xrays: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "xrays.zip", "w") as archive:
        for file in sorted(xrays.rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
    dataset = look(tmp_path / "xrays.zip", reading=Reading(group_pattern=r"(p\d+)_"))
    assert len(set(dataset.groups.tolist())) == 16
    (tmp_path / "files.txt").write_text("\n".join(str(file) for file in sorted(xrays.rglob("*.png"))))
    dataset = look(tmp_path / "files.txt", reading=Reading(group_pattern=r"(?P<ward>ward\d)"))
    assert len(set(dataset.groups.tolist())) == 4


def test_paths_without_a_group_are_told(xrays: Path) -> None:
    dataset = look(xrays, reading=Reading(group_pattern=r"(p1\d?)_"))
    (found,) = [finding for finding in dataset.findings if finding.kind == "no-group"]
    assert len(found.files) == 48 - 3 * len({"p1", "p10", "p11", "p12", "p13", "p14", "p15"})
    assert len(set(dataset.groups.tolist())) == 7 + len(found.files)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(group_pattern="(p"), "Expected a regular expression as the pattern of the groups"),
        (Reading(group_pattern="p"), "Expected brackets around what names the group"),
        (Reading(group_pattern="(q)"), "finds a group, found none; such as no/ward0/p0_0.png"),
        (Reading(group_level=3), "finds a group, found none"),
        (Reading(group_level=0), "Expected a level of folders from 1"),
        (Reading(group_pattern="(p)", group_level=1), "found --group-pattern and --group-level"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(xrays: Path, reading: Reading, message: str) -> None:
    with pytest.raises(SourceError) as refused:
        look(xrays, reading=reading)
    assert message in refused.value.message


def test_built_in_sets_are_refused() -> None:
    with pytest.raises(SourceError, match="found images that bring their labels"):
        look("digits", reading=Reading(group_level=1))
