"""Clients that send a byte now and then ("slow loris"), run as a process of their own: what to do as JSON on stdin,
what was seen as JSON on stdout.

Every second one dribbles its headers, the others the body. A socket that the server closes is opened anew until
`seconds` are over; then it is waited until all are closed.

    {"address": ["127.0.0.1", 8000], "path": "/v1/predict", "sockets": 500, "every": 1, "seconds": 20}
"""

import asyncio
import json
import sys
import time
from typing import Any

PATIENCE = 60.0  # seconds from the end until those that are still open are given up


async def main(told: dict[str, Any]) -> dict[str, Any]:
    end = time.perf_counter() + told["seconds"]
    lives: list[float] = []
    answers: dict[str, int] = {}

    async def one(k: int) -> None:
        await asyncio.sleep(k * told["every"] / told["sockets"])  # not all in one moment
        while time.perf_counter() < end:
            try:
                reader, writer = await asyncio.open_connection(*told["address"])
            except OSError:
                await asyncio.sleep(0.1)
                continue
            began = time.perf_counter()
            drip = b"x" if k % 2 else b"X-A: b\r\n"
            dribble = asyncio.create_task(_dribble(writer, _first(told["path"], bool(k % 2)), drip, told["every"]))
            try:
                answer = await asyncio.wait_for(reader.read(), end + PATIENCE - began)
            except TimeoutError:
                answer = b"HTTP/1.1 never closed"
            except OSError:
                answer = b""
            lives.append(time.perf_counter() - began)
            dribble.cancel()
            status = answer[9:12].decode() or "none"
            answers[status] = answers.get(status, 0) + 1
            writer.transport.abort()

    await asyncio.gather(*(one(k) for k in range(told["sockets"])))
    return {"opened": len(lives), "longest": max(lives), "answers": answers}


async def _dribble(writer: asyncio.StreamWriter, first: bytes, drip: bytes, every: float) -> None:
    writer.write(first)
    while True:
        await asyncio.sleep(every)
        writer.write(drip)


def _first(path: str, body: bool) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
    return (head + "Content-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n" if body else head).encode()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
