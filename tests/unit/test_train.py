"""The loop: learning, stopping, keeping the best, and a network of one's own."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.data import divide
from foveal.engine.checkpoint import latest_checkpoint
from foveal.engine.optimise import Muon
from foveal.errors import NetError, NonFiniteLoss, RecipeError, RunError, UnreadableImage
from foveal.events import EpochEnded, Finished, Started, Step
from foveal.nets import Conv, Dense, MaxPool

QUICK = {"net": "8c3-mp2-16n", "epochs": 2, "batch_size": 8}


@pytest.fixture
def photos(image_folder: Callable[..., Path]) -> Path:
    return image_folder({"dark": 24, "light": 24})


def test_it_learns(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", net="8c3-mp2-16n", epochs=8, batch_size=8)
    report = foveal.Report.read(run.report / "report.json")
    assert report.scores["accuracy"].value == 1.0
    assert run.history()[-1]["train_loss"] < run.history()[0]["train_loss"] / 2
    assert foveal.load(run)(photos / "light" / "light-000.png").as_dict()["label"] == "light"


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_nan_names_the_batch_and_keeps_the_last_good_state(photos: Path, tmp_path: Path, optimizer: str) -> None:
    changes = {**QUICK, "epochs": 30, "optimizer": optimizer, "learning_rate": 1e30, "keep": "last"}
    with pytest.raises(NonFiniteLoss, match=r"epoch \d+, (by )?step \d+") as error:
        foveal.train(photos, out=tmp_path / "run", save_every=0.0, schedule="constant", **changes)
    assert "learning_rate" in error.value.remedy
    checkpoint, notes = latest_checkpoint(tmp_path / "run" / "checkpoints")
    assert notes == ()
    if checkpoint:
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors.values())
        assert "The last good state is kept" in error.value.remedy


def test_patience_stops(photos: Path, tmp_path: Path) -> None:
    events = list(
        foveal.training(photos, out=tmp_path / "run", **{**QUICK, "epochs": 50}, patience=2, learning_rate=1e-12)
    )
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.epochs) == ("patience", finished.kept + 2)
    assert len(foveal.Run.open(tmp_path / "run").history()) == finished.epochs


def test_best_is_kept(photos: Path, tmp_path: Path) -> None:
    changes = {**QUICK, "epochs": 6, "learning_rate": 0.05, "schedule": "constant", "warmup": 0.0}
    events = list(foveal.training(photos, out=tmp_path / "run", keep="best", **changes))
    ended = [event for event in events if isinstance(event, EpochEnded)]
    finished = events[-1]
    assert isinstance(finished, Finished)
    ranks = [(event.row["validation_accuracy"], -event.row["validation_loss"]) for event in ended]
    assert finished.kept == 1 + ranks.index(max(ranks))
    assert [event.epoch for event in ended if event.best][-1] == finished.kept


class Own(nn.Module):
    """Somebody's module: it brings its own output layer."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.last = nn.Linear(4 * 10 * 10, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.layers(x))


