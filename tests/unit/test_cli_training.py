"""What a training prints: epochs that are a part of one, and a clock that changes their number."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import foveal
from foveal.cli import show_training
from foveal.events import EpochEnded, Event, Finished, Paced, Started, Step
from foveal.run import Run


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The lines on stderr so far."""
    file = io.StringIO()
    monkeypatch.setattr(show_training, "err", Console(file=file, width=200, highlight=False))
    return lambda: file.getvalue().splitlines()


@pytest.fixture
def run(image_folder: Callable[..., Path], tmp_path: Path) -> Run:
    """Stopped after 8 of 13 steps: 5 are an epoch."""
    events = foveal.training(
        image_folder({"dark": 24, "light": 24}), out=tmp_path / "run", net="4c3-gmp", epochs=2.6, batch_size=7
    )
    for event in events:
        if isinstance(event, Step) and (event.epoch, event.step) == (1, 3):
            events.close()
    return Run(tmp_path / "run")


def test_a_part_of_an_epoch_is_shown_as_what_it_is(run: Run, shown: Callable[[], list[str]]) -> None:
    show_training.training(foveal.resuming(run))
    text = shown()
    assert ", 2.6 epochs of 5 steps, " in text[0]
    assert "going on from epoch 2, step 4: 1.6 of 2.6 epochs are done" in text
    assert [line.split(" · ")[0] for line in text if " · train" in line] == ["epoch   2/2.6", "epoch 2.6/2.6"]
    assert [row["passes"] for row in run.history()] == [1.0, 2.0, 2.6]


def test_the_clock_changes_how_many_epochs_there_are(run: Run, shown: Callable[[], list[str]]) -> None:
    def ended(epoch: int, passes: float) -> EpochEnded:
        return EpochEnded(epoch, {"passes": passes, "train_loss": 1.0, "seconds": 1.0}, best=False)

    def events(total: int, *rest: Event) -> list[Event]:
        began = Started(run.path, 34, 3, 5, 13, 99, "a CPU", "fp32")
        return [began, ended(1, 1.0), Paced(total), *rest, Finished("done", rest[-1].epoch, 1, 3.0, "")]  # pyright: ignore

    show_training.training(iter(events(9, ended(2, 1.8))))
    assert shown()[-3:] == [
        "epoch   1/2.6 · train loss 1.000 · 1 s",
        "epoch 1.8/1.8 · train loss 1.000 · 1 s",
        "ended after 1.8 of 2.6 epochs: the minutes for training were over",
    ]
    show_training.training(iter(events(18, ended(2, 2.0), ended(3, 3.0), ended(4, 3.6))))
    assert [line.split(" · ")[0] for line in shown()[-3:]] == ["epoch   2/3.6", "epoch   3/3.6", "epoch 3.6/3.6"]
