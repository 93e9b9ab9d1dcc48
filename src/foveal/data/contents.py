"""What images are by their pixels, wherever their files lie and whatever they are called."""

from collections.abc import Sequence

from foveal.data.machine import in_threads
from foveal.data.seen import see
from foveal.errors import SourceError, UnreadableImage
from foveal.task import Reader
from foveal.types import Dataset, Progress

__all__ = ["contents"]


def contents(dataset: Dataset, reader: Reader, *, progress: Progress | None = None) -> Sequence[str]:
    """A hash of shape, depth and pixels for each image, in the dataset's order; every file is decoded.

    Raises:
        SourceError: an image cannot be read any more.
    """

    def content(file: str) -> str:
        try:
            return see(reader, dataset.source.read(file))[0].content
        except UnreadableImage as error:
            raise SourceError(
                f"{file} in {dataset.source.spec} could be read before and cannot be now: {error.message}."
            ) from error

    found = []
    for known in in_threads(content, dataset.files):
        found.append(known)
        if progress:
            progress("comparing images", len(found), len(dataset))
    return found
