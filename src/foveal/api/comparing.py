"""Two networks on the same test images, and two recipes over several seeds: do they differ?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveal.api.looking import task_and_data
from foveal.api.measuring import answers
from foveal.api.repeating import repeats_of
from foveal.data.contents import contents
from foveal.errors import RunError
from foveal.examples import Examples, Rated
from foveal.extras import extra
from foveal.phrasing import command
from foveal.report import printable
from foveal.run import Run
from foveal.series import Series, is_series
from foveal.task import Task
from foveal.types import Dataset, Progress

if TYPE_CHECKING:
    from foveal.report.compared import ChangedImage, ComparedNetworks, ComparedRecipes, Comparison

__all__ = ["compare"]

MOST_CHANGED = 100  # each way, where all answers differ a little
NAMED = 3  # files in a message
SEED = 0  # of the resamples


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two runs.

    Args:
        rows: of its test images, in an order that both have in common.
    """

    run: Run
    task: Task
    dataset: Dataset
    rows: np.ndarray


def compare(
    first: str | Path | Run | Series,
    second: str | Path | Run | Series,
    *,
    progress: Progress | None = None,
) -> "Comparison":
    """Do two networks differ, and do two recipes?

    Both networks answer the same test images, which neither has learned from, and the look is counted. Shares of right
    answers are tested with McNemar's mid-p test and have Tango's interval; all other scores the interval of a bootstrap
    that draws the same images for both. Two series of `repeat` also answer whether the recipes differ: Welch's t
    interval of the means over seeds, and another with the luck of the test images counted, too. Of series the first
    networks of each are compared.

    Args:
        first, second: finished runs, or series that are finished.
        progress: is told what is going on, how much is done, and of how much.

    Raises:
        RunError: there is no finished run; the two learned different tasks or labels; their test images differ, or
            one has learned from the other's.
    """
    with extra("train"):
        from foveal.report.compared import Comparison, recipes_in_words

    pair = [_opened(first), _opened(second)]
    runs = [_network_of(one) for one in pair]
    for run in runs:
        _refuse_unfinished(run)
    sides = _paired_rows(_side(runs[0], progress), _side(runs[1], progress), progress)
    networks = _networks(sides, progress)
    recipes = _recipes(pair, sides, progress)
    told = recipes_in_words(networks.headline[0], recipes)
    return Comparison(task=sides[0].task.name, networks=networks, recipes=recipes, recipes_words=told)


def _opened(one: str | Path | Run | Series) -> Run | Series:
    if isinstance(one, Series):
        return one
    return Series.open(one) if not isinstance(one, Run) and is_series(one) else Run.open(one)


def _network_of(one: Run | Series) -> Run:
    if isinstance(one, Run):
        return one
    if not one.finished:
        raise RunError(
            f"The series {one.path} has not finished: {sum(run.finished for run in one.runs)} of {len(one.seeds)} "
            "trainings are done.",
            remedy=f"Finish it with: {command('foveal', 'resume', one.path)}",
        )
    return one.runs[0]


def _refuse_unfinished(run: Run) -> None:
    if not run.finished:
        raise RunError(
            f"Training in {run.path} has not finished: there is no {run.weights.name}.",
            remedy=f"Finish it with: {command('foveal', 'resume', run.path)}",
        )


def _recipes(
    pair: Sequence[Run | Series], sides: "tuple[_Side, _Side]", progress: Progress | None
) -> "ComparedRecipes | None":
    from foveal.measure.paired import image_variance, welch
    from foveal.report.compared import recipes_compared

    series = [one for one in pair if isinstance(one, Series) and len(one.seeds) > 1]
    if len(series) < 2:
        return None
    first, second = (repeats_of(one, progress=progress) for one in series)
    names = [*first.headline, *(name for name in first.scores if name not in first.headline)]
    values = {name: (first.scores[name].values, second.scores[name].values) for name in names if name in second.scores}
    for run in (run for one in series for run in one.runs[1:]):  # the first of each was counted
        run.count_look("compare")
    one, other = ([_rated(replace(side, run=run), progress)[1] for run in own.runs] for own, side in zip(series, sides))
    moved = image_variance(one, other, _groups(sides[0]), SEED)
    found = {name: welch(*both) for name, both in values.items()}
    elsewhere = {name: welch(*both, moved[name]) for name, both in values.items() if name in moved}
    return recipes_compared(first, second, found, elsewhere)


