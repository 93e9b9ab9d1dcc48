"""The probe: an output layer fitted to features, the features kept, and tuning that has to do better."""

from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.engine import probe
from foveal.engine.blend import blended
from foveal.engine.devices import choose_device
from foveal.engine.views import views
from foveal.errors import RunError
from foveal.events import EpochEnded, Finished, Probing
from foveal.nets.heads import ClassificationHead
from foveal.nets.solve import solve
from foveal.recipe import Recipe
from foveal.recipes import default

NET = "timm/test_efficientnet"
SMALL = {"net": NET, "pretrained": False, "input.height": 32, "input.width": 32, "probe": True, "batch_size": 8}


def clouds(count: int, seed: int, shift: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    features = rng.normal(size=(count, 20)) * 5 + 100
    features[:, :3] += 5 * shift * np.eye(3)[targets]
    return torch.from_numpy(features).float(), torch.from_numpy(targets)


def test_the_output_layer_is_the_optimum_of_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    features, targets = clouds(200, seed=0)
    head = ClassificationHead(20, 3)
    assert solve(head, features, targets) == 100
    standardised = ((features - features.mean(0)) / features.std(0, correction=0)).numpy()
    theirs = LogisticRegression(C=1 / 100, max_iter=5000, tol=1e-8).fit(standardised, targets)
    ours = head(features).detach().numpy()
    other = theirs.decision_function(standardised)
    assert np.allclose(ours - ours.mean(1, keepdims=True), other - other.mean(1, keepdims=True), atol=2e-3)


def test_the_penalty_is_chosen_on_other_images() -> None:
    features, targets = clouds(60, seed=0, shift=0.1)
    held = clouds(600, seed=1, shift=0.1)
    head = ClassificationHead(20, 3)
    penalty = solve(head, features, targets, held)
    assert penalty >= 100, "noise is penalised"


@pytest.fixture
def photos(image_folder) -> Path:
    return image_folder({"dark": 20, "light": 20}, side=40)


def test_a_probe_alone_is_a_whole_training(photos: Path, tmp_path: Path) -> None:
    events = list(foveal.training(photos, out=tmp_path / "run", epochs=0, **SMALL))
    assert isinstance(events[1], Probing)
    (ended,) = [event for event in events if isinstance(event, EpochEnded)]
    assert ended.epoch == 0
    assert ended.row["validation_accuracy"] == 1
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.kept) == ("done", 0)
    report = foveal.evaluate(tmp_path / "run")
    assert report.scores["accuracy"].value == 1


def test_features_are_computed_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(foveal.training(photos, out=tmp_path / "one", epochs=0, **SMALL))[-1]
    monkeypatch.setattr(probe, "infer", None)
    again = list(foveal.training(photos, out=tmp_path / "two", epochs=0, **SMALL))[-1]
    assert first.weights_sha256 == again.weights_sha256


def test_closed_around_the_probe_and_resumed_it_ends_the_same(photos: Path, tmp_path: Path) -> None:
    tuned = {**SMALL, "epochs": 1, "still_norms": True, "layer_decay": 0.7, "frozen": 0.3, "crop": 0.5, "colour": 0.2}
    *_, whole = foveal.training(photos, out=tmp_path / "whole", **tuned)
    for stop in (0, 1, 2, 3, 5):
        part = tmp_path / f"part-{stop}"
        events = foveal.training(photos, out=part, save_every=0.0, **tuned)
        for _ in range(stop + 1):
            next(events)
        events.close()
        *_, last = foveal.resuming(part)
        assert last.weights_sha256 == whole.weights_sha256, stop


def test_tuning_that_does_worse_is_not_kept(photos: Path, tmp_path: Path) -> None:
    *_, finished = foveal.training(
        photos, out=tmp_path / "run", epochs=1, learning_rate=5.0, keep="best", **{**SMALL, "batch_size": 16}
    )
    assert finished.kept == 0


def test_layers_learn_the_slower_the_earlier_they_are(photos: Path, tmp_path: Path) -> None:
    from foveal.engine.optimise import optimizer_for
    from foveal.engine.predictor import network_for
    from foveal.tasks import TASKS

    recipe = default(foveal.look(photos)).changed(net=NET, layer_decay=0.5, **{"input.height": 32, "input.width": 32})
    network = network_for(recipe, TASKS["classification"], ("dark", "light"))
    groups = optimizer_for(network, recipe, torch.device("cpu")).param_groups
    scale = {weight: group["scale"] for group in groups for weight in group["params"]}
    assert network.backbone
    depths = network.backbone.depths()
    last = max(depths.values())
    for weight, depth in depths.items():
        assert scale[weight] == pytest.approx(0.5 ** (last - depth))
    assert scale[network.head.output.weight] == 1


@pytest.fixture
def recipe(photos: Path) -> Recipe:
    return default(foveal.look(photos)).changed(crop=0.3, colour=0.4, randaugment=2)


def test_views_depend_on_the_image_alone(recipe: Recipe) -> None:
    images = torch.randint(0, 256, (6, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seeds = np.arange(6, dtype=np.uint64) * np.uint64(2**60 + 12345)
    before = torch.get_rng_state()
    seen = views(images, seeds, recipe)
    assert torch.equal(before, torch.get_rng_state())
    assert seen.dtype == torch.uint8
    assert not torch.equal(seen, images)
    assert torch.equal(views(images[3:5], seeds[3:5], recipe), seen[3:5])
    assert views(images, seeds, recipe.changed(crop=1, colour=0, randaugment=0)) is images


@pytest.mark.parametrize("how", ["mixup", "cutmix"])
def test_blended_images_share_the_loss(recipe: Recipe, how: str) -> None:
    images = torch.zeros(4, 3, 20, 20, dtype=torch.uint8)
    images[2:] = 200
    blend = blended(images, recipe.changed(**{how: 1.0}), seed=3)
    assert 0 < blend.own < 1
    assert blend.images[0].float().mean() == pytest.approx(200 * (1 - blend.own), abs=0.5)
    targets = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert float(blend.loss(lambda truth: truth[0], targets)) == pytest.approx(1 - blend.own)
    assert blended(images, recipe, seed=3).images is images


def test_a_contact_sheet_is_drawn_and_never_overwritten(photos: Path, tmp_path: Path) -> None:
    from PIL import Image

    from foveal.api import contact_sheet

    dataset = foveal.look(photos)
    path = tmp_path / "sheet.png"
    contact_sheet(dataset, path, images=3, views=2, crop=0.5)
    with Image.open(path) as sheet:
        assert sheet.size == (3 * 44 + 4, 3 * 44 + 4)
    with pytest.raises(RunError, match="nothing is overwritten"):
        contact_sheet(dataset, path)


def test_features_of_no_image_are_none() -> None:
    recipe = Recipe(net="4c3-gap", name="", input={"height": 8, "width": 8, "channels": 1}, epochs=1, batch_size=1,
                    validation=None, test=None, learning_rate=1)  # fmt: skip
    from foveal.engine.predictor import network_for
    from foveal.tasks import TASKS

    network = network_for(recipe, TASKS["classification"], ("a", "b"))
    pixels = np.zeros((0, 8, 8, 1), np.uint8)
    rows = np.zeros(0, np.int64)
    assert probe.outputs_from(network, pixels, "", rows, choose_device("cpu")).shape[0] == 0
