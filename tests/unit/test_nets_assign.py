"""Which places answer for which box: by hand on maps of 8×8, 4×4 and 2×2 places of a 64-pixel image."""

import pytest
import torch
from torch import Tensor

from foveal.nets.assign import MOST, assign, places_of, prior
from foveal.nets.box_losses import giou, iou, quality_focal

SIZES, STRIDES = ((8, 8), (4, 4), (2, 2)), (8, 16, 32)
PLACES = places_of(SIZES, STRIDES, torch.device("cpu"))
A = 64 + 16 + 4
NAN = float("nan")


def rows(*boxes: tuple[float, ...], most: int = 4) -> Tensor:
    """(1, most, 6) of x0 y0 x1 y1 label [crowd]."""
    target = torch.full((1, most, 6), NAN)
    for row, box in zip(target[0], boxes):
        row[:] = torch.tensor([*box, 0.0][:6])
    return target


def around(side: float) -> Tensor:
    """(1, A, 4) a square around every place."""
    return torch.cat([PLACES.points - side / 2, PLACES.points + side / 2], dim=1)[None]


def logits(labels: int = 3) -> Tensor:
    return torch.zeros(1, A, labels)


def test_places_are_the_middles_of_the_cells_row_by_row() -> None:
    assert PLACES.points.shape == (A, 2)
    assert PLACES.points[[0, 1, 8, 64, 83]].tolist() == [[4, 4], [12, 4], [4, 12], [8, 8], [48, 48]]
    assert PLACES.strides[[0, 63, 64, 79, 80]].tolist() == [8, 8, 16, 16, 32]


def test_a_box_is_answered_for_from_inside_by_the_places_that_fit_best() -> None:
    box = (10.0, 10.0, 42.0, 42.0)
    found = assign(around(32), logits(), rows((*box, 2)), PLACES)
    answering = found.quality[0].nonzero()[:, 0]
    assert 4 <= len(answering) <= MOST + 1, "or one more, where two are equally good"
    assert (found.truth[0, answering] == torch.tensor([*box, 2, 0])).all()
    points = PLACES.points[answering]
    assert ((points >= 10) & (points <= 42)).all()
    overlap = iou(torch.tensor(box).expand(len(answering), 4), around(32)[0, answering])
    best = answering[overlap.argmax()]
    assert found.quality[0].argmax() == best, "equal scores: the best fit is the best answer"
    assert found.quality[0, best].item() == pytest.approx(overlap.max().item()), "and should say how well it fits"


def test_the_surer_place_is_the_better_answer() -> None:
    target, sure = rows((16.0, 16.0, 48.0, 48.0, 0)), logits()
    left, right = 3 * 8 + 3, 3 * 8 + 4  # (28, 28) and (36, 28) lie alike
    sure[0, right, 0] = 2.0
    sure[0, left, 1] = 5.0  # of another label
    boxes = torch.tensor([16.0, 16, 48, 48]).expand(1, A, 4)
    found = assign(boxes, sure, target, PLACES)
    assert found.quality[0, right].item() == pytest.approx(1)
    expected = (torch.tensor(0.0).sigmoid() / torch.tensor(2.0).sigmoid()) ** 0.5
    assert found.quality[0, left].item() == pytest.approx(expected.item())


def test_every_place_answers_for_one_box() -> None:
    target = rows((0.0, 0.0, 32.0, 32.0, 0), (24.0, 0.0, 56.0, 32.0, 1))
    found = assign(around(32), logits(), target, PLACES)
    left = found.quality[0].bool() & (found.truth[0, :, 4] == 0)
    right = found.quality[0].bool() & (found.truth[0, :, 4] == 1)
    assert left.sum() >= 4
    assert right.sum() >= 4
    assert PLACES.points[left, 0].max() <= 32
    assert PLACES.points[right, 0].min() >= 24


@pytest.mark.parametrize("corner", [(0.5, 0.5), (8.0, 8.0), (30.0, 9.0), (61.0, 61.0)])
def test_a_box_smaller_than_a_cell_gets_a_place(corner: tuple[float, float]) -> None:
    x, y = corner
    found = assign(around(8), logits(), rows((x, y, x + 2.5, y + 1.5, 1)), PLACES)
    answering = found.quality[0].nonzero()[:, 0]
    assert len(answering) >= 1
    assert (found.truth[0, answering, :2] == torch.tensor(corner)).all()
    assert ((PLACES.points[answering] - torch.tensor([x + 1.25, y + 0.75])).abs() <= 4).all()


