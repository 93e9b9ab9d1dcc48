"""Scores of boxes from a network's raw outputs: by hand, and where there is next to nothing to measure."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from foveal.examples import Examples
from foveal.measure import BASELINES, ERROR_KINDS, PER_LABEL, SCORES, boxes, measure_boxes, wilson
from foveal.measure.box_baselines import box_baselines
from foveal.measured import Measurement, Score
from foveal.types import Geometry

LABELS = ["cat", "dog"]
CAT, DOG = 0, 1
GEOMETRY = Geometry(200, 100, 0.5, 0.5, 0.0, 25.0)
"""The image is 200 × 100, the net's input 100 × 100 with black above and below."""
Rows = Sequence[Sequence[float]]


def examples(truth: Sequence[Rows], geometry: Geometry = GEOMETRY) -> Examples:
    """Rows are left, top, right, bottom, label and, where it is one, 1 for a crowd."""
    targets = np.full((len(truth), max([1, *map(len, truth)]), 6), np.nan, np.float32)
    for target, rows in zip(targets, truth):
        for slot, row in zip(target, rows):
            slot[:] = [*row, 0][:6]
    pixels = np.zeros((len(truth), 100, 100, 3), np.uint8)
    return Examples([f"test/{i}.png" for i in range(len(truth))], pixels, targets, [geometry] * len(truth))


def said(found: Sequence[Rows], labels: int = 2, geometry: Geometry = GEOMETRY) -> np.ndarray:
    """(N, A, 4 + K) raw outputs that give boxes of the original image (left, top, right, bottom, score, label)."""
    outputs = np.full((len(found), max([1, *map(len, found)]), 4 + labels), -50.0, np.float32)
    outputs[..., :4] = 0
    scale, offset = ([getattr(geometry, f"{what}_{axis}") for axis in "xyxy"] for what in ("scale", "offset"))
    for output, rows in zip(outputs, found):
        for slot, (*corners, score, label) in zip(output, rows):
            slot[:4] = np.array(corners) * scale + offset
            slot[4 + int(label)] = np.log(score / (1 - score))
    return outputs


def measure(truth: Sequence[Rows], found: Sequence[Rows], **options: object) -> Measurement:
    return measure_boxes(said(found), examples(truth), examples(truth), LABELS, 0, **options)


def value(row: dict[str, Score | int], name: str) -> float:
    score = row[name]
    assert isinstance(score, Score)
    assert 0 <= score.low <= score.value <= score.high <= 1
    return score.value


