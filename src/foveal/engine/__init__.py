"""Training: the loop, the optimizer, augmentation, checkpoints, devices. Knows `Task`, never a task."""

import os
from pathlib import Path


def _others_run() -> bool:
    """Whether another program wants a processor right now, where Linux tells."""
    try:
        running = Path("/proc/loadavg").read_text().split()[3]  # running/all, this one included
    except OSError:
        return False
    return int(running.partition("/")[0]) > 1


# How threads wait for each other, unless the user says; read once, when torch loads. Sleeping costs a wake-up at each
# of some hundred meetings a step: a small net learns 1.8 times as fast when they spin for a moment first. As soon as
# another program runs on the same cores, a spinning thread burns the time that the awaited one needs: 0.3 times as
# fast. docs/log.md has the figures.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    if _others_run():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        os.environ["GOMP_SPINCOUNT"] = "10000"