def _rated(side: "_Side", progress: Progress | None) -> tuple[tuple[np.ndarray, Examples], Rated]:
    """What the network says of the test images, and that beside the truth."""
    outputs, test = answers(side.run, side.task, side.dataset, side.rows, progress=progress)
    return (outputs, test), side.task.rate(outputs, test, side.dataset.labels, side.run.settled)


def _groups(side: "_Side") -> np.ndarray:
    """(N,) numbers of the groups of the test images, from 0."""
    return np.unique(side.dataset.groups[side.rows], return_inverse=True)[1]


def _networks(sides: "tuple[_Side, _Side]", progress: Progress | None) -> "ComparedNetworks":
    from foveal.measure.paired import paired, sure
    from foveal.report.compared import ComparedLabel, ComparedNetworks, ComparedScore, networks_in_words, verdict

    first, second = (side.run for side in sides)
    task = sides[0].task
    looks = [run.count_look("compare") for run in (first, second)]
    said, rated = zip(*(_rated(side, progress) for side in sides))
    groups = _groups(sides[0])
    scores, columns = paired(rated[0], _in_order(rated[1], *(side.dataset.labels for side in sides)), groups, SEED)
    headline = [name for name in task.headline if name in scores]
    if not headline:
        raise RunError(f"Nothing can be compared: the {len(groups)} test images give neither network a score.")
    label_score = next(iter(columns), None)
    rows = dict(zip(sides[0].dataset.labels, columns.get(label_score or "", [])))
    labels = {name: one for name, one in rows.items() if one is not None}
    differing = sure({name: one.p for name, one in labels.items()})
    alike = np.array_equal(said[0][0], said[1][0]) and sides[0].dataset.labels == sides[1].dataset.labels
    decides = scores[headline[0]]
    better = verdict(headline[0], decides)
    right = [one.wrong == 0 for one in rated]
    return ComparedNetworks(
        first=str(first.path),
        second=str(second.path),
        images=len(groups),
        groups=int(groups.max()) + 1,
        looks=looks,
        headline=headline,
        scores={name: ComparedScore.of(one) for name, one in scores.items()},
        label_score=label_score,
        per_label={
            name: ComparedLabel(**ComparedScore.of(one).model_dump(), differs=name in differing)
            for name, one in labels.items()
        },
        differ=better is not None,
        better=better,
        words=networks_in_words(headline[0], decides, alike, str(first.path), str(second.path)),
        to_wrong=int((right[0] & ~right[1]).sum()),
        to_right=int((~right[0] & right[1]).sum()),
        changed=_changed(sides, said, rated),
    )


def _side(run: Run, progress: Progress | None) -> _Side:
    task, dataset = task_and_data(run, progress)
    return _Side(run, task, dataset, dataset.rows("test"))


def _in_order(rated: Rated, wanted: Sequence[str], labels: Sequence[str]) -> Rated:
    """With its labels in another order."""
    order = [labels.index(name) for name in wanted]

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        scores, columns = rated.under(weights)
        return scores, {name: column[order] for name, column in columns.items()}

    shares = {name: rows[order] for name, rows in rated.label_shares.items()}
    return replace(rated, under=under, label_shares=shares)


def _changed(
    sides: Sequence[_Side], said: Sequence[tuple[np.ndarray, Examples]], rated: Sequence[Rated]
) -> "list[ChangedImage]":
    from foveal.report.compared import ChangedImage

    change = rated[1].wrong - rated[0].wrong
    order = np.argsort(-change, kind="stable")
    order = order[change[order] != 0]
    if (change % 1).any():  # errors: every one is a little larger or smaller
        worse, better = order[change[order] > 0], order[change[order] < 0]
        order = np.concatenate([worse[:MOST_CHANGED], better[-MOST_CHANGED:]])

    def told(number: int, row: int) -> str:
        side, (outputs, test) = sides[number], said[number]
        geometry = test.geometries[row] if test.geometries else None
        answers = side.task.answer.decode(outputs[[row]], [geometry], side.dataset.labels, side.run.settled)
        return str(answers[0])

    dataset, rows = sides[0].dataset, sides[0].rows
    return [
        ChangedImage(
            file=printable(dataset.files[rows[row]]),
            truth=printable(dataset.cells[rows[row]]),
            first=printable(told(0, row)),
            second=printable(told(1, row)),
            first_wrong=float(rated[0].wrong[row]),
            second_wrong=float(rated[1].wrong[row]),
        )
        for row in map(int, order)
    ]