def test_the_prior_prefers_the_middle_and_the_map_that_suits_the_size() -> None:
    small, large = torch.tensor([[16.0, 16, 48, 48]]), torch.tensor([[0.0, 0, 128, 128]])
    at = [torch.tensor([[32.0, 32.0]]), torch.tensor([[40.0, 32.0]])]
    strides = [torch.tensor([float(stride)]) for stride in STRIDES]
    assert prior(small, at[0], strides[0]) == 1
    assert prior(small, at[1], strides[0]) < 1
    assert prior(small, at[0], strides[0]) > prior(small, at[0], strides[1]) > prior(small, at[0], strides[2])
    assert prior(large, at[0], strides[2]) > prior(large, at[0], strides[0])


def test_a_crowd_is_passed_over_and_answered_for_by_none() -> None:
    target = rows((0.0, 0.0, 64.0, 40.0, 0, 1), (8.0, 8.0, 40.0, 40.0, 1))
    found = assign(around(32), logits(), target, PLACES)
    inside = PLACES.points[:, 1] <= 40
    answers = found.quality[0] > 0
    assert answers.sum() >= 4
    assert (found.truth[0, answers, 4] == 1).all()
    assert torch.equal(found.ignored[0], inside & ~answers)


def test_without_boxes_none_answers() -> None:
    found = assign(around(16), logits(), rows(), PLACES)
    assert found.quality.shape == (1, A)
    assert not found.quality.any()
    assert not found.ignored.any()


def test_images_of_a_batch_do_not_know_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(3, 4, 2, generator=generator) * 40
    target = torch.cat([corners, corners + 8 + torch.rand(3, 4, 2, generator=generator) * 20], dim=2)
    target = torch.cat([target, torch.randint(0, 3, (3, 4, 1), generator=generator), torch.zeros(3, 4, 1)], dim=2)
    target[1] = NAN
    target[2, 2:] = NAN
    boxes, scores = around(24).expand(3, A, 4), torch.randn(3, A, 3, generator=generator)
    together = assign(boxes, scores, target, PLACES)
    again = assign(boxes, scores, target, PLACES)
    assert torch.equal(together.quality, again.quality)
    for k in range(3):
        alone = assign(boxes[k : k + 1], scores[k : k + 1], target[k : k + 1], PLACES)
        assert torch.equal(alone.quality[0], together.quality[k])
        answers = alone.quality[0] > 0
        assert torch.equal(alone.truth[0, answers], together.truth[k, answers])


def test_of_a_box_that_is_given_twice_one_is_answered_for() -> None:
    box = (10.0, 10.0, 42.0, 42.0, 1.0)
    once, twice = (assign(around(32), logits(), rows(*[box] * n), PLACES) for n in (1, 2))
    assert torch.equal(once.quality, twice.quality)


def test_a_box_that_no_prediction_meets_is_answered_for_where_the_prior_is_largest() -> None:
    nowhere = torch.tensor([900.0, 900, 901, 901]).expand(1, A, 4)
    found = assign(nowhere, logits(), rows((16.0, 16.0, 48.0, 48.0, 0)), PLACES)
    assert not found.quality.any(), "how well it fits is 0"
    near = nowhere.clone()
    near[0, 27] = torch.tensor([20.0, 20, 24, 24])  # an IoU of 1/64, at (28, 28)
    found = assign(near, logits(), rows((16.0, 16.0, 48.0, 48.0, 0)), PLACES)
    assert found.quality[0, 27].item() == pytest.approx(1 / 64)


def test_overlaps_by_hand() -> None:
    one, other = torch.tensor([0.0, 0, 4, 4]), torch.tensor([2.0, 2, 6, 6])
    assert iou(one, other).item() == pytest.approx(4 / 28)
    assert giou(one, other).item() == pytest.approx(4 / 28 - 8 / 36)
    assert giou(one, torch.tensor([6.0, 0, 8, 4])).item() == pytest.approx(0 - 8 / 32)
    assert giou(one, one).item() == pytest.approx(1)
    nothing = torch.zeros(4)
    assert iou(nothing, nothing) == 0


def test_quality_focal_is_least_at_the_quality() -> None:
    quality = torch.tensor(0.7)
    at = torch.tensor([-1.0, 0.0, float(torch.logit(quality)), 2.0])
    losses = quality_focal(at, quality.expand(4))
    assert losses[2] == pytest.approx(0, abs=1e-10)
    assert (losses[[0, 1, 3]] > 0.01).all()
    by_hand = -(0.7 * torch.tensor(0.5).log() + 0.3 * torch.tensor(0.5).log()) * 0.2**2
    assert losses[1].item() == pytest.approx(by_hand.item())
