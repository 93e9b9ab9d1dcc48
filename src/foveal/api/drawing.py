"""Answers with boxes, kept: drawn into copies of the images, and written as annotations that other programs read."""

import colorsys
import io
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from foveal.api.answering import opened, predict
from foveal.bundle import Bundle
from foveal.data.box_files import FORMS, Mark, MarkedImage, check_free, write_boxes
from foveal.errors import RecipeError, RunError
from foveal.files import write_atomic
from foveal.readers import ImageReader
from foveal.readers.image import size_of
from foveal.readers.paths import image_files
from foveal.run import Run
from foveal.task import FileAnswer, Task
from foveal.tasks import named_task
from foveal.types import Progress

__all__ = ["Boxed", "FoundBox", "Places", "draw_boxes", "kept", "predict_and_keep"]

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")  # Okabe and Ito, 2008
GOLDEN = 0.618034  # of the circle of hues: neighbouring numbers are far apart
BRIGHT = 140  # luma from which on letters are black
THIN, SMALL = 250, 40  # parts of the shorter side: the width of a line, the height of letters
LEAST_LETTERS = 11  # pixels
LONGEST = 40  # letters
QUALITY = 95
SUFFIXES = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",)}


class FoundBox(Protocol):
    """`xyxy` is left, top, right, bottom in pixels of the upright image, `score` is from 0 to 1."""

    @property
    def label(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def xyxy(self) -> tuple[float, float, float, float]: ...


@runtime_checkable
class Boxed(Protocol):
    """A prediction that can be drawn: it has boxes."""

    @property
    def boxes(self) -> Sequence[FoundBox]: ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where boxes go.

    Args:
        draw: a folder for copies of the images, with the boxes in them.
        write: a folder or file for annotations.
        form: of the annotations, a key of `FORMS`.
    """

    draw: Path | None = None
    write: Path | None = None
    form: str = "coco"

    def check(self, task: Task, origin: Path) -> None:
        """
        Args:
            origin: of the network, for messages.

        Raises:
            RunError: the network's answers are not boxes, or something is there already.
            RecipeError: no such form.
        """
        if not task.answer.placed:
            found = f"{task.name} ({task.summary})"
            if self.draw:
                raise RunError(
                    f"Expected a run whose answers are boxes, found one of {found}: {origin}.",
                    remedy="There is nothing to draw: leave out --draw.",
                )
            form = f" as {self.form}" if self.write and self.write.suffix.casefold() == ".csv" else ""
            raise RunError(
                f"Expected a table, NAME.csv, for answers of {found}, found {self.write}{form}.",
                remedy="Give --write NAME.csv; annotations (NAME.json, NAME.jsonl or a folder) are for boxes.",
            )
        if self.write and self.form not in FORMS:
            raise RecipeError(f"Expected {', '.join(FORMS)} as the format of annotations, found {self.form!r}.")
        if self.draw and self.draw.exists() and (not self.draw.is_dir() or any(self.draw.iterdir())):
            raise RunError(f"{self.draw} is already there, and nothing is overwritten.", remedy="Choose another name.")
        if self.write:
            check_free(self.write, self.form)


def predict_and_keep(
    run: str | Path | Run | Bundle,
    images: str | Path | Iterable[str | Path],
    places: Places,
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> Generator[FileAnswer]:
    """`predict`, whose boxes are drawn and written on the way.

    Raises:
        RunError, RecipeError: as `Places.check`, before anything is answered.
        FovealError: as `predict`.
    """
    told = opened(run)
    name, labels = (told.manifest.task, told.manifest.labels) if isinstance(told, Bundle) else _named(told)
    places.check(named_task(name), told.path)
    files = image_files(images)
    return kept(predict(told, files, device=device, progress=progress), files, labels, places)


def _named(run: Run) -> tuple[str, Sequence[str]]:
    return run.info["task"], run.info["labels"]


def kept(
    answers: Generator[FileAnswer], files: Sequence[str], labels: Sequence[str], places: Places
) -> Generator[FileAnswer]:
    """The same answers. An image is drawn before its answer is passed on; annotations are written when the answers end,
    or when this is closed, for those that came.

    Args:
        files: all that are answered. Copies and annotations have their paths below the folder that all are in.
        labels: of the run.

    Raises:
        RunError: two images would share a file.
    """
    names = _names(files)
    marked: dict[str, MarkedImage] = {}
    with closing(answers):
        try:
            for answer in answers:
                name = names[answer.file]
                if isinstance(answer.prediction, Boxed) and name not in marked:
                    marked[name] = _keep(answer.file, name, answer.prediction.boxes, labels, places.draw)
                yield answer
        finally:
            if places.write:
                write_boxes(places.write, list(marked.values()), labels, places.form)


def _keep(file: str, name: str, boxes: Sequence[FoundBox], labels: Sequence[str], folder: Path | None) -> MarkedImage:
    data = Path(file).read_bytes()
    if folder:
        array, facts = ImageReader().inspect(data)
        _save(draw_boxes(array, boxes, labels), facts.format, folder / name)
    return MarkedImage(name, *size_of(data), tuple(Mark(box.label, box.xyxy, box.score) for box in boxes))


def _names(files: Sequence[str]) -> dict[str, str]:
    """File to its path below the folder that all are in, with `/`."""
    paths = {file: Path(file).parent.resolve() / Path(file).name for file in files}
    try:
        base = os.path.commonpath([path.parent for path in paths.values()]) if paths else ""
    except ValueError:  # on different drives
        return {file: "/".join((path.drive.strip(":\\"), *path.parts[1:])) for file, path in paths.items()}
    return {file: path.relative_to(base).as_posix() for file, path in paths.items()}


def draw_boxes(array: np.ndarray, boxes: Sequence[FoundBox], labels: Sequence[str]) -> Image.Image:
    """A picture with boxes, labels and scores in it, the surest on top; a color for each label.

    Args:
        array: uint8 or uint16, H×W×C with C = 1 or 3, upright.
    """
    levels = array if array.dtype == np.uint8 else np.round(array / 257).astype(np.uint8)
    picture = Image.fromarray(np.broadcast_to(levels, (*levels.shape[:2], 3)).copy())
    pencil = ImageDraw.Draw(picture)
    shorter = min(picture.size)
    width = max(1, round(shorter / THIN))
    font = ImageFont.load_default(max(LEAST_LETTERS, round(shorter / SMALL)))
    surest_last = sorted(boxes, key=lambda box: box.score)
    for box in surest_last:
        pencil.rectangle(_pixels(box.xyxy, picture.size), outline=_color(labels.index(box.label)), width=width)
    for box in surest_last:
        color = _color(labels.index(box.label))
        x0, y0, *_ = _pixels(box.xyxy, picture.size)
        text = f"{' '.join(box.label.split())[:LONGEST]} {box.score:.2f}"
        _, _, right, bottom = pencil.textbbox((2, 1), text, font=font)
        left = max(0, min(x0, picture.width - int(right) - 3))
        top = y0 - int(bottom) - 2 if y0 >= bottom + 2 else y0
        pencil.rectangle((left, top, left + right + 2, top + bottom + 2), fill=color)
        pencil.text((left + 2, top + 1), text, fill=_letters(color), font=font)
    return picture


def _pixels(xyxy: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The first and the last pixels that a box covers, within the picture."""
    x0, y0 = (min(max(int(value), 0), side - 1) for value, side in zip(xyxy, size))
    x1, y1 = (min(max(-int(-value // 1) - 1, 0), side - 1) for value, side in zip(xyxy[2:], size))
    return x0, y0, max(x0, x1), max(y0, y1)


def _color(number: int) -> tuple[int, int, int]:
    if number < len(COLORS):
        return tuple(bytes.fromhex(COLORS[number][1:]))  # pyright: ignore[reportReturnType]
    red, green, blue = colorsys.hls_to_rgb(number * GOLDEN % 1, 0.5, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def _letters(color: tuple[int, int, int]) -> str:
    """Black on bright colors, white on dark ones (luma of ITU-R 601-2)."""
    return "black" if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] >= BRIGHT else "white"


def _save(picture: Image.Image, form: str, path: Path) -> None:
    """As JPEG where the original is one, otherwise as PNG; a suffix is added where the name has another.

    Raises:
        RunError: something is there already.
    """
    form = form if form in SUFFIXES else "PNG"
    if path.suffix.casefold() not in SUFFIXES[form]:
        path = path.with_name(f"{path.name}{SUFFIXES[form][0]}")
    if path.exists():
        raise RunError(f"{path} is already there, and nothing is overwritten.", remedy="Choose another folder.")
    content = io.BytesIO()
    picture.save(content, form, **({"quality": QUALITY} if form == "JPEG" else {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content.getvalue())
