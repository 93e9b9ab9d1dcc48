"""Deciding by what mistakes cost, with numbers counted by hand."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.answers import Label, Labels
from foveal.answers.costs import cost_matrix, cost_threshold, label_costs, priced
from foveal.answers.label import decided
from foveal.answers.labels import sigmoid
from foveal.errors import RecipeError
from foveal.examples import Examples
from foveal.measure import measure_label_sets, measure_labels
from foveal.measure.costs import mean_cost
from foveal.tasks import TASKS
from foveal.wishes import Cost, Wish, wish_of

SICK = ("NORMAL", "PNEUMONIA")
THREE = ("a", "b", "c")


def wished(*texts: str) -> Wish:
    wish = wish_of(cost=texts)
    assert wish is not None
    return wish


def examples(truth: np.ndarray) -> tuple[Examples, Examples]:
    pixels = np.zeros((len(truth), 1, 1, 1), np.uint8)
    return Examples([str(i) for i in range(len(truth))], pixels, truth), Examples([], pixels[:0], truth[:0])


def test_a_cost_is_read_from_its_last_equals_sign() -> None:
    assert wished("PNEUMONIA:NORMAL=10", "abstain=0.3").cost == (Cost("PNEUMONIA:NORMAL", 10), Cost("abstain", 0.3))
    assert Cost.read("x=y:z=0.5") == Cost("x=y:z", 0.5)
    wish = wished("a:b=2", "abstain=0.3")
    assert Wish.from_dict(json.loads(json.dumps(wish.as_dict()))) == wish
    assert wish_of(cost="none") == Wish()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["a:b"], r"Expected a cost \(TRUE:ANSWER=10, LABEL:missed"),
        (["a=3"], "Expected a cost"),
        (["a:b=nan"], "Expected a cost"),
        (["a:b=inf"], "Expected a cost"),
        (["a:b=-1"], "Expected a cost of 0 or more, found 'a:b=-1'"),
        (["abstain=0"], "there is never an answer"),
    ],
)
def test_what_is_no_cost_is_told(texts: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        wish_of(cost=texts)


def test_costs_decide_alone() -> None:
    others: list[dict[str, Any]] = [{"at": "sensitivity=0.9"}, {"coverage": 0.8}, {"risk": 0.1}]
    for other in others:
        with pytest.raises(RecipeError, match="each decide alone") as error:
            wish_of(cost="a:b=2", **other)
        assert "--cost abstain=0.3" in error.value.remedy


@pytest.mark.parametrize(
    ("task", "labels", "texts", "told"),
    [
        ("classification", SICK, ["PNEUMONIA:HEALTHY=10"], "labels NORMAL, PNEUMONIA; found 'PNEUMONIA:HEALTHY'"),
        ("classification", SICK, ["NORMAL:NORMAL=1"], "'NORMAL:NORMAL' is a right answer, which costs nothing"),
        ("classification", SICK, ["NORMAL:missed=1", "NORMAL:missed=2"], "can have one cost, and was given two"),
        ("classification", SICK, ["abstain=1", "abstain=2"], "'abstain' can have one cost, and was given two"),
        ("classification", ("a", "a:a", "a:a:a"), ["a:a:a:a=1"], "may be read in 3 ways"),
        ("multilabel", THREE, ["a:b=2"], "expected LABEL:missed or LABEL:false with the labels a, b, c; found 'a:b'"),
        ("multilabel", THREE, ["abstain=0.3"], "a price of no answer has no meaning"),
        ("regression", ("age",), ["age:missed=2"], "a value is not right or wrong"),
        ("detection", THREE, ["a:missed=2"], "any number of boxes"),
    ],
)
def test_a_cost_without_a_meaning_is_refused(task: str, labels: tuple[str, ...], texts: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TASKS[task].answer.check(wished(*texts), labels)


def test_a_pair_counts_before_missed_and_false_of_which_the_larger() -> None:
    costs = wished("a:missed=5", "b:false=3", "c:false=9", "c:b=0").cost
    expected = [[0, 5, 9], [1, 0, 9], [1, 0, 0]]
    np.testing.assert_array_equal(cost_matrix(priced(costs, THREE, pairs=True), THREE), expected)
    missed, false = label_costs(priced(wished("a:missed=5", "b:false=3").cost, THREE, pairs=False), THREE)
    assert (missed.tolist(), false.tolist()) == ([5, 1, 1], [1, 3, 1])


def test_a_label_may_have_colons_and_be_called_missed() -> None:
    labels = ("missed", "x:y", "z")
    for text, (true, answer) in {"x:y:z=2": ("x:y", "z"), "z:missed=2": ("z", "missed")}.items():
        assert priced(wished(text).cost, labels, pairs=True) == [{"true": true, "answer": answer, "cost": 2}]


def test_the_least_expected_cost_by_hand() -> None:
    """Probabilities 0.5, 0.3, 0.2. To answer a costs 0.3 · 4 + 0.2 = 1.4; b, 0.5 + 0.2 = 0.7; c, 0.5 + 0.3 = 0.8."""
    outputs = np.log([[0.5, 0.3, 0.2]])
    settled = {"costs": {"mistakes": [{"true": "b", "answer": "a", "cost": 4.0}], "constant": "b", "n": 9}}
    (said,) = decided(outputs, THREE, settled).argmax(axis=1)
    assert THREE[said] == "b"
    (answer,) = Label().decode(outputs, [None], THREE, settled)
    assert (answer.label, answer.abstained) == ("b", False)
    assert answer.probability == pytest.approx(0.3)
    for abstain, silent in ((0.69, True), (0.71, False)):
        priced_too = {"costs": {**settled["costs"], "abstain": abstain}}
        line = Label().decode(outputs, [None], THREE, priced_too)[0].as_dict()
        assert (line["label"], line["abstained"]) == ("b", silent)
        assert line.get("reason") == ("not sure enough" if silent else None)


def test_chow_unit_costs_answer_from_one_less_the_price_on() -> None:
    for sure in (0.69, 0.71):
        outputs = np.log([[sure, 0.2, 0.8 - sure]])
        settled = Label().settle(outputs, np.array([0]), THREE, wished("abstain=0.3"))
        assert Label().decode(outputs, [None], THREE, settled)[0].abstained == (sure < 0.7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 60))
def test_unit_costs_are_the_likeliest_label_where_nothing_is_chosen(seed: int, labels: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = np.round(rng.normal(size=(n, labels)), 1).astype(np.float32)  # ties among them
    settled = {"costs": {"mistakes": [], "constant": None, "n": n, "abstain": 2.0}}
    names = [str(k) for k in range(labels)]
    np.testing.assert_array_equal(decided(outputs, names, settled).argmax(axis=1), outputs.argmax(axis=1))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.sampled_from([0.0, 0.2, 1.0, 3.0, 25.0]), st.booleans())
def test_a_threshold_that_was_moved_costs_no_more_than_the_plain_answer(
    seed: int, n: int, missed: float, rough: bool
) -> None:
    """On the validation images that moved it, and within a standard error of the cheapest there is."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=n) * 2
    positive = rng.random(n) < 1 / (1 + np.exp(-3 * logits - rng.normal(0, 3)))
    probability = sigmoid(np.round(logits) if rough else logits)

    def cost(threshold: float) -> float:
        said = probability >= threshold
        return missed * (positive & ~said).sum() + (~positive & said).sum()

    threshold, moved = cost_threshold(probability, positive, missed, 1.0)
    if moved:
        assert cost(threshold) <= cost(0.5) + 1e-9
        assert cost(threshold) < cost(1 / (1 + missed))
    else:
        assert threshold == 1 / (1 + missed)


