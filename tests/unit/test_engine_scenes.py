"""Views of scenes: pixels and targets move together, and are a function of (seed, epoch, image)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal.api as foveal_api
from foveal.answers import Boxes, Label
from foveal.engine.scenes import GRAY, Scenes, check_scenes, recoloured
from foveal.errors import RecipeError
from foveal.recipe import InputContract, Recipe

SIDE = 64


def recipe(**changes: object) -> Recipe:
    return Recipe(
        name="scenes",
        task="detection",
        net="detector",
        input=InputContract(height=SIDE, width=SIDE, channels=3),
        epochs=1,
        batch_size=4,
        validation=0.1,
        test=0.1,
        learning_rate=0.1,
    ).changed(**changes)


def drawn(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Black images with one white box each, and the boxes."""
    rng = np.random.default_rng(0)
    pixels, targets = np.zeros((count, SIDE, SIDE, 3), np.uint8), np.full((count, 1, 6), np.nan, np.float32)
    for image, target in zip(pixels, targets):
        x, y, w, h = (*rng.integers(2, 34, 2).tolist(), *rng.integers(8, 28, 2).tolist())
        image[y : y + h, x : x + w] = 255
        target[0] = (x, y, x + w, y + h, 0, 0)
    return pixels, targets


def scenes(**changes: object) -> Scenes:
    pixels, targets = drawn()
    return Scenes(Boxes(), recipe(**changes), pixels, targets, np.arange(len(pixels)))


@pytest.mark.parametrize(
    "changes", [{"crop": 0.3}, {"zoom": 2.0}, {"flip": True}, {"crop": 0.3, "zoom": 1.5, "flip": True}]
)
def test_a_box_stays_on_what_it_is_around(changes: dict[str, object]) -> None:
    whole = 0
    for epoch in range(4):
        images, targets = scenes(**changes).batch(np.arange(24), epoch)
        for image, target in zip(images, targets):
            if torch.isnan(target[0, 0]):
                continue
            ys, xs = np.nonzero(image[0].numpy() > 180)
            seen = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert target[0, :4].numpy() == pytest.approx(seen, abs=2)
            whole += 1
    assert whole > 48


def test_a_mosaic_has_parts_of_four_and_all_their_boxes() -> None:
    images, targets = scenes(mosaic=1.0).batch(np.arange(24), 0)
    counts = (~torch.isnan(targets[..., 0])).sum(1)
    assert 1.5 < counts.float().mean() <= 4
    for image, target in zip(images, targets):
        for x0, y0, x1, y1 in target[~torch.isnan(target[:, 0]), :4].round().int().tolist():
            assert image[0, y0:y1, x0:x1].float().mean() > 200, "white inside of each box"
    smaller, _ = scenes(zoom=2.0).batch(np.arange(24), 0)
    assert (smaller == GRAY).any(), "gray around what is seen smaller"


def test_at_the_end_scenes_are_whole() -> None:
    parts, _ = scenes(mosaic=1.0).batch(np.arange(6), 3)
    images, targets = scenes(mosaic=1.0).batch(np.arange(6), 3, whole=True)
    plain, boxes = scenes().batch(np.arange(6), 3)
    assert torch.equal(images, plain)
    assert torch.equal(targets, boxes)
    assert not torch.equal(images, parts)


def test_without_changes_images_are_as_they_are() -> None:
    pixels, boxes = drawn()
    images, targets = scenes().batch(np.array([3, 5]), 7)
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), pixels[[3, 5]])
    assert np.array_equal(targets.numpy(), boxes[[3, 5]])


def test_a_view_depends_on_seed_epoch_and_image_alone() -> None:
    changes = {"crop": 0.3, "zoom": 1.5, "mosaic": 0.5, "colour": 0.3, "flip": True}
    together, boxes = scenes(**changes).batch(np.arange(8), 2)
    alone, its_own = scenes(**changes).batch(np.array([5]), 2)
    assert torch.equal(together[5], alone[0])
    count = int((~torch.isnan(its_own[0, :, 0])).sum())
    assert torch.equal(boxes[5, :count], its_own[0, :count])
    other, _ = scenes(**changes, seed=1).batch(np.array([5]), 2)
    later, _ = scenes(**changes).batch(np.array([5]), 3)
    assert not torch.equal(alone, other)
    assert not torch.equal(alone, later)


