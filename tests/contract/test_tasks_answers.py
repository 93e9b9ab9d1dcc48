"""What the answer, the measures and the head of every task must hold, without a training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from everytask import CELLS, refused
from foveal.examples import Examples
from foveal.measured import Score
from foveal.task import Task
from foveal.tasks import TASKS
from foveal.types import Geometry
from foveal.wishes import Aim, Wish


def raw_outputs(record: Task, labels: tuple[str, ...], count: int, seed: int = 0) -> np.ndarray:
    """As the network gives them: a row an image, or rows of a box with logits."""
    rng, outputs = np.random.default_rng(seed), record.answer.outputs(labels)
    if not record.strides:
        return rng.normal(size=(count, outputs)).astype(np.float32)
    corners = rng.uniform(0, 3, (count, 9, 2))
    return np.concatenate([corners, corners + 1, rng.normal(size=(count, 9, outputs))], axis=2).astype(np.float32)


def examples(files: list[str], pixels: np.ndarray, targets: np.ndarray) -> Examples:
    return Examples(files, pixels, targets, [Geometry(*pixels.shape[2:0:-1], 1.0, 1.0, 0.0, 0.0) for _ in files])


def cells_of(task: str) -> tuple[Task, list[str], tuple[str, ...]]:
    cells, columns = CELLS[task]
    return TASKS[task], cells, TASKS[task].answer.labels(cells, columns)


def test_measuring_nothing_is_no_crash(task: str) -> None:
    record, cells, labels = cells_of(task)
    pixels = np.zeros((3, 6, 6, 1), np.uint8)
    train = examples(["1", "2", "3"], pixels, record.targets(cells, labels))
    empty = examples([], pixels[:0], record.targets([], labels))
    outputs = raw_outputs(record, labels, 0)
    assert record.measure(outputs, empty, train, labels, 0).scores == {}
    assert record.answer.strata(empty.targets).shape == (0,)
    assert record.answer.settle(outputs, empty.targets, labels) == {}
    assert set(record.answer.summary(empty.targets, labels)) >= {"labels"}


def test_answer_contract(task: str) -> None:
    record, cells, labels = cells_of(task)
    answer, targets = record.answer, record.targets(cells, labels)
    assert len(targets) == len(cells)
    strata = answer.strata(targets)
    assert (strata.shape, strata.dtype) == ((len(cells),), np.int64)
    told = answer.summary(targets, labels)
    assert json.loads(json.dumps(told)) == told
    outputs = raw_outputs(record, labels, len(cells))
    scores = answer.score(outputs, targets)
    assert scores
    assert all(isinstance(value, float) for value in scores.values())
    settled = answer.settle(np.concatenate([outputs] * 9), np.concatenate([targets] * 9), labels)
    assert json.loads(json.dumps(settled)) == settled
    three = examples(["1", "2", "3"], np.zeros((3, 4, 4, 1), np.uint8), targets)
    measured = record.measure(outputs, three, three, labels, 0, settled)
    assert set(record.headline) & set(measured.scores)
    none = examples([], np.zeros((0, 4, 4, 1), np.uint8), targets[:0])
    alone = record.measure(outputs, three, none, labels, 0, settled)
    assert (alone.scores, alone.baselines) == (measured.scores, {}), "without training images, as without twins"
    with pytest.raises(ValueError, match=r"^expected .*found 'no such thing'"):
        answer.parse("no such thing", labels)


@pytest.mark.parametrize(
    "wish", [Wish((Aim(None, "sensitivity", 0.5),)), Wish((Aim(None, "precision", 0.5),)), Wish(coverage=0.5)], ids=str
)
def test_a_wish_is_settled_and_applied_or_refused_with_a_reason(task: str, wish: Wish) -> None:
    record, cells, labels = cells_of(task)
    wish = replace(wish, at=tuple(replace(aim, label=labels[0]) for aim in wish.at))
    outputs, targets = raw_outputs(record, labels, 9 * len(cells)), record.targets(cells * 9, labels)
    if refusal := refused(record, wish, labels):
        assert len(refusal) > 20
        return
    settled = record.answer.settle(outputs, targets, labels, wish)
    assert json.loads(json.dumps(settled)) == settled
    assert ("at" in settled) == bool(wish.at)
    assert record.answer.decode(outputs[:1], [None], labels, settled)[0].abstained in (True, False)
    assert record.answer.decode(outputs[:1], [None], labels)[0].abstained is None
    many = examples(list(map(str, range(len(targets)))), np.zeros((len(targets), 4, 4, 1), np.uint8), targets)
    measured = record.measure(outputs, many, many, labels, 0, settled)
    assert [point.label for point in measured.operating] == [aim.label for aim in wish.at]
    assert all(set(point.scores) >= {"sensitivity"} for point in measured.operating)


def test_intervals_count_groups_where_images_belong_together(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = record.targets(cells * 9, labels)
    outputs, count = raw_outputs(record, labels, len(targets)), len(targets)
    settled = record.answer.settle(outputs, targets, labels)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    test = examples([str(k) for k in range(count)], pixels, targets)
    alone = record.measure(outputs, test, test, labels, 0, settled)
    single = record.measure(outputs, replace(test, groups=np.arange(count)[::-1]), test, labels, 0, settled)
    assert single == alone, "each image alone: not a bit is another"

    rows = np.arange(count).repeat(4)
    copies = replace(test.among(rows), groups=rows)
    grouped = record.measure(outputs[rows], copies, test, labels, 0, settled)
    every = [(grouped.scores, alone.scores)]
    every += [(grouped.baselines[name], row) for name, row in alone.baselines.items()]
    every += [(grouped.per_label[name], row) for name, row in alone.per_label.items()]
    checked = 0
    for own, others in every:
        for name, other in others.items():
            score = own[name]
            if isinstance(score, Score) and isinstance(other, Score):
                assert score.n == 4 * other.n, name
                assert score.value == pytest.approx(other.value), name
                width = other.high - other.low
                assert score.high - score.low >= 0.75 * width, f"{name}: four copies tell no more than one"
                assert score.method in ("wilson-groups", "group-bootstrap", "obuchowski", "wilson")
                checked += 1
    assert checked >= 5


def test_what_is_rated_is_what_is_measured(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = record.targets(cells * 8, labels)
    outputs, count = raw_outputs(record, labels, len(targets)), len(targets)
    settled = record.answer.settle(outputs, targets, labels)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    test = examples([str(k) for k in range(count)], pixels, targets)
    measured = record.measure(outputs, test, test, labels, 0, settled)
    rated = record.rate(outputs, test, labels, settled)
    scores, columns = rated.under(np.ones((count, 1)))
    assert next(iter(scores)) == record.headline[0]
    assert {name: float(value[0]) for name, value in scores.items() if np.isfinite(value[0])} == pytest.approx(
        {name: measured.scores[name].value for name in scores if name in measured.scores}
    )
    for name, column in columns.items():
        for label, value in zip(labels, column[:, 0], strict=True):
            score = measured.per_label[label].get(name)
            assert np.isnan(value) if score is None else value == pytest.approx(score.value)  # pyright: ignore
    assert rated.wrong.shape == (count,)
    assert (rated.wrong >= 0).all()

    # Images that count twice are images that are there twice.
    weights = np.random.default_rng(1).integers(0, 3, count)
    rows = np.repeat(np.arange(count), weights)
    again = record.rate(outputs[rows], examples(["?"] * len(rows), pixels[rows], targets[rows]), labels, settled)
    counted, repeated = rated.under(weights[:, None].astype(np.float64)), again.under(np.ones((len(rows), 1)))
    np.testing.assert_allclose(rated.first(weights[:, None].astype(np.float64)), counted[0][record.headline[0]])
    assert rated.said is None if record.answer.placed else rated.said is not None and len(rated.said) == count
    for part, other in zip(counted, repeated):
        for name in part:
            np.testing.assert_allclose(part[name], other[name], rtol=1e-9, err_msg=name)


def test_an_answer_that_suits_only_itself_is_found_first(task: str) -> None:
    cells, columns = CELLS[task]
    repeated = cells * 3
    assert next(name for name, record in TASKS.items() if record.answer.suits(repeated, columns)) == task


def test_head_contract(task: str) -> None:
    record, cells, labels = cells_of(task)
    targets = torch.from_numpy(record.targets([cells[0], cells[2]], labels))
    for loss in ("auto", "squared", "huber"):
        body = (5,) * len(record.strides) or 5
        maps = [torch.randn(2, 5, 32 // stride, 32 // stride, requires_grad=True) for stride in record.strides]
        head = record.head(body, record.answer.outputs(labels), 0.1, loss=loss)
        head.fit(targets.numpy())
        outputs = head(maps or torch.randn(2, 5, requires_grad=True))
        losses = head.loss(outputs, targets)
        assert all(value.ndim == 0 for value in losses.values())
        sum(losses.values(), torch.zeros(())).backward()
        assert head.spotlight(outputs).shape == (2,)
        for k, row in enumerate(outputs.detach()):
            chosen = record.answer.choose(row.numpy(), None, labels, target=labels[head.winner(row).number])
            for one in (chosen, head.winner(row)):
                assert head.spotlight(outputs, one)[k] == head.spotlight(outputs)[k]
        if not record.strides:
            passed = record.head(None, record.answer.outputs(labels))
            assert torch.equal(passed(outputs), outputs)


def test_decode_is_json_ready(task: str) -> None:
    record, cells, labels = cells_of(task)
    outputs = raw_outputs(record, labels, 1)[0]
    outputs.flat[-record.answer.outputs(labels) :] = np.array([1e30, -1e30, 3.0])[: record.answer.outputs(labels)]
    targets = record.targets(cells * 3, labels)
    settled = record.answer.settle(np.stack([outputs] * 9), targets, labels)
    for chosen in ({}, settled):
        (prediction,) = record.answer.decode(outputs[None], [None], labels, chosen)
        told = prediction.as_dict()
        assert json.loads(json.dumps(told)) == told
        assert len(str(prediction).splitlines()) == 1
