"""What can be wrong with annotations of boxes, in words; many cases become one finding, with the first places told."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from foveal.data.sources.assemble import FAULTS
from foveal.data.sources.layout import writable
from foveal.types import Finding

__all__ = ["BOX_FAULTS", "Faults", "Spot"]

SHOWN = 20  # places of one fault that are told
LONGEST = 80  # characters of what is written there

BOX_FAULTS = {  # kind of finding, message, remedy
    "wrong-file": (
        "wrong-file",
        "annotation files that cannot be read",
        "They are left out, all of each. Mend or remove them.",
    ),
    "missing-image": (
        "missing-image",
        "annotations whose image is not there",
        "They are left out. Bring the images, or correct their names.",
    ),
    "unlisted-image": (
        "missing-image",
        "annotations of an image that is not in the list of images",
        "They are left out. Add the image to the list, or correct its id.",
    ),
    "nameless-image": (
        "missing-image",
        "records of images without a name or an id",
        "They are left out. Give each an id and a file_name, or remove them.",
    ),
    "missing-split": (
        "missing-image",
        "splits whose images are not there",
        "They are left out. Bring the images, or correct the path.",
    ),
    "missing-annotation": (
        "missing-annotation",
        "images without an annotation",
        "They are left out: nothing says what is on them. Where nothing is, add an annotation without objects.",
    ),
    "background": (
        "missing-annotation",
        "images without a label file",
        "They count as images without objects. An empty label file says so; remove those that nobody labelled.",
    ),
    "no-split": (
        "no-split",
        "images that are in none of the splits",
        "They are left out. Put each into a split.",
    ),
    "repeated-image": (
        "repeated-image",
        "images that are in more than one split",
        "They are in the first of train, validation and test alone. Remove them from the others.",
    ),
    "repeated-id": (
        "repeated-image",
        "records of images with an id that another has",
        "The first is used. Give each image an id of its own.",
    ),
    "size-differs": (
        "size-differs",
        "annotations made for an image of another size",
        "Their boxes are read as pixels of the image that is there, upright. Annotate it anew, or bring the image that "
        "they were made for.",
    ),
    "wrong-box": (
        "wrong-box",
        "boxes that cannot be read",
        "They are left out. Write a label and four finite numbers.",
    ),
    "unknown-class": (
        "unknown-class",
        "boxes of a class that has no name",
        "They are left out. Name the class, or correct its number.",
    ),
    "inverted-box": (
        "inverted-box",
        "boxes whose second corner comes before the first",
        "Their corners are put in order. Check that they lie where they should.",
    ),
    "empty-box": ("empty-box", "boxes without an area", "They are left out. Draw them anew, or remove them."),
    "outside-box": (
        "outside-box",
        "boxes that reach beyond their image",
        "They are cut off at its edge. Check that they belong to it.",
    ),
    "beyond-box": (
        "outside-box",
        "boxes that lie wholly outside of their image",
        "They are left out. Check that they belong to it.",
    ),
    "repeated-box": (
        "repeated-box",
        "boxes that repeat another of the same image",
        "The first is used. Remove the others.",
    ),
    "doubled-box": (
        "doubled-box",
        "boxes that almost cover another of their label, with an IoU above 0.9",
        "They are used. Remove one of each two that mean the same thing.",
    ),
    "unused-class": (
        "unused-class",
        "classes that are declared, and no box has",
        "They are not learned. Remove them, or add boxes.",
    ),
    "extra-file": (
        "extra-file",
        "files that are no part of the annotations",
        "They are left out. Where they are no images, there is nothing to do.",
    ),
}


class Spot(NamedTuple):
    """Where something stands.

    Args:
        file: of the annotations.
        unit: what is counted in it (`line`, `annotation`, `image`); empty for the file as a whole.
    """

    file: str
    unit: str = ""
    number: int | str = ""

    def __str__(self) -> str:
        return writable(f"{self.file}, {self.unit} {self.number}") if self.unit else self.file


@dataclass(slots=True)
class Faults:
    """What was met so far, by reason: a key of `BOX_FAULTS`, or of the faults that rows of any table can have."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[tuple[Spot, str]]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, reason: str, file: str, spot: Spot | None = None, detail: str = "") -> None:
        """
        Args:
            file: the image that it is about, as far as that is known, otherwise the file of the annotations.
            spot: None where the file says it all.
            detail: what is written there.
        """
        self.counts[reason] += 1
        self.files[reason][writable(file)] = None
        if spot and len(self.places[reason]) < SHOWN:
            detail = detail if len(detail) <= LONGEST else f"{detail[:LONGEST]}…"
            self.places[reason].append((spot, writable(detail)))

    def findings(self, looked: str = "") -> tuple[Finding, ...]:
        """One for each reason.

        Args:
            looked: where files that a table names were looked for, in words.
        """
        return tuple(self._findings(looked))

    def _findings(self, looked: str) -> Iterator[Finding]:
        for reason, (kind, message, remedy) in {**FAULTS, **BOX_FAULTS}.items():
            if count := self.counts[reason]:
                where = f" (looked in {looked})" if reason == "missing" else ""
                places = self.places[reason]
                told = f": {_told(places, count)}" if places else ""
                yield Finding(kind, tuple(self.files[reason]), f"{message}{where} ({count:,}){told}", remedy)


def _told(places: Sequence[tuple[Spot, str]], count: int) -> str:
    """`a.xml, lines 3 (0×5), 7; b.xml, line 2 and 4 more`."""
    texts = []
    for (file, unit), group in groupby(places, key=lambda place: place[0][:2]):
        here = list(group)
        details = [f" ({detail})" if detail else "" for _, detail in here]
        numbers = ", ".join(f"{writable(str(spot.number))}{detail}" for (spot, _), detail in zip(here, details))
        texts.append(f"{file}, {unit}{'s' * (len(here) > 1)} {numbers}" if unit else file + details[0])
    more = f" and {count - len(places):,} more" if count > len(places) else ""
    return "; ".join(texts) + more