def scene(seed: int, images: int = 40) -> tuple[list[Rows], list[Rows]]:
    """Cats, and larger dogs, that do not overlap; most are found, a little off, and some things found are not there."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        places = rng.permutation(8)
        true, seen = [], []
        for place in places[: rng.integers(0, 6)]:
            x, y, label = 50.0 * (place % 4), 50.0 * (place // 4), int(rng.random() < 0.3)
            side = 40 if label == DOG else 20
            true.append([x, y, x + side, y + side, label])
            if rng.random() < 0.8:
                off = rng.normal(0, 0.06 * side, 4)
                score = float(rng.beta(5, 2))
                seen.append(
                    [*(np.array([x, y, x + side, y + side]) + off).clip(0, [200, 100] * 2).tolist(), score, label]
                )
        for place in places[6 : 6 + rng.integers(0, 3)]:
            x, y = 50.0 * (place % 4), 50.0 * (place // 4)
            seen.append([x, y, x + 30, y + 30, float(rng.beta(2, 4)), int(rng.integers(2))])
        truth.append(true)
        found.append(seen)
    return truth, found


def test_all_right_with_wilsons_interval_of_the_images_that_have_boxes() -> None:
    truth: list[Rows] = [[[0, 0, 20, 20, CAT]], [[100, 0, 180, 80, DOG], [0, 0, 20, 20, CAT]], []]
    found = [[[*corners, 0.9, label] for *corners, label in rows] for rows in truth]
    got = measure(truth, found)
    assert list(got.scores) == ["ap", "ap50", "ap75", "ap_small", "ap_medium", "precision", "recall"]
    for score in got.scores.values():
        assert (score.value, score.n) == (pytest.approx(1), 3)
        assert score.low == pytest.approx(wilson(2, 2).low)
    assert got.per_label["cat"] == {
        **{name: got.scores[name] for name in ("ap", "ap50", "precision", "recall")},
        "support": 2,
        "boxes": 2,
    }
    dog = got.per_label["dog"]["ap"]
    assert isinstance(dog, Score)
    assert dog.low == pytest.approx(wilson(1, 1).low)
    assert got.mistakes == ()
    assert list(got.errors) == list(ERROR_KINDS)
    assert all((row.count, row.ap50_gain) == (0, 0) for row in got.errors.values())


def test_precision_and_recall_by_hand() -> None:
    truth: list[Rows] = [[[0, 0, 20, 20, CAT], [50, 0, 70, 20, CAT]], [[0, 0, 40, 40, DOG]], []]
    found: list[Rows] = [
        [[0, 0, 20, 20, 0.9, CAT], [100, 0, 120, 20, 0.7, CAT], [50, 0, 70, 20, 0.3, CAT]],
        [[0, 0, 40, 40, 0.6, CAT], [0, 0, 40, 38, 0.55, DOG]],
        [[0, 0, 40, 40, 0.52, DOG]],
    ]
    got = measure(truth, found)
    assert value(got.scores, "precision") == pytest.approx(2 / 5)
    assert value(got.scores, "recall") == pytest.approx(2 / 3)
    assert value(got.per_label["cat"], "precision") == pytest.approx(1 / 3)
    assert value(got.per_label["dog"], "recall") == 1
    assert got.scores["recall"].method == "bootstrap"
    lower = measure(truth, found, settled={"thresholds": {"cat": 0.2, "dog": 0.53}})
    assert value(lower.scores, "precision") == pytest.approx(3 / 5)
    assert value(lower.scores, "recall") == 1
    assert lower.scores["ap50"] == got.scores["ap50"], "all scores count there"
    assert [curve.threshold for curve in lower.curves] == [0.2, 0.53]
    assert [curve.at for curve in lower.curves] == [(1, 0.5), (1, 1)]
    assert [curve.at for curve in got.curves] == [(0.5, 0.3333), (1, 0.5)]


def test_average_precision_by_hand() -> None:
    truth: list[Rows] = [[[0, 0, 40, 40, CAT]], [[0, 0, 40, 40, CAT]]]
    found: list[Rows] = [[[0, 0, 40, 40, 0.8, CAT], [100, 0, 140, 40, 0.9, CAT]], [[0, 0, 40, 24.8, 0.7, CAT]]]
    got = measure(truth, found)
    half, whole = 51 * 0.5 / 101, (101 * 2 / 3) / 101
    assert value(got.scores, "ap50") == pytest.approx(whole)
    assert value(got.scores, "ap75") == pytest.approx(half)
    assert value(got.scores, "ap") == pytest.approx((3 * whole + 7 * half) / 10), "right up to an IoU of 0.62"
    assert value(got.scores, "ap_medium") == pytest.approx(got.scores["ap"].value)
    assert not {"ap_small", "ap_large"} & set(got.scores)
    (curve,) = got.curves
    assert curve.precision == (0.6667,) * 101
    assert sum(curve.precision) / 101 == pytest.approx(whole, abs=1e-4)


def test_every_score_has_a_meaning_and_baselines_are_named_alike() -> None:
    got = measure(*scene(0))
    assert set(got.scores) <= set(SCORES)
    assert set(got.per_label["cat"]) <= set(PER_LABEL)
    assert list(got.baselines) == ["mean_box", "mean_boxes"]
    assert set(got.baselines) <= set(BASELINES)
    for row in got.baselines.values():
        assert list(row) == ["ap", "ap50", "ap75"]
        assert row["ap50"].high < got.scores["ap50"].low


def test_intervals_are_seeded_and_narrow_with_more_images() -> None:
    truth, found = scene(1)
    outputs, test = said(found), examples(truth)
    first, again, other = (measure_boxes(outputs, test, test, LABELS, seed).scores for seed in (1, 1, 2))
    assert first == again
    more = measure(truth * 4, found * 4).scores
    for name, score in first.items():
        assert score.method == "bootstrap"
        assert score.low < score.value < score.high
        assert score.low != other[name].low
        assert (score.value, score.n) == (other[name].value, 40)
        assert more[name].value == pytest.approx(score.value, abs=0.01)
        assert more[name].high - more[name].low == pytest.approx((score.high - score.low) / 2, rel=0.25)


def test_many_boxes_have_fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    real = boxes.resampled

    def resampled(n: int, seed: int, draws: int, groups: np.ndarray | None) -> object:
        drawn.append(draws // n)
        return real(n, seed, draws, groups)

    monkeypatch.setattr(boxes, "resampled", resampled)
    truth, found = scene(1)
    measure(truth, found)
    monkeypatch.setattr(boxes, "DRAWS", 300 * sum(map(len, found)))
    measure(truth, found)
    assert drawn[0] > 2000
    assert drawn[1] == 300


def test_a_full_test_split_takes_seconds() -> None:
    """72 images with a hundred boxes each, of three labels."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (72, 100, 2))
    found = np.concatenate(
        [corners, corners + rng.uniform(5, 30, (72, 100, 2)), rng.normal(-1, 2, (72, 100, 3))], axis=2
    )
    truth = [[[*box, rng.integers(3)] for box in rows[:13, :4].tolist()] for rows in found]
    same = Geometry(100, 100, 1, 1, 0, 0)
    test = examples(truth, same)
    began = time.process_time()
    got = measure_boxes(found.astype(np.float32), test, test, ["a", "b", "c"], 0)
    assert time.process_time() - began < 15, "on a busy machine; otherwise two"
    assert 0 < got.scores["ap50"].value < 0.9


