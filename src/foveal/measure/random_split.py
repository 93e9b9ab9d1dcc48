"""What a random split would have claimed: how much of a score is memory of images that belong together.

Frames of one video, X-rays of one patient, copies of one photograph: divided at random they lie on both sides, and who
knows the ones by heart answers for the others. Here a score is taken under both divisions, of the same sizes.

Source: Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science", Patterns 4
(2023) 100804: dependencies between train and test samples (L3.2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foveal.examples import Examples
from foveal.measure.baselines import shrink, standardised
from foveal.measure.differences import drawn_difference
from foveal.measure.groups import groups_of
from foveal.measure.intervals import ERROR, SHARE, interval, resampled, share_of, wilson
from foveal.measure.meanings import ERRORS
from foveal.measure.nearest import nearest
from foveal.measured import Score
from foveal.task import Task

__all__ = ["DRAWS", "MOST_IMAGES", "Answered", "Claim", "Together", "claim_of", "of_groups", "recalled", "together"]

DRAWS = 5  # random divisions
MOST_IMAGES = 10_000
RESAMPLES = 400
CELLS = 2_000_000  # of images × resamples at once: 16 MB
EVEN = 1e-12  # what is below is rounding


@dataclass(frozen=True, slots=True)
class Together:
    """How much belongs together.

    Args:
        groups: of more than one image, among the images of train and test.
        images: in these groups.
        parted: test images with another of their group in train: none where the division keeps groups whole.
    """

    groups: int
    images: int
    parted: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One score under two divisions of the same images into the same sizes.

    Args:
        own: where the images are divided as they are, groups kept together.
        random: where they are divided at random: the mean over the draws.
        difference: by how much the random division makes it look better; below 0 where it looks worse.
        draws: random divisions.
    """

    own: Score
    random: Score
    difference: Score
    draws: int


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to test images, to be scored again for every resample.

    Args:
        under: weights (N, R), how often each image counts, to (R,) scores; NaN where not defined.
        groups: (N,) numbers of the groups; the same numbers in all that is compared.
        right: (N,) whether an image counts, where the score is a plain share of them.
    """

    under: Callable[[np.ndarray], np.ndarray]
    groups: np.ndarray
    right: np.ndarray | None = None


def together(train: np.ndarray, test: np.ndarray) -> Together:
    """Of (N,) and (M,) numbers of groups."""
    _, counts = np.unique(np.concatenate([train, test]), return_counts=True)
    several = counts[counts > 1]
    return Together(len(several), int(several.sum()), int(np.isin(test, train).sum()))


def of_groups(own: Answered, seed: int, *, error: bool) -> Score | None:
    """The score with the interval of whole groups, as a report has it; None where it is not defined."""
    if own.right is not None:
        return share_of(own.right, groups_of(own.groups))
    value = float(own.under(np.ones((len(own.groups), 1)))[0])
    if not np.isfinite(value):
        return None
    _, place = np.unique(own.groups, return_inverse=True)
    drawn = np.concatenate(_resampled([own], [place], seed), axis=1)[0]
    return _score(value, drawn, int(place.max()) + 1, len(place), error)


def claim_of(own: Answered, random: Sequence[Answered], seed: int, *, error: bool) -> Claim | None:
    """Both scores and their difference, with intervals of whole groups drawn again, the same ones for both; None where
    a score is not defined.

    The groups, not the images, are what a new test would have others of: a thousand frames of five videos say as much
    as five videos do. The intervals are bias-corrected normal ones, with Student's quantile for the number of groups.

    Args:
        random: one or more.
        error: whether less is better.
    """
    parts, score = [own, *random], of_groups(own, seed, error=error)
    every = [float(one.under(np.ones((len(one.groups), 1)))[0]) for one in parts]
    if score is None or not np.isfinite(every).all():
        return None
    _, numbers = np.unique(np.concatenate([one.groups for one in parts]), return_inverse=True)
    places = np.split(numbers, np.cumsum([len(one.groups) for one in parts])[:-1])
    drawn = np.concatenate(_resampled(parts, places, seed), axis=1)  # (parts, R)
    first, others = drawn[0], drawn[1:].mean(axis=0)
    value, random_value = every[0], float(np.mean(every[1:]))
    fewest = len(np.unique(places[0]))
    sign = -1 if error else 1
    difference, _ = drawn_difference(sign * (random_value - value), sign * (others - first), fewest)
    return Claim(
        score,
        _score(random_value, others, len(np.unique(np.concatenate(places[1:]))), len(random[0].groups), error),
        replace(difference, n=len(own.groups), method="group-bootstrap"),
        len(random),
    )


def _resampled(parts: Sequence[Answered], places: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """(parts, R) scores, some R at a time."""
    count = max(int(place.max()) for place in places) + 1
    step = max(1, CELLS // max(map(len, places)))
    return [
        np.stack([_under(one, weights[place, start : start + step]) for one, place in zip(parts, places)])
        for weights in resampled(count, seed, RESAMPLES * count)
        for start in range(0, weights.shape[1], step)
    ]


def _under(one: Answered, weights: np.ndarray) -> np.ndarray:
    """(R,) scores; NaN where none of the images was drawn, as happens to a test of few groups."""
    there, scores = weights.any(axis=0), np.full(weights.shape[1], np.nan)
    if there.any():
        scores[there] = one.under(weights[:, there])
    return scores


def _score(value: float, drawn: np.ndarray, groups: int, images: int, error: bool) -> Score:
    """Where no resample of a share differs, all is right or all is wrong: Wilson's interval of as many groups."""
    known = drawn[np.isfinite(drawn)]
    if error or (len(known) and known.std() > EVEN):
        found = interval(value, drawn, groups, ERROR if error else SHARE, freedom=max(1, groups - 1))
    else:
        found = replace(wilson(value * groups, groups), value=value)
    return replace(found, n=images, method="group-bootstrap")


