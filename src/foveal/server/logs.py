"""One JSON object a line on stderr: what happened, never what was on an image or in a file."""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

__all__ = ["log", "take_over_logging", "where"]


def log(event: str, level: str = "info", **facts: Any) -> None:
    """Write one line: `time`, `level`, `event`, `pid` and the facts."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": now, "level": level, "event": event, "pid": os.getpid(), **facts}
    sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    sys.stderr.flush()


def where(error: BaseException) -> dict[str, Any]:
    """Type and place of a mistake in our own code; not its message, which may quote what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {"error": type(error).__name__, "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            facts |= where(record.exc_info[1])
        log("message", record.levelname.lower(), message=record.getMessage()[:500], **facts)


def take_over_logging() -> None:
    """What other packages log from warnings on comes in the same form."""
    root = logging.getLogger()
    root.handlers = [_Lines(level=logging.WARNING)]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
