"""How a person names what an explanation is to be about."""

import numpy as np
import pytest

from foveal.answers.boxes import Boxes
from foveal.answers.label import Label
from foveal.answers.labels import Labels
from foveal.answers.value import Value
from foveal.chosen import Chosen
from foveal.types import Geometry

LABELS = ("cat", "dog", "owl")
LOGITS = np.array([0.5, 2.0, -1.0], np.float32)


def test_without_a_name_it_is_what_the_answer_says() -> None:
    assert Label().choose(LOGITS, None, LABELS) == Chosen(1, "dog")
    point = {"label": "owl", "threshold": 0.01}
    assert Label().choose(LOGITS, None, LABELS, {"at": [point]}).name == "owl", "the operating point decides otherwise"
    assert Labels().choose(LOGITS - 9, None, LABELS) == Chosen(1, "dog")
    assert Value().choose(LOGITS, None, LABELS) == Chosen(0, "cat", either_way=True)


@pytest.mark.parametrize("answer", [Label(), Labels(), Value()])
def test_a_name_is_found_or_refused(answer: Label | Labels | Value) -> None:
    assert answer.choose(LOGITS, None, LABELS, target="owl").number == 2
    with pytest.raises(ValueError, match="expected one of cat, dog, owl, found 'cow'"):
        answer.choose(LOGITS, None, LABELS, target="cow")
    with pytest.raises(ValueError, match="box 2 is asked for, and this network's answer is about the whole image"):
        answer.choose(LOGITS, None, LABELS, box=2)


def outputs_with(*rows: tuple[float, ...]) -> np.ndarray:
    """Ten candidates, those of the rows first, the others surely nothing."""
    nothing = (0.0, 0.0, 1.0, 1.0, -9.0, -9.0, -9.0)
    return np.array([*rows, *[nothing] * (10 - len(rows))], np.float32)


def test_a_box_is_found_by_its_number_its_label_or_both() -> None:
    outputs = outputs_with(
        (2, 2, 12, 12, 1.0, -9, -9),  # cat, third
        (50, 50, 70, 70, -9, 2.0, -9),  # dog, second
        (51, 50, 70, 70, -9, 1.9, -9),  # the same dog: suppressed
        (20, 20, 40, 40, 3.0, -9, -9),  # cat, first
        (5, 5, 9, 9, -9, -9, -2.0),  # an owl that is not shown
    )
    choose = Boxes().choose
    assert [choose(outputs, None, LABELS, box=k).place for k in (1, 2, 3)] == [3, 1, 0]
    assert choose(outputs, None, LABELS).place == 3
    assert choose(outputs, None, LABELS, target="cat", box=2).place == 0
    owl = choose(outputs, None, LABELS, target="owl")
    assert (owl.place, owl.number, owl.xyxy) == (4, 2, (5, 5, 9, 9)), "the surest candidate, although none is shown"
    halved = choose(outputs, Geometry(200, 200, 0.5, 0.5, 0, 0), LABELS)
    assert halved.xyxy == (40, 40, 80, 80)
    assert str(halved) == "cat at 40 40 80 80"
    with pytest.raises(ValueError, match="box 4 is asked for, and the numbers of the boxes are 1 to 3"):
        choose(outputs, None, LABELS, box=4)
    with pytest.raises(ValueError, match="the boxes of owl are none"):
        choose(outputs, None, LABELS, target="owl", box=1)
    with pytest.raises(ValueError, match="the boxes are none"):
        choose(outputs_with(), None, LABELS)
    with pytest.raises(ValueError, match="found 'cow'"):
        choose(outputs, None, LABELS, target="cow")
