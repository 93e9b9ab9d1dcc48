"""Paired differences against scipy on crafted tables, and their coverage where the truth is known."""

import numpy as np
import pytest
from scipy import stats

from foveal.examples import Examples, Rated
from foveal.measure.label import rate_labels
from foveal.measure.paired import image_variance, mcnemar, paired, seeds, share_difference, sure, welch
from foveal.tasks import TASKS


def table(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, lost, gained, neither])
    return first, np.repeat([True, False, True, False], [both, lost, gained, neither])


def outputs(predicted: np.ndarray, labels: int) -> np.ndarray:
    return np.eye(labels, dtype=np.float32)[predicted]


def examples(targets: np.ndarray) -> Examples:
    return Examples([str(k) for k in range(len(targets))], np.zeros((len(targets), 1, 1, 1), np.uint8), targets)


@pytest.mark.parametrize(
    ("lost", "gained"), [(1, 0), (0, 6), (8, 1), (1, 8), (3, 9), (25, 5), (10, 25), (40, 41), (300, 420), (600, 400)]
)
def test_mcnemar_is_the_exact_test_less_half_of_what_was_seen(lost: int, gained: int) -> None:
    exact = stats.binomtest(gained, gained + lost).pvalue
    expected = exact - stats.binom.pmf(gained, gained + lost, 0.5)
    assert mcnemar(np.repeat([-1, 1, 0], [lost, gained, 50])) == pytest.approx(expected, rel=1e-9)


def test_without_a_change_or_with_even_ones_nothing_differs() -> None:
    assert mcnemar(np.zeros(9, np.int64)) == 1
    for even in (5, 7):
        assert mcnemar(np.repeat([-1, 1], [even, even])) == 1


def test_groups_change_sides_as_a_whole() -> None:
    sizes = np.array([3, 3, 1, 2])
    signs = np.array([(a, b, c, d) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)])
    sums = np.abs(signs @ sizes)
    seen = 3 + 3 + 1 - 2
    assert mcnemar(np.array([3, 3, 1, -2])) == pytest.approx((sums > seen).mean() + (sums == seen).mean() / 2)


def test_the_airways_of_fagerland_lydersen_and_laake() -> None:
    """Their example of 21 children: 1 and 7 changes, mid-p 0.0391, exact 0.0703 (2013, table 5)."""
    assert share_difference(*table(1, 7, 1, 12), np.arange(21)).p == pytest.approx(0.0391, abs=5e-5)


@pytest.mark.parametrize("counts", [(1, 7, 1, 12), (36, 0, 1, 6), (50, 10, 25, 15), (86, 12, 2, 0)])
def test_tangos_bounds_are_where_the_score_statistic_is_the_quantile(counts: tuple[int, int, int, int]) -> None:
    both, lost, gained, neither = counts
    n = sum(counts)
    found = share_difference(*table(*counts), np.arange(n))
    for delta in (found.low, found.high):
        losing = np.linspace(max(0, -delta), (1 - delta) / 2, 200_001)[1:-1]  # the likelihood, by brute force
        likelihood = lost * np.log(losing) + gained * np.log(losing + delta)
        likelihood += (both + neither) * np.log(1 - 2 * losing - delta)
        best = losing[likelihood.argmax()]
        statistic = (gained - lost - n * delta) / np.sqrt(n * (2 * best + delta * (1 - delta)))
        assert abs(statistic) == pytest.approx(stats.norm.ppf(0.975), abs=2e-3)


def test_the_interval_and_the_test_say_the_same() -> None:
    rng = np.random.default_rng(0)
    agree = 0
    for _ in range(300):
        lost, gained = rng.poisson(15), rng.poisson(24)
        found = share_difference(*table(100, lost, gained, 20), np.arange(120 + lost + gained))
        agree += (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert agree >= 295


def test_a_share_of_one_image_and_of_equal_answers_has_an_interval() -> None:
    one = share_difference(np.array([True]), np.array([True]), np.array([0]))
    assert one.value == 0
    assert one.low == pytest.approx(-one.high)
    assert one.high == pytest.approx(1.96**2 / (1 + 1.96**2), abs=1e-3)


def test_copies_of_images_in_one_group_tell_no_more_than_one() -> None:
    first, second = table(30, 4, 12, 14)
    single = share_difference(first, second, np.arange(60))
    copied = share_difference(np.tile(first, 5), np.tile(second, 5), np.tile(np.arange(60), 5))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high), abs=1e-9)
    assert copied.p == pytest.approx(single.p)


@pytest.mark.parametrize("n", [20, 200])
def test_tangos_interval_holds_the_truth(n: int) -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        kinds = rng.multinomial(n, [0.6, 0.08, 0.2, 0.12])
        found = share_difference(*table(*kinds.tolist()), np.arange(n))
        held += found.low <= 0.12 <= found.high
    assert 0.93 <= held / 400 <= 0.99