def test_few_images_leave_the_threshold_where_probabilities_have_it_and_many_move_it() -> None:
    """Every probability is far too low: half of those at 0.05 are so. At 5 : 1 the threshold is 1/6."""
    probability = np.repeat([0.01, 0.05, 0.9], 4)
    positive = np.tile([True, False], 6) & (probability > 0.02)
    assert cost_threshold(probability, positive, 5, 1) == (1 / 6, False)
    many = np.repeat(probability, 20), np.repeat(positive, 20)
    assert cost_threshold(*many, 5, 1) == (pytest.approx(0.03), True)


def test_measured_by_hand() -> None:
    """Six images; a wrong NORMAL costs 10. By costs, threshold 1/11: all but the first are called PNEUMONIA."""
    chance = np.array([0.05, 0.2, 0.2, 0.4, 0.6, 0.9])
    truth = np.array([0, 0, 1, 0, 1, 1])
    outputs = np.log(np.stack([1 - chance, chance], axis=1))
    settled = Label().settle(outputs, truth, SICK, wished("PNEUMONIA:NORMAL=10"))
    assert settled["costs"]["threshold"] == pytest.approx(1 / 11)
    assert settled["costs"]["constant"] == "PNEUMONIA"
    got = measure_labels(outputs, *examples(truth), SICK, 0, settled)
    assert got.costs is not None
    values = got.costs.mean.value, got.costs.plain.value, got.costs.always.value
    assert values == pytest.approx((2 / 6, 10 / 6, 3 / 6))
    assert (got.costs.saved.value, got.costs.saved_always.value) == pytest.approx((8 / 6, 1 / 6))
    assert got.costs.mean.low < 2 / 6 < got.costs.mean.high < 10
    assert got.scores["accuracy"].value == pytest.approx(4 / 6)
    assert got.confusion is not None
    assert got.confusion.counts == ((1, 2), (0, 3))
    assert got.selective is None
    said = [answer.label for answer in Label().decode(outputs, [None] * len(outputs), SICK, settled)]
    assert said == ["NORMAL", *["PNEUMONIA"] * 5]


