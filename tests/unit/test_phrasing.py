"""Numbers in sentences for people."""

import math
import re
from pathlib import Path

import pytest

import foveal
from foveal.phrasing import amount, command, counted, listed, passes


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *((0, "0"), (-0.0, "0"), (1234567, "1,234,567"), (30.6067, "30.61"), (1234.56, "1,235"), (0.5, "0.5")),
        *((0.000123456, "0.0001235"), (2.1e-7, "2.1e-07"), (3e15, "3e+15"), (math.inf, "inf"), (-12.0, "-12")),
    ],
)
def test_an_amount(value: float, told: str) -> None:
    assert amount(value) == told


@pytest.mark.parametrize(
    ("epochs", "told"),
    [(3, "3"), (3.018, "3.02"), (3.001, "3"), (1234.5678, "1,235"), (0.5, "0.5"), (0.0408, "0.041"), (0, "0")],
)
def test_epochs_of_which_the_last_is_a_part(epochs: float, told: str) -> None:
    assert passes(epochs) == told


def test_nouns_follow_their_number() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 1.0, 1.6, 2)] == [
        "0 epochs",
        "1 epoch",
        "1 epoch",
        "1.6 epochs",
        "2 epochs",
    ]
    assert (counted(1, "box", "boxes"), counted(2000, "box", "boxes")) == ("1 box", "2,000 boxes")


def test_a_list_in_words() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert listed(["a", "b"], "or") == "a or b"


def test_a_command_can_be_pasted() -> None:
    assert command("foveal", "resume", Path("runs/it's mine")) == """foveal resume 'runs/it'"'"'s mine'"""
    assert command("foveal", "resume", Path("runs/digits-1")) == "foveal resume runs/digits-1"
    unquoted = re.compile(r"foveal [a-z]+ \{(?!command)")
    found = [file for file in Path(foveal.__file__).parent.rglob("*.py") if unquoted.search(file.read_text())]
    assert not found, "a path with a space would not be one word there"
