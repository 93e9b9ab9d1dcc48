"""How far predicted boxes and scores are from true ones. Boxes are x0 y0 x1 y1."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["giou", "iou", "quality_focal"]


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union, 0 to 1, of (…, 4) with (…, 4)."""
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    return shared / (_area(first) + _area(second) - shared).clamp(min=1e-6)


def giou(found: Tensor, truth: Tensor) -> Tensor:
    """Generalised intersection over union, −1 to 1, of (…, 4) with (…, 4). Rezatofighi et al., CVPR 2019."""
    shared = (torch.minimum(found[..., 2:], truth[..., 2:]) - torch.maximum(found[..., :2], truth[..., :2])).clamp(
        min=0
    )
    around = torch.maximum(found[..., 2:], truth[..., 2:]) - torch.minimum(found[..., :2], truth[..., :2])
    intersection, hull = shared.prod(dim=-1), around.prod(dim=-1).clamp(min=1e-6)
    union = (_area(found) + _area(truth) - intersection).clamp(min=1e-6)
    return intersection / union - (hull - union) / hull


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Binary cross entropy with targets from 0 to 1, weighted by the square of how far the score is off: what is easy
    counts little (Lin et al., ICCV 2017; with such targets, Li et al., NeurIPS 2020, equation 2)."""
    losses = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return losses * (quality - logits.sigmoid()).square()


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
