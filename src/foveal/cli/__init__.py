"""The command line: parse, call a verb, print. Data goes to stdout, everything else to stderr.

What stands here loads before Ctrl-C can be caught, so it is next to nothing.
"""

import os
import sys
import time

__all__ = ["BEGAN", "follower", "main"]

BEGAN = time.monotonic()  # what `--minutes` counts from


def main(arguments: "list[str] | None" = None) -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 wrong use, 130 interrupted."""
    try:
        from foveal.cli.running import run

        run(arguments)
    except KeyboardInterrupt:
        if not follower():
            sys.stderr.write("Stopped before anything was done.\n")
        sys.exit(130)


def follower() -> int:
    """This process's number among those that torchrun started, where another is the first of them; otherwise 0."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0
