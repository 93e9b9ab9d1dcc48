"""Pictures of what training will see."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import RunError
from foveal.extras import extra
from foveal.recipe import Recipe
from foveal.recipes import named_recipe, natural
from foveal.types import Dataset, Progress

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["contact_sheet"]

GAP = 4  # pixels between pictures
OUTLINE = 255, 60, 0
LARGEST = 160  # side of a picture; larger ones are made smaller


def contact_sheet(
    dataset: Dataset,
    path: str | Path,
    *,
    recipe: str | Recipe | None = None,
    images: int = 6,
    views: int = 7,
    progress: Progress | None = None,
    **changes: Any,
) -> None:
    """Draw some images, and beside each what training makes of it in its first epochs, into one PNG file.

    Args:
        recipe: whose augmentation is shown; that of photographs for photographs when left out.
        images: rows.
        views: columns, after the one with the image as it is.
        changes: fields of the recipe to change.

    Raises:
        RunError: something is at `path` already.
        RecipeError: there is no such recipe or field.
    """
    with extra("train"):
        import torch
        from PIL import Image

        from foveal.engine.augment import augment
        from foveal.engine.blend import blended
        from foveal.engine.scenes import Scenes, check_scenes, placed_targets
    from foveal.tasks import named_task

    path = Path(path)
    if path.exists():
        raise RunError(f"{path} is already there, and nothing is overwritten.", remedy="Choose another name.")
    task = named_task(dataset.task)
    named = task.pretrained if natural(dataset) else task.recipe
    chosen = recipe if isinstance(recipe, Recipe) else named_recipe(recipe or named, dataset)
    chosen = chosen.changed(**changes)
    rows = np.random.default_rng(chosen.seed).permutation(len(dataset))[:images]
    check_scenes(task.answer, chosen)
    arrays = [task.reader.load(dataset.source.read(dataset.files[row]), chosen.input)[0] for row in rows]
    batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    columns = [batch]
    if task.answer.placed:
        targets = placed_targets(dataset, task, chosen.input)[rows]
        scenes = Scenes(task.answer, chosen, np.stack(arrays), targets, np.arange(len(rows)))
        seen = [scenes.batch(np.arange(len(rows)), epoch) for epoch in range(views)]
        columns = [_outlined(*pair) for pair in [(batch, torch.from_numpy(targets)), *seen]]
    else:
        for epoch in range(views):
            columns.append(blended(augment(batch, rows, chosen, epoch), chosen, chosen.seed + epoch).images.byte())
    sheet = np.stack([column.permute(0, 2, 3, 1).numpy() for column in columns], axis=1)
    Image.fromarray(_tiled(sheet)).save(path)


def _outlined(images: "Tensor", targets: "Tensor") -> "Tensor":
    """The same images, (B, C, H, W) uint8, with what their targets are about outlined."""
    from PIL import Image, ImageDraw

    outlined = images.clone()
    for image, target in zip(outlined, targets):
        pixels = image.permute(1, 2, 0).numpy()
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        # As wide as pictures are thinned out, so that no line is lost.
        draw, wide = ImageDraw.Draw(picture), -(-max(picture.size) // LARGEST)
        for x0, y0, x1, y1 in target[~target[:, 0].isnan(), :4].tolist():
            draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=OUTLINE[: pixels.shape[2]], width=wide)
        pixels[:] = np.asarray(picture).reshape(pixels.shape)
    return outlined


def _tiled(pictures: np.ndarray) -> np.ndarray:
    """(R, K, H, W, C) to one picture, white between them."""
    rows, columns, height, width, channels = pictures.shape
    step = -(-max(height, width) // LARGEST)
    pictures = pictures[:, :, ::step, ::step]
    height, width = pictures.shape[2:4]
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
            sheet[top : top + height, left : left + width] = pictures[row, column]
    return sheet[..., 0] if channels == 1 else sheet
