"""Intervals where test images belong together: design effects by hand, and how often each holds the truth."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from foveal.examples import Examples
from foveal.measure.differences import drawn_difference
from foveal.measure.groups import groups_of
from foveal.measure.intervals import mean_of, resampled, share_among, share_of, student, wilson, worth
from foveal.measure.label import macro_f1_of, measure_labels
from foveal.measure.ranking import auroc
from foveal.measure.slices import slices
from foveal.measured import Score

TIMES = 1000
Z = float(norm.ppf(0.975))


def test_groups_are_numbered_and_none_where_each_image_is_alone() -> None:
    np.testing.assert_array_equal(whole(np.array([9, 2, 9, 7])), [2, 0, 2, 1])
    assert groups_of(np.array([9, 2, 7])) is None
    assert groups_of(np.zeros(0, np.int64)) is None
    assert groups_of(None) is None


def test_design_effect_by_hand() -> None:
    """Four pairs: right, right, wrong, and half. The share is 5/8 and N p q = 15/8; the pairs are 3/4, 3/4, -5/4 and
    -1/4 off what they would sum to, squares of 11/4, times 4/3 for four groups: 88/45 times the variance of 8."""
    hits, groups = np.array([1, 1, 1, 1, 0, 0, 1, 0], bool), np.arange(8) // 2
    fewer = (student(Z, 3) / Z) ** 2
    assert worth(hits, groups) == pytest.approx(8 / (88 / 45) / fewer)
    score = share_of(hits, groups)
    assert (score.value, score.n, score.method) == (0.625, 8, "wilson-groups")
    n = 8 / (88 / 45) / fewer
    middle, half = (0.625 + Z**2 / (2 * n)) / (1 + Z**2 / n), Z / (1 + Z**2 / n)
    half *= math.sqrt(0.625 * 0.375 / n + Z**2 / (4 * n * n))
    assert (score.low, score.high) == pytest.approx((middle - half, middle + half))


def test_what_groups_are_worth_at_the_ends() -> None:
    groups = np.arange(30) // 10
    right, plain = share_of(np.ones(30, bool), groups), wilson(3, 3)
    assert (right.low, right.high, right.n) == (plain.low, 1.0, 30), "three groups, all right"
    one = share_of(np.arange(30) % 2 == 0, np.zeros(30, np.int64))
    assert one.high - one.low > 0.8, "one group tells next to nothing of others"
    apart = np.arange(400) % 2 == 0  # each pair half right: less than chance would make them differ
    assert worth(apart, np.arange(400) // 2) <= 400
    some = share_among(np.arange(30) < 10, np.arange(30) % 3 == 0, np.arange(30) % 10)
    assert some == wilson(4, 10), "those that count are each alone"


def test_resamples_draw_whole_groups() -> None:
    groups = np.array([0, 1, 1, 2, 2, 2])
    weights = np.concatenate(list(resampled(6, 0, groups=groups)), axis=1)
    assert weights.shape == (6, 2000)
    assert (weights[1] == weights[2]).all()
    assert (weights[3] == weights[4]).all()
    assert (weights[[0, 1, 3]].sum(axis=0) == 3).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_copies_tell_nothing_new(seed: int) -> None:
    """Every image ten times, as one group: intervals of every kind are those of the images, of Student's width."""
    rng = np.random.default_rng(seed)
    values, groups = rng.exponential(size=60), np.arange(60).repeat(10)
    alone, copied = mean_of(values, seed), mean_of(values.repeat(10), seed, groups)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), rel=0.02)
    assert (copied.n, copied.method) == (600, "group-bootstrap")
    truth, outputs = np.arange(60) % 3 == 0, rng.normal(size=60)
    wide = auroc(outputs, truth)
    same = auroc(outputs.repeat(10), truth.repeat(10), groups)
    assert same.value == pytest.approx(wide.value)
    assert same.high - same.low == pytest.approx(wide.high - wide.low, rel=0.04)
    assert same.method == "obuchowski"
    score, p = drawn_difference(0.2, rng.normal(0.2, 0.1, 2000), 600, groups)
    assert score.high - score.low == pytest.approx(2 * student(Z, 59) * 0.1, rel=0.06)
    assert 0.03 < p < 0.08


def test_a_slice_of_one_group_is_about_that_group() -> None:
    groups = np.arange(60) // 30
    test = Examples([str(k) for k in range(60)], np.zeros((60, 2, 2, 1), np.uint8), np.arange(60) % 2, groups=groups)
    outputs = np.random.default_rng(0).normal(size=(60, 2))
    whole = measure_labels(outputs, test, test, ["a", "b"], 0).scores["accuracy"]
    sizes = np.full((60, 2), 2)
    at = "accuracy", whole, sizes, ["left", "right"] * 30
    parts = slices(measure_labels, outputs, test, ["a", "b"], 0, {}, *at)
    assert {part.score.method for part in parts} == {"wilson"}


def simulated(what: str, groups: np.ndarray, rng: np.random.Generator) -> tuple[float, Score, Score]:
    """The truth, and the intervals of one simulated test set that count groups and images. Of what varies, a third is
    alike in a group."""
    n, count = len(groups), int(groups.max()) + 1
    shared, own = rng.normal(size=count)[groups] * math.sqrt(1 / 3), rng.normal(size=n) * math.sqrt(2 / 3)
    right = shared + own < norm.ppf(0.7)
    if what == "accuracy":
        return 0.7, share_of(right, groups), share_of(right)
    if what == "auroc":  # two normal distributions 1.2 spreads apart, and both kinds in each group
        positive = rng.random(n) < 0.4
        outputs = np.where(positive, shared, -shared) + own + 1.2 * positive
        return float(norm.cdf(1.2 / math.sqrt(2))), auroc(outputs, positive, groups), auroc(outputs, positive)
    if what == "mae":
        errors, mean = np.abs(2 + shared + own), 2 * (1 - 2 * norm.cdf(-2)) + 2 * norm.pdf(2)
        return float(mean), mean_of(errors, 0, groups), mean_of(errors, 0)
    truth = rng.integers(0, 3, n)
    called = np.where(right, truth, (truth + rng.integers(1, 3, n)) % 3)
    cells = truth * 3 + called
    return 0.7, macro_f1_of(cells, 3, 0, groups), macro_f1_of(cells, 3, 0, None)


def whole(numbers: np.ndarray) -> np.ndarray:
    groups = groups_of(numbers)
    assert groups is not None
    return groups


def held(what: str, groups: int) -> tuple[float, float]:
    """How often intervals that count groups hold the truth, and those that count images."""
    rng = np.random.default_rng(groups)
    found = np.zeros(2)
    for _ in range(TIMES):
        numbers = whole(np.arange(groups).repeat(rng.integers(5, 16, groups)))
        truth, *scores = simulated(what, numbers, rng)
        found += [score.low <= truth <= score.high for score in scores]
    of_groups, of_images = (found / TIMES).tolist()
    return of_groups, of_images


SLOW = pytest.mark.slow


@pytest.mark.parametrize("groups", [12, 60])
@pytest.mark.parametrize("what", ["accuracy", "auroc", "mae", pytest.param("macro_f1", marks=SLOW)])
def test_of_a_thousand_test_sets_of_groups_950_hold_the_truth(what: str, groups: int) -> None:
    of_groups, of_images = held(what, groups)
    assert 0.93 <= of_groups <= 0.97
    assert of_images < 0.88
