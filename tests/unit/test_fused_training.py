"""Trainings with compiled parts between the convolutions: chosen where they pay, stopped and gone on with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import foveal
from foveal.engine.devices import Device, choose_device, environment, resolve_kernels
from foveal.errors import NonFiniteLoss, RecipeError
from foveal.events import Event
from foveal.nets import fused

CPU = Device(torch.device("cpu"), "a processor", 2)
FUSED = {"net": "w2-16c3same:none-mp2-bn:relu-16c3same:none-bn:relu-gmp", "precision": "bf16", "kernels": "fused"}
compiled = pytest.mark.skipif(not fused.works(), reason="numba, or its OpenMP threads, is not here")


@pytest.fixture
def photos(image_folder: Callable[..., Path]) -> Path:
    return image_folder({"dark": 24, "light": 24})


@compiled
@pytest.mark.parametrize(
    ("kernels", "precision", "pays", "expected"),
    [
        ("auto", "bf16", True, "fused"),
        ("auto", "bf16", False, "torch"),
        ("auto", "fp32", True, "torch"),
        ("fused", "bf16", False, "fused"),
        ("torch", "bf16", True, "torch"),
    ],
)
def test_they_are_chosen_where_they_pay(kernels: str, precision: str, pays: bool, expected: str) -> None:
    assert resolve_kernels(kernels, precision, CPU, pays) == expected
    assert resolve_kernels(kernels, precision, Device(torch.device("meta"), "a GPU", 2), pays) == "torch"


def test_in_single_precision_they_are_refused() -> None:
    with pytest.raises(RecipeError, match="for bf16, and the precision is fp32"):
        resolve_kernels("fused", "fp32", CPU, True)
    assert resolve_kernels("fused", "fp32", Device(torch.device("meta"), "a GPU", 2), True) == "torch"


def test_without_numba_torch_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "there", lambda: False)
    fused.works.cache_clear()
    try:
        assert resolve_kernels("auto", "bf16", CPU, True) == "torch"
        with pytest.raises(RecipeError, match="needs numba") as error:
            resolve_kernels("fused", "bf16", CPU, True)
        assert "--set kernels=torch" in error.value.remedy
        assert environment(choose_device("cpu"))["numba"] is None
    finally:
        fused.works.cache_clear()


def test_a_short_training_loads_nothing(photos: Path, tmp_path: Path) -> None:
    run = foveal.train(photos, out=tmp_path / "run", net="4c3-gap", epochs=1, batch_size=8)
    assert run.recipe.kernels == "torch"


@compiled
def test_a_stopped_training_goes_on_to_the_same_bits(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    rectified = fused.rectified
    monkeypatch.setattr(fused, "rectified", lambda *given, **more: (calls.append(1), rectified(*given, **more))[1])
    changes = {**FUSED, "epochs": 3, "batch_size": 8, "optimizer": "muon"}
    run = foveal.train(photos, out=tmp_path / "whole", **changes)
    assert run.recipe.kernels == "fused"
    assert calls
    events = foveal.training(photos, out=tmp_path / "part", save_every=0.0, **changes)
    for _ in range(6):
        next(events)
    events.close()
    assert foveal.resume(tmp_path / "part").weights.read_bytes() == run.weights.read_bytes()
    plain = foveal.train(photos, out=tmp_path / "plain", **{**changes, "kernels": "torch"})
    theirs = load_file(run.weights)
    for name, weights in load_file(plain.weights).items():
        away = float((weights - theirs[name]).double().norm() / weights.double().norm().clamp(min=1e-3))
        assert away < 0.2, f"{name}: {away}"


@compiled
def test_a_broken_training_is_seen(photos: Path, tmp_path: Path) -> None:
    def training() -> list[Event]:
        changes = {**FUSED, "epochs": 30, "batch_size": 8, "learning_rate": 1e30, "schedule": "constant"}
        return list(foveal.training(photos, out=tmp_path / "run", **changes))

    with pytest.raises(NonFiniteLoss):
        training()
