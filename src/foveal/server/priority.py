"""Which threads go first."""

import os
import sys
import threading

__all__ = ["step_back"]

NICE = 5  # a third of the processor time of a thread that does not step back


def step_back() -> None:
    """Let the event loop go before this thread, and those that it starts, where there are too few processors for all.

    The loop needs little, but what it does everybody waits for: a refusal is no longer quick when it waits for its turn
    among threads that decode and compute. On Linux, where each thread has its own priority.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICE))
