"""SSDLite, the head that a net has which ends in `ssd`. Shapes: B images, C channels, A default boxes, K labels.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, with the separable convolutions of Sandler et al.,
"MobileNetV2", CVPR 2018, section 6.2: torchvision's default boxes, predictors, matching and loss on the maps of any
body at the strides 16 and 32, and on four more that are halved from the last.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import box_iou
from torchvision.ops.misc import Conv2dNormActivation

from foveal.nets.windows import Pair

__all__ = ["SsdLiteHead"]

# What SSDLite takes from MobileNetV2: the expansion of the block after the map, and the last convolution.
EXPANDED = 576, 1280
EXTRA = 512, 256, 256, 128
RATIOS = [[2, 3]] * (len(EXPANDED) + len(EXTRA))
SMALLEST, LARGEST = 0.2, 0.95  # sides of the default boxes over the image's
LEAST = 1e-3
LARGEST_INPUT = 320  # what torchvision's SSD would resize to, were it not given maps


class SsdLiteHead(nn.Module):
    """Default boxes at every place, each with a score for every label and the way from it to the true box.

    Args:
        channels: of the maps at the two strides.
        outputs: labels.
        label_smoothing: the loss has none; ignored.
        loss: without a choice here; ignored.
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        label_smoothing: float = 0.0,
        loss: str = "auto",
        strides: Sequence[int] = (16, 32),
    ) -> None:
        super().__init__()
        self.stride = strides[0]
        norm = partial(Norm, eps=0.001, momentum=0.03)
        layer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        self.expand = nn.ModuleList(layer(before, after, 1) for before, after in zip(channels, EXPANDED))
        self.extra = nn.ModuleList(
            nn.Sequential(
                layer(before, after // 2, 1),
                layer(after // 2, after // 2, 3, stride=2, groups=after // 2),
                layer(after // 2, after, 1),
            )
            for before, after in zip((EXPANDED[-1], *EXTRA), EXTRA)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.03)
        boxes = DefaultBoxGenerator(RATIOS, min_ratio=SMALLEST, max_ratio=LARGEST)
        head = SSDLiteHead([*EXPANDED, *EXTRA], boxes.num_anchors_per_location(), outputs + 1, norm)
        self.ssd = SSD(nn.Identity(), boxes, (LARGEST_INPUT, LARGEST_INPUT), outputs + 1, head=head)
        self.farthest = self.ssd.box_coder.bbox_xform_clip * self.ssd.box_coder.weights[-1]
        self.sizes: dict[int, tuple[Pair, list[Pair]]] = {}

    def fit(self, targets: np.ndarray) -> None:
        """Nothing: the default boxes are those of the paper."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, H, W) to (B, A, 4 + K): x0 y0 x1 y1 in pixels of the input, and of each label the logit whose
        sigmoid is its share in the softmax over all labels and the background."""
        levels = [expand(x) for expand, x in zip(self.expand, maps)]
        for extra in self.extra:
            levels.append(extra(levels[-1]))
        raw = self.ssd.head(levels)
        ways, scores = raw["bbox_regression"].float(), raw["cls_logits"].float()
        image = maps[0].shape[2] * self.stride, maps[0].shape[3] * self.stride
        self.sizes[ways.shape[1]] = image, [(x.shape[2], x.shape[3]) for x in levels]
        defaults = self._defaults(ways)
        ways = ways.clamp(-self.farthest, self.farthest).flatten(0, 1)
        # Of `len` an exported graph would keep the number of images that it was traced with.
        boxes = self.ssd.box_coder.decode_single(ways, defaults.repeat(scores.shape[0], 1))
        return torch.cat([boxes.view(-1, len(defaults), 4), _each_alone(scores)], dim=2)

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """SSD's loss of each image by itself, whatever the others of its batch are, and the mean of these.

        Args:
            targets: (B, M, 6) rows x0 y0 x1 y1 label crowd in pixels of the input; rows of NaN fill up. Default boxes
                with their middle in a crowd that fit no single box are left out.
        """
        targets = torch.as_tensor(targets, dtype=torch.float32, device=outputs.device)
        losses = [self._loss(found, target[~target[:, 0].isnan()]) for found, target in zip(outputs.float(), targets)]
        return {
            "class": torch.stack([loss["classification"] for loss in losses]).mean(),
            "box": torch.stack([loss["bbox_regression"] for loss in losses]).mean(),
        }

    def _loss(self, outputs: Tensor, rows: Tensor) -> dict[str, Tensor]:
        defaults = self._defaults(outputs[None])
        crowd, single = rows[rows[:, 5] > 0], rows[rows[:, 5] == 0]
        matched = torch.full((len(defaults),), -1, device=outputs.device)
        if len(single):
            matched = self.ssd.proposal_matcher(box_iou(single[:, :4], defaults))
        middle = (defaults[:, None, :2] + defaults[:, None, 2:]) / 2
        crowded = ((middle >= crowd[:, :2]) & (middle <= crowd[:, 2:4])).all(dim=2).any(dim=1)
        kept = (matched >= 0) | ~crowded
        ways = self.ssd.box_coder.encode_single(outputs[kept, :4], defaults[kept])
        return self.ssd.compute_loss(
            [{"boxes": single[:, :4], "labels": single[:, 4].long() + 1}],
            {"bbox_regression": ways[None], "cls_logits": _together(outputs[kept, 4:])[None]},
            [defaults[kept]],
            [matched[kept]],
        )

    def spotlight(self, outputs: Tensor) -> Tensor:
        """(B,) the logit of the surest box."""
        return outputs[..., 4:].amax(dim=(1, 2))

    def _defaults(self, outputs: Tensor) -> Tensor:
        """(A, 4) the default boxes behind outputs (B, A, …) of an image that `forward` has seen the size of."""
        image, sizes = self.sizes[outputs.shape[1]]
        maps = [torch.empty(0, *size, device=outputs.device) for size in sizes]
        return self.ssd.anchor_generator(ImageList(torch.empty(0, *image), [image]), maps)[0]


class Norm(nn.BatchNorm2d):
    """Batch norm that also takes a batch of a single number a channel: it then keeps its means and variances."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def _each_alone(scores: Tensor) -> Tensor:
    """Logits of a softmax over the background and K labels, (…, 1 + K), to the logit of each label's share, (…, K).

    A share close to 1 has nothing but its distance from 1 to tell: that of the largest is the sum of the others.
    """
    top = scores.argmax(dim=-1, keepdim=True) == torch.arange(scores.shape[-1], device=scores.device)
    others = scores.masked_fill(top, -torch.inf).logsumexp(dim=-1, keepdim=True)
    share = scores - torch.logaddexp(scores.amax(dim=-1, keepdim=True), others)
    alone = share - torch.log1p(-share.masked_fill(top, -1.0).exp())
    return torch.where(top, scores - others, alone)[..., 1:]


def _together(logits: Tensor) -> Tensor:
    """The way back, to the logarithms of all shares, (…, 1 + K): the background's is what the labels leave.

    That is the distance of the largest share from 1, less the others: a difference that floats know to a millionth of
    the first or so. Where less than a thousandth is left, a thousandth is taken.
    """
    largest = logits.argmax(dim=-1, keepdim=True) == torch.arange(logits.shape[-1], device=logits.device)
    away = (-logits).sigmoid().masked_fill(~largest, 0.0).sum(dim=-1, keepdim=True)
    others = logits.sigmoid().masked_fill(largest, 0.0).sum(dim=-1, keepdim=True)
    background = (away - others).maximum(LEAST * away).clamp(min=torch.finfo(logits.dtype).tiny)
    return torch.cat([background.log(), F.logsigmoid(logits)], dim=-1)
