"""The dial: which recipe follows from images, machine and minutes."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foveal
from foveal.engine import plan as plan_module
from foveal.engine.ladder import (
    LADDER,
    contract_for,
    growth_for,
    most_epochs,
    net_for,
    recipe_on,
    rung_for,
    sized,
    training_flops,
)
from foveal.engine.speed import Speed
from foveal.errors import RecipeError
from foveal.nets import check, parse
from foveal.recipe import InputContract


def contract(side: int, channels: Any = 3) -> InputContract:
    return InputContract(height=side, width=side, channels=channels)


@pytest.mark.parametrize("side", [1, 4, 5, 6, 8, 12, 16, 28, 32, 48, 49, 64, 96, 97, 128, 224])
@pytest.mark.parametrize("rung", LADDER, ids=str)
def test_every_net_fits_every_side_it_meets(rung, side) -> None:
    net = parse(net_for(rung, contract(side)))
    assert check(net, (3, side, side)) == rung.widths[-1]
    for _, scale in growth_for(contract(side)):
        assert check(net, (3, round(side * scale), round(side * scale))) == rung.widths[-1]


def test_the_net_for_cifar10_is_that_of_the_records() -> None:
    assert net_for(LADDER[3], contract(32)) == (
        "w2-64c3same:none-mp2-bn:relu-64c3same:none-bn:relu-256c3same:none-mp2-bn:relu-256c3same:none-bn:relu-"
        "256c3same:none-mp2-bn:relu-256c3same:none-bn:relu-gmp"
    )


def test_more_arithmetic_takes_a_larger_net_and_few_images_need_less_of_it() -> None:
    chosen = [LADDER.index(rung_for(budget, contract(32), 50_000)) for budget in (1e12, 6e12, 4e13, 2e14, 5e15)]
    assert chosen == [0, 1, 2, 3, 4]
    assert [LADDER.index(rung_for(1.2e13, contract(32), images)) for images in (50, 50_000)] == [2, 1]


def test_flops_of_training_follow_the_growth() -> None:
    net = "8c3same-gap"
    at_32, at_20, at_26 = (3 * 2 * 27 * 8 * side**2 for side in (32, 20, 26))
    assert training_flops(net, contract(32), ()) == at_32
    expected = 0.5 * at_20 + 0.3 * at_26 + 0.2 * at_32
    assert training_flops(net, contract(32), growth_for(contract(32))) == pytest.approx(expected)


def test_batches_make_about_300_steps_and_augmentation_grows_with_the_passes(image_folder) -> None:
    dataset = foveal.look(image_folder({"a": 6, "b": 6}, side=32))
    recipe = recipe_on(LADDER[1], dataset, contract(32), "x")
    batches = [sized(recipe, 50_000, epochs).batch_size for epochs in (0.5, 2, 8, 40)]
    assert batches == [128, 256, 512, 512]
    assert sized(recipe, 100, 50).batch_size == 16
    assert [sized(recipe, 50_000, epochs).translate for epochs in (0.5, 2)] == [0, 2]
    assert [sized(recipe, 50_000, epochs).cutout for epochs in (16, 32)] == [0, 12]
    rates = [sized(recipe, 50_000, epochs).learning_rate for epochs in (0.5, 2, 12.288)]
    assert rates == [0.24, pytest.approx(0.24 * (300 / 391) ** 0.5, rel=1e-3), pytest.approx(0.12, rel=1e-3)]


def test_photographs_get_the_side_that_the_minutes_allow(image_folder) -> None:
    dataset = foveal.look(image_folder({"a": 4, "b": 4}, side=180))
    sides = [contract_for(dataset, images, minutes).height for images, minutes in ((8, 1), (1_000, 1), (50_000, 1))]
    assert sides == [180, 128, 64]
    small = foveal.look(image_folder({"a": 4, "b": 4}, side=20, name="small"))
    assert contract_for(small, 10**6, 0.1).height == 20


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Speed:
    """One that learns from 1,000 images a second, whatever the net."""
    speed = Speed(learn=0.001, answer=0.0002, step=0.0)
    monkeypatch.setattr(plan_module, "measure_speed", lambda *_: speed)
    return speed


def test_epochs_fill_the_minutes_and_no_more(image_folder, machine: Speed) -> None:
    folder = image_folder({"a": 60, "b": 60}, side=12)
    for minutes in (0.5, 1.0):
        plan = foveal.plan(folder, minutes=minutes)
        images = 120 - round(120 * 0.15) - round(120 * 0.15)
        ends = np.ceil(plan.recipe.epochs) * (plan_module.SAVING + 18 * machine.answer)
        assert plan.training == pytest.approx(float(plan.recipe.epochs) * images * machine.learn + ends, rel=0.01)
        assert plan.seconds == pytest.approx(60 * minutes * plan_module.SHARE, rel=0.03)


def test_time_that_would_not_help_is_not_used(image_folder, machine: Speed) -> None:
    plan = foveal.plan(image_folder({"a": 60, "b": 60}), minutes=60)
    assert float(plan.recipe.epochs) == pytest.approx(most_epochs(84), rel=0.01)
    assert plan.seconds < 600
    assert "not used up" in " ".join(plan.reasons)


def test_a_larger_net_is_taken_where_it_is_measured_to_fit(image_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arithmetic alone says no: the first net learns from 100 images a second, and the larger ones are as fast."""
    measured: list[str] = []

    def as_fast(recipe, *_) -> Speed:
        measured.append(recipe.net)
        return Speed(learn=0.01, answer=0.0002, step=0.0)

    monkeypatch.setattr(plan_module, "measure_speed", as_fast)
    monkeypatch.setattr(plan_module, "LADDER", LADDER[:4])
    monkeypatch.setattr(plan_module, "fewest_for", lambda rung, images: (0, 300, 500, 50_000)[LADDER.index(rung)])
    monkeypatch.setattr(plan_module, "rung_for", lambda *_: LADDER[0])
    monkeypatch.setattr(plan_module, "training_flops", lambda *_: 1.0)
    plan = foveal.plan(image_folder({"a": 60, "b": 60}, side=32), minutes=0.2)
    assert plan.recipe.net == net_for(LADDER[2], plan.recipe.input), "some 1,000 images are seen in the time"
    assert measured == [net_for(rung, plan.recipe.input) for rung in LADDER[:3]], "the largest is far out of reach"


