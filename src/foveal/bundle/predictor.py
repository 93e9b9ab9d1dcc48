"""A trained network ready to answer, whatever runs it: torch from a run, or ONNX Runtime from a bundle."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
from PIL.Image import Image as PillowImage

from foveal.bundle.ahead import ahead
from foveal.errors import UnreadableImage
from foveal.readers.familiarity import strangeness, with_familiarity
from foveal.recipe import InputContract
from foveal.task import Prediction, Task
from foveal.types import Geometry

__all__ = ["Image", "Network", "Outputs", "Predictor"]

Image: TypeAlias = str | Path | bytes | np.ndarray | PillowImage
ONE = (np.ndarray, bytes, str, Path, PillowImage)
Prepared: TypeAlias = tuple[np.ndarray, Geometry] | UnreadableImage


class Network(Protocol):
    """Pixels (B, H, W, C) uint8, contiguous, to raw outputs (B, …) float32; several threads may call it at once."""

    def __call__(self, pixels: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network gives for B images, before it is put in words.

    Args:
        raw: (B, …) float32, the head's.
        strangeness: (B,) how far each image is from what the training images look like, above 1 unlike them; None where
            nothing was settled that could tell.
    """

    raw: np.ndarray
    strangeness: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Predictor:
    """Answers for images: `predictor(image)`. Made by `foveal.load`, of a run or a bundle.

    `prepare`, `run` and `decode` are its three steps, for whoever gathers images of several callers into one batch; all
    of it may be called by several threads at once.

    Attributes:
        origin: the run or the bundle.
        contract: what the network takes, and how an image becomes that.
        labels: the names the network knows, in the order of its outputs.
        settled: what was chosen on the validation images.
        largest: images in a batch of `many`.
        observe: what `run` gives, of prepared pixels, where that which runs the network finds the strangeness, too.
    """

    origin: Path
    task: Task
    contract: InputContract
    labels: tuple[str, ...]
    settled: Mapping[str, Any]
    network: Network
    largest: int
    observe: Callable[[np.ndarray], Outputs] | None = None

    @overload
    def __call__(self, images: Image) -> Prediction: ...
    @overload
    def __call__(self, images: Sequence[Image]) -> list[Prediction | UnreadableImage]: ...

    def __call__(self, images: Image | Sequence[Image]) -> Prediction | list[Prediction | UnreadableImage]:
        """The answer for an image: a path, encoded bytes, pixels (H×W or H×W×C, uint8 or uint16), a Pillow image. Of a
        list of them the answers, as from `many`.

        Raises:
            UnreadableImage: the one image cannot be decoded; the message is the reason.
        """
        if not isinstance(images, ONE):
            return list(self._in_batches(images, self.largest))
        pixels, geometry = self.prepare(images)
        (answer,) = self.decode(self.run(pixels[None]), [geometry])
        return answer

    def many(self, images: Iterable[Image]) -> Generator[Prediction | UnreadableImage]:
        """An answer an image, in order, as they come; an image that cannot be decoded gives its error.

        The first answer waits for one image only; then batches double. Files and bytes are decoded in threads, at most
        two batches ahead; pixels and Pillow images in the thread of the caller, when they are taken. Closing the
        generator stops it all.
        """
        return self._in_batches(images, 1)

    def _in_batches(self, images: Iterable[Image], size: int) -> Generator[Prediction | UnreadableImage]:
        """
        Args:
            size: of the first batch.
        """
        most = 2 * self.largest
        with closing(ahead(self._decoded, map(self._taken, images), most, at_once=_is_prepared)) as prepared:
            while batch := list(islice(prepared, size)):
                yield from self._answers(batch)
                size = min(2 * size, self.largest)

    def prepare(self, image: Image) -> tuple[np.ndarray, Geometry]:
        """Pixels (H, W, C) uint8 as the network takes them, and how the image was mapped there.

        Raises:
            UnreadableImage: it cannot be decoded; the message is the reason.
        """
        if isinstance(image, PillowImage):
            image = _pixels_of(image)
        elif not isinstance(image, np.ndarray | bytes):
            image = _bytes_of(Path(image))
        return self.task.reader.load(image, self.contract)

    def run(self, pixels: np.ndarray) -> Outputs:
        """What the network gives for a batch (B, H, W, C) uint8 of prepared images, B at least 1."""
        if not (pixels.flags.c_contiguous and pixels.flags.writeable):  # torch warns of arrays that are not the latter
            pixels = pixels.copy(order="C")
        if self.observe is not None:
            return self.observe(pixels)
        return Outputs(self.network(pixels), strangeness(pixels, self.settled))

    def decode(self, outputs: Outputs, geometries: Sequence[Geometry]) -> list[Prediction]:
        """The answers, one an image, in terms of the images that `prepare` was given."""
        answers = self.task.answer.decode(outputs.raw, geometries, self.labels, self.settled)
        if outputs.strangeness is None:
            return list(answers)
        return [with_familiarity(answer, far > 1) for answer, far in zip(answers, outputs.strangeness.tolist())]

    def _answers(self, batch: Sequence[Prepared]) -> Iterator[Prediction | UnreadableImage]:
        read = [item for item in batch if not isinstance(item, UnreadableImage)]
        answers = iter(())
        if read:
            answers = iter(self.decode(self.run(np.stack([item[0] for item in read])), [item[1] for item in read]))
        for item in batch:
            yield item if isinstance(item, UnreadableImage) else next(answers)

    def _taken(self, image: Image) -> str | Path | bytes | Prepared:
        """Pixels are copied at once: a camera may fill the same array with its next image."""
        if isinstance(image, str | Path | bytes):
            return image
        prepared = self._prepared(image)
        return prepared if isinstance(prepared, UnreadableImage) else (prepared[0].copy(), prepared[1])

    def _decoded(self, item: str | Path | bytes | Prepared) -> Prepared:
        return self._prepared(item) if isinstance(item, str | Path | bytes) else item

    def _prepared(self, image: Image) -> Prepared:
        try:
            return self.prepare(image)
        except UnreadableImage as error:
            return error


def _is_prepared(item: str | Path | bytes | Prepared) -> bool:
    return not isinstance(item, str | Path | bytes)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path} cannot be opened: {error.strerror or error}") from error


def _pixels_of(image: PillowImage) -> np.ndarray:
    try:
        return np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA"))
    except Exception as error:  # decoders raise whatever their format's parsing happens to hit
        raise UnreadableImage(f"the Pillow image cannot be decoded: {error}") from error