def test_an_own_module_trains_resumes_and_predicts(photos: Path, tmp_path: Path) -> None:
    changes = {"epochs": 2, "batch_size": 8}
    run = foveal.train(photos, out=tmp_path / "whole", net=Own(), **changes)
    events = foveal.training(photos, out=tmp_path / "part", net=Own(), **changes)
    for _ in range(4):
        next(events)
    events.close()
    with pytest.raises(NetError, match=r"torch\.nn\.Module of your own"):
        foveal.resume(tmp_path / "part")
    again = foveal.resume(tmp_path / "part", net=Own())
    assert again.weights.read_bytes() == run.weights.read_bytes()
    assert next(foveal.predict(run, photos, net=Own())).error is None
    with pytest.raises(NetError, match="must return"):
        foveal.train(photos, out=tmp_path / "wrong", net=Own(outputs=3), **changes)
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("epochs", [0.01, 0.5, 1.6, 2])
def test_the_last_epoch_may_be_a_part_of_one(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: float
) -> None:
    rates: list[float] = []

    def step(optimizer: Muon) -> None:
        rates.append(optimizer.param_groups[0]["lr"])
        muon_step(optimizer)

    muon_step = Muon.step
    monkeypatch.setattr(Muon, "step", step)
    changes = {"optimizer": "muon", "learning_rate": 0.1, "schedule": "linear", "warmup": 0.0, "batch_size": 6}
    events = list(foveal.training(photos, out=tmp_path / "run", net="8c3-gmp", epochs=epochs, **changes))
    started, finished = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    total = max(1, round(epochs * started.steps))
    assert (started.steps, started.total, started.epochs) == (6, total, math.ceil(total / 6))
    steps = [(event.epoch, event.step) for event in events if isinstance(event, Step)]
    assert steps == [(step // 6, step % 6 + 1) for step in range(total)]
    assert rates == pytest.approx([0.1 * (1 - step / total) for step in range(total)])
    rows = foveal.Run.open(tmp_path / "run").history()
    assert [row["epoch"] for row in rows] == list(range(1, started.epochs + 1))
    assert [row["passes"] for row in rows] == [*range(1, started.epochs), round(total / 6, 3)]
    assert [row["learning_rate"] for row in rows] == pytest.approx(rates[::6])
    assert (finished.reason, finished.epochs) == ("done", started.epochs)


class Anything(nn.Module):
    """Somebody's module that takes images of any size, and notes the sides that it learns from."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Linear(3, 2)
        self.sides: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.sides.append(x.shape[3])
        return self.last(x.mean((2, 3)))


def test_images_grow_by_the_share_of_the_steps(photos: Path, tmp_path: Path) -> None:
    net = Anything()
    growth = [[0.3, 0.5], [0.55, 0.75]]
    foveal.train(photos, out=tmp_path / "run", net=net, epochs=1.7, batch_size=6, growth=growth)
    # 10 of 6 a whole epoch: steps 0 to 2 begin before 0.3, 3 to 5 before 0.55.
    assert net.sides == [6] * 3 + [9] * 3 + [12] * 4


@pytest.mark.parametrize("net", ["8c3-mp2-16n", "8c3-mp2", Own()])
def test_growth_on_a_net_of_one_size_is_refused_before_training(
    photos: Path, tmp_path: Path, net: str | nn.Module
) -> None:
    with pytest.raises(RecipeError, match="growth asks for images of 6×6") as error:
        foveal.train(photos, out=tmp_path / "run", net=net, growth=[[0.5, 0.5]], epochs=1)
    assert "End the net with gap or gmp" in error.value.remedy
    assert not (tmp_path / "run").exists()


def test_mirrored_answers_reach_predictions_and_the_report(photos: Path, tmp_path: Path) -> None:
    # `dirac` passes an image on as it is: untrained, it would tell the two kinds apart, and hardly mind the mirror.
    unlearned = {**QUICK, "keep": "last", "learning_rate": 1e-9, "init": "he"}
    plain, mirrored = (
        foveal.train(photos, out=tmp_path / str(mirror), **unlearned, mirror_test=mirror) for mirror in (False, True)
    )
    assert plain.weights.read_bytes() == mirrored.weights.read_bytes(), "training is the same"
    one, both = foveal.load(plain), foveal.load(mirrored)
    pixels = np.asarray(Image.open(photos / "light" / "light-001.png"))
    sides = [one.network(side[None].copy())[0] for side in (pixels, pixels[:, ::-1])]
    mean = np.exp(np.mean(sides, axis=0))
    told = both(pixels).as_dict()
    assert told["probability"] == pytest.approx((mean / mean.sum()).max(), abs=1e-5)
    assert told["probability"] != one(pixels).as_dict()["probability"]
    mistakes = foveal.Report.read(mirrored.report / "report.json").mistakes
    assert mistakes, "a net that has hardly learned is wrong somewhere"
    for mistake in mistakes:
        assert mistake.probability == pytest.approx(both(photos / mistake.file).as_dict()["probability"], abs=1e-5)
    assert plain.history()[-1]["validation_loss"] != mirrored.history()[-1]["validation_loss"]


def test_a_net_of_objects_is_its_line(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", net=[Conv(8, 3), MaxPool(2), Dense(16)], epochs=1)
    assert run.recipe.net == "8c3-mp2-16n"


def test_a_last_image_on_its_own_is_no_trouble_for_batch_norm(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    source = image_folder({"dark": 12, "light": 11})
    events = foveal.training(source, out=tmp_path / "run", net="8c3-gap-bn-8n", epochs=1, batch_size=15)
    started = next(events)
    assert isinstance(started, Started)
    assert (started.images, started.steps) == (16, 1)
    assert isinstance(list(events)[-1], Finished)


def test_changed_images_are_refused(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    file = photos / "light" / "light-003.png"
    file.write_bytes((photos / "dark" / "dark-003.png").read_bytes())
    with pytest.raises(RunError, match="content changed"):
        foveal.evaluate(run)
    file.unlink()
    with pytest.raises(RunError, match=r"light/light-003\.png"):
        foveal.resume(run)
    assert run.looks() == 1, "a look that was refused is no look"


def test_another_machine_is_noted(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    info = json.loads((run.path / "run.json").read_text())
    info["environment"]["torch"] = "1.0"
    (run.path / "run.json").write_text(json.dumps(info))
    started = next(foveal.resuming(run.path))
    assert isinstance(started, Started)
    assert any("torch was 1.0" in note for note in started.notes)


def test_an_unfinished_run_is_not_evaluated(photos: Path, tmp_path: Path) -> None:
    events = foveal.training(photos, out=tmp_path / "run", **QUICK)
    next(events)
    events.close()
    for verb in (foveal.evaluate, foveal.load):
        with pytest.raises(RunError, match="foveal resume"):
            verb(tmp_path / "run")


def test_a_recipe_of_ones_own(photos: Path, tmp_path: Path) -> None:
    contract = foveal.InputContract(height=8, width=8, channels=1, resize="pad")
    recipe = foveal.Recipe(
        name="mine",
        net="4c3-8n",
        input=contract,
        epochs=1,
        batch_size=16,
        validation=0.25,
        test=0.25,
        learning_rate=0.01,
    )
    run = foveal.train(photos, recipe=recipe, out=tmp_path / "run")
    assert run.recipe == recipe.changed(precision=run.recipe.precision, kernels=run.recipe.kernels)
    with pytest.raises(RecipeError, match="classification"):
        foveal.train(photos, recipe=recipe, task="origami", out=tmp_path / "other")


def test_a_dataset_can_be_given(photos: Path, tmp_path: Path) -> None:
    dataset = foveal.look(photos)
    run = foveal.train(dataset, out=tmp_path / "run", **QUICK)
    assert run.info["fingerprint"] == dataset.fingerprint


def test_a_dataset_that_is_divided_stays_so(photos: Path, tmp_path: Path) -> None:
    dataset = divide(foveal.look(photos), validation=0.25, test=0.5, seed=3)
    run = foveal.train(dataset, out=tmp_path / "run", **QUICK)
    splits = [line.rsplit(",", 1)[1] for line in run.split.read_text().splitlines()[1:]]
    assert splits == dataset.splits.tolist()
    assert splits.count("test") == 24
    assert foveal.evaluate(run).looks == 2


def test_an_edited_recipe_is_measured_anew(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    fields = json.loads((run.path / "recipe.json").read_text())
    (run.path / "recipe.json").write_text(json.dumps({**fields, "epochs": 4}))
    again = foveal.resume(run.path)
    report = foveal.Report.read(str(again.report / "report.json"))
    assert (len(report.history), report.looks) == (4, 2)


def test_damaged_weights_are_named(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", **QUICK)
    run.weights.write_bytes(run.weights.read_bytes()[:100])
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged"):
        foveal.load(run)


def test_findings_are_noted_when_training_starts(photos: Path, tmp_path: Path) -> None:
    (photos / "dark" / "broken.png").write_bytes(b"")
    started = next(foveal.training(photos, out=tmp_path / "run", **QUICK))
    assert isinstance(started, Started)
    assert "1 unreadable" in started.notes[0]


def test_a_pillow_image_is_answered_like_its_file(photos: Path, tmp_path: Path) -> None:
    predictor = foveal.load(foveal.train(photos, out=tmp_path / "run", **QUICK))
    file = photos / "light" / "light-001.png"
    assert predictor(Image.open(file)).as_dict() == predictor(file).as_dict()
    assert predictor(Image.open(file).convert("P")).as_dict()["label"] == predictor(file).as_dict()["label"]
    with pytest.raises(UnreadableImage, match=r"nowhere\.png cannot be opened"):
        predictor("nowhere.png")
