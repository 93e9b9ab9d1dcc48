"""Robustness: paired tests against known values, and what is called worse is worse."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from foveal.examples import Examples
from foveal.measure.corruptions import Corrupted, Corruption
from foveal.measure.differences import drawn_difference, holm
from foveal.measure.paired import share_difference
from foveal.measure.robustness import MOST_IMAGES, measure_robustness, passes
from foveal.measure.shifts import Shifted
from foveal.tasks import TASKS
from foveal.types import Geometry

RNG = np.random.default_rng
STILL = Corruption("none", "", lambda image, strength, rng: image, (0,) * 5)


def test_the_interval_of_a_difference_holds_the_truth() -> None:
    rng, held = RNG(0), 0
    for _ in range(400):
        one = rng.random(60) < 0.9
        other = np.where(rng.random(60) < 0.15, rng.random(60) < 0.3, one)  # expected to fall by 0.15 · 0.6
        found = share_difference(one, other, np.arange(60))
        held += found.low <= -0.09 <= found.high
    assert 0.92 <= held / 400 <= 0.99


def test_a_drawn_difference_is_as_a_paired_t_test_says() -> None:
    rng = RNG(1)
    errors = rng.exponential(1, 200)
    others = errors + rng.normal(0.1, 0.5, 200)
    weights = rng.multinomial(200, np.full(200, 1 / 200), 2000).T
    drawn = (others - errors) @ weights / 200
    score, p = drawn_difference(float((others - errors).mean()), drawn, 200)
    standard = (others - errors).std(ddof=1) / np.sqrt(200)
    assert score.high - score.low == pytest.approx(2 * 1.96 * standard, rel=0.06)
    assert p == pytest.approx(2 * norm.sf(score.value / standard), abs=0.02)


def test_a_difference_that_no_resample_changes_still_has_an_interval() -> None:
    score, p = drawn_difference(-1.0, np.full(100, -1.0), 12)
    assert score.low < -1 < score.high
    assert p == pytest.approx(2 / 2**12)
    assert drawn_difference(0.0, np.zeros(100), 12)[1] == 1.0


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def brightness(images: Corrupted | Shifted | Examples) -> np.ndarray:
    pixels = images.pixels if isinstance(images, Examples) else images
    return pixels[np.arange(len(pixels))].mean(axis=(1, 2, 3))


def light_and_dark(n: int, side: int = 16) -> Examples:
    rng = RNG(0)
    truth = rng.integers(0, 2, n)
    pixels = np.clip(rng.normal(90 + 76 * truth[:, None, None, None], 8, (n, side, side, 3)), 0, 255).astype(np.uint8)
    return Examples([f"{k}.png" for k in range(n)], pixels, truth)


def answering(limit: float) -> Callable[[Corrupted | Shifted | Examples], np.ndarray]:
    """A network that says light where the mean is above the limit."""
    return lambda images: np.stack([limit - brightness(images), brightness(images) - limit], axis=1)


def test_what_looks_at_brightness_alone_is_called_worse_by_brightness_alone() -> None:
    test = light_and_dark(120)
    answer = answering(128)
    clean = answer(Corrupted(test.files, test.pixels, STILL, 1, 0))
    found = measure_robustness(TASKS["classification"], answer, clean, test, ["dark", "light"], seed=0)
    assert found is not None
    assert (found.score, found.images, found.clean.value) == ("accuracy", 120, 1.0)
    assert {name for name, kind in found.corruptions.items() if kind.first_worse} == {"brightness"}
    brighter = found.corruptions["brightness"]
    assert [one.strength for one in brighter.levels] == [0.05, 0.1, 0.15, 0.2, 0.3]
    assert brighter.first_worse == 3  # 0.15 · 255 = 38 of the 38 that part the two
    assert [one.worse for one in brighter.levels] == [False, False, True, True, True]
    last = brighter.levels[-1]
    assert last.score.value == pytest.approx(0.5, abs=0.15)
    assert last.difference.value == pytest.approx(last.score.value - 1)
    assert last.difference.high < 0 < 0.05 > last.adjusted >= last.p
    wrong = round(-120 * last.difference.value)
    assert last.p == pytest.approx(2.0**-wrong), "mid-p: all of them are images that became wrong"
    assert (last.difference.n, last.difference.method) == (120, "tango")
    assert {kind: [one.value for one in scores] for kind, scores in found.shifts.items()} == {
        "straight": [1, 1],
        "diagonal": [1, 1],
        "random": [1, 1],
    }
    assert (found.change, found.left_out) == ("same", {})


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_groups_are_what_worse_images_are_compared_by(task: str) -> None:
    """Every image ten times: of the groups as of the images alone, and of the copies alone far too sure."""
    test, labels = light_and_dark(24, side=8), ["dark", "light"]
    if task == "regression":
        test, labels = replace(test, targets=brightness(test)[:, None].astype(np.float32)), ["level"]

    def answer(images: Corrupted | Shifted | Examples) -> np.ndarray:
        return answering(128)(images) if task == "classification" else brightness(images)[:, None]

    rows = np.arange(24).repeat(10)
    copies = test.among(rows)
    few, many, grouped = (
        measure_robustness(TASKS[task], answer, answer(those), those, labels, seed=0)
        for those in (test, copies, replace(copies, groups=rows))
    )
    assert few is not None
    assert many is not None
    assert grouped is not None
    first, second, third = (found.corruptions["brightness"].levels[3] for found in (few, many, grouped))
    assert third.score.n == third.difference.n == 240
    assert third.difference.value == pytest.approx(second.difference.value)
    widths = [one.difference.high - one.difference.low for one in (first, second, third)]
    same = {"classification": 1e-9, "regression": 0.3}[task]  # the latter's images are drawn
    assert widths[2] == pytest.approx(widths[0], rel=same)
    assert third.p == pytest.approx(first.p, rel=same, abs=0.02 * (task == "regression"))
    assert widths[1] < 0.6 * widths[2]
    assert second.p < third.p
    assert third.difference.method == {"classification": "tango", "regression": "group-bootstrap"}[task]
    assert first.difference.method == {"classification": "tango", "regression": "bootstrap"}[task]
    moved, alone = grouped.shifts["straight"][0], many.shifts["straight"][0]
    assert moved.high - moved.low >= alone.high - alone.low


def test_many_images_are_drawn_and_the_network_answers_as_often_as_said() -> None:
    test, task, asked = light_and_dark(MOST_IMAGES + 50, side=8), TASKS["classification"], []

    def answer(images: Corrupted | Shifted) -> np.ndarray:
        asked.append(len(images))
        return np.zeros((len(images), 2))

    found = measure_robustness(task, answer, np.zeros((len(test.files), 2)), test, ["dark", "light"], seed=3)
    assert found is not None
    assert asked == [MOST_IMAGES] * passes(task, 8, 8)
    assert found.clean.n == MOST_IMAGES
    assert not any(kind.first_worse for kind in found.corruptions.values())


def test_errors_are_worse_when_they_rise_and_shifts_are_told_in_spreads() -> None:
    rng = RNG(0)
    level = rng.uniform(60, 190, 80)
    pixels = np.broadcast_to(level[:, None, None, None], (80, 16, 16, 1)).astype(np.uint8)
    test = Examples([f"{k}" for k in range(80)], pixels, level[:, None].astype(np.float32))

    def answer(images: Corrupted | Shifted) -> np.ndarray:
        moved = 13.0 if isinstance(images, Shifted) else 0.0
        return brightness(images)[:, None] + moved

    outputs = pixels.mean(axis=(1, 2, 3))[:, None]
    found = measure_robustness(TASKS["regression"], answer, outputs, test, ["level"], seed=0)
    assert found is not None
    assert found.score == "mae"
    assert found.corruptions["brightness"].first_worse == 1
    assert found.corruptions["rotation"].first_worse is None
    first = found.corruptions["brightness"].levels[0]
    assert first.score.value == pytest.approx(0.05 * 255, abs=0.8)
    assert first.difference.low > 0
    assert found.change == "spreads"
    assert found.shifts["diagonal"][1].value == pytest.approx(13 / level.std(), rel=0.01)


def test_several_labels_by_their_mean_average_precision() -> None:
    rng = RNG(0)
    truth = rng.integers(0, 2, (150, 2)).astype(np.float32)
    pixels = np.zeros((150, 16, 16, 3), np.uint8)
    pixels[..., 0] = 60 + 120 * truth[:, 0, None, None].astype(np.uint8)
    pixels[:, :8, :, 1] = 60 + 120 * truth[:, 1, None, None].astype(np.uint8)
    test = Examples([f"{k}" for k in range(150)], pixels, truth)

    def answer(images: Corrupted | Shifted) -> np.ndarray:
        seen = images[np.arange(150)].astype(float)
        return np.stack([seen[..., 0].mean(axis=(1, 2)), seen[:, :8, :, 1].mean(axis=(1, 2))], axis=1) - 120

    outputs = answer(Corrupted(test.files, pixels, STILL, 1, 0))
    found = measure_robustness(TASKS["multilabel"], answer, outputs, test, ["red", "green"], seed=0)
    assert found is not None
    assert (found.score, found.clean.value) == ("map", 1.0)
    assert found.clean.low < 1
    assert found.corruptions["noise"].first_worse is None
    assert found.corruptions["brightness"].levels[-1].worse
    assert found.shifts["straight"][0].value == 1.0


def test_boxes_follow_what_shrinks_and_nothing_is_said_of_what_turns() -> None:
    task, rng = TASKS["detection"], RNG(0)
    count = 20
    pixels = np.zeros((count, 64, 64, 1), np.uint8)
    truth = np.full((count, 1, 6), np.nan, np.float32)
    for k in range(count):
        x, y = rng.integers(4, 30, 2)
        pixels[k, y : y + 24, x : x + 24] = 255
        truth[k, 0] = [x, y, x + 24, y + 24, 0, 0]
    where = Geometry(64, 64, 1.0, 1.0, 0.0, 0.0)
    test = Examples([f"{k}" for k in range(count)], pixels, truth, [where] * count)

    def answer(images: Corrupted | Shifted) -> np.ndarray:
        found = np.zeros((count, 1, 5))
        for row, image in zip(found, images[np.arange(count)]):
            lit = np.nonzero(image[..., 0] > 160)
            if len(lit[0]):
                row[0] = [lit[1].min(), lit[0].min(), lit[1].max() + 1, lit[0].max() + 1, 4.0]
        return found

    outputs = answer(Corrupted(test.files, pixels, STILL, 1, 0))
    found = measure_robustness(task, answer, outputs, test, ["square"], seed=0)
    assert found is not None
    assert (found.score, found.clean.value) == ("ap50", pytest.approx(1.0))
    assert found.corruptions["scale"].levels[-1].score.value == pytest.approx(1.0)
    assert found.corruptions["scale"].first_worse is None
    assert "rotation" not in found.corruptions
    assert set(found.left_out) == {"rotation", "shifts"}
    assert found.shifts == {}


def test_without_test_images_there_is_nothing() -> None:
    nothing = Examples([], np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64))
    task = TASKS["classification"]
    assert measure_robustness(task, answering(1), np.zeros((0, 2)), nothing, ["a", "b"], seed=0) is None
