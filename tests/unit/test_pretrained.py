"""Pretrained weights: where they are looked for, their licence, what is wrong with the wrong ones."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import foveal
from foveal.engine import plan as plan_module
from foveal.engine.pretrained import Weights, backbone_name, find_weights, follow_weights, put_weights
from foveal.engine.speed import Speed
from foveal.errors import WeightsError
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import Recipe
from foveal.recipes import pretrained

NAME = "test_efficientnet"
NET = f"timm/{NAME}"


@pytest.fixture
def recipe(image_folder) -> Recipe:
    dataset = foveal.look(image_folder({"dark": 6, "light": 6}))
    return pretrained(dataset).changed(net=NET, **{"input.height": 64, "input.width": 64})


def network(recipe: Recipe, seed: int = 0) -> Network:
    return build(NET, recipe.input, ClassificationHead, 2, seed=seed)


def saved(path: Path, recipe: Recipe, metadata: dict[str, str] | None = None, **changes: torch.Tensor | None) -> Path:
    body = network(recipe, seed=7).backbone
    assert body is not None
    tensors = {name: tensor.clone() for name, tensor in body.net.state_dict().items()}
    tensors |= {"classifier.weight": torch.zeros(1000, 256), "classifier.bias": torch.zeros(1000)}
    for name, tensor in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, path, metadata)
    return path


def test_the_backbone_of_a_line() -> None:
    assert backbone_name("timm/resnet18.a1_in1k-do0.2-8n") == "resnet18.a1_in1k"
    assert backbone_name("32c3-mp2") is None


def test_weights_of_a_file_are_put_in(recipe: Recipe, tmp_path: Path) -> None:
    path = saved(tmp_path / "own.safetensors", recipe, {"license": "MIT", "source": "here"})
    weights = find_weights(recipe.changed(weights=str(path)))
    assert (weights.licence, weights.origin) == ("mit", "own.safetensors (here)")
    net, other = network(recipe), network(recipe, seed=7)
    put_weights(net, weights)
    assert net.backbone
    assert other.backbone
    for name, tensor in other.backbone.state_dict().items():
        assert torch.equal(net.backbone.state_dict()[name], tensor), name


def test_the_folder_of_weights_comes_before_the_hub(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / f"{NAME}.safetensors", recipe)
    monkeypatch.setenv("FOVEAL_WEIGHTS", str(tmp_path))
    assert find_weights(recipe).path == tmp_path / f"{NAME}.safetensors"
    assert find_weights(recipe.changed(net=f"{NET}.r160_in1k")).path == tmp_path / f"{NAME}.safetensors"


def test_without_a_network_the_remedies_are_named(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("FOVEAL_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        find_weights(recipe)
    assert f"The weights of {NET} cannot be had from huggingface.co/timm/{NAME}" in caught.value.message
    assert "HF_HUB_OFFLINE is set" in caught.value.message
    assert f"They are not in {tmp_path} either" in caught.value.message
    for way in ("--weights FILE", f"{NAME}.safetensors", "--no-pretrained"):
        assert way in caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"conv_stem__weight": None}, "1 missing: conv_stem.weight"),
        ({"conv_stem__weight": torch.zeros(3, 3)}, "1 of another shape: conv_stem.weight is 3×3, expected"),
        ({"stranger": torch.zeros(1)}, "1 not in the network: stranger"),
    ],
)
def test_weights_of_another_network_are_refused(
    recipe: Recipe, tmp_path: Path, changes: dict[str, torch.Tensor | None], told: str
) -> None:
    path = saved(tmp_path / "wrong.safetensors", recipe, None, **changes)
    with pytest.raises(WeightsError) as caught:
        put_weights(network(recipe), find_weights(recipe.changed(weights=str(path))))
    assert told in caught.value.message
    assert str(path) in caught.value.message


def test_pickles_and_damaged_files_are_never_opened(recipe: Recipe, tmp_path: Path) -> None:
    for name in ("weights.pth", "weights.bin"):
        (tmp_path / name).write_bytes(b"\x80\x04")
        with pytest.raises(WeightsError, match="pickle"):
            find_weights(recipe.changed(weights=str(tmp_path / name)))
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(WeightsError, match="no safetensors file, or damaged"):
        find_weights(recipe.changed(weights=str(tmp_path / "cut.safetensors")))
    with pytest.raises(WeightsError, match="There is no file of weights"):
        find_weights(recipe.changed(weights=str(tmp_path / "none.safetensors")))


def test_other_licences_must_be_accepted(recipe: Recipe, tmp_path: Path) -> None:
    path = saved(tmp_path / "own.safetensors", recipe, {"license": "cc-by-nc-4.0"})
    recipe = recipe.changed(weights=str(path))
    with pytest.raises(WeightsError) as caught:
        find_weights(recipe)
    assert "the licence cc-by-nc-4.0" in caught.value.message
    assert "--accept-licence" in caught.value.remedy
    assert find_weights(recipe, accept_licence=True).licence == "cc-by-nc-4.0"


def test_a_net_without_backbone_takes_no_weights(recipe: Recipe) -> None:
    with pytest.raises(WeightsError, match="has no backbone"):
        find_weights(recipe.changed(net="8c3-gap"))


def test_the_input_follows_the_weights_but_for_what_is_settled(recipe: Recipe, tmp_path: Path) -> None:
    told = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear", "input_size": [3, 96, 80]}
    weights = Weights(NAME, tmp_path, "here", "mit", "", told)
    followed = follow_weights(recipe, weights, settled={"input.height"})
    assert (followed.input.height, followed.input.width) == (64, 80)
    assert followed.input.mean == (0.1, 0.2, 0.3)
    assert followed.input.interpolation == "bilinear"
    assert follow_weights(recipe, Weights(NAME, tmp_path, "", "", ""), set()).input.height == 160


def test_metadata_that_is_no_json_is_named(recipe: Recipe, tmp_path: Path) -> None:
    path = saved(tmp_path / "own.safetensors", recipe, {"mean": "half"})
    with pytest.raises(WeightsError, match="expected JSON in its metadata mean"):
        find_weights(recipe.changed(weights=str(path)))


def test_a_run_says_what_it_began_with_and_resumes_with_no_other(
    recipe: Recipe, tmp_path: Path, image_folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "own.safetensors", recipe, {"license": "mit"})
    photos = image_folder({"dark": 12, "light": 12}, name="more")
    small = {"weights": str(path), "input.height": 32, "input.width": 32, "epochs": 1, "batch_size": 8, "crop": 1}
    events = foveal.training(photos, net=NET, out=tmp_path / "run", **small)
    next(events)
    events.close()  # before the first checkpoint
    told = json.loads((tmp_path / "run" / "run.json").read_text())["weights"]
    assert (told["name"], told["licence"]) == (NAME, "mit")
    saved(path, recipe, {"license": "mit", "source": "another one"})
    with pytest.raises(foveal.FovealError, match="those found now are others"):
        next(foveal.resuming(tmp_path / "run"))


def test_photographs_without_weights_are_learned_from_scratch_and_say_so(
    tmp_path: Path, image_folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("FOVEAL_WEIGHTS", raising=False)
    photos = image_folder({"dark": 8, "light": 8}, side=100)
    events = foveal.training(photos, out=tmp_path / "run", epochs=1)
    started = next(events)
    events.close()
    assert any(note.startswith("trained from scratch: The weights of timm/") for note in started.notes)
    with pytest.raises(WeightsError):
        foveal.training(photos, out=tmp_path / "other", pretrained=True).__next__()
    started = next(events := foveal.training(photos, out=tmp_path / "third", pretrained=False, epochs=1))
    events.close()
    assert not any("from scratch" in note for note in started.notes)


@pytest.mark.parametrize(
    ("learn", "settled", "side"), [(0.02, {}, 160), (0.1, {}, 128), (0.1, {"input.height": 160}, 160)]
)
def test_few_minutes_take_smaller_images_and_more_epochs(
    recipe: Recipe, image_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learn: float, settled, side: int
) -> None:
    weights = saved(tmp_path / "own.safetensors", recipe)
    folder = image_folder({"a": 60, "b": 60}, side=32, name="many")
    monkeypatch.setattr(plan_module, "measure_speed", lambda *_: Speed(learn=learn, answer=1e-4, step=0.0))
    found = foveal.plan(folder, minutes=0.5, net=NET, weights=str(weights), **settled).recipe
    assert (found.input.height, found.input.width) == (side, side)
