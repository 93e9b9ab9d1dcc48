"""The learning rate, augmentation, precision and checkpoints, each on its own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.engine.augment import augment, uniform
from foveal.engine.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint, weights_sha256
from foveal.engine.devices import choose_device, resolve_precision
from foveal.engine.optimise import learning_rate, optimizer_for
from foveal.errors import RecipeError
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract, Recipe

RECIPE = Recipe(
    name="test",
    net="8c3",
    input=InputContract(height=8, width=8, channels=1),
    epochs=2,
    batch_size=4,
    validation=0.2,
    test=0.2,
    learning_rate=0.1,
)


def test_learning_rate_rises_then_falls_to_zero() -> None:
    recipe = RECIPE.changed(schedule="cosine", warmup=0.2)
    rates = [learning_rate(recipe, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1 / 20)
    assert rates[19] == rates[20] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05)
    assert rates[100] == pytest.approx(0.0)
    assert learning_rate(RECIPE, 99, 100) == 0.1
    assert learning_rate(RECIPE.changed(schedule="linear"), 25, 100) == pytest.approx(0.075)


def test_decay_spares_biases() -> None:
    network = build("4n", RECIPE.input, ClassificationHead, 3)
    recipe = RECIPE.changed(weight_decay=0.5, learning_rate=0.1, head_learning_rate=0.02, norm_learning_rate=0.3)
    groups = optimizer_for(network, recipe, torch.device("cpu")).param_groups
    found = [(g["weight_decay"], round(g["scale"], 6), [tuple(p.shape) for p in g["params"]]) for g in groups]
    features = RECIPE.input.height * RECIPE.input.width * RECIPE.input.channels
    assert found == [(0.5, 1, [(4, features)]), (0, 3, [(4,)]), (0.5, 0.2, [(3, 4)]), (0, 0.2, [(3,)])]


def test_uniform_is_a_function_of_its_key() -> None:
    rows = np.arange(20_000)
    draws = uniform(7, 3, rows, stream=1)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03
    np.testing.assert_array_equal(uniform(7, 3, rows[500:510], stream=1), draws[500:510])
    for other in (uniform(8, 3, rows, 1), uniform(7, 4, rows, 1), uniform(7, 3, rows, 2)):
        assert abs(np.corrcoef(draws, other)[0, 1]) < 0.03


def test_augmentation_follows_the_image_not_the_batch() -> None:
    recipe = RECIPE.changed(flip=True, translate=2)
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    rows = np.arange(16)
    whole = augment(images, rows, recipe, epoch=1)
    part = augment(images[5:9], rows[5:9], recipe, epoch=1)
    assert torch.equal(whole[5:9], part)
    assert not torch.equal(whole, augment(images, rows, recipe, epoch=2))


def test_translation_moves_and_repeats_the_edge() -> None:
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    moved = augment(images, np.arange(200), RECIPE.changed(translate=1), epoch=0)
    corners = {int(value) for value in moved[:, 0, 4, 4]}
    assert corners == {36 + dy * 8 + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    up = moved[moved[:, 0, 4, 4] == 28][0, 0]
    assert torch.equal(up[0], torch.arange(8, dtype=torch.uint8))
    assert torch.equal(up[1:], images[0, 0, :-1])


def test_flip_mirrors_about_half() -> None:
    images = torch.arange(4, dtype=torch.uint8).reshape(1, 1, 1, 4).repeat(1000, 1, 1, 1)
    mirrored = augment(images, np.arange(1000), RECIPE.changed(flip=True), epoch=0)[:, 0, 0, 0] == 3
    assert 0.45 < mirrored.float().mean() < 0.55


def test_precision_and_device() -> None:
    cpu = choose_device("cpu")
    assert resolve_precision("fp32", cpu) == "fp32"
    native = torch.cpu.get_capabilities()
    expected = "bf16" if native.get("avx512_bf16") or native.get("amx_bf16") else "fp32"
    assert resolve_precision("auto", cpu) == expected
    with pytest.raises(RecipeError, match="got 'toaster'"):
        choose_device("toaster")


def checkpoint(epoch: int, value: float) -> Checkpoint:
    return Checkpoint(epoch, 3, {"network.w": torch.full((2, 2), value)}, {"seconds": 1.5})


def test_checkpoint_round_trip_keeps_one(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    save_checkpoint(folder, checkpoint(1, 0.1))
    save_checkpoint(folder, checkpoint(2, 0.2))
    assert [path.name for path in folder.iterdir()] == ["e0002-s000003"]
    last, notes = latest_checkpoint(folder)
    assert last is not None
    assert (last.epoch, last.step, last.numbers, notes) == (2, 3, {"seconds": 1.5}, ())
    assert torch.equal(last.tensors["network.w"], torch.full((2, 2), 0.2))


@pytest.mark.parametrize("damage", ["truncate", "flip", "manifest", "missing"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    good = save_checkpoint(tmp_path / "a", checkpoint(1, 0.1))
    bad = save_checkpoint(tmp_path / "b", checkpoint(2, 0.2))
    bad = bad.rename(tmp_path / "a" / bad.name)
    state = bad / "state.safetensors"
    if damage == "truncate":
        state.write_bytes(state.read_bytes()[:-3])
    elif damage == "flip":
        data = bytearray(state.read_bytes())
        data[-1] ^= 1
        state.write_bytes(bytes(data))
    elif damage == "manifest":
        (bad / "manifest.json").write_text('{"epoch": 2')
    else:
        state.unlink()
    last, notes = latest_checkpoint(good.parent)
    assert last is not None
    assert last.epoch == 1
    assert len(notes) == 1
    assert bad.name in notes[0]


def test_manifest_holds_the_hash(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "c", checkpoint(1, 0.1))
    manifest = json.loads((path / "manifest.json").read_text())
    assert len(manifest["state_sha256"]) == 64


def test_weights_sha256_sees_names_shapes_and_values() -> None:
    one = {"a": torch.zeros(2, 3), "n": torch.tensor(3)}
    assert weights_sha256(one) == weights_sha256(dict(reversed(one.items())))
    assert weights_sha256(one) != weights_sha256({**one, "a": torch.zeros(3, 2)})
    assert weights_sha256(one) != weights_sha256({**one, "n": torch.tensor(4)})
    assert weights_sha256(one) != weights_sha256({"b": one["a"], "n": one["n"]})