def recalled(
    task: Task,
    test: Examples,
    train: Examples,
    groups: tuple[np.ndarray, np.ndarray],
    labels: Sequence[str],
    seed: int,
) -> Claim | None:
    """The first score of saying what is true of the nearest training image, by pixels shrunk to at most 8 × 8: what
    knowing them by heart gives, under the division there is and under five random ones. None where the task has no such
    answer, or there is nothing to score.

    Of many images at most 10,000 take part, in the shares of the two splits, groups whole as far as they fit.

    Args:
        groups: (N,) numbers of those of test, and of train.
    """
    if task.recall is None or not len(test.files) or not len(train.files):
        return None
    some = _some(groups, seed)
    targets = np.concatenate([part.targets[rows] for part, rows in zip((test, train), some)])
    small = np.concatenate([shrink(part.pixels, rows) for part, rows in zip((test, train), some)])
    numbers = np.concatenate([part[rows] for part, rows in zip(groups, some)])
    rng, measured = np.random.default_rng(seed), len(some[0])
    orders = [np.arange(len(targets)), *(rng.permutation(len(targets)) for _ in range(DRAWS))]
    answered = []
    for order in orders:
        asked, known = order[:measured], order[measured:]
        rows = _nearest(*standardised(small[known], small[asked]))
        outputs = task.recall(targets[known][rows], len(labels))
        images = Examples([str(row) for row in asked], small[asked], targets[asked])
        rated = task.rate(outputs, images, labels)
        answered.append(Answered(rated.first, numbers[asked], rated.shares.get(task.headline[0])))
    return claim_of(answered[0], answered[1:], seed, error=task.headline[0] in ERRORS)


def _nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return nearest(known, asked)


def _some(groups: tuple[np.ndarray, np.ndarray], seed: int) -> list[np.ndarray]:
    """Rows of test and of train that take part: group after group in one order for both, and of a group at most a
    twentieth of all that may."""
    count = sum(map(len, groups))
    if count <= MOST_IMAGES:
        return [np.arange(len(part)) for part in groups]
    rng, found = np.random.default_rng(seed), []
    numbers, place = np.unique(np.concatenate(groups), return_inverse=True)
    places = rng.permutation(len(numbers))[place]
    for rows in np.split(np.arange(count), [len(groups[0])]):
        mixed = rows[rng.permutation(len(rows))]
        ordered = mixed[np.argsort(places[mixed], kind="stable")]
        _, starts = np.unique(places[ordered], return_index=True)
        rank = np.arange(len(ordered)) - np.repeat(starts, np.diff([*starts, len(ordered)]))
        quota = max(1, MOST_IMAGES * len(rows) // count)
        kept = ordered[np.argsort(rank >= max(1, quota // 20), kind="stable")][:quota]
        found.append(np.sort(kept) - rows[0])
    return found
