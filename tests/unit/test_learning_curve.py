"""The law of a learning curve: found again where it holds, honest where it is noisy; and a curve of small images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.api import is_curve, resume_curve
from foveal.api.shares import subset
from foveal.errors import RecipeError
from foveal.measure.learning_curve import fit, fitted

QUICK = {"epochs": 1, "batch_size": 8, "net": "4c3same-mp2-8n", "translate": 1}
SHARES = (0.25, 0.5, 0.75, 1.0)
SIZES = (1000, 2000, 4000, 7000, 10_000)


def law(images: np.ndarray, a: float = 0.2, b: float = 0.4, c: float = 0.1) -> np.ndarray:
    return a * (images / 10_000) ** -b + c


def test_a_law_without_noise_is_found_again() -> None:
    found = fit(SIZES, law(np.array(SIZES))[:, None], 10_000)
    assert found.at(40_000)[0] == pytest.approx(law(np.array(40_000)), abs=2e-4)
    assert found.images(0.25)[0] == pytest.approx(10_000 * (0.15 / 0.2) ** (-1 / 0.4), rel=0.02)
    assert found.images(0.05)[0] == np.inf


@pytest.mark.parametrize("errors", [[0.3, 0.3, 0.3, 0.3, 0.3], [0.2, 0.25, 0.3, 0.35, 0.4]])
def test_what_does_not_fall_gains_nothing(errors: list[float]) -> None:
    found = fit(SIZES, np.array(errors)[:, None], 10_000)
    assert found.at(10_000)[0] == pytest.approx(found.at(20_000)[0])
    assert min(found.a[0], found.c[0]) >= 0


def test_an_error_that_falls_to_nothing_has_no_offset() -> None:
    found = fit(SIZES, law(np.array(SIZES), 0.1, 0.9, 0.0)[:, None], 10_000)
    assert found.c[0] == pytest.approx(0, abs=2e-3)


def simulated(rng: np.random.Generator, held_out: int, noise: float) -> tuple[list, list, list]:
    """Two trainings a share of 10% to 50%, on the same images held out: each image has its own difficulty."""
    difficulty = rng.random(held_out)
    sizes = [size for size in (1000, 2000, 3000, 4000, 5000) for _ in range(2)]
    wrong = [difficulty < law(np.array(size)) * (1 + noise * rng.normal()) for size in sizes]
    weights = rng.multinomial(held_out, np.full(held_out, 1 / held_out), 300).T
    errors = [np.concatenate([[one.mean()], one @ weights / held_out]) for one in wrong]
    return sizes, errors, [np.zeros((0, 301))] * len(sizes)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_the_interval_of_twice_the_images_holds_a_new_training(noise: float) -> None:
    rng, held, widths = np.random.default_rng(0), 0, []
    for seed in range(60):
        found = fitted(*simulated(rng, 1000, noise), 10_000, seed)
        _, low, high = found.expected(10_000)
        truth = law(np.array(10_000)) * (1 + noise * rng.normal())
        held += low <= truth <= high
        widths.append(high - low)
    assert held >= 54
    assert np.median(widths) < 0.15


def test_the_label_that_gains_most_is_named() -> None:
    sizes = [size for size in (1000, 2000, 4000, 7000, 10_000) for _ in range(2)]
    rng = np.random.default_rng(0)
    labels = []
    for size in sizes:
        errors = np.array([law(np.array(size), a, 0.4, 0.05) for a in (0.1, 0.3, 0.15)])
        labels.append(np.abs(errors[:, None] + rng.normal(0, 0.01, (3, 101))))
    found = fitted(sizes, [rows.mean(axis=0) for rows in labels], labels, 10_000, 0)
    gains, often = found.label_gains(10_000, 20_000)
    assert int(np.argmax([gain for gain, _, _ in gains])) == 1
    assert often[1] > 0.95
    assert often.sum() == pytest.approx(1)
    assert gains[1][0] == pytest.approx(0.3 * (1 - 2**-0.4), abs=0.02)


def test_trainings_on_no_law_are_told_from_those_on_one() -> None:
    rng = np.random.default_rng(0)
    told = {}
    for name, first in (("law", law(np.array(1000))), ("no law", 0.95)):
        sizes = [size for size in SIZES for _ in range(2)]
        means = [first if size == 1000 else law(np.array(size)) for size in sizes]
        found = [np.full(101, mean * (1 + 0.01 * rng.normal())) for mean in means]
        told[name] = fitted(sizes, found, [np.zeros((0, 101))] * len(sizes), 10_000, 0).misfit
    assert told["no law"] < 0.01 < told["law"]
    assert (
        fitted(SIZES, [np.full(101, e) for e in (0.9, 0.3, 0.3, 0.3, 0.2)], [np.zeros((0, 101))] * 5, 1, 0).misfit == 1
    )


def test_small_shares_lie_within_large_ones_and_groups_stay_whole(image_folder: Callable[..., Path]) -> None:
    photos = image_folder({"dark": 40, "light": 20})
    for file in sorted((photos / "dark").iterdir())[:10]:
        (photos / "dark" / f"copy-{file.name}").write_bytes(file.read_bytes())
    from foveal.api import propose_split

    dataset = propose_split(foveal.look(photos))
    train = set(dataset.rows("train").tolist())
    small, large, other = (set(subset(dataset, share, seed).tolist()) for share, seed in ((0.3, 0), (0.6, 0), (0.6, 1)))
    assert small < large < train
    assert large != other
    assert set(subset(dataset, 1.0, 3).tolist()) == train
    groups = dataset.groups
    assert not set(groups[list(large)]) & set(groups[list(train - large)])
    shares = [np.mean(dataset.targets[list(rows)] == 0) for rows in (small, train)]
    assert shares[0] == pytest.approx(shares[1], abs=0.08)


def test_a_curve_of_small_images(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    photos = image_folder({"dark": 40, "light": 40})
    told: list[str] = []
    found = foveal.curve(
        photos,
        shares=SHARES,
        out=tmp_path / "curve",
        reach=0.9,
        progress=lambda what, done, total: told.append(what),
        **QUICK,
    )
    assert [point.share for point in found.points] == [*SHARES] * 2
    assert {point.seed for point in found.points} == {0, 1}
    assert found.images == 56
    assert [point.images for point in found.points[:4]] == [14, 28, 42, 56]
    assert [one.images for one in found.expected] == [14, 28, 42, 56, 112, 224]
    assert [one.measured for one in found.expected] == [True] * 4 + [False] * 2
    assert all(one.low <= one.score <= one.high <= 1 for one in found.expected)
    assert (found.score, found.label_score, found.split) == ("accuracy", "recall", "validation")
    assert set(found.labels) == {"dark", "light"}
    assert json.loads((tmp_path / "curve" / "curve.json").read_text()) == found.as_dict()
    page = (tmp_path / "curve" / "curve.html").read_text()
    assert page.count("<circle") == 8
    assert "<script" not in page
    assert not (tmp_path / "curve" / "looks.jsonl").exists()
    assert any("training 8 of 8, on 56 images" in what for what in told)
    assert is_curve(tmp_path / "curve")
    removed = tmp_path / "curve" / "points" / "0.5-1.npz"
    removed.unlink()
    again = resume_curve(tmp_path / "curve")
    assert [point.score for point in again.points] == [point.score for point in found.points]
    assert again.law == found.law


def test_the_best_epoch_is_not_chosen_on_what_is_measured(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    photos = image_folder({"dark": 20, "light": 20})
    foveal.curve(photos, shares=SHARES, repeats=1, out=tmp_path / "curve", keep="best", patience=1, **QUICK)
    recipe = foveal.Run(tmp_path / "curve").recipe
    assert (recipe.keep, recipe.patience) == ("last", None)


def test_shares_that_will_not_do() -> None:
    with pytest.raises(RecipeError, match="Expected 4 different shares or more"):
        foveal.curve("digits", shares=(0.1, 0.5, 0.5, 1.0))
    with pytest.raises(RecipeError, match="above 0 and at most 1"):
        foveal.curve("digits", shares=(0.1, 0.5, 0.7, 1.5))
