"""Keeping a training within its minutes when the machine is not as fast as it was measured to be, or faster."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Pace", "progress_at"]

EVERY = 0.05  # of the way between looks at the clock
LAST = 0.95  # of the way, after which nothing is corrected any more
WORTH = 0.02  # share of the steps that are left, below which they stay as they are

Corrections = Sequence[tuple[int, int]]


def progress_at(done: int, planned: int, corrections: Corrections = ()) -> float:
    """Share of the way, 0 to 1, after so many steps.

    Args:
        planned: steps in all, as planned at the start.
        corrections: from which step on there were how many in all; the rest of the way is then evenly divided anew.
    """
    begun, way = 0, 0.0
    for step, total in corrections:
        if done < step:
            break
        way += (1 - way) * (step - begun) / (planned - begun)
        begun, planned = step, total
    return way + (1 - way) * (done - begun) / (planned - begun)


@dataclass
class Pace:
    """Looks at the clock now and then.

    Args:
        left: seconds that are left for training and for what comes after it.
        phases: (until this share of the way, seconds a step), …, the last until 1: how dear steps are to each other.
        most: steps in all, above which more would not help.
        after: seconds that what comes after training was expected to take; as much longer now as training is.
    """

    left: Callable[[], float]
    phases: Sequence[tuple[float, float]]
    most: int
    after: float = 0.0
    now: Callable[[], float] = time.monotonic
    start: float | None = None
    work: float = 0.0
    steps: int = 0
    look: float = field(default=EVERY)

    def step(self, progress: float) -> None:
        """A step begins that far on the way."""
        if self.start is None:
            self.start = self.now()
        self.work += next((seconds for until, seconds in self.phases if progress < until), 0.0)

    def total(self, done: int, progress: float, total: int) -> int | None:
        """How many steps there should be in all; None: as many as there are.

        Args:
            done: steps done.
            progress: the share of the way that they are.
            total: steps in all, as things stand.
        """
        if self.start is None or progress < self.look or progress > LAST:
            return None
        self.look = progress + EVERY
        slower = (self.now() - self.start) / self.work
        wanted = done + max(1, int((self.left() / slower - self.after) / self._mean(progress)))
        wanted = min(wanted, max(self.most, total))
        return wanted if abs(wanted - total) > WORTH * (total - done) else None

    def _mean(self, progress: float) -> float:
        """Seconds a step, over the rest of the way."""
        sum_, begun = 0.0, 0.0
        for until, seconds in self.phases:
            sum_ += max(0.0, until - max(begun, progress)) * seconds
            begun = until
        return sum_ / (1 - progress)
