"""Looks of all runs: counted at once by several processes, past a torn line, and what they do to the best number."""

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foveal.looks import looks_at, note_look, state_folder, too_good


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOVEAL_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def _many(number: int) -> None:
    for _ in range(50):
        note_look("images", Path(f"run-{number}"), "evaluate")


def test_no_look_is_lost_when_several_processes_look() -> None:
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(_many, range(4)))
    found = looks_at("images")
    assert found is not None
    assert (found.looks, found.runs) == (200, 4)
    assert looks_at("other images") is None


def test_a_torn_line_costs_itself_alone() -> None:
    note_look("images", Path("a"), "train")
    (file,) = (state_folder() / "looks").iterdir()
    file.write_text(file.read_text() + '\n{"at": "2026-')
    note_look("images", Path("b"), "train")
    found = looks_at("images")
    assert found is not None
    assert (found.looks, found.runs) == (2, 2)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_no_error(own_state: Path) -> None:
    own_state.mkdir(mode=0o500)
    note_look("images", Path("a"), "train")
    assert looks_at("images") is None


@pytest.mark.parametrize("runs", [2, 5, 40])
def test_the_best_of_several_is_so_much_too_good(runs: int) -> None:
    rng = np.random.default_rng(0)
    best = rng.normal(0.8, 0.01, (20_000, runs)).max(axis=1).mean() - 0.8
    assert too_good(0.8 - 0.0196, 0.8 + 0.0196, 0.95, runs) == pytest.approx(best, rel=0.06)


def test_one_run_has_chosen_nothing() -> None:
    assert too_good(0.7, 0.9, 0.95, 1) == 0
