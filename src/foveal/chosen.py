"""One thing that a network says of an image, out of all that it says: what an explanation explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Chosen", "no_boxes", "number_of"]

NAMED = 10  # that a message lists


@dataclass(frozen=True, slots=True)
class Chosen:
    """A label, a value or a box.

    Args:
        number: of the label or the value, from 0.
        name: of it.
        place: where the answer is boxes, the number of the candidate among the A that the head gives; otherwise None.
        xyxy: likewise, left, top, right, bottom, in the pixels of the original image, or of the network's input where
            nobody said how the image was mapped; otherwise None.
        either_way: whether less of it says as much as more, as of a value. Of a label or a box only more does.
    """

    number: int
    name: str
    place: int | None = None
    xyxy: tuple[float, float, float, float] | None = None
    either_way: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: `name`, `number`, and `xyxy` of a box."""
        told: dict[str, Any] = {"name": self.name, "number": self.number}
        return told if self.xyxy is None else {**told, "xyxy": list(self.xyxy)}

    def __str__(self) -> str:
        return self.name if self.xyxy is None else f"{self.name} at {' '.join(f'{side:.0f}' for side in self.xyxy)}"


def number_of(target: str, labels: Sequence[str]) -> int:
    """The number of a label, or of a value, by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if target not in labels:
        more = ", …" if len(labels) > NAMED else ""
        raise ValueError(f"expected one of {', '.join(labels[:NAMED])}{more}, found {target!r}")
    return list(labels).index(target)


def no_boxes(box: int | None) -> None:
    """Of an answer that is about the whole image.

    Raises:
        ValueError: a box is asked for.
    """
    if box is not None:
        raise ValueError(f"box {box} is asked for, and this network's answer is about the whole image: it has no boxes")
