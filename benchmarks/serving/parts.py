"""What is measured of a server, each with the bars that it is held to."""

import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving.process import Program, Server

LOOKS = 9  # a second; what requests under way hold comes and goes
MARKS = (1_000, 10_000, 50_000)  # requests
CROWD = 400  # connections
REFUSED_MS, GROWTH, SLOW_SECONDS, SLOWER = 50.0, 0.02, 15.0, 2.0
SLOW, ORDINARY = 500, 8  # connections
STOPS = 3


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        bars: what was to be reached, and whether it was.
    """

    load: str
    seen: dict[str, Any]
    note: str = ""
    bars: dict[str, bool] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.seen["answered"]["n"] / self.seen["seconds"]


def _load(server: Server, image: str, **told: Any) -> Program:
    return Program("load.py", server, image=image, **{"rate": 0, **told})


def _failed(seen: dict[str, Any]) -> int:
    return sum(seen["failed"].values())


def steady(server: Server, image: str, connections: int, seconds: float, ours: bool, requests: int = 0) -> Row:
    """As fast as answers come, for so long or so many requests; memory on the way."""
    memory: dict[int, float] = {}

    def mark(count: int) -> None:
        looks = []
        for _ in range(LOOKS):
            looks.append(server.memory())
            time.sleep(0.1)
        memory[count] = statistics.median(looks)

    told = {"connections": connections, "seconds": seconds, "requests": requests, "marks": MARKS}
    seen = _load(server, image, **told).seen(mark)
    mark(seen["sent"])
    note = "PSS " + ", ".join(f"{size:.1f} MB at {count:,}" for count, size in memory.items())
    bars = {"no request failed or was refused": not _failed(seen) and not seen["refused"]["n"]}
    if MARKS[0] in memory and MARKS[-1] in memory:
        growth = memory[MARKS[-1]] / memory[MARKS[0]] - 1
        note += f" ({growth:+.1%})"
        bars[f"memory grows by {GROWTH:.0%} at most from request {MARKS[0]:,} to {MARKS[-1]:,}"] = growth <= GROWTH
    return Row(f"{connections} connections", seen, note, bars if ours else {})


def overload(server: Server, image: str, capacity: float, seconds: float, ours: bool) -> Row:
    """Twice what it can."""
    program = _load(server, image, rate=2 * capacity, connections=CROWD, seconds=seconds)
    most = 0.0
    if ours:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            most = max(most, server.metric("foveal_images_queued{"))
    seen = program.seen()
    note = f"sent late by p99 {seen['late']['p99']:.1f} ms; PSS {server.memory():.1f} MB"
    bars = {}
    if ours:
        note = f"at most {most:.0f} images in the queue, seen once a second; {note}"
        refused = seen["refused"]
        bars = {
            "all that were sent were answered or refused with Retry-After": not _failed(seen),
            f"99 in 100 refusals within {REFUSED_MS:.0f} ms": bool(refused["n"]) and refused["p99"] <= REFUSED_MS,
        }
    return Row(f"{2 * capacity:.0f} requests/s, open loop", seen, note, bars)


def slow(server: Server, image: str, seconds: float) -> list[Row]:
    """Ordinary clients alone, and beside slow ones."""
    told = {"connections": ORDINARY, "seconds": seconds}
    alone = _load(server, image, **told).seen()
    crowd = Program("slow.py", server, sockets=SLOW, every=1.0, seconds=seconds + 3)
    time.sleep(2)
    beside = _load(server, image, **told).seen()
    loris = crowd.seen()
    ratio = beside["answered"]["p99"] / alone["answered"]["p99"]
    note = f"p99 {ratio:.2f} times that alone; {loris['opened']} slow sockets, the longest open for "
    note += f"{loris['longest']:.1f} s; their answers {loris['answers']}"
    bars = {
        f"p99 beside {SLOW} slow sockets at most {SLOWER:g} times that without": ratio <= SLOWER,
        f"every slow socket closed in {SLOW_SECONDS:g} s": loris["longest"] <= SLOW_SECONDS,
        "no request beside them failed or was refused": not _failed(beside) and not beside["refused"]["n"],
    }
    return [Row(f"{ORDINARY} connections", alone), Row(f"the same beside {SLOW} slow ones", beside, note, bars)]


def reload(server: Server, image: str, seconds: float) -> Row:
    """SIGHUP and /admin/reload in turns while it answers."""
    program = _load(server, image, connections=32, seconds=seconds)
    asked, end = 0, time.monotonic() + seconds - 1
    while time.monotonic() < end:
        time.sleep(1)
        if asked % 2:
            server.process.send_signal(signal.SIGHUP)
        else:
            server.get("/admin/reload", "POST")
        asked += 1
    seen = program.seen()
    done = server.metric('foveal_reloads_total{outcome="done"}')
    bars = {"no request failed": not _failed(seen) and not seen["refused"]["n"], "it was reloaded": done >= asked - 1}
    return Row("32 connections, reloads", seen, f"{done:.0f} reloads", bars)


def stop(start: Callable[[], Any], image: str) -> Row:
    """SIGTERM while it answers, several times; the last one's times."""
    seen: dict[str, Any] = {}
    failed, took, codes = 0, [], []
    for _ in range(STOPS):
        with start() as server:
            program = _load(server, image, connections=32, seconds=30)
            time.sleep(3)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            seen = program.seen()
            try:
                codes.append(server.process.wait(30))
            except subprocess.TimeoutExpired:
                codes.append(-1)
            took.append(time.monotonic() - began)
            failed += _failed(seen)
    seen["failed"] = {"all": failed} if failed else {}
    note = f"ended {STOPS} times, after {max(took):.1f} s at most; {seen['turned_away']} connections refused afterwards"
    bars = {"no request failed": not failed, "exit code 0": set(codes) == {0}}
    return Row(f"32 connections, SIGTERM ({STOPS} times)", seen, note, bars)
