"""What the data check found, in words and pictures: twins, outliers, suspects."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foveal.data.far import few
from foveal.phrasing import counted, listed
from foveal.report.plots import boxes_svg, picture_uri, thumbnail_uri
from foveal.report.schema import Report
from foveal.report.schema_found import (
    ReportFoundImage,
    ReportLeftOut,
    ReportOutliers,
    ReportPair,
    ReportReason,
    ReportSuspects,
    ReportTwins,
)
from foveal.report.words import named, number

__all__ = ["found_of", "pictured"]

SMALL_SIDE = 64  # pixels of an image that is shown to the pixel
PHOTO, SCENE = 128, 256  # pixels a side of a picture, and of one with boxes over it


def pictured(report: Report) -> set[str]:
    """The files that the page has pictures of."""
    return {mistake.file for mistake in report.mistakes} | {image.file for image in _images(report)}


def found_of(report: Report, pictures: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """For the page: what there is to say, and pictures with what to say of each.

    Args:
        pictures: file to its picture, as for `write_page`.
    """
    found = report.found
    if found is None:
        return None
    what = "boxes" if report.data.boxes else "labels" if report.data.labels else "values"
    lost = len({image.file for image in _images(report)} - set(pictures))
    return {
        "what": what,
        "left_out": _left_out(found.left_out) if found.left_out else None,
        "reasons": [_reason(reason) for reason in found.left_out.reasons] if found.left_out else [],
        "twins": _twins(found.twins, what) if found.twins else None,
        "pairs": [_pair(pair, what, pictures) for pair in found.twins.shown] if found.twins else [],
        "outliers": _outliers(found.outliers) if found.outliers else _nobody_looked(report),
        "unlike": [_shown(image, pictures) for image in found.outliers.shown] if found.outliers else [],
        "suspects": _suspects(found.suspects) if found.suspects else None,
        "doubted": [_shown(image, pictures) for image in found.suspects.shown] if found.suspects else [],
        "command": found.suspects_command,
        "lost": f"{counted(lost, 'image')} of these could not be read again, and {'has' if lost == 1 else 'have'} no "
        "picture here: the source was moved or changed since the check."
        if lost
        else None,
    }


def _images(report: Report) -> list[ReportFoundImage]:
    found = report.found
    if found is None:
        return []
    pairs = [image for pair in (found.twins.shown if found.twins else []) for image in pair.images]
    return [*pairs, *(image for part in (found.outliers, found.suspects) if part for image in part.shown)]


def _left_out(left: ReportLeftOut) -> str:
    one = left.count == 1
    more = " The reasons with the most files are shown." if sum(r.count for r in left.reasons) < left.count else ""
    return (
        f"{counted(left.count, 'file')} cannot be used and {'is' if one else 'are'} left out: nothing was learned from "
        f"{'it' if one else 'them'}, and {'it is' if one else 'they are'} in no score.{more}"
    )


def _reason(reason: ReportReason) -> dict[str, Any]:
    """A reason, the first files with it, and how many more there are."""
    more = reason.count - len(reason.files)
    rest = f"and {more:,} more" if reason.files and more else ""
    return {"reason": reason.reason, "count": counted(reason.count, "file"), "files": reason.files, "rest": rest}


def _nobody_looked(report: Report) -> list[str]:
    """Why there are no outliers to show, as far as the numbers of the report say it."""
    found = report.found
    different = report.data.images - (found.twins.same if found and found.twins else 0)
    return [f"They were not looked for: {told}."] if (told := few(different)) else []


def _twins(twins: ReportTwins, what: str) -> list[str]:
    """In whole sentences."""
    if not twins.count:
        return [
            "No two of the images show the same: none has the pixels of another, and none is a copy that was resized, "
            "compressed, cropped a little or mirrored."
        ]
    near = twins.count - twins.same
    kinds = [f"{counted(twins.same, 'pair')} of images with the same pixels"] if twins.same else []
    kinds += [f"{counted(near, 'pair')} of near-duplicates"] if near else []
    mirrored = f", {twins.mirrored:,} of them mirrored" if twins.mirrored else ""
    told = [f"There {'is' if twins.count == 1 else 'are'} {listed(kinds)}{mirrored}."]
    if twins.test_images:
        have, them = ("has", "it") if twins.test_images == 1 else ("have", "them")
        test = counted(twins.test_images, "test image")
        told.append(f"{test} {have} a twin in train or validation: the network may know {them} by heart.")
    else:
        told.append("No test image has a twin in train or validation.")
    if twins.contrary:
        pairs = counted(twins.contrary, "pair")
        if what == "labels":
            told.append(f"In {pairs} the labels differ: one may be wrong, or they only look alike.")
        else:  # of near-duplicates they may well
            told.append(f"In {pairs} with the same pixels the {what} differ: they cannot both be right.")
    return told


def _outliers(outliers: ReportOutliers) -> list[str]:
    if not outliers.count:
        return ["No image looks unlike the rest."]
    looks = "image looks" if outliers.count == 1 else "images look"
    return [
        f"{outliers.count:,} {looks} unlike the rest, by brightness, contrast, colours, detail or grain; the distance "
        "is a multiple of the threshold. Up to about three of a large set are there by chance: look whether they "
        "belong to it, and whether such images will come later." + _first(outliers, "farthest")
    ]


def _suspects(suspects: ReportSuspects) -> list[str]:
    score, name = suspects.score, suspects.measured
    told = f"{named(name)} {number(score.value, name)} [{number(score.low, name)}, {number(score.high, name)}]"
    judges = f"networks that did not learn from them ({told})"
    among = f"{suspects.targets:,} {suspects.what}" if suspects.targets else suspects.what
    notes = [f"{note[:1].upper()}{note[1:]}." for note in suspects.notes]
    if not suspects.count:
        return [f"None of {among} looked wrong to {judges}.", *notes]
    wrong = (
        ""
        if suspects.wrong is None
        else f"; about {suspects.wrong:,.0f} {'is' if round(suspects.wrong) == 1 else 'are'} wrong, by estimate"
    )
    return [
        f"{counted(suspects.count, 'suspect')} among {among}, judged by {judges}{wrong}. A suspect is wrong, or hard: "
        "correct the wrong ones where they come from, and keep the hard ones." + _first(suspects, "likeliest"),
        *notes,
    ]


def _first(part: ReportOutliers | ReportSuspects, which: str) -> str:
    """A sentence where there are more of them than are shown."""
    return f" Shown are the {len(part.shown)} {which}." if len(part.shown) < part.count else ""


def _pair(pair: ReportPair, what: str, pictures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    how = (
        "the same pixels" if pair.alike >= 1 else f"alike to {min(pair.alike, 0.99):.2f}{', mirrored' * pair.mirrored}"
    )
    return {
        "images": [_shown(image, pictures) for image in pair.images],
        "how": how,
        "contrary": f"{what} differ" if pair.contrary else None,
    }


def _shown(image: ReportFoundImage, pictures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """With its picture, and the boxes to lay over that."""
    picture = pictures.get(image.file)
    if picture is None:
        return {"about": image, "image": None, "small": False, "boxes": None}
    height, width = picture.shape[:2]
    boxes, small = [(box.xyxy, box.label, box.kind) for box in image.boxes], max(height, width) <= SMALL_SIDE
    return {
        "about": image,
        "image": thumbnail_uri(picture) if small and not boxes else picture_uri(picture, SCENE if boxes else PHOTO),
        "small": small,
        "boxes": boxes_svg(boxes, height / width, named=True) if boxes else None,
    }
