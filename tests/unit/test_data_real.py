"""Real images: the counts that the sets are known to have."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from foveal.data import divide, look
from foveal.data.cache import pixels
from foveal.recipes import named_recipe
from foveal.tasks import named_task
from foveal.types import Reading

pytestmark = pytest.mark.real
TASK = named_task("classification")


@pytest.mark.slow
def test_cifar10(real_data: Path) -> None:
    dataset = look("cifar10", TASK)
    assert len(dataset) == 60_000
    assert dataset.given == ("train", "test")
    assert dataset.labels[:3] == ("airplane", "automobile", "bird")
    assert dataset.modes == {"RGB": 60_000}
    found = Counter(finding.kind for finding in dataset.findings for _ in finding.files)
    assert set(found) == {"leak", "near-duplicate", "contradicting-twins", "outlier"}
    assert 600 <= found["leak"] / 2 <= 750, "pairs between test and train: see benchmarks/records"
    assert found["contradicting-twins"] <= 20, "copies show the same: of what is found by mistake, most would differ"
    recipe = named_recipe("cookbook", dataset)
    divided = divide(dataset, validation=recipe.validation, test=recipe.test, seed=0)
    for name, each in (("train", 4000), ("validation", 1000), ("test", 1000)):
        counts = np.bincount(divided.targets[divided.rows(name)])
        assert np.abs(counts - each).max() <= 1, "a pair of two labels stays together"
    array = pixels(dataset, TASK.reader, recipe.input)
    assert array.shape == (60_000, 32, 32, 3)
    mean = array[divided.splits != "test"].mean(axis=(0, 1, 2)) / 255
    assert np.allclose(mean, (0.4914, 0.4822, 0.4465), atol=5e-4)  # of the 50,000 official training images
    assert look("cifar10", TASK).fingerprint == dataset.fingerprint


def test_cats_and_dogs(real_data: Path) -> None:
    dataset = look(real_data / "cats_dogs.zip", TASK)
    assert dataset.labels == ("cats", "dogs")
    assert len(dataset.rows("train")) == 720
    assert len(dataset.rows("test")) == 300
    assert not [finding for finding in dataset.findings if finding.kind == "unreadable"]
    assert dataset.sizes.min(axis=1).max() <= 224


def test_faces_with_comments_in_their_headers(real_data: Path) -> None:
    dataset = look(real_data / "orl_faces.zip", TASK)
    assert len(dataset) == 400
    assert np.bincount(dataset.targets).tolist() == [10] * 40
    assert (dataset.sizes == (112, 92)).all()
    assert dataset.channels == 1


def test_an_x_ray_that_is_there_under_two_names(real_data: Path) -> None:
    dataset = look(real_data / "chest_xray3.zip", TASK)
    pairs = [{Path(dataset.files[row]).stem for row in pair} for pair in dataset.twins.pairs.tolist()]
    assert {"00002658_001", "00002658_002"} in pairs, "number 2658 of the NIH's, twice"


def test_ages_in_the_names_of_files(real_data: Path) -> None:
    """Five names that do not follow the others, thirteen groups of the same picture, some of which disagree on it."""
    reading = Reading(pattern=r"^(?P<age>[0-9]+)_[01]_[0-4]_[0-9]+\.")
    dataset = look(real_data / "utkface.zip", named_task("regression"), reading=reading)
    found = Counter(finding.kind for finding in dataset.findings for _ in finding.files)
    assert found["wrong-name"] == 5
    assert len(dataset) == 1_695
    assert dataset.labels == ("age",)
    assert found["exact-duplicate"] == 26
    assert found["contradicting-label"] >= 8
