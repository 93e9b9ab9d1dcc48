"""Whether a map tells what the network goes by. Shapes: B images, C channels, H height, W width, O orders.

Three tests, each of which a map that looks convincing can fail:

- weights: the same network without what it learned must give another map (Adebayo et al., "Sanity checks for saliency
  maps", NeurIPS 2018).
- deletion and insertion: taking away first what the map says counts most must take the answer away sooner than any
  map of its kind elsewhere, and sooner than beginning in the middle of the image, where people put things; and giving
  it first must bring the answer back sooner (Petsiuk, Das and Saenko, "RISE", BMVC 2018, section 4.3).
- noise: where noise that nobody sees leaves the answer, it must leave the map (Alvarez-Melis and Jaakkola, "On the
  robustness of interpretability methods", 2018, arXiv 1806.08049).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.integrate import trapezoid
from scipy.stats import rankdata, t
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from foveal.chosen import Chosen
from foveal.explain.attribution import Attribution, Check, Tested
from foveal.explain.methods import Method
from foveal.explain.passes import outputs_of, scalars, without_details
from foveal.explain.redraw import redrawn
from foveal.nets.layers import Network

__all__ = ["ALIKE", "STEADY", "Bench", "rank_correlation"]

# Rank correlation of absolute maps below which two maps are different ones. Where one thing alone lights up a network,
# it does so under weights of either sign: a sound map comes out alike half of the time, 0.5 and some chance. Guided
# backpropagation, which is known to fail, has 0.8 to 1 there.
ALIKE = 0.6
UPPER_REDRAWS = 2  # of the upper half of the layers; of each the scalar and its negative, which is as likely a draw
REDRAWS = 2  # of all layers
STEADY = 0.5  # rank correlation of maps above which they are the same one
# Standard deviations of the noise over the range, of which the first that leaves the answer is taken. Some networks
# are more easily turned than people: one with a whitening layer gave another answer at 2 % for two images in five.
NOISES = (0.02, 0.01, 0.005)
DRAWS = 8  # of noise, of which the first STEADY_DRAWS that leave the answer are taken
STEADY_DRAWS = 2
SAME_VALUE = 0.1  # spreads of the training targets within which a value has not changed
CELLS = 16  # places along a side at which maps are compared
PATCHES = 8  # along a side, of the orders
# Shares of the patches at which a curve is taken: dense where a good map makes the difference.
COUNTS = np.array([0, 2, 4, 8, 16, 32, 64]) / 64
ORDERS = 8
# Two curves must be beaten: by chance one map in ten beats one, one in a hundred both if they are unrelated.
LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class Bench:
    """What the tests of all maps of one answer have in common, made once, when first needed.

    Args:
        pixels: the image, (1, C, H, W) float32, 0 to 255.
        direction: as of `Attribution`.
        seed: everything that is drawn is a function of it.
    """

    network: Network
    pixels: Tensor
    chosen: Chosen
    direction: int = 1
    seed: int = 0

    @cached_property
    def image(self) -> Tensor:
        """Normalised."""
        return self.network.normalize(self.pixels)

    @cached_property
    def without_upper(self) -> list[Network]:
        """Networks whose upper half of layers has lost its weights."""
        return [redrawn(self.network, self._around, self.seed + 1 + k, 0.5) for k in range(UPPER_REDRAWS)]

    @cached_property
    def without_all(self) -> list[Network]:
        """Networks all of whose layers have."""
        return [redrawn(self.network, self._around, self.seed + 101 + k) for k in range(REDRAWS)]

    @property
    def _around(self) -> Tensor:
        image = self.image
        return torch.cat([image, image.flip(2), image.flip(3), image.flip(2, 3)])

    @cached_property
    def noisy(self) -> tuple[float, Tensor]:
        """The largest of the levels of noise that leaves the answer, and (B, C, H, W) images under it where it does,
        normalised: two, or one; none where every level changes it."""
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(DRAWS, *self.pixels.shape[1:], generator=generator).to(self.pixels.device)
        for level in NOISES:
            images = self.network.normalize((self.pixels + 255 * level * noise).clamp(0, 255))
            steady = images[self._same_answer(images)][:STEADY_DRAWS]
            if len(steady):
                return level, steady
        return NOISES[-1], noise[:0]

    @torch.no_grad()
    def _same_answer(self, images: Tensor) -> Tensor:
        outputs = outputs_of(self.network, torch.cat([self.image, images]))
        if self.chosen.either_way:
            values = self.network.head.spotlight(outputs, self.chosen)
            return (values[1:] - values[0]).abs() < SAME_VALUE
        numbers = [self.network.head.winner(row).number for row in outputs]
        return torch.tensor([number == numbers[0] for number in numbers[1:]])

    @cached_property
    def from_the_middle(self) -> tuple[float, float]:
        """The areas of deletion and insertion of the order that begins in the middle of the image."""
        rows, columns = self._grid
        away = np.hypot(*np.meshgrid(_middle(rows), _middle(columns), indexing="ij"))
        deletion, insertion = self.areas_of([np.argsort(away.ravel(), kind="stable")])[:, 0].tolist()
        return deletion, insertion

    def _moved(self, patches: np.ndarray) -> list[np.ndarray]:
        """The same map elsewhere: turned over and moved around the edges, at least a quarter of each side away. Random
        orders that are no smoother than the map would not do: scattered patches spoil an image sooner than a whole
        region does, and are put together later."""
        rng = np.random.default_rng(self.seed)
        found = []
        for _ in range(ORDERS):
            turned = patches[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
            away = [int(rng.integers(math.ceil(side / 4), side - math.ceil(side / 4) + 1)) for side in patches.shape]
            found.append(np.roll(turned, away, axis=(0, 1)))
        return found

    def _order(self, patches: np.ndarray) -> np.ndarray:
        """Falling; equal patches in a random order."""
        shuffled = np.random.default_rng(self.seed).permutation(patches.size)
        return shuffled[np.argsort(-patches.ravel()[shuffled], kind="stable")]

    @property
    def _grid(self) -> tuple[int, int]:
        return min(PATCHES, self.pixels.shape[2]), min(PATCHES, self.pixels.shape[3])

    def areas_of(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """(2, O) of orders of the patches, each (P,): the mean of what is explained while patches are covered with the
        image's mean colour, and while they are laid open in a blurred image."""
        image, patches = self.image, len(orders[0])
        height, width = image.shape[2:]
        blur = max(height, width) / 8
        size = [2 * int(min(2 * blur, side - 1) / 2) + 1 for side in (width, height)]
        ends = without_details(image), gaussian_blur(image, size, [blur, blur])  # pyright: ignore[reportArgumentType]
        ranks = torch.from_numpy(np.argsort(np.stack(orders), axis=1))
        counts = torch.from_numpy(np.round(COUNTS[1:-1] * patches))
        taken = (ranks[:, None] < counts[None, :, None]).float().reshape(-1, 1, *self._grid)
        taken = F.interpolate(taken, (height, width), mode="nearest").to(image.device)
        whole = [scalars(self.network, x, self.chosen, self.direction)[0] for x in (image, *ends)]
        found = []
        for gone, (start, end), mask in zip(ends, (whole[:2], (whole[2], whole[0])), (1 - taken, taken)):
            parts = [
                scalars(self.network, torch.lerp(gone, image, part), self.chosen, self.direction)
                for part in mask.split(len(counts))
            ]
            curves = np.array([[start, *part, end] for part in parts])
            found.append(trapezoid(curves, COUNTS, axis=1))
        return np.array(found)

    def test(self, method: Method) -> Tested:
        """The method's map of the image, and how it stood the tests."""
        array = self._map(self.network, self.image, method)[0]
        missed = self._missed(array) if method.name == "integrated-gradients" else None
        shown = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
        found = Attribution(
            method.name, self.chosen, shown, method.signed, self.direction, method.layer, method.how, missed
        )
        reason = method.missing or degenerate(array)
        if reason:
            return Tested(found, (), reason)
        deletion, insertion = self._orders(array)
        return Tested(found, (self._weights(array, method), deletion, insertion, self._noise(array, method)))

    def _map(self, network: Network, images: Tensor, method: Method) -> np.ndarray:
        """(B, H, W) float32."""
        return method.maps(network, images, self.chosen, self.direction).float().cpu().numpy()

    def _missed(self, array: np.ndarray) -> float:
        ends = torch.cat([self.image, without_details(self.image)])
        full, gone = scalars(self.network, ends, self.chosen, self.direction)
        return float(abs(array.sum(dtype=np.float64) - (full - gone)) / max(abs(full - gone), 1e-12))

    def _weights(self, array: np.ndarray, method: Method) -> Check:
        networks = {"all": self.without_all} if method.odd else {"upper": self.without_upper, "all": self.without_all}
        found = {kind: [self._alike(array, other, method) for other in others] for kind, others in networks.items()}
        value = max(float(np.mean(each)) for each in found.values())
        told = "another map" if value < ALIKE else "much the same map"
        message = f"Without what it learned the network gives {told}: rank correlation {value:.2f}, at most {ALIKE}."
        return Check("weights", value, ALIKE, "below", message, {"each": found})

    def _alike(self, array: np.ndarray, other: Network, method: Method) -> float:
        """Of absolute maps; where its sign matters, the mean over the maps of the scalar and of its negative."""
        maps = [
            method.maps(other, self.image, self.chosen, sign)[0].float().cpu().numpy()
            for sign in ((1,) if method.odd else (1, -1))
        ]
        return float(np.mean([rank_correlation(np.abs(array), np.abs(each)) for each in maps]))

    def _orders(self, array: np.ndarray) -> tuple[Check, Check]:
        patches = F.adaptive_avg_pool2d(torch.from_numpy(array)[None], self._grid)[0].numpy()
        areas = self.areas_of([self._order(each) for each in (patches, *self._moved(patches))])
        deleted, inserted = areas[:, 0].tolist()
        below, above = (_interval(each[1:]) for each in areas)
        middle = self.from_the_middle
        bounds = min(below[0], middle[0]), max(above[1], middle[1])
        away = "sooner" if deleted < bounds[0] else "no sooner"
        back = "sooner" if inserted > bounds[1] else "no sooner"
        return (
            Check(
                "deletion",
                deleted,
                bounds[0],
                "below",
                f"Covering first what the map puts first takes the score away {away}: {deleted:.3g} on average, with "
                f"the map moved {below[0]:.3g} or more, from the middle out {middle[0]:.3g}.",
                {"moved": list(below), "middle": middle[0], "level": LEVEL, "method": METHOD},
            ),
            Check(
                "insertion",
                inserted,
                bounds[1],
                "above",
                f"Laying open first what the map puts first brings the score back {back}: {inserted:.3g} on average, "
                f"with the map moved {above[1]:.3g} or less, from the middle out {middle[1]:.3g}.",
                {"moved": list(above), "middle": middle[1], "level": LEVEL, "method": METHOD},
            ),
        )

    def _noise(self, array: np.ndarray, method: Method) -> Check:
        level, images = self.noisy
        if not len(images):
            why = (
                f"Noise of {level:.1%} changes the answer itself, {DRAWS} times out of {DRAWS}: no map of it is steady."
            )
            return Check("noise", math.nan, STEADY, "above", why, {"each": [], "level": level})
        found = [rank_correlation(array, other) for other in self._map(self.network, images, method)]
        value = float(np.mean(found))
        told = "the same map" if value > STEADY else "another map of the same answer"
        message = f"Noise of {level:.1%} gives {told}: rank correlation {value:.2f}, at least {STEADY}."
        return Check("noise", value, STEADY, "above", message, {"each": found, "level": level})