def _paired_rows(first: _Side, second: _Side, progress: Progress | None) -> tuple[_Side, _Side]:
    """Both with their test images in the same order.

    Raises:
        RunError: they learned different things, or their test images are not the same and new to both.
    """
    for what, one, other in (
        ("task", first.task.name, second.task.name),
        ("labels", *(", ".join(sorted(side.dataset.labels)) for side in (first, second))),
    ):
        if one != other:
            raise RunError(
                f"{first.run.path} and {second.run.path} cannot be compared: the {what} of the first: {one}; of the "
                f"second: {other}."
            )
    keys = _keys(first.dataset, second.dataset, first.task, progress)
    tests = [dict(_test(side.dataset, own)) for side, own in zip((first, second), keys)]
    _refuse_seen(first, second, keys, tests)
    _refuse_seen(second, first, keys[::-1], tests[::-1])
    _refuse_other(first, second, tests)
    ordered = []
    for side, own in zip((first, second), keys):
        rows = side.dataset.rows("test").tolist()
        rows.sort(key=lambda row, own=own, cells=side.dataset.cells: (own[row], cells[row]))
        ordered.append(replace(side, rows=np.array(rows)))
    return ordered[0], ordered[1]


def _keys(first: Dataset, second: Dataset, task: Task, progress: Progress | None) -> list[Sequence[str]]:
    """What an image is known by in both: its name, where all names and the fingerprint are the same, otherwise a hash
    of its pixels."""
    alike = ("fingerprint", "files", "cells")
    if all(getattr(first, name) == getattr(second, name) for name in alike):
        return [first.files, second.files]
    return [contents(dataset, task.reader, progress=progress) for dataset in (first, second)]


def _test(dataset: Dataset, keys: Sequence[str]) -> list[tuple[str, int]]:
    rows: list[int] = dataset.rows("test").tolist()
    return [(keys[row], row) for row in rows]


def _refuse_seen(tested: _Side, learned: _Side, keys: Sequence[Sequence[str]], tests: Sequence[dict[str, int]]) -> None:
    """
    Args:
        keys, tests: of the one whose test images are asked about, and of the one that may know them.
    """
    known = {keys[1][row] for split in ("train", "validation") for row in learned.dataset.rows(split).tolist()}
    seen = [row for key, row in tests[0].items() if key in known and key not in tests[1]]
    if seen:
        raise RunError(
            f"{learned.run.path} has learned from, or chosen on, {len(seen):,} of the {len(tests[0]):,} test images of "
            f"{tested.run.path} ({_files(tested.dataset, seen)}): a score on them would say nothing of it.",
            remedy="Divide the images alike for both: the same --seed and shares, or splits that the source names.",
        )


def _refuse_other(first: _Side, second: _Side, tests: Sequence[dict[str, int]]) -> None:
    only = [[row for key, row in own.items() if key not in other] for own, other in (tests, tests[::-1])]
    counts = [len(side.dataset.rows("test")) for side in (first, second)]
    if any(only) or counts[0] != counts[1]:
        told = [
            f"{len(rows):,} are only in {side.run.path} ({_files(side.dataset, rows)})"
            for side, rows in zip((first, second), only)
            if rows
        ]
        more = "; ".join(told) or "some are there more often in one of them"
        raise RunError(
            f"The test images differ ({counts[0]:,} and {counts[1]:,}): {more}.",
            remedy="Train both on the same images, divided alike: same --seed and shares, or the source's own splits.",
        )
    other = [
        (row, tests[1][key])
        for key, row in tests[0].items()
        if first.dataset.cells[row] != second.dataset.cells[tests[1][key]]
    ]
    if other:
        row, theirs = other[0]
        raise RunError(
            f"The truth of {len(other):,} test images differs: {first.dataset.files[row]} is "
            f"{first.dataset.cells[row]!r} in {first.run.path} and {second.dataset.cells[theirs]!r} in "
            f"{second.run.path}.",
            remedy="Train both with the same targets.",
        )


def _files(dataset: Dataset, rows: Sequence[int]) -> str:
    more = ", …" if len(rows) > NAMED else ""
    return printable(", ".join(dataset.files[row] for row in rows[:NAMED])) + more
