"""Outliers: images that look unlike the rest of their own set, such as a screenshot or a blank page among photographs.

Each of twelve traits (`foveal.data.traits`) is measured in spreads from its median: between the 10th and the 90th
percentile in the spread of the middle, beyond them in that of the tail on the same side, so that a trait with a long
tail (few photographs are red, those are very red) makes no outliers by itself. Percentiles are of the set as it is, and
move little as long as fewer than one image in forty is unusual in the same way. The distance is (Σ z⁴)^¼: one trait
far off counts, and many that are a little off do not add up.

The threshold is what three images of the set would pass by chance, or one in 300 of fewer than 900: the tail of the
distances is followed outward by Pickands' estimate of a generalised Pareto tail, or by an exponential where that is
longer; once from the 60th, 90th and 97.5th percentile, and once from the 60th, 80th and 90th, which strangers swell
less where they are many. The lower one counts. Normal and Cauchy traits leave a handful each (benchmarks/outliers.py).

Source: Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3 (1975), 119-131; for
univariate tails put together, Li et al., "ECOD", IEEE TKDE 35 (2023), arXiv 2201.00382.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from foveal.data.findings import SHOWN
from foveal.data.seen import Seen
from foveal.data.traits import TRAITS
from foveal.phrasing import counted
from foveal.types import Entry, Finding

__all__ = [
    "FEWEST",
    "OUTLIER",
    "Far",
    "about_far",
    "distances",
    "far_from_others",
    "few",
    "offs",
    "outliers",
    "threshold",
]

Far = list[tuple[str, float, str]]
"""Hash of the content, distance as a multiple of the threshold (above 1), and what is unusual; the farthest first."""

OUTLIER = "outlier"
UNLIKE = "unlike the rest: "
FEWEST = 50  # images, of different pixels, that say what is usual
CHANCE, RATE = 3.0, 1 / 300  # images that may pass by chance: so many, and no larger share
LEAST = 4.0  # distance below which nothing is an outlier, however alike the others are
POWER = 4
INNER, OUTER = 0.9, 0.975
TAILS = ((0.025, 4), (0.1, 2))  # a share of the images, and by how much more pass the percentiles further in
SHARPEST = 0.6  # a tail's spread, as a share of the middle's, at least
NAMED = 4  # traits that a message names
REMEDY = "Look: leave out what does not belong there (--fix proposes it), keep what will come later, too."
END = 0.05  # of brightness, from black and from white
GRAY, PLAIN = math.log(0.01 + 0.02), math.log(0.02 + 0.02)  # of colour and contrast: two levels in a hundred


def far_from_others(seen: Sequence[Seen]) -> Far:
    """What is far from the others among images of different pixels; nothing among fewer than `FEWEST`."""
    first = {facts.content: facts for facts in seen if facts.traits}
    names = sorted(first)  # the same whatever their order
    if len(names) < FEWEST:
        return []
    values = np.frombuffer(b"".join(first[name].traits for name in names), "<f4").reshape(-1, len(TRAITS))
    off = offs(values.astype(np.float64))
    away = distances(off)
    least = threshold(away)
    rows = np.flatnonzero(away > least)
    rows = rows[np.argsort(-away[rows], kind="stable")]
    return [(names[row], round(float(away[row] / least), 2), _told(values, off, row)) for row in rows.tolist()]


def distances(off: np.ndarray) -> np.ndarray:
    """(N,) of (N, T) spreads from the median of each trait."""
    return (off**POWER).sum(axis=1) ** (1 / POWER)


def threshold(away: np.ndarray) -> float:
    """The distance that `CHANCE` of the images, or a `RATE` of fewer than 900, pass if their tail goes on as it begins.

    Args:
        away: (N,) distances.
    """
    wanted = min(CHANCE, RATE * len(away)) / len(away)
    return max(LEAST, min(_passed_by(wanted, away, share, times) for share, times in TAILS))


def _passed_by(wanted: float, away: np.ndarray, share: float, times: int) -> float:
    """The distance that a share of the images passes, by those that `share`, and `times` and `times`² of it, do."""
    inside, start, end = np.quantile(away, [1 - share * times**2, 1 - share * times, 1 - share])
    steps, before = math.log(share * times / wanted, times), start - inside
    growth = max(1.0, (end - start) / before) if before > 0 else 1.0  # from step to step; of an exponential tail 1
    total = steps if growth - 1 < 1e-6 else (growth**steps - 1) / (growth - 1)
    return float(start + (end - start) * total)


def offs(values: np.ndarray) -> np.ndarray:
    """(N, T) spreads from the median, negative below it.

    Args:
        values: (N, T) traits.
    """
    least = np.array([trait.least for trait in TRAITS])
    inner, outer = NormalDist().inv_cdf(INNER), NormalDist().inv_cdf(OUTER)
    shares = [1 - OUTER, 1 - INNER, 0.5, INNER, OUTER]
    lowest, low, middle, high, highest = np.quantile(values, shares, axis=0)
    off = np.zeros_like(values)
    for side, near, end in ((1, high, highest), (-1, low, lowest)):
        spread = np.maximum(side * (near - middle) / inner, least)
        tail = np.maximum(side * (end - near) / (outer - inner), np.maximum(SHARPEST * spread, least))
        past = side * (values - middle)
        beyond = past - inner * spread
        off += side * np.where(past > 0, np.where(beyond < 0, past / spread, inner + beyond / tail), 0.0)
    return off


def _told(values: np.ndarray, off: np.ndarray, row: int) -> str:
    """What is unusual about an image: what says most by itself, then the traits that are farthest off; and how many of
    the others are less so."""
    size = np.abs(off[row])
    plain = [bool(_plainly(trait.name, value)) for trait, value in zip(TRAITS, values[row])]
    order = [
        k
        for k in sorted(range(len(TRAITS)), key=lambda k: (not plain[k], -size[k]))
        if 2 * size[k] >= size.max() or (plain[k] and size[k] >= LEAST)
    ][:NAMED]
    words: dict[str, list[str]] = {}
    for k in order:
        value, above = values[row, k], off[row, k] > 0
        less = float(np.mean(values[:, k] < value if above else values[:, k] > value)) * len(values) / (len(values) - 1)
        word = (TRAITS[k].high if above else TRAITS[k].low) + _plainly(TRAITS[k].name, value)
        words.setdefault(_share(less), []).append(word)
    return "; ".join(f"{_joined(some)} than {share}" for share, some in words.items())


def _plainly(name: str, value: float) -> str:
    """What the number is by itself, where it says so."""
    if name == "brightness" and min(value, 1 - value) < END:
        return " (nearly black)" if value < END else " (nearly white)"
    if name == "colour" and value < GRAY:
        return " (almost none)"
    return " (nearly one colour)" if name == "contrast" and value < PLAIN else ""


def _share(less: float) -> str:
    """Never 100% where one other is as far off."""
    if less > 1 - 1e-9:
        return "all the others"
    return f"{math.floor(1000 * less) / 10:g}% of the others"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def few(different: int) -> str:
    """Why outliers are not looked for, in words without a full stop; empty where they are.

    Args:
        different: images of different pixels.
    """
    if different >= FEWEST:
        return ""
    images = counted(different, "different image")
    be = "is" if different == 1 else "are"
    return f"{images} {be} too few to say which look unlike the rest ({FEWEST} are needed)"


def outliers(findings: Sequence[Finding]) -> list[tuple[str, float, str]]:
    """File, score and what is unusual, of the outliers among these findings, the farthest first."""
    found = []
    for one in (finding for finding in findings if finding.kind == OUTLIER):
        scores = one.facts.get("scores", [one.facts.get("score")])
        found += zip(one.files, scores, one.facts.get("reasons", [one.message.removeprefix(UNLIKE)]))
    return sorted(found, key=lambda outlier: -outlier[1])


@dataclass(frozen=True, slots=True)
class _Outlier:
    file: str
    score: float
    told: str


def about_far(used: Sequence[Entry], contents: Sequence[str], far: Far, kept: frozenset[str]) -> Iterator[Finding]:
    """A finding for each outlier; a single one, where they are many.

    Args:
        contents: (N,) hash of each image.
        far: of these images and of others.
        kept: files that were decided to be in place.
    """
    files: dict[str, list[str]] = {}
    for entry, content in zip(used, contents):
        files.setdefault(content, []).append(entry.file)
    found = [
        _Outlier(file, score, told)
        for content, score, told in far
        for file in files.get(content, [])
        if not kept.intersection(files[content])
    ]
    if len(found) <= SHOWN:
        for one in found:
            yield Finding(OUTLIER, (one.file,), f"{UNLIKE}{one.told}", REMEDY, {"score": one.score})
        return
    often = " / ".join(told for told, _ in Counter(one.told for one in found).most_common(3))
    message = f"{len(found):,} images unlike the rest, the farthest first: {often}"
    facts = {"scores": [one.score for one in found], "reasons": [one.told for one in found]}
    yield Finding(OUTLIER, tuple(one.file for one in found), message, REMEDY, facts)
