"""Which images are one group: those of the same pixels, of one name, and near-duplicates, with all that these join."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from foveal.types import Twins

__all__ = ["MOST_SHARE", "first_of_same", "numbered", "rows_with_twins", "united"]

MOST_SHARE = 0.2  # of all images that near-duplicates may join into one group
FEW = 10  # images that they may join however few there are in all


def numbered(keys: Iterable[Hashable]) -> np.ndarray:
    """(N,) int64; the same number for the same key, counted in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def united(same: np.ndarray, columns: Sequence[Sequence[str | None]], twins: Twins) -> tuple[np.ndarray, np.ndarray]:
    """One number for rows of the same number, for rows of the same name, for near-duplicates, and for all that these
    join.

    Near-duplicates are joined the most alike first, as in Kruskal's algorithm (1956), and never into a group of more
    than a fifth of all images: in a chain (frames of a film, a background that many share) its weakest links are cut.

    Args:
        same: (N,) the same number for the same pixels.
        columns: names of groups; None for an image without.

    Returns:
        (N,) int64 numbers in order of first appearance; the numbers of the pairs in `twins` that were cut.
    """
    forest = _Forest(len(same))
    for keys in (same.tolist(), *columns):
        first: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            if key is not None:
                forest.join(first.setdefault(key, row), row)
    most = max(FEW, MOST_SHARE * len(same))
    left = []
    for number in np.argsort(-twins.alike, kind="stable").tolist():
        one, other = twins.pairs[number].tolist()
        if not forest.join(one, other, most):
            left.append(number)
    cut = [number for number in left if forest.root(twins.pairs[number, 0]) != forest.root(twins.pairs[number, 1])]
    return numbered(forest.root(row) for row in range(len(same))), np.array(sorted(cut), dtype=np.int64)


def rows_with_twins(twins: Twins, count: int, measured: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Which of the measured rows show what one of the learned rows shows, too.

    Args:
        count: rows that there are.
        measured: (M,) row numbers.
        learned: (L,) row numbers.

    Returns:
        (M,) bool.
    """
    first = first_of_same(twins, count)
    known = np.zeros(count, bool)
    known[first[learned]] = True
    one, other = first[twins.pairs].T
    beside = known.copy()
    beside[one[known[other]]] = True
    beside[other[known[one]]] = True
    return beside[first[measured]]


def first_of_same(twins: Twins, count: int) -> np.ndarray:
    """(count,) int64; of each row the first one with the same pixels."""
    exact = twins.alike >= 1
    first = np.arange(count)
    first[twins.pairs[exact, 1]] = twins.pairs[exact, 0]
    return first


class _Forest:
    """Disjoint sets with path halving and union by size (Tarjan and van Leeuwen 1984)."""

    def __init__(self, count: int) -> None:
        self.parents = list(range(count))
        self.sizes = [1] * count

    def root(self, row: int) -> int:
        while self.parents[row] != row:
            self.parents[row] = self.parents[self.parents[row]]
            row = self.parents[row]
        return row

    def join(self, one: int, other: int, most: float = float("inf")) -> bool:
        """Whether they are one now: not where the set would have more than so many."""
        one, other = self.root(one), self.root(other)
        if one == other:
            return True
        if self.sizes[one] + self.sizes[other] > most:
            return False
        if self.sizes[one] < self.sizes[other]:
            one, other = other, one
        self.parents[other] = one
        self.sizes[one] += self.sizes[other]
        return True