METHOD = f"t, one more map like {ORDERS} that were moved, one-sided"


def degenerate(array: np.ndarray) -> str:
    """Why a map says nothing; empty where it may say something."""
    if not np.isfinite(array).all():
        return "The map has numbers that are not finite."
    if not array.any():
        return "The map is zero everywhere: by this method nothing in the image speaks for what was chosen."
    if np.ptp(array) <= 1e-6 * np.abs(array).max():
        return "The map is the same everywhere: it tells no part of the image from another."
    return ""


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of two maps (H, W), at 16×16 places or fewer; 0 where one is the same everywhere."""
    ranks = [rankdata(_cells(array)) for array in (one, other)]
    first, second = (rank - rank.mean() for rank in ranks)
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size else 0.0


def _cells(array: np.ndarray) -> np.ndarray:
    cells = min(CELLS, array.shape[0]), min(CELLS, array.shape[1])
    return F.adaptive_avg_pool2d(torch.from_numpy(np.nan_to_num(array))[None], cells).numpy().ravel()


def _middle(size: int) -> np.ndarray:
    return np.abs(np.arange(size) - (size - 1) / 2) / size


def _interval(areas: np.ndarray) -> tuple[float, float]:
    """One-sided bounds, either way, for one more of the same kind."""
    away = float(t.ppf(LEVEL, len(areas) - 1) * areas.std(ddof=1) * math.sqrt(1 + 1 / len(areas)))
    return float(areas.mean()) - away, float(areas.mean()) + away
