"""What a person should know of images that are there nearly twice."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from foveal.data.findings import LEAK, SHOWN
from foveal.data.linking import MOST_SHARE
from foveal.data.twins import MOST_COMPARED
from foveal.types import SPLITS, Entry, Finding, Twins

__all__ = ["CONTRARY", "CUT", "NEAR", "about_near", "likeness"]

NEAR, CONTRARY, CUT = "near-duplicate", "contradicting-twins", "cut-group"

Pair = tuple[Entry, Entry]
Told = tuple[Pair, float, bool]


def about_near(used: Sequence[Entry], twins: Twins, cut: np.ndarray, what: str | None) -> Iterator[Finding]:
    """
    Args:
        cut: numbers of the pairs that were not grouped.
        what: a word for targets that near-duplicates should share; None where they need not.
    """
    if len(used) > MOST_COMPARED:
        message = f"more than {MOST_COMPARED:,} images: near-duplicates were not searched"
        remedy = "Say what belongs together, such as a video: --group-pattern, --group-level, --group-column."
        yield Finding("not-compared", (), message, remedy)
    near = np.flatnonzero(twins.alike < 1)
    pairs = [(used[one], used[other]) for one, other in twins.pairs[near].tolist()]
    told = list(zip(pairs, twins.alike[near].tolist(), twins.mirrored[near].tolist()))
    apart = [one for one in told if len(_given(one[0])) == 2]
    together = [one for one in told if len(_given(one[0])) < 2]
    leave = "Leave out the one in {} (--fix proposes it): a score on images that were trained on says nothing."
    keep = "They stay together in a split that is made here; look at them, and remove one of each if it is a mistake."
    yield from _paired(
        LEAK, apart, lambda pair: f" in {' and '.join(_given(pair))}", lambda pair: leave.format(_given(pair)[0])
    )
    yield from _paired(NEAR, together, lambda pair: "", lambda pair: keep)
    if what:
        contrary = [one for one in told if one[0][0].cell != one[0][1].cell]
        doubt = f"Look at them: one {what} of each may be a mistake."
        yield from _paired(
            CONTRARY,
            contrary,
            lambda pair: f" with different {what}s: {pair[0].cell} and {pair[1].cell}",
            lambda pair: doubt,
        )
    if len(cut):
        rows = dict.fromkeys(twins.pairs[cut].ravel().tolist())
        message = (
            f"{len(cut):,} pairs of near-duplicates that a division made here may part: with them, one group would "
            f"hold more than {MOST_SHARE:.0%} of the images"
        )
        remedy = "Say what belongs together, such as a video: --group-pattern, --group-level, --group-column."
        yield Finding(CUT, tuple(used[row].file for row in rows), message, remedy)


def likeness(alike: float, mirrored: bool) -> str:
    """In words, to go before the name of the other image."""
    return "the same pixels as" if alike >= 1 else f"alike to {_rounded(alike)}{', mirrored,' * mirrored} with"


def _rounded(alike: float) -> str:
    """Never 1.00, which would say that the pixels are the same."""
    return f"{min(alike, 0.99):.2f}"


def _given(pair: Pair) -> list[str]:
    """The splits that the source names for a pair: two where it parts them."""
    return [split for split in SPLITS if split in {entry.split for entry in pair}]


def _paired(
    kind: str, told: Sequence[Told], say: Callable[[Pair], str], mend: Callable[[Pair], str]
) -> Iterator[Finding]:
    """A finding for each pair; a single one, where they are many."""
    if len(told) <= SHOWN:
        for pair, alike, mirrored in told:
            how = f"near-duplicates (alike to {_rounded(alike)}{', mirrored' * mirrored}){say(pair)}"
            yield Finding(kind, (pair[0].file, pair[1].file), how, mend(pair))
        return
    files = tuple(entry.file for pair, *_ in told for entry in pair)
    least, most = (function(alike for _, alike, _ in told) for function in (min, max))
    mirrored = sum(mirrored for *_, mirrored in told)
    how = f"alike to {_rounded(least)} at least and {_rounded(most)} at most, {mirrored:,} mirrored"
    first = say(told[0][0])
    same = first if all(say(pair) == first for pair, *_ in told) else f", the first{first}" * bool(first)
    message = f"{len(told):,} pairs of near-duplicates{same} ({how}), listed one after the other, the most alike first"
    yield Finding(kind, files, message, mend(told[0][0]))
