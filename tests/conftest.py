"""What every test shares: a cache of its own, and small sets of images drawn here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.register_assert_rewrite("paged", "serving")  # what they assert is told as in a test

FolderMaker = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing is read from, or left in, the user's cache and what Foveal remembers for them."""
    path = tmp_path_factory.mktemp("cache")
    ours = {"FOVEAL_CACHE": str(path), "FOVEAL_STATE": str(tmp_path_factory.mktemp("state"))}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    yield path
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing is yet, where the tests' common one might know the images."""
    path = tmp_path / "cache"
    monkeypatch.setenv("FOVEAL_CACHE", str(path))
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real images, or a skip that says so."""
    if not os.environ.get("FOVEAL_DATA"):
        pytest.skip("FOVEAL_DATA is not set: the real images are not there")
    return Path(os.environ["FOVEAL_DATA"])


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image_folder(tmp_path: Path) -> FolderMaker:
    """Make a folder of class folders: `image_folder({"dark": 20, "light": 20}, side=12)`, learnable by brightness."""

    def make(counts: dict[str, int], *, side: int = 12, name: str = "photos", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        root = tmp_path / name
        for k, (label, count) in enumerate(counts.items()):
            (root / label).mkdir(parents=True)
            level = 40 + 170 * k // max(1, len(counts) - 1)
            for i in range(count):
                pixels = np.clip(rng.normal(level, 25, (side, side, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / label / f"{label}-{i:03}.png")
        return root

    return make
