"""Kinds of wrong boxes, each made by hand, and what AP50 gains without them."""

import numpy as np
import pytest

from foveal.measure import ERROR_KINDS
from foveal.measure.box_errors import box_errors
from foveal.measure.box_matching import judged
from foveal.measured import ErrorKind

CAT, DOG = 0, 1
TRUE = [0, 0, 10, 10, CAT, 0.0]
FAR = [50, 50, 60, 60]
NOTHING = np.zeros((0, 6))


def errors(*images: tuple[list[list[float]], list[list[float]]], least: float = 0.0) -> dict[str, ErrorKind]:
    """Of images as (true, found) boxes; those found are shown from a score of `least` on."""
    arrays = [[np.array(rows, float).reshape(-1, 6) for rows in image] for image in images]
    matched = [judged(*image) for image in arrays]
    return box_errors(matched, [image.found[:, 4] >= least for image in matched], 2)


def only(found: dict[str, ErrorKind]) -> str:
    (kind,) = [kind for kind, row in found.items() if row.count]
    assert found[kind].count == 1
    return kind


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([0, 0, 10, 4, 0.9, CAT], "misplaced"),
        ([0, 0, 10, 8, 0.9, DOG], "wrong_class"),
        ([*FAR, 0.9, CAT], "background"),
    ],
)
def test_a_false_box_of_each_kind(box: list[float], kind: str) -> None:
    found = errors(([TRUE], [box]))
    assert list(found) == list(ERROR_KINDS)
    assert found[kind].count == 1
    missed = kind == "background"
    assert found["missed"].count == missed, "a true box that a misplaced one is about is counted with that"
    assert sum(row.count for row in found.values()) == 1 + missed


def test_duplicates_and_boxes_that_are_wrong_in_both_ways() -> None:
    right = [0, 0, 10, 10, 0.9, CAT]
    assert only(errors(([TRUE], [right, [0, 0, 10, 8, 0.5, CAT]]))) == "duplicate"
    assert only(errors(([TRUE], [right, [0, 0, 10, 4, 0.5, DOG]]))) == "misplaced_and_wrong_class"
    assert only(errors(([TRUE], []))) == "missed"


def test_only_what_is_shown_is_counted_and_everything_gains() -> None:
    found = errors(([TRUE], [[*FAR, 0.4, CAT], [0, 0, 10, 10, 0.3, CAT]]), least=0.5)
    assert only(found) == "missed"
    assert found["background"].ap50_gain == pytest.approx(0.5)
    assert found["missed"].ap50_gain == 0


def test_crowds_are_neither_missed_nor_a_place_for_errors() -> None:
    crowd = [100, 0, 200, 100, CAT, 1.0]
    inside, right = [110, 10, 120, 20, 0.8, CAT], [0, 0, 10, 10, 0.9, CAT]
    assert not any(row.count for row in errors(([TRUE, crowd], [right, inside])).values())
    dog = [110, 10, 120, 20, 0.8, DOG]
    assert only(errors(([TRUE, crowd], [right, dog]))) == "background"


def test_gains_by_hand() -> None:
    """Ten cats, each alone in its image: five are found, then come a misplaced one, a dog and a background, and three
    are missed."""
    image = ([TRUE], [[0, 0, 10, 10, 0.9, CAT]])
    images = [image] * 5
    images += [([TRUE], [[0, 0, 10, 4, 0.95, CAT]]), ([TRUE], [[0, 0, 10, 10, 0.5, DOG]])]
    images += [([TRUE], []), ([TRUE], []), ([TRUE], [[*FAR, 0.97, CAT]])]
    found = errors(*images)
    assert {kind: row.count for kind, row in found.items()} == {
        "missed": 3,
        "misplaced": 1,
        "wrong_class": 1,
        "misplaced_and_wrong_class": 0,
        "duplicate": 0,
        "background": 1,
    }
    before = 51 * 5 / 7 / 101  # recalls of 0 to 0.5, at five of seven right
    assert found["misplaced"].ap50_gain == pytest.approx(61 * 6 / 7 / 101 - before)
    assert found["wrong_class"].ap50_gain == pytest.approx((51 * 6 / 8 + 10 * 6 / 8) / 101 - before)
    assert found["background"].ap50_gain == pytest.approx(51 * 5 / 6 / 101 - before)
    assert found["missed"].ap50_gain == pytest.approx(72 * 5 / 7 / 101 - before)
    assert found["duplicate"].ap50_gain == 0


def test_of_two_boxes_about_one_only_the_surer_is_put_right() -> None:
    misplaced = [[0, 0, 10, 4, 0.9, CAT], [0, 0, 10, 3, 0.8, CAT]]
    found = errors(([TRUE], misplaced))
    assert (found["misplaced"].count, found["missed"].count) == (2, 0)
    assert found["misplaced"].ap50_gain == pytest.approx(1)
    beside = errors(([TRUE], [[0, 0, 10, 4, 0.9, CAT], [0, 0, 10, 10, 0.8, CAT]]))
    assert beside["misplaced"].ap50_gain == pytest.approx(0.5), "what it is about is found: it is gone"


def test_a_box_of_a_wrong_class_is_right_for_the_other_label() -> None:
    dog = [20, 0, 30, 10, DOG, 0.0]
    found = errors(([TRUE, dog], [[0, 0, 10, 10, 0.9, CAT], [20, 0, 30, 10, 0.8, CAT]]))
    assert only(found) == "wrong_class"
    assert found["wrong_class"].ap50_gain == pytest.approx(0.5), "from (1 + 0) / 2 to 1"


def test_nothing_found_at_all() -> None:
    found = errors(([TRUE], []), ([], []))
    assert (found["missed"].count, found["missed"].ap50_gain) == (1, 1)
    assert sum(row.count for row in found.values()) == 1