def test_seconds_that_have_passed_are_taken_off(image_folder, machine: Speed) -> None:
    folder = image_folder({"a": 60, "b": 60})
    late, early = (foveal.plan(folder, minutes=1, began=time.monotonic() - passed) for passed in (10, 0))
    assert early.training - late.training == pytest.approx(10, abs=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minutes": 0}, "a time above 0"),
        ({"minutes": 0.01}, "no time for training"),
        ({"minutes": 1, "epochs": 3}, "Leave out --minutes, or --epochs"),
        ({"minutes": 1, "recipe": "cookbook"}, "Leave out --minutes, or --recipe"),
    ],
)
def test_impossible_minutes_are_refused(image_folder, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        foveal.training(image_folder({"a": 12, "b": 12}), out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_what_is_settled_stays(image_folder, machine: Speed) -> None:
    folder = image_folder({"a": 60, "b": 60}, side=32)
    plan = foveal.plan(
        folder, minutes=0.3, batch_size=10, flip=False, seed=7, **{"input.height": 16, "input.width": 16}
    )
    assert (plan.recipe.batch_size, plan.recipe.flip, plan.recipe.seed, plan.recipe.input.height) == (10, False, 7, 16)
    own = foveal.plan(folder, minutes=2, net="8c3-gap").recipe
    assert (own.net, own.optimizer) == ("8c3-gap", "adam")


def test_measuring_is_real_and_the_run_repeats_without_the_clock(
    image_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "most_epochs", lambda images: 2)  # minutes enough for any machine, not used up
    folder = image_folder({"a": 40, "b": 40})
    run = foveal.train(folder, minutes=5, out=tmp_path / "run")
    assert (run.recipe.name, run.recipe.epochs) == ("5 minutes", 2)
    told = json.loads((run.path / "run.json").read_text())["plan"]
    assert told["images_per_second"] > 0
    assert told["flops_per_second"] > 1e6
    again = foveal.train(folder, recipe=str(run.path / "recipe.json"), out=tmp_path / "again")
    assert again.weights.read_bytes() == run.weights.read_bytes()


def test_a_module_of_ones_own_is_measured_and_left_as_it_was(image_folder) -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 12 * 12, 2))
    before = [value.clone() for value in module.state_dict().values()]
    plan = foveal.plan(image_folder({"a": 40, "b": 40}), minutes=5, net=module)
    assert plan.flops_per_second is None
    assert all(torch.equal(a, b) for a, b in zip(before, module.state_dict().values(), strict=True))


def test_expected_accuracy_grows_with_arithmetic() -> None:
    found = [plan_module._on_cifar10(flops) for flops in np.geomspace(1e12, 5e14, 8)]
    assert found == sorted(found)
    assert 0.69 < found[0] < found[-1] < 0.95
