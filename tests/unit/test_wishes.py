"""An operating point as people write it, and how it is refused where it has no meaning."""

import json

import pytest

from foveal.errors import RecipeError
from foveal.tasks import TASKS
from foveal.wishes import Aim, Wish, wish_of


def test_an_aim_is_read_from_its_last_colon_and_equals_sign() -> None:
    assert Aim.of("sensitivity=0.95") == Aim(None, "sensitivity", 0.95)
    assert Aim.of("Covid: yes=no:precision=0.5") == Aim("Covid: yes=no", "precision", 0.5)
    assert str(Aim.of("cat:specificity=0.90")) == "cat:specificity=0.9"


@pytest.mark.parametrize(
    "text", ["", "0.9", "recall=0.9", "sensitivity=", "sensitivity=1", "sensitivity=95", "cat:=0.9", "precision=nan"]
)
def test_what_is_no_aim_is_told(text: str) -> None:
    with pytest.raises(RecipeError, match=r"Expected an operating point \(sensitivity=0.95, or LABEL") as error:
        wish_of(text)
    assert repr(text) in error.value.message


def test_nothing_said_is_no_wish_and_none_is_the_wish_for_nothing() -> None:
    assert wish_of() is None
    assert wish_of("none") == wish_of(coverage="none") == wish_of(risk="none") == wish_of(cost="none") == Wish()
    assert not Wish()
    assert wish_of(coverage=0.8) == Wish(coverage=0.8)


def test_only_one_of_the_three_and_only_shares() -> None:
    with pytest.raises(RecipeError, match="each decide alone"):
        wish_of("sensitivity=0.9", coverage=0.8)
    with pytest.raises(RecipeError, match="each decide alone"):
        wish_of(coverage=0.8, risk=0.1)
    with pytest.raises(RecipeError, match="each decide alone"):
        wish_of("sensitivity=0.9", coverage="none")
    with pytest.raises(RecipeError, match="Expected a risk above 0 and below 1, or none, found 'no'"):
        wish_of(risk="no")
    for share in (0.0, 1.0, 80.0, float("nan")):
        with pytest.raises(RecipeError, match="Expected a coverage above 0 and below 1"):
            wish_of(coverage=share)


@pytest.mark.parametrize(
    "wish", [Wish(), Wish((Aim("a", "precision", 0.5), Aim(None, "sensitivity", 0.9))), Wish(risk=0.1)]
)
def test_a_wish_survives_json(wish: Wish) -> None:
    assert Wish.from_dict(json.loads(json.dumps(wish.as_dict()))) == wish


THREE = ("a", "b", "c")
SENSITIVE = Wish((Aim("b", "sensitivity", 0.9),))


@pytest.mark.parametrize(
    ("task", "wish", "labels", "told"),
    [
        ("classification", Wish((Aim(None, "sensitivity", 0.9),)), THREE, "expected LABEL:sensitivity=0.9 where there"),
        ("classification", Wish((Aim("d", "sensitivity", 0.9),)), THREE, r"labels \(a, b, c\), found 'd'"),
        ("classification", Wish((Aim("a", "precision", 0.9), Aim("b", "precision", 0.9))), THREE, "only one operating"),
        ("multilabel", Wish(coverage=0.8), THREE, "a coverage or a risk of them has no meaning"),
        ("multilabel", Wish((Aim(None, "precision", 0.9),)), THREE, "expected LABEL:precision=0.9"),
        ("multilabel", Wish((Aim("a", "precision", 0.9), Aim("a", "sensitivity", 0.9))), THREE, "was given two"),
        ("regression", SENSITIVE, ("b",), "there is none here"),
        ("regression", Wish(risk=0.1), ("b",), "a value comes with its interval"),
        ("detection", Wish((Aim("b", "specificity", 0.9),)), THREE, "expected sensitivity or precision here"),
        ("detection", Wish(risk=0.1), THREE, "any number of boxes"),
    ],
)
def test_a_wish_without_a_meaning_is_refused(task: str, wish: Wish, labels: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TASKS[task].answer.check(wish, labels)


@pytest.mark.parametrize(
    ("task", "wish", "labels"),
    [
        ("classification", Wish((Aim(None, "sensitivity", 0.9),)), ("no", "yes")),
        ("classification", Wish(coverage=0.8), THREE),
        *((task, SENSITIVE, THREE) for task in ("classification", "multilabel", "detection")),
    ],
)
def test_a_wish_with_a_meaning_is_not(task: str, wish: Wish, labels: tuple[str, ...]) -> None:
    assert not refusal_of(task, wish, labels)


def refusal_of(task: str, wish: Wish, labels: tuple[str, ...]) -> str:
    """Why the answer refuses a wish; empty where it does not."""
    try:
        TASKS[task].answer.check(wish, labels)
    except ValueError as refusal:
        return str(refusal)
    return ""
