"""Near-duplicates: resized, compressed, mirrored or slightly cropped copies, found among all pairs of images."""

from collections.abc import Sequence

import numpy as np

from foveal.data.alignment import Scale, aligned, lowest, odd
from foveal.data.machine import in_threads
from foveal.data.seen import Seen
from foveal.data.sketch import LUMA, SIZE
from foveal.types import Progress

__all__ = ["MOST_COMPARED", "Near", "near_duplicates"]

Near = list[tuple[str, str, float, bool]]
"""Hash of the content of both, how alike they are (below 1), and whether one is mirrored; the most alike first."""

COARSE = (8, 4)  # frequencies of luma and of color along each axis by which all pairs are compared
CANDIDATE = 0.65  # correlation of those from which on a pair is looked at more closely
ALIKE = 0.84  # correlation from which on a pair is a near-duplicate, once it is laid on each other
ALIKE_GRAY = 0.9  # the same where there is no color: fewer numbers are alike by chance more often
DETAIL = 0.75  # the same, of its details alone
GRAY = 16.0  # the strongest frequency of color below which an image is gray: half a level of 255
NEIGHBORS = 6  # candidates of an image: frames of a film have hundreds, and a few join all of them
ROWS, COLUMNS = 256, 1024  # pairs that are compared at once: 1 MB, which caches hold
CHUNK = 512  # pairs that are laid on each other at once
MOST_COMPARED = 300_000  # images; the time grows with the square
MOST = 0.9999  # what images of different pixels are alike at most


def near_duplicates(seen: Sequence[Seen], progress: Progress | None = None) -> Near:
    """Pairs of images of different pixels that show the same.

    All pairs are compared by 92 low frequencies, each divided by its spread among these images (`Scale`), as they are
    and mirrored: frequencies that are even from left to right stay, odd ones change their sign, so that one product of
    matrices says both. Those that correlate are laid on each other at several crops.

    Nothing is found among more than `MOST_COMPARED` images.

    Args:
        progress: is told `comparing pairs`, then `comparing candidates`.
    """
    from threadpoolctl import threadpool_limits

    first = {facts.content: facts for facts in seen if facts.sketch}
    names = list(first)
    if not 2 <= len(names) <= MOST_COMPARED:
        return []
    sketches = np.frombuffer(b"".join(facts.sketch for facts in first.values()), "<f2").reshape(-1, SIZE)
    scale = Scale.of(sketches)
    with threadpool_limits(1):  # a thread a block of pairs: what comes after the products takes as long as they do
        pairs, mirrored = _candidates(_coarse(sketches, scale), progress)
        alike = _verified(sketches, pairs, mirrored, scale, progress)
    found = np.flatnonzero(alike)
    found = found[np.argsort(-alike[found], kind="stable")]
    told = zip(pairs[found].tolist(), np.minimum(alike[found], MOST).round(4).tolist(), mirrored[found].tolist())
    return [(names[one], names[other], value, turned) for (one, other), value, turned in told]


def _coarse(sketches: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """(N, E) and (N, O) float32: scaled frequencies that stay in a mirror, and those that change their sign there;
    both together have length 1."""
    low = lowest(*COARSE)
    even = np.empty((len(sketches), len(low)), np.float32)
    for start in range(0, len(sketches), ROWS):
        part = (sketches[start : start + ROWS, low].astype(np.float32) - scale.mean[low]) / scale.spread[low]
        even[start : start + ROWS] = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6)
    turned = odd()[low]
    return np.ascontiguousarray(even[:, ~turned]), np.ascontiguousarray(even[:, turned])


def _candidates(coarse: tuple[np.ndarray, np.ndarray], progress: Progress | None) -> tuple[np.ndarray, np.ndarray]:
    """(P, 2) pairs of rows, the smaller one first, and (P,) bool whether they are more alike mirrored."""
    count = len(coarse[0])
    pairs, mirrored = [np.zeros((0, 2), np.int64)], [np.zeros(0, bool)]
    starts = range(0, count, ROWS)
    done, total = 0, count * (count - 1) // 2
    for start, (rows, turned) in zip(starts, in_threads(lambda at: _beside(coarse, at), starts)):
        pairs.append(rows)
        mirrored.append(turned)
        done += sum(count - 1 - row for row in range(start, min(start + ROWS, count)))
        if progress:
            progress("comparing pairs", done, total)
    return np.concatenate(pairs), np.concatenate(mirrored)


def _beside(coarse: tuple[np.ndarray, np.ndarray], start: int) -> tuple[np.ndarray, np.ndarray]:
    """The candidates of the rows from `start`, among those after each."""
    even, turning = coarse
    rows = slice(start, start + ROWS)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for column in range(start, len(even), COLUMNS):
        columns = slice(column, column + COLUMNS)
        same = even[rows] @ even[columns].T
        turned = turning[rows] @ turning[columns].T
        same += np.abs(turned)
        one, other = np.divmod(np.flatnonzero(same > CANDIDATE), same.shape[1])
        later = one + start < other + column
        one, other = one[later], other[later]
        found.append((one + start, other + column, turned[one, other] < 0, same[one, other]))
    one, other, mirrored, fits = (np.concatenate(parts) for parts in zip(*found))
    kept = _nearest(one, fits)
    return np.stack([one[kept], other[kept]], axis=1), mirrored[kept]


def _nearest(rows: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """Numbers of the entries that are among the best of their row."""
    order = np.lexsort((-fits, rows))
    ranks = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
    return np.sort(order[ranks < NEIGHBORS])


def _color(sketches: np.ndarray) -> np.ndarray:
    """(P,) the strongest frequency of color."""
    return np.abs(sketches[:, LUMA:]).max(axis=1)


def _verified(
    sketches: np.ndarray, pairs: np.ndarray, mirrored: np.ndarray, scale: Scale, progress: Progress | None
) -> np.ndarray:
    """(P,) how alike each pair is, laid on each other; 0 where that is too little, or their details are not."""

    def work(start: int) -> np.ndarray:
        chunk = slice(start, start + CHUNK)
        one, other = (sketches[pairs[chunk, side]].astype(np.float32) for side in (0, 1))
        alike, details = aligned(one, other, mirrored[chunk], scale)
        gray = np.maximum(_color(one), _color(other)) < GRAY
        return np.where((details >= DETAIL) & (alike >= np.where(gray, ALIKE_GRAY, ALIKE)), alike, 0.0)

    found = [np.zeros(0)]
    for part in in_threads(work, range(0, len(pairs), CHUNK)):
        found.append(part)
        if progress:
            progress("comparing candidates", sum(map(len, found)), len(pairs))
    return np.concatenate(found)