def test_silence_is_paid_for() -> None:
    """Two right answers, one wrong one (cost 1), one image without an answer (0.3)."""
    chance = np.array([0.95, 0.9, 0.8, 0.6])
    outputs, truth = np.log(np.stack([chance, 1 - chance], axis=1)), np.array([0, 0, 1, 1])
    settled = Label().settle(outputs, truth, SICK, wished("abstain=0.3"))
    assert settled["costs"]["constant"] is None  # either label is wrong half of the time
    got = measure_labels(outputs, *examples(truth), SICK, 0, settled).costs
    assert got is not None
    assert (got.mean.value, got.plain.value) == pytest.approx((1.3 / 4, 2 / 4))
    assert (got.always.value, got.always.low, got.always.high, got.silent) == (0.3, 0.3, 0.3, True)
    assert got.answered is not None
    assert got.error_answered is not None
    assert (got.answered.value, got.error_answered.value) == pytest.approx((0.75, 1 / 3))


def test_several_labels_by_hand_and_what_is_not_known_costs_nothing() -> None:
    chance = np.array([[0.2, 0.9], [0.1, 0.4], [0.3, 0.2]])
    truth = np.array([[1, 1], [0, 1], [np.nan, 0]], np.float32)
    outputs = np.log(chance / (1 - chance))
    settled = Labels().settle(outputs, truth, ("a", "b"), wished("a:missed=7"))
    assert settled["thresholds"] == {"a": 1 / 8, "b": 0.5}
    assert settled["costs"]["constant"] == ["a", "b"]
    got = measure_label_sets(outputs, *examples(truth), ("a", "b"), 0, settled).costs
    assert got is not None
    assert (got.mean.value, got.plain.value, got.always.value) == pytest.approx((1 / 3, 8 / 3, 2 / 3))
    answer = Labels().decode(outputs, [None] * 3, ("a", "b"), settled)[0]
    assert (answer.labels, answer.abstained) == (("b", "a"), False)


def test_a_mean_cost_has_an_interval_that_holds_it() -> None:
    rng, held = np.random.default_rng(0), 0
    for seed in range(200):
        drawn = np.where(rng.random(200) < 0.1, 10.0, np.where(rng.random(200) < 0.2, 1.0, 0.0))
        score = mean_cost(drawn, 10, seed)
        held += score.low <= 0.1 * 10 + 0.9 * 0.2 <= score.high
    assert 0.91 * 200 <= held <= 0.99 * 200
    nothing = mean_cost(np.zeros(50), 10, 0)
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(10 * 0.0713, rel=0.01)  # Wilson's, of none of 50


def test_no_validation_image_nothing_to_choose() -> None:
    assert Label().settle(np.zeros((0, 2)), np.zeros(0, np.int64), SICK, wished("PNEUMONIA:NORMAL=10")) == {}
    assert Labels().settle(np.zeros((0, 2)), np.zeros((0, 2)), SICK, wished("NORMAL:missed=2")) == {}
