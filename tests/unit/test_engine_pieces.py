"""The learning rate, augmentation, precision and checkpoints, each on its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from foveal.engine.augment import (
    augment,
    check_growth,
    resized,
    shifted_at_once,
    shifted_one_by_one,
    uniform,
)
from foveal.engine.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint, weights_sha256
from foveal.engine.devices import choose_device, resolve_precision
from foveal.engine.infer import infer
from foveal.engine.optimise import Muon, learning_rate, optimizer_for
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


def test_flip_mirrors_every_image_in_one_of_two_epochs() -> None:
    images = torch.arange(4, dtype=torch.uint8).reshape(1, 1, 1, 4).repeat(1000, 1, 1, 1)

    def mirrored(epoch: int, seed: int = 0) -> torch.Tensor:
        recipe = RECIPE.changed(flip=True, seed=seed)
        return augment(images, np.arange(1000), recipe, epoch)[:, 0, 0, 0] == 3

    first, second = mirrored(0), mirrored(1)
    assert torch.equal(first, ~second)
    assert torch.equal(mirrored(2), first)
    assert torch.equal(mirrored(7), second)
    assert 0.45 < first.float().mean() < 0.55
    assert 0.4 < (first == mirrored(0, seed=1)).float().mean() < 0.6


def test_cutout_grays_a_square_that_may_hang_over_the_edge() -> None:
    images = torch.full((4000, 3, 16, 20), 7, dtype=torch.uint8)
    rows, recipe = np.arange(4000), RECIPE.changed(cutout=4)
    cut = augment(images, rows, recipe, epoch=3)
    gray = (cut == 128)[:, 0]
    assert torch.equal(cut, torch.where(gray[:, None], 128, 7).to(torch.uint8).expand(4000, 3, 16, 20))
    down, across = gray.any(2), gray.any(1)
    assert torch.equal(gray, down[:, :, None] & across[:, None, :]), "rectangles"
    for lines in (down, across):
        assert lines.sum(1).max() == 4
        assert lines.sum(1).min() == 2, "a centre at the edge leaves half"
        assert (lines.int().diff().abs().sum(1) <= 2).all(), "in one piece"
    # 4 × 4 less what hangs over: a centre within 2 of an edge loses 1 on average.
    assert gray.sum((1, 2)).float().mean() == pytest.approx(4 * (1 - 4 / 16 / 4) * 4 * (1 - 4 / 20 / 4), rel=0.02)
    assert gray[:, 8, 10].float().mean() == pytest.approx(4 / 16 * 4 / 20, abs=0.015)
    assert torch.equal(augment(images[5:9], rows[5:9], recipe, epoch=3), cut[5:9])
    for other in (augment(images, rows, recipe, epoch=4), augment(images, rows, recipe.changed(seed=1), epoch=3)):
        assert (other == cut).all((1, 2, 3)).float().mean() < 0.05


def test_growth_sets_the_side_by_progress() -> None:
    recipe = RECIPE.changed(growth=[[0.25, 0.5], [0.5, 0.75]])
    images = torch.randint(0, 256, (2, 3, 32, 10), dtype=torch.uint8)
    sizes = {progress: tuple(resized(images, recipe, progress).shape[2:]) for progress in (0, 0.249, 0.25, 0.499, 0.5)}
    assert sizes == {0: (16, 5), 0.249: (16, 5), 0.25: (24, 8), 0.499: (24, 8), 0.5: (32, 10)}
    assert resized(images, recipe, 0.99) is images
    assert resized(images, RECIPE, 0.0) is images


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_smaller_images_are_antialiased(memory: torch.memory_format) -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=memory)
    half = resized(images, RECIPE.changed(growth=[[1, 0.5]]), 0.0)
    assert half.dtype == torch.uint8
    # Half a side: a triangle of weights 1, 3, 3, 1 over eight around the middle of two pixels.
    triangle = torch.outer(*[torch.tensor([1.0, 3, 3, 1]) / 8] * 2).expand(3, 1, 4, 4)
    by_hand = F.conv2d(images.float(), triangle, stride=2, padding=1, groups=3)
    assert (half.float() - by_hand.round())[..., 1:-1, 1:-1].abs().max() <= 1
    # To the nearest level: bytes are rounded twice, after the rows and after the columns.
    in_floats = F.interpolate(images.float(), size=(12, 12), mode="bilinear", antialias=True).round()
    found = resized(images, RECIPE.changed(growth=[[1, 0.75]]), 0.0).float()
    assert (found - in_floats).abs().max() <= 1


def test_growth_needs_a_net_that_takes_every_size() -> None:
    def tried(net: str | torch.nn.Module, *growth: tuple[float, float]) -> None:
        check_growth(build(net, RECIPE.input, ClassificationHead, 3), RECIPE.changed(growth=growth, net="mine"))

    tried("8c3-gap", (0.3, 0.5))
    tried("8c3same-mp2-16c3-bn-gmp-5n", (0.3, 0.75))
    tried("8c3-16n", (0.3, 1.0))
    for net in ("8c3-16n", "8c3", torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))):
        with pytest.raises(RecipeError, match=r"growth asks for images of 4×4 \(0\.5 of 8×8\)") as error:
            tried(net, (0.3, 0.5))
        assert "gap or gmp" in error.value.remedy
    with pytest.raises(RecipeError, match=r"2×2 \(0\.2 of 8×8\)"):
        tried("8c3-gap", (0.2, 0.5), (0.4, 0.2))


def muon(weight: torch.Tensor, gradients: list[torch.Tensor], lr: float, **group: Any) -> torch.Tensor:
    """The weight after steps with those gradients."""
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = Muon([{"params": [parameter], **group}], lr)
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (8, 3, 3, 3), (24, 2, 1, 2)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_muon_steps_by_a_nearly_orthogonal_matrix(shape: tuple[int, ...], memory: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, one, two = (torch.randn(shape, generator=generator) for _ in range(3))
    if len(shape) == 4:
        weight, one, two = (tensor.contiguous(memory_format=memory) for tensor in (weight, one, two))
    norm = shape[0] ** 0.5
    assert muon(weight, [one], lr=0.0).norm() == pytest.approx(norm, rel=1e-6)

    after = [muon(weight, [one, two][:count], lr=0.25) for count in (1, 2)]
    updates = [(norm * before / before.norm() - found) / 0.25 for before, found in zip((weight, after[0]), after)]
    # Momentum 0.6: 1.6 of the first gradient, then g + 0.6 (g + 0.6 of the one before).
    for update, gradient in zip(updates, (1.6 * one, 1.6 * two + 0.36 * one)):
        left, sizes, right = np.linalg.svd(gradient.flatten(1).double().numpy(), full_matrices=False)
        sizes /= np.linalg.norm(sizes)
        for _ in range(3):
            sizes = 3.4445 * sizes - 4.7750 * sizes**3 + 2.0315 * sizes**5
        np.testing.assert_allclose(update.flatten(1).numpy(), left * sizes @ right, atol=2e-5)
        found = np.linalg.svd(update.flatten(1).numpy(), compute_uv=False)
        assert found.min() > 0.6
        assert found.max() < 1.3


def test_muon_leaves_the_rest_to_sgd() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, *gradients = (torch.randn(5, generator=generator) for _ in range(5))
    parameter = torch.nn.Parameter(weight.clone())
    sgd = torch.optim.SGD([parameter], 0.1, momentum=0.85, nesterov=True)
    for gradient in gradients:
        parameter.grad = gradient
        sgd.step()
    torch.testing.assert_close(muon(weight, gradients, 0.1, orthogonal=False, momentum=0.6), parameter.detach())
    decayed = muon(weight, gradients[:1], 0.1, orthogonal=False, weight_decay=0.5)
    torch.testing.assert_close(decayed, 0.95 * weight - 0.1 * 1.85 * gradients[0])


def test_muon_starts_from_zeros_too() -> None:
    after = muon(torch.zeros(4, 6), [torch.randn(4, 6)], lr=0.1)
    assert torch.linalg.svdvals(after).tolist() == pytest.approx([0.095] * 4, abs=0.035)


def test_muon_takes_the_matrices_inside() -> None:
    network = build("w2-4c3same:none-bn-r(4c3same)-gap-5n", RECIPE.input, ClassificationHead, 3)
    recipe = RECIPE.changed(optimizer="muon", momentum=0.7, learning_rate=0.1, head_learning_rate=0.4, weight_decay=0.1)
    optimizer = optimizer_for(network, recipe, torch.device("cpu"))
    assert isinstance(optimizer, Muon)
    found = [
        (g["orthogonal"], g["momentum"], round(g["scale"], 6), g["weight_decay"], [tuple(p.shape) for p in g["params"]])
        for g in optimizer.param_groups
    ]
    assert found == [
        (True, 0.7, 1, 0.1, [(4, 8, 3, 3), (4, 4, 3, 3), (5, 4)]),
        (False, 0.7, 1, 0, [(4,), (4,), (4,), (5,)]),
        (False, 0.7, 4, 0.1, [(3, 5)]),
        (False, 0.7, 4, 0, [(3,)]),
    ]


def test_mirrored_answers_are_inferred() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    plain, mirrored = (build("4c3-5n", RECIPE.input, ClassificationHead, 3, mirror=mirror) for mirror in (False, True))
    rows, cpu = np.array([7, 2, 5]), torch.device("cpu")
    both = [infer(plain, array, rows, cpu) for array in (pixels, pixels[:, :, ::-1])]
    np.testing.assert_allclose(infer(mirrored, pixels, rows, cpu), np.mean(both, axis=0), atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.01


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


@pytest.mark.parametrize("channels", [1, 3])
def test_shifting_one_by_one_is_shifting_at_once(channels: int) -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (20, 9, 7, channels), np.uint8)).permute(0, 3, 1, 2)
    down, right = rng.integers(0, 5, (2, 20))
    assert torch.equal(shifted_one_by_one(pixels, 2, down, right), shifted_at_once(pixels, 2, down, right))


def test_muon_in_half_precision_steps_nearly_as_in_full() -> None:
    steps = []
    for precision in (torch.float32, torch.bfloat16):
        weight = torch.nn.Parameter(torch.ones(8, 30) / 30**0.5)
        weight.grad = torch.randn(8, 30, generator=torch.Generator().manual_seed(0))
        Muon([{"params": [weight]}], 0.1, precision=precision).step()
        steps.append(weight.detach())
    assert (steps[0] - steps[1]).norm() < 0.02 * (steps[0] - 1 / 30**0.5).norm()