def test_crowds_are_no_boxes_to_find() -> None:
    truth: list[Rows] = [[[0, 0, 20, 20, CAT], [100, 0, 200, 100, CAT, 1]], [[0, 0, 90, 90, DOG, 1]]]
    found: list[Rows] = [[[0, 0, 20, 20, 0.9, CAT], [110, 10, 130, 30, 0.8, CAT]], []]
    got = measure(truth, found)
    assert value(got.scores, "ap") == pytest.approx(1)
    assert value(got.scores, "precision") == 1
    assert (got.per_label["cat"]["boxes"], got.per_label["cat"]["support"]) == (1, 1)
    assert got.per_label["dog"] == {"support": 0, "boxes": 0}
    assert got.mistakes == ()


def test_the_worst_images_with_boxes_to_draw() -> None:
    truth: list[Rows] = [
        [[0, 0, 20, 20, CAT], [100, 0, 140, 40, DOG]],
        [[0, 0, 20, 20, CAT]],
        [],
        [[0, 0, 20, 20, CAT]],
    ]
    found: list[Rows] = [
        [[0, 0, 20, 18, 0.9, CAT], [100, 0, 140, 40, 0.8, CAT], [0, 50, 40, 90, 0.7, DOG], [50, 50, 70, 70, 0.2, DOG]],
        [],
        [[50, 50, 100, 100, 0.7, DOG]],
        [[0, 0, 20, 20, 0.9, CAT]],
    ]
    worst, missed, false = measure(truth, found).mistakes
    assert (worst.file, worst.truth, worst.predicted) == ("test/0.png", "2 boxes", "1 right, 1 missed, 2 false")
    assert worst.probability is None
    assert [(box.kind, box.label) for box in worst.boxes] == [
        ("missed", "dog"),
        ("false", "dog"),
        ("false", "cat"),
        ("right", "cat"),
    ]
    assert worst.boxes[0].xyxy == (0.5, 0.0, 0.7, 0.4)
    assert worst.boxes[3].xyxy == (0.0, 0.0, 0.1, 0.18)
    assert (missed.file, missed.truth, missed.predicted) == ("test/1.png", "1 box", "0 right, 1 missed")
    assert (false.file, false.truth, false.predicted) == ("test/2.png", "no boxes", "0 right, 1 false")


def test_at_most_twelve_images() -> None:
    truth, found = scene(2, images=60)
    mistakes = measure(truth, found).mistakes
    assert len(mistakes) == 12
    wrong = [sum(box.kind != "right" for box in mistake.boxes) for mistake in mistakes]
    assert wrong == sorted(wrong, reverse=True)


