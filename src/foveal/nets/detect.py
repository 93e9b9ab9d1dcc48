"""The head that finds things: an anchor-free detector of one stage. Shapes: B images, C channels, A places, K labels.

A feature pyramid (Lin et al., CVPR 2017) carries what the coarse maps know down to the fine ones; two small towers, the
same for all maps, say at every place what is there and how far away the four sides of its box are (Tian et al., "FCOS",
ICCV 2019). Their convolutions are split into one for each channel and one across the channels (Howard et al., arXiv
1704.04861), which keeps the head small beside the body.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.chosen import Chosen
from foveal.nets.assign import Places, assign, places_of
from foveal.nets.box_losses import giou, quality_focal
from foveal.nets.spotlights import box_logit, surest_box
from foveal.nets.windows import Pair

__all__ = ["DetectionHead"]

WIDTH = 96  # channels
DEPTH = 2  # convolutions of a tower
SCORE = 0.01  # of every label everywhere, before training (Lin et al., ICCV 2017, section 4.1)
AWAY = 2.0  # strides from a place to the sides of its box, before training
FARTHEST = 1000.0  # strides
BOX_WEIGHT = 2.0


class DetectionHead(nn.Module):
    """At every place of every map a box, and a score for each label.

    Args:
        channels: of each map.
        outputs: labels.
        label_smoothing: targets are between 0 and 1 as it is; ignored.
        loss: without a choice here; ignored.
        strides: of each map, doubling from one to the next.
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        label_smoothing: float = 0.0,
        loss: str = "auto",
        strides: Sequence[int] = (8, 16, 32),
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH)) for before in channels
        )
        self.smooth = nn.ModuleList(Tower(1, 1) for _ in channels)
        self.label_tower, self.box_tower = Tower(DEPTH, len(channels)), Tower(DEPTH, len(channels))
        self.label_output, self.box_output = nn.Conv2d(WIDTH, outputs, 1), nn.Conv2d(WIDTH, 4, 1)
        self.sizes: dict[int, tuple[Pair, ...]] = {}
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for output, bias in ((self.label_output, math.log(SCORE / (1 - SCORE))), (self.box_output, AWAY)):
            nn.init.normal_(output.weight, std=0.01)
            assert output.bias is not None
            nn.init.constant_(output.bias, bias)

    def fit(self, targets: np.ndarray) -> None:
        """Nothing: boxes are learned in units of the strides."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, H, W), the finest first, to (B, A, 4 + K): x0 y0 x1 y1 in pixels of the input, which may lie
        outside of it, and a logit for each label."""
        levels = [lateral(x) for lateral, x in zip(self.lateral, maps)]
        for k in reversed(range(len(levels) - 1)):
            levels[k] = levels[k] + F.interpolate(levels[k + 1], scale_factor=2.0)
        sides, logits = [], []
        for k, (smooth, level) in enumerate(zip(self.smooth, levels)):
            x = smooth(level, 0)
            sides.append(self.box_output(self.box_tower(x, k)).flatten(2))
            logits.append(self.label_output(self.label_tower(x, k)).flatten(2))
        # Float from here on: bfloat16 tells only every second pixel at 300.
        raw = torch.cat(sides, dim=2).transpose(1, 2).float()
        self.sizes[raw.shape[1]] = tuple((x.shape[2], x.shape[3]) for x in maps)
        places = self._places(raw)
        away = F.softplus(raw).clamp(max=FARTHEST) * places.strides[:, None]
        first, last = places.points - away[..., :2], places.points + away[..., 2:]
        return torch.cat([first, last, torch.cat(logits, dim=2).transpose(1, 2).float()], dim=2)

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean over the images of what each is by itself: the sum over its places, over the sum of what their
        scores should be, or over 1 where that is less.

        Args:
            targets: (B, M, 6) rows x0 y0 x1 y1 label crowd in pixels of the input; rows of NaN fill up. Scores of
                places in a crowd that answer for no single box are left as they are.
        """
        boxes, logits = outputs[..., :4].float(), outputs[..., 4:].float()
        targets = torch.as_tensor(targets, dtype=torch.float32, device=outputs.device)
        found = assign(boxes, logits, targets, self._places(outputs))
        whole = found.quality.sum(dim=1).clamp(min=1.0)
        wanted = F.one_hot(found.truth[..., 4].long(), logits.shape[2]) * found.quality[..., None]
        scores = quality_focal(logits, wanted).sum(dim=2).masked_fill(found.ignored, 0.0).sum(dim=1)
        apart = ((1 - giou(boxes, found.truth[..., :4])) * found.quality).sum(dim=1)
        return {"class": (scores / whole).mean(), "box": BOX_WEIGHT * (apart / whole).mean()}

    def spotlight(self, outputs: Tensor, chosen: Chosen | None = None) -> Tensor:
        """(B,) the logit of the chosen box, or of the surest."""
        return box_logit(outputs, chosen)

    def winner(self, outputs: Tensor) -> Chosen:
        """The surest box of (A, 4 + K)."""
        return surest_box(outputs)

    def _places(self, outputs: Tensor) -> Places:
        """Of outputs (B, A, …) from maps whose sizes `forward` has seen."""
        return places_of(self.sizes[outputs.shape[1]], self.strides, outputs.device)


class Tower(nn.Module):
    """Convolutions, the same for some maps, with batch norm of each map's own: the maps' means differ."""

    def __init__(self, depth: int, maps: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False), nn.Conv2d(WIDTH, WIDTH, 1, bias=False)
            )
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.ModuleList(nn.BatchNorm2d(WIDTH) for _ in range(maps)) for _ in range(depth))

    def forward(self, x: Tensor, number: int) -> Tensor:
        """
        Args:
            number: of the map.
        """
        for convolution, norms in zip(self.convolutions, self.norms):
            assert isinstance(norms, nn.ModuleList)
            x = F.relu(norms[number](convolution(x)), inplace=True)
        return x
