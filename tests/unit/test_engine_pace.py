"""Keeping a training within its minutes: when steps are added or left out, and that the run repeats all the same."""

import itertools
from pathlib import Path

import pytest

import foveal
from foveal.engine import plan as plan_module
from foveal.engine.pace import Pace, progress_at
from foveal.engine.plan import Planner
from foveal.errors import RecipeError
from foveal.events import Finished, Paced, Step


def test_the_rest_of_the_way_is_divided_anew() -> None:
    assert progress_at(30, 100) == 0.3
    corrections = ((50, 60), (55, 75))
    assert [progress_at(done, 100, corrections) for done in (0, 49, 50, 55, 65, 75)] == [0, 0.49, 0.5, 0.75, 0.875, 1]


def finished(seconds_a_step: float, minutes: float, most: int = 10_000) -> tuple[int, float]:
    """Steps and seconds of a training planned for 1,000 steps of 1 s, cheap until half of the way, three times as dear
    after it, and of a test of 50 s, on a machine that takes so many seconds for what was measured as one."""
    clock, total, corrections, done = 0.0, 1000, (), 0
    pace = Pace(lambda: 60 * minutes - clock, [(0.5, 0.5), (1.0, 1.5)], most, 50.0, lambda: clock)
    while done < total:
        progress = progress_at(done, 1000, corrections)
        clock += (0.5 if progress < 0.5 else 1.5) * seconds_a_step
        done += 1
        progress = progress_at(done, 1000, corrections)
        if new := pace.total(done, progress, total):
            total, corrections = new, (*corrections, (done, new))
        if done < total:
            pace.step(progress_at(done, 1000, corrections))
    return done, clock + 50 * seconds_a_step


@pytest.mark.parametrize("slower", [0.6, 0.9, 1.0, 1.2, 2.0])
def test_the_time_is_kept_whatever_the_machine_does(slower: float) -> None:
    steps, seconds = finished(slower, minutes=1050 / 60)
    assert seconds == pytest.approx(1050, rel=0.03)
    assert (steps > 1000) == (slower < 1)


def test_no_steps_are_added_that_would_not_help() -> None:
    assert finished(0.5, minutes=1050 / 60, most=1000)[0] == 1000


def test_a_paced_run_is_recorded_repeats_and_resumes(
    image_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(1)
    slow = Pace(lambda: 4.0, [(1.0, 1.0)], 10_000, now=lambda: float(next(ticks)))
    monkeypatch.setattr(plan_module, "most_epochs", lambda images: 10)
    monkeypatch.setattr(Planner, "_pace", lambda *_: slow)
    folder = image_folder({"a": 60, "b": 60}, side=12)
    events = foveal.training(folder, minutes=5, batch_size=8, out=tmp_path / "run", save_every=0)
    done = list(itertools.takewhile(lambda event: not isinstance(event, Paced), events))
    paced = foveal.Run.open(tmp_path / "run").recipe
    assert paced.pace[0][0] == sum(isinstance(event, Step) for event in done)
    events.close()
    resumed = [event for event in foveal.resuming(tmp_path / "run") if isinstance(event, Step | Finished)]
    run = foveal.Run.open(tmp_path / "run")
    assert run.recipe == paced
    assert len(resumed) - 1 == paced.pace[0][1] - paced.pace[0][0]
    again = foveal.train(folder, recipe=str(run.path / "recipe.json"), out=tmp_path / "again")
    assert again.weights.read_bytes() == run.weights.read_bytes()
    assert [row["learning_rate"] for row in again.history()] == [row["learning_rate"] for row in run.history()]


@pytest.mark.parametrize("pace", [[[5, 5]], [[0, 5]], [[5, 9], [5, 12]]])
def test_impossible_corrections_are_refused(image_folder, pace: list[list[int]]) -> None:
    with pytest.raises(RecipeError, match="rising steps"):
        foveal.plan(image_folder({"a": 12, "b": 12}), minutes=1, pace=pace)