def test_mean_box_is_that_of_the_commonest_label_in_every_image() -> None:
    train = examples([[[0, 0, 20, 20, CAT], [20, 0, 60, 40, CAT]], [[0, 0, 100, 100, DOG]], [[0, 0, 9, 9, DOG, 1]] * 3])
    large = examples([[], []], Geometry(400, 300, 1, 1, 0, 0))
    found = box_baselines(large, train, 2, 0)["mean_box"]
    assert len(found) == 2
    for rows in found:
        np.testing.assert_allclose(rows, [[20, 0, 80, 90, 1, CAT]])


def test_mean_boxes_are_where_boxes_mostly_are() -> None:
    left, right, dog = [0, 0, 20, 20, CAT], [100, 0, 120, 20, CAT], [150, 50, 190, 90, DOG]
    train = examples([[left, right], [left, right], [left], [right, left, dog]])
    (found,) = box_baselines(examples([[]]), train, 2, 0)["mean_boxes"]
    np.testing.assert_allclose(found, [[*left[:4], 1, CAT], [*right[:4], 0.75, CAT], [*dog[:4], 0.25, DOG]])
    again = box_baselines(examples([[]]), train, 2, 0)["mean_boxes"][0]
    np.testing.assert_array_equal(found, again)
    many = examples([[[k, k, k + 5, k + 5, CAT] for k in range(90)]] * 3 + [[[k, 0, k + 9, 9, DOG] for k in range(60)]])
    assert len(box_baselines(examples([[]]), many, 2, 0)["mean_boxes"][0]) == 83, "68 and 15, each label's mean"


def test_a_label_that_the_test_split_does_not_have() -> None:
    truth: list[Rows] = [[[0, 0, 20, 20, CAT]], []]
    got = measure(truth, [[[0, 0, 20, 20, 0.9, CAT]], [[0, 0, 50, 50, 0.8, DOG]]])
    assert value(got.scores, "ap") == pytest.approx(1), "it is left out of means"
    assert value(got.scores, "precision") == 0.5
    row = got.per_label["dog"]
    assert list(row) == ["precision", "support", "boxes"]
    assert (value(row, "precision"), row["support"], row["boxes"]) == (0, 0, 0)
    assert [curve.label for curve in got.curves] == ["cat"]


def test_nothing_found() -> None:
    got = measure([[[0, 0, 20, 20, CAT]], [[0, 0, 20, 20, DOG]]], [[], []])
    assert {name: score.value for name, score in got.scores.items()} == dict.fromkeys(
        ("ap", "ap50", "ap75", "ap_small", "recall"), 0
    )
    assert got.scores["ap"].high == pytest.approx(wilson(0, 2).high)
    assert [(curve.precision, curve.at) for curve in got.curves] == [((), None)] * 2
    assert got.errors["missed"].count == 2


def test_one_image_one_label() -> None:
    test = examples([[[0, 0, 20, 20, CAT]]])
    got = measure_boxes(said([[[0, 0, 20, 20, 0.9, CAT]]], 1), test, test, ["cat"], 0)
    assert got.scores["ap"].value == pytest.approx(1)
    assert got.scores["ap"].low == pytest.approx(wilson(1, 1).low)
    half = measure_boxes(said([[[0, 0, 20, 10.5, 0.9, CAT]]], 1), test, test, ["cat"], 0)
    assert half.scores["ap"].value == pytest.approx(0.1)
    assert half.scores["ap"].low < 0.05 < 0.7 < half.scores["ap"].high


def test_no_true_box_at_all() -> None:
    got = measure([[], []], [[[0, 0, 20, 20, 0.9, CAT]], []])
    assert (got.scores, got.baselines, got.curves, got.errors) == ({}, {}, (), {})
    assert got.per_label == {"cat": {"support": 0, "boxes": 0}, "dog": {"support": 0, "boxes": 0}}
    assert [(mistake.truth, mistake.predicted) for mistake in got.mistakes] == [("no boxes", "0 right, 1 false")]


def test_no_test_image_and_no_training_image() -> None:
    truth: list[Rows] = [[[0, 0, 20, 20, CAT]]]
    got = measure_boxes(np.zeros((0, 0)), examples([]), examples(truth), LABELS, 0)
    assert (got.scores, got.baselines, got.mistakes) == ({}, {}, ())
    assert got.per_label == {"cat": {"support": 0, "boxes": 0}, "dog": {"support": 0, "boxes": 0}}
    for train in (examples([]), examples([[], []])):
        assert measure_boxes(said([[]]), examples(truth), train, LABELS, 0).baselines == {}