def test_each_image_is_mirrored_in_one_of_two_epochs() -> None:
    first, second = (scenes(flip=True).batch(np.arange(24), epoch)[0] for epoch in (0, 1))
    assert torch.equal(first, second.flip(3))


def test_gray_images_can_be_recoloured() -> None:
    pixels, targets = drawn()
    gray = recipe(colour=0.5, **{"input.channels": 1})
    images, _ = Scenes(Boxes(), gray, pixels[..., :1], targets, np.arange(4)).batch(np.arange(4), 0)
    assert images.shape == (4, 1, SIDE, SIDE)


def test_what_targets_cannot_follow_is_refused() -> None:
    check_scenes(Boxes(), recipe(mosaic=1.0))
    check_scenes(Label(), recipe(mixup=0.2))
    with pytest.raises(RecipeError, match="mixup and cutout would change"):
        check_scenes(Boxes(), recipe(mixup=0.2, cutout=3))
    with pytest.raises(RecipeError, match="mosaic show"):
        check_scenes(Label(), recipe(mosaic=0.2))


def test_colours_change_and_gray_stays_gray() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(60, 190, (40, 50, 3), np.uint8)).permute(2, 0, 1)
    gray = image[:1].expand(3, 40, 50)
    for number in range(5):
        turned, light = (recoloured(one, np.random.default_rng(number), 0.4) for one in (image, gray))
        assert not torch.equal(turned, image)
        assert (light.float().std(0) <= 1).all(), "no colour where there was none"
    assert torch.equal(recoloured(image, np.random.default_rng(0), 0.0), image)


def test_the_matrix_of_colours_is_what_torchvision_does_one_after_the_other() -> None:
    """All but hue, which torchvision turns in HSV."""
    from torchvision.transforms.v2 import functional as change

    class Drawn:
        def uniform(self, low: float, high: float, count: int | None = None) -> object:
            return np.array([1.1, 0.8, 1.3]) if count else 0.0

    image = torch.from_numpy(np.random.default_rng(1).integers(70, 160, (64, 64, 3), np.uint8)).permute(2, 0, 1)
    expected = change.adjust_saturation(change.adjust_brightness(change.adjust_contrast(image, 0.8), 1.1), 1.3)
    found = recoloured(image, Drawn(), 0.4)  # pyright: ignore[reportArgumentType]
    assert (found.float() - expected.float()).abs().mean() < 2.5, "it rounds down four times"


def test_a_contact_sheet_shows_all_four_sides_of_a_box(tmp_path: Path) -> None:
    """Pictures are thinned out for the sheet: lines as thin as a pixel would be lost here and there."""
    (tmp_path / "in").mkdir()
    rows = ["path,label,xmin,ymin,xmax,ymax"]
    for k, x in enumerate((100, 101, 102, 103)):
        Image.new("RGB", (416, 320)).save(tmp_path / f"in/{k}.png")
        rows.append(f"{k}.png,thing,{x},{x},{x + 100},{x + 100}")
    (tmp_path / "in/boxes.csv").write_text("\n".join(rows))
    sheet = tmp_path / "sheet.png"
    still = {"crop": 1.0, "zoom": 1.0, "mosaic": 0.0, "colour": 0.0, "flip": False}
    foveal_api.contact_sheet(foveal_api.look(tmp_path / "in/boxes.csv"), sheet, recipe="detection", views=1, **still)
    red = np.asarray(Image.open(sheet))[..., 0] == 255
    red &= np.asarray(Image.open(sheet))[..., 2] == 0
    (high, wide), (step, gap) = (-(-320 // 3), -(-416 // 3)), (3, 4)
    for row in range(4):
        for column in range(2):
            top, left = gap + row * (high + gap), gap + column * (wide + gap)
            ys, xs = np.nonzero(red[top : top + high, left : left + wide])
            inner = red[top + ys.min() + 2 : top + ys.max() - 1, left + xs.min() + 2 : left + xs.max() - 1]
            assert (ys.max() - ys.min(), xs.max() - xs.min()) == pytest.approx((100 / step,) * 2, abs=2)
            assert not inner.any()
            sides = red[top : top + high, left : left + wide]
            assert sides[ys.min()].sum() > 25
            assert sides[ys.max()].sum() > 25
            assert sides[:, xs.min()].sum() > 25
            assert sides[:, xs.max()].sum() > 25
