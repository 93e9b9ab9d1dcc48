"""Which places of the maps answer for which true box. Shapes: B images, M true boxes, A places, C labels.

After the task-aligned assignment of Feng et al. ("TOOD", ICCV 2021, section 3.2): a place answers for a box the more,
the surer it is of the label and the better its own box fits. Before it has learned either, that would be left to
chance, so a prior that does not move takes part: places near the middle of a box, on the map whose stride suits its
size (as FCOS, Tian et al., ICCV 2019, and ATSS, Zhang et al., CVPR 2020, choose them).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from foveal.nets.box_losses import iou
from foveal.nets.windows import Pair

__all__ = ["Assignment", "Places", "assign", "places_of", "prior"]

MOST = 10  # places for a box
SURE, FITTING = 0.5, 4.0  # powers of score and IoU
MIDDLE = 0.7  # deviation of the prior from the middle, in halves of the box's sides
CELLS, LEVELS = 4.0, 1.0  # side of a box over the stride that suits it; deviation from it, in doublings
LEAST_IOU = 1e-2  # a box that no prediction meets yet is given places, too

X0, Y0, X1, Y1, LABEL, CROWD = range(6)


@dataclass(frozen=True, eq=False)
class Places:
    """The places of all maps, one map after another, each row by row.

    Args:
        points: (A, 2) x and y of their middles, pixels of the input.
        strides: (A,) of their maps.
    """

    points: Tensor
    strides: Tensor


@dataclass(frozen=True, eq=False)
class Assignment:
    """
    Args:
        truth: (B, A, 6) the true box that each place answers for; of no meaning where the quality is 0.
        quality: (B, A) what the place's score for that box's label should be, 0 to 1; 0 where it answers for none.
        ignored: (B, A) bool, whether it lies in a crowd, and answers for none.
    """

    truth: Tensor
    quality: Tensor
    ignored: Tensor


def places_of(sizes: Sequence[Pair], strides: Sequence[int], device: torch.device) -> Places:
    """
    Args:
        sizes: height and width of each map.
    """
    points, steps = [], []
    for (height, width), stride in zip(sizes, strides):
        y, x = ((torch.arange(side, device=device) + 0.5) * stride for side in (height, width))
        points.append(torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1))
        steps.append(torch.full((height * width,), float(stride), device=device))
    return Places(torch.cat(points), torch.cat(steps))


@torch.no_grad()
def assign(boxes: Tensor, logits: Tensor, targets: Tensor, places: Places) -> Assignment:
    """
    Args:
        boxes: (B, A, 4) predicted.
        logits: (B, A, C).
        targets: (B, M, 6) rows x0 y0 x1 y1 label crowd; rows of NaN fill up.
    """
    (count, many), real = boxes.shape[:2], ~targets[..., X0].isnan()
    image, rows = real.nonzero()[:, 0], targets[real]
    crowd, least = rows[:, CROWD] > 0, places.strides.min()
    ignored = torch.zeros(count, many, dtype=torch.bool, device=boxes.device)
    row, place = _inside(rows[crowd], places, 0.0).nonzero(as_tuple=True)
    ignored[image[crowd][row], place] = True
    image, rows = image[~crowd], rows[~crowd]
    row, place = _inside(rows, places, least).nonzero(as_tuple=True)
    at = image[row], place

    truth, label = rows[row, :LABEL], rows[row, LABEL].long()
    overlap = iou(truth, boxes[at])
    score = logits[*at, label].sigmoid()
    fit = (
        score**SURE
        * overlap.clamp(min=LEAST_IOU) ** FITTING
        * prior(truth, places.points[place], places.strides[place])
    )
    dense = fit.new_zeros(len(rows), many)
    dense[row, place] = fit
    best = dense.topk(min(MOST, many), dim=1)[0]
    chosen = fit >= best[row, -1]
    row, fit, overlap, at = row[chosen], fit[chosen], overlap[chosen], image[row[chosen]] * many + place[chosen]

    reach = fit.new_zeros(len(rows)).scatter_reduce(0, row, overlap, "amax")
    won = fit.new_zeros(count * many).scatter_reduce(0, at, fit, "amax")
    winner = fit == won[at]
    by = at.new_full((count * many,), -1).scatter_reduce(0, at[winner], row[winner], "amax").view(count, many)
    answers = by >= 0
    if not len(rows):
        return Assignment(boxes.new_zeros(count, many, 6), boxes.new_zeros(count, many), ignored)
    quality = won.view(count, many) * (reach / best[:, 0])[by]
    return Assignment(rows[by], quality.masked_fill(~answers, 0.0), ignored & ~answers)


def prior(truth: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """(P,) how much a place suits a box before anything is known, 0 to 1, for pairs of boxes (P, 4) and places."""
    size = truth[:, X1:LABEL] - truth[:, :X1]
    away = (points - (truth[:, :X1] + truth[:, X1:LABEL]) / 2) / (size / 2).maximum(strides[:, None] / 2)
    levels = size.clamp(min=1.0).log2().mean(dim=1) - (CELLS * strides).log2()
    return torch.exp(-away.square().sum(dim=1) / MIDDLE**2 / 2 - levels.square() / LEVELS**2 / 2)


def _inside(rows: Tensor, places: Places, least: Tensor | float) -> Tensor:
    """(R, A) whether a place lies in a box (R, ≥4), or would if its sides were `least` pixels."""
    middle, half = (rows[:, :X1] + rows[:, X1:LABEL]) / 2, ((rows[:, X1:LABEL] - rows[:, :X1]) / 2).clamp(min=least / 2)
    away = [(places.points[:, axis] - middle[:, axis, None]).abs() <= half[:, axis, None] for axis in (0, 1)]
    return away[0] & away[1]
