"""A process that decodes images for another one: `python -m foveal.data.worker`.

It is told in JSON lines and answers with JSON lines, pixels as bytes after them, or written straight into the file that
they belong into. No code and no objects travel, and the user's own script is not started a second time. What it cannot
read it leaves to the process that asked, whose source knows the reason.
"""

import json
import sys
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from foveal.data.memory import keep_freed_memory
from foveal.data.photos import resize
from foveal.data.seen import Seen, alike, see
from foveal.data.sources.place import Place, read_place
from foveal.errors import UnreadableImage
from foveal.readers import ImageReader
from foveal.recipe import InputContract
from foveal.task import Reader

__all__ = ["READY", "main"]

READY = b"ready\n"
NOTHING = np.zeros(0, np.uint8)
UNREAD = (OSError, ValueError, zlib.error)


def main() -> None:
    keep_freed_memory()
    ask, answer = sys.stdin.buffer, sys.stdout.buffer
    job: dict[str, Any] = json.loads(ask.readline())
    work = partial(_look, ImageReader(**job["reader"]))
    if "fill" in job:
        file = Path(job["fill"]).open("r+b", buffering=0)  # noqa: SIM115 (as long as the process)
        work = partial(_fill, ImageReader(**job["reader"]), InputContract(**job["contract"]), file, job["offset"])
    answer.write(READY)
    answer.flush()
    for line in ask:
        found, pixels = work(**json.loads(line))
        answer.write(json.dumps({"found": found, "shape": pixels.shape}).encode() + b"\n")
        answer.write(pixels.data)
        answer.flush()


def _look(reader: Reader, start: int, places: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    """What was seen of each image, a reason, or None; and the pixels, where all are small and of one shape."""
    seen = [_see(reader, place) for place in places]
    pixels = alike([array for _, array in seen if array is not None])
    found = [one.told() if isinstance(one, Seen) else one for one, _ in seen]
    return found, NOTHING if pixels is None else pixels


def _see(reader: Reader, place: Sequence[Any] | None) -> tuple[Seen | str | None, np.ndarray | None]:
    try:
        return (None, None) if place is None else see(reader, read_place(Place(*place)))
    except UnreadableImage as error:
        return error.message, None
    except UNREAD:
        return None, None


def _fill(
    reader: Reader, contract: InputContract, file: IO[bytes], offset: int, start: int, places: Sequence[Any]
) -> tuple[list[int], np.ndarray]:
    """Which images are left to do; the pixels of the others are in the file."""
    size = contract.height * contract.width * contract.channels
    left = []
    for k, place in enumerate(places):
        pixels = _load(reader, place, contract)
        if pixels is None:
            left.append(k)
        else:
            file.seek(offset + (start + k) * size)
            file.write(np.ascontiguousarray(pixels).data)
    return left, NOTHING


def _load(reader: Reader, place: Sequence[Any] | None, contract: InputContract) -> np.ndarray | None:
    try:
        return None if place is None else reader.load(read_place(Place(*place)), contract, resize)[0]
    except (*UNREAD, UnreadableImage):
        return None


if __name__ == "__main__":
    main()
