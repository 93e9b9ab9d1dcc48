"""Temperature against scipy, thresholds by counting, and that what decides one image decides all in the same way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from foveal.answers import Label, Labels
from foveal.answers.deciding import abstention, aimed, binary_temperature, temperature
from foveal.answers.label import decided, softmax
from foveal.examples import Examples
from foveal.measure import measure_labels
from foveal.wishes import Aim, Wish


def drawn(seed: int, n: int, labels: int, temper: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels as likely as softmax says, and logits that are `temper` times too large."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, labels))
    truth = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return (temper * logits).astype(np.float32), np.minimum(truth, labels - 1)


@pytest.mark.parametrize("temper", [0.3, 1.0, 4.0])
def test_a_temperature_is_found_again(temper: float) -> None:
    assert temperature(*drawn(0, 20_000, 5, temper)) == pytest.approx(temper, rel=0.03)


def test_it_is_the_one_of_the_largest_likelihood() -> None:
    logits, truth = drawn(1, 3000, 4, 2.5)

    def loss(t: float) -> float:
        return -log_softmax(logits / t, axis=1)[np.arange(len(truth)), truth].mean()

    found = minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8}).x
    assert temperature(logits, truth) == pytest.approx(found, rel=2e-3)  # one more image, of which nothing is known


def test_of_several_labels_likewise_and_what_is_not_known_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    found = binary_temperature(3 * logits, truth)

    def loss(t: float) -> float:
        return -np.where(truth == 1, log_expit(3 * logits / t), log_expit(-3 * logits / t)).mean()

    best = minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8}).x
    assert found == pytest.approx(best, rel=2e-3)
    unknown = np.where(np.arange(4000)[:, None] < 2000, truth, np.nan)
    assert binary_temperature(3 * logits, unknown) == pytest.approx(binary_temperature(3 * logits[:2000], truth[:2000]))


def test_all_right_is_not_certain_and_all_wrong_is_no_crash() -> None:
    truth = np.arange(30) % 3
    right = np.eye(3)[truth] * 5.0
    cool = temperature(right, truth)
    assert 0.97 < softmax(right[0] / cool)[0] < 0.999
    assert temperature(-right, truth) == pytest.approx(20)
    assert temperature(np.where(right > 0, np.inf, -np.inf), truth) > 0
    assert temperature(np.zeros((30, 3)), truth) == 1


def counted(threshold: float, scores: np.ndarray, positive: np.ndarray) -> dict[str, tuple[int, int]]:
    said = scores >= threshold
    return {
        "sensitivity": (int((said & positive).sum()), int(positive.sum())),
        "specificity": (int((~said & ~positive).sum()), int((~positive).sum())),
        "precision": (int((said & positive).sum()), int(said.sum())),
    }


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 10**6),
    st.integers(1, 80),
    st.sampled_from(["sensitivity", "specificity", "precision"]),
    st.sampled_from([0.1, 0.5, 0.9, 0.95]),
    st.booleans(),
)
def test_a_threshold_meets_its_aim_with_one_image_to_spare_at_the_least_cost(
    seed: int, n: int, quantity: str, value: float, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    scores = np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1)
    scores = np.round(scores, 1) if ties else scores
    got = aimed(scores, positive, int(positive.sum()), Aim("a", quantity, value), "a")
    right, of = counted(got["threshold"], scores, positive)[quantity]
    assert got["met"] == (right >= value * (of + 1) - 1e-9)
    # Every other way to divide the scores that meets it costs more.
    for other in [*scores, 2.0]:
        theirs, their_of = counted(other, scores, positive)[quantity]
        if theirs >= value * (their_of + 1) - 1e-9:
            assert got["met"]
            said, their_said = (scores >= got["threshold"]).sum(), (scores >= other).sum()
            assert said <= their_said if quantity == "sensitivity" else said >= their_said


def test_what_cannot_be_met_is_the_nearest_and_says_so() -> None:
    scores, positive = np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False])
    got = aimed(scores, positive, 2, Aim("a", "sensitivity", 0.9), "a")
    assert (got["met"], got["threshold"]) == (False, pytest.approx(0.2))
    got = aimed(scores, positive, 2, Aim("a", "specificity", 0.9), "a")
    assert (got["met"], got["threshold"]) == (False, pytest.approx(0.85))
    assert not aimed(np.zeros(0), np.zeros(0, bool), 3, Aim("a", "precision", 0.5), "a")["met"]


def test_the_promise_is_kept_on_new_images() -> None:
    """Of 400 validation sets of 60 images each, thresholds for 0.9; the mean of what they come to on others."""
    rng, come = np.random.default_rng(0), []
    for _ in range(400):
        got = aimed(rng.normal(1, 1, 60) / 20 + 0.5, np.ones(60, bool), 60, Aim("a", "sensitivity", 0.9), "a")
        come.append((rng.normal(1, 1, 500) / 20 + 0.5 >= got["threshold"]).mean())
    assert np.mean(come) == pytest.approx(0.9, abs=0.015)  # ⌈61 · 0.9⌉ of 61 is 0.902


def test_a_coverage_and_a_risk_by_counting() -> None:
    confidence, right = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    got = abstention(confidence, right, Wish(coverage=0.8))
    assert (got["confidence"], got["met"], got["coverage"]) == (pytest.approx(0.55), True, 0.8)
    got = abstention(confidence, right, Wish(risk=0.4))  # (1 + 1) / (4 + 1)
    assert (got["confidence"], got["met"]) == (pytest.approx(0.55), True)
    got = abstention(confidence, right, Wish(risk=0.35))  # (0 + 1) / (2 + 1)
    assert (got["confidence"], got["met"]) == (pytest.approx(0.75), True)
    got = abstention(confidence, right, Wish(risk=0.01))
    assert (got["confidence"], got["met"]) == (pytest.approx(0.75), False)


NAMES = tuple("abcdefg")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 7), st.sampled_from(["sensitivity", "specificity", "precision"]))
def test_one_image_is_decided_as_all_are(seed: int, labels: int, quantity: str) -> None:
    logits, truth = drawn(seed, 60, labels, 2.0)
    names = NAMES[:labels]
    settled = Label().settle(logits, truth, names, Wish((Aim("b", quantity, 0.9),)))
    answers = decided(logits, names, settled).argmax(axis=1)
    threshold = settled["at"][0]["threshold"]
    for row, answer, prediction in zip(logits, answers, Label().decode(logits, [None] * 60, names, settled)):
        assert prediction.label == names[answer]
        assert prediction.label in prediction.probabilities
        assert prediction.probabilities[prediction.label] == prediction.probability
        assert (prediction.label == "b") == (softmax(row / settled["temperature"])[1] >= threshold)
        assert prediction.abstained is False
    test = Examples([str(i) for i in range(60)], np.zeros((60, 1, 1, 1), np.uint8), truth)
    measured = measure_labels(logits, test, test, names, 0, settled)
    said, true = answers == 1, truth == 1
    (point,) = measured.operating
    assert (point.label, point.quantity, point.threshold) == ("b", quantity, threshold)
    if true.any():
        assert point.scores["sensitivity"].value == pytest.approx(said[true].mean())
    assert point.scores["specificity"].value == pytest.approx((~said)[~true].mean())
    assert measured.scores["accuracy"].value == pytest.approx((answers == truth).mean())


def test_the_second_of_two_needs_no_name_and_silence_is_marked() -> None:
    logits, truth = drawn(0, 200, 2, 1.0)
    settled = Label().settle(logits, truth, ("no", "yes"), Wish((Aim(None, "sensitivity", 0.95),)))
    assert settled["at"][0]["label"] == "yes"
    settled = Label().settle(logits, truth, ("no", "yes"), Wish(coverage=0.5))
    lines = [answer.as_dict() for answer in Label().decode(logits, [None] * 200, ("no", "yes"), settled)]
    assert sum(line["abstained"] for line in lines) == 100
    assert {line.get("reason") for line in lines} == {None, "not sure enough"}
    assert "abstained" not in Label().decode(logits[:1], [None], ("no", "yes"))[0].as_dict()


def test_an_operating_point_takes_the_place_of_a_labels_threshold() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((300, 2)) < 0.4).astype(np.float32)
    logits = rng.normal(size=(300, 2)) + 2 * truth - 1
    truth[:50, 0] = np.nan
    plain = Labels().settle(logits, truth, ("a", "b"))
    aimed_at = Labels().settle(logits, truth, ("a", "b"), Wish((Aim("a", "sensitivity", 0.95),)))
    assert aimed_at["temperature"] == plain["temperature"]
    assert aimed_at["thresholds"]["b"] == plain["thresholds"]["b"]
    (point,) = aimed_at["at"]
    assert point["threshold"] == aimed_at["thresholds"]["a"] < plain["thresholds"]["a"]
    said = ["a" in answer.labels for answer in Labels().decode(logits, [None] * 300, ("a", "b"), aimed_at)]
    assert 0.95 <= np.array(said)[truth[:, 0] == 1].mean() <= 0.97