def test_the_paired_bootstrap_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=80)
    first, second = truth + rng.normal(0, 1.0, 80), truth + rng.normal(0.3, 0.8, 80)
    rate = TASKS["regression"].rate
    rated = [rate(guess[:, None], examples(truth[:, None]), ["x"]) for guess in (first, second)]
    found = paired(*rated, np.arange(80), seed=0)[0]["mae"]
    change = np.abs(second - truth) - np.abs(first - truth)
    assert found.value == pytest.approx(change.mean())
    peer = stats.bootstrap((change,), np.mean, n_resamples=4000, random_state=0, method="basic").confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.03)
    assert found.p == pytest.approx(stats.ttest_1samp(change, 0).pvalue, rel=0.3, abs=0.005)


def test_groups_widen_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.normal(size=20), 6)
    shift = np.repeat(rng.normal(size=20), 6)
    rate = TASKS["regression"].rate
    rated = [rate(guess[:, None], examples(truth[:, None]), ["x"]) for guess in (truth + 1, truth + 1 + shift)]
    alone = paired(*rated, np.arange(120), seed=0)[0]["mae"]
    grouped = paired(*rated, np.repeat(np.arange(20), 6), seed=0)[0]["mae"]
    assert (grouped.high - grouped.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(6), rel=0.15)
    assert (alone.n, grouped.n) == (120, 20)


def test_labels_are_compared_on_their_own_images() -> None:
    truth = np.repeat([0, 1], [30, 10])
    first, second = truth.copy(), truth.copy()
    first[:12] = 1
    rated = [rate_labels(outputs(said, 2), examples(truth), ["a", "b"]) for said in (first, second)]
    scores, columns = paired(*rated, np.arange(40), seed=0)
    assert (scores["accuracy"].first, scores["accuracy"].second) == (0.7, 1.0)
    a, b = columns["recall"]
    assert a is not None
    assert b is not None
    assert (a.n, a.value) == (30, pytest.approx(0.4))
    assert (b.n, b.value, b.p) == (10, 0.0, 1.0)
    assert a.p == pytest.approx(2 * 0.5**12 - 0.5**12)


def test_the_same_network_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    rated = rate_labels(rng.normal(size=(60, 3)), examples(truth), ["a", "b", "c"])
    scores, columns = paired(rated, rated, np.arange(60), seed=0)
    for found in (*scores.values(), *columns["f1"]):
        assert found is not None
        assert (found.value, found.p) == (0, 1)
        assert found.low < 0 < found.high


def test_seeds_and_welch_are_those_of_scipy() -> None:
    first, second = [0.71, 0.72, 0.70, 0.715], [0.73, 0.74, 0.722, 0.75, 0.735]
    mean, deviation, low, high = seeds("accuracy", first)
    peer = stats.t.interval(0.95, 3, np.mean(first), stats.sem(first))
    assert (mean, deviation, low, high) == pytest.approx((np.mean(first), np.std(first, ddof=1), *peer))
    assert seeds("accuracy", [0.99, 1.0])[3] == 1
    assert seeds("mae", [3.0, 5.0])[3] > 5
    found, peer = welch(first, second), stats.ttest_ind(second, first, equal_var=False)
    assert found.p == pytest.approx(peer.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(peer.confidence_interval(0.95)))


def test_the_luck_of_the_images_adds_to_that_of_the_seeds() -> None:
    rng = np.random.default_rng(0)
    truth, difficulty = np.zeros(400, np.int64), rng.random(400)

    def series(share: float) -> list[Rated]:
        said = [(difficulty > share + rng.normal(0, 0.005)).astype(np.int64) for _ in range(4)]
        return [rate_labels(outputs(one, 2), examples(truth), ["a", "b"]) for one in said]

    first, second = series(0.7), series(0.8)
    moved = image_variance(first, second, np.arange(400), seed=0)
    right = [np.mean([1 - one.wrong for one in side], axis=0) for side in (first, second)]
    change = right[1] - right[0]
    assert moved["accuracy"][1] == 399
    assert moved["accuracy"][0] == pytest.approx(change.var(ddof=1) / 400, rel=0.1)
    values = [[float(1 - one.wrong.mean()) for one in side] for side in (first, second)]
    alone, both = welch(*values), welch(*values, moved["accuracy"])
    seeds_alone = sum(np.var(side, ddof=1) / 4 for side in values)
    assert both.value == alone.value
    stretch = np.sqrt(1 + moved["accuracy"][0] / seeds_alone)
    assert both.high - both.low == pytest.approx((alone.high - alone.low) * stretch)
    still = welch([0.8, 0.8], [0.9, 0.9], (0.01**2, 399))
    assert still.high - still.value == pytest.approx(0.01 * stats.t.ppf(0.975, 399))
    copied = image_variance(first, second, np.repeat(np.arange(100), 4), seed=0)
    assert copied["accuracy"][1] == 99


def test_holm_stops_at_the_first_that_is_not_sure() -> None:
    assert sure({"a": 0.001, "b": 0.02, "c": 0.04, "d": 0.9}) == {"a"}
    assert sure({"a": 0.001, "b": 0.01, "c": 0.02}) == {"a", "b", "c"}
    assert sure({}) == set()
