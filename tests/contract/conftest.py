"""Every task in turn."""

from pathlib import Path

import pytest

from everytask import MAKERS
from foveal.tasks import TASKS


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> str:
    assert set(MAKERS) == set(TASKS), "every task passes this suite"
    return request.param


@pytest.fixture
def source(task: str, tmp_path: Path) -> Path:
    return MAKERS[task](tmp_path / "images", {"dark": 24, "light": 24})
