"""The pieces of the server: bodies, batches, settings, names."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import ServeError, UnreadableImage
from foveal.server.batching import Batcher
from foveal.server.metrics import Metrics
from foveal.server.parts import Part, images_of
from foveal.server.places import places_of
from foveal.server.problems import Problem
from foveal.server.settings import Limits, Settings, read_token

FORM = "multipart/form-data; boundary=b0"


class Fake:
    """A predictor whose answer is twice the image; it notes its batches and can be held up."""

    largest = 8

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.running = threading.Event()

    def prepare(self, image: Any) -> tuple[np.ndarray, None]:
        if image < 0:
            raise UnreadableImage("below 0")
        return np.full((1, 1, 1), image, np.uint8), None

    def run(self, pixels: np.ndarray) -> np.ndarray:
        self.running.set()
        assert self.go.wait(10)
        self.batches.append(len(pixels))
        return pixels[:, 0, 0, 0].astype(int)

    def decode(self, outputs: np.ndarray, geometries: Any) -> list[Any]:
        return [2 * int(value) for value in outputs]


def asked(ask: Callable[[Batcher, Fake], Any], **limits: Any) -> Any:
    """What a coroutine with a batcher and its predictor gives."""

    async def run() -> Any:
        fake = Fake()
        with ThreadPoolExecutor(2) as decoders, ThreadPoolExecutor(1) as runner:
            batcher = Batcher("fake", fake, Limits(**limits), decoders, runner, Metrics())  # pyright: ignore
            try:
                return await ask(batcher, fake)
            finally:
                fake.go.set()

    return asyncio.run(run())


def soon(seconds: float = 10) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_each_gets_the_answer_of_its_own_images() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> Any:
        wanted = [[k, k + 1, -1, k + 2][: 1 + k % 4] for k in range(40)]
        found = await asyncio.gather(*(batcher.answers(images, soon()) for images in wanted))
        return wanted, found, fake.batches

    wanted, found, batches = asked(ask)
    for images, answers in zip(wanted, found, strict=True):
        for image, answer in zip(images, answers, strict=True):
            assert str(answer) == "below 0" if image < 0 else answer == 2 * image
    assert max(batches) <= Fake.largest
    assert sum(batches) == sum(image >= 0 for images in wanted for image in images)


def test_while_one_runs_the_next_gather() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> list[int]:
        fake.go.clear()
        first = asyncio.create_task(batcher.answers([1], soon()))
        await asyncio.to_thread(fake.running.wait, 5)
        others = [asyncio.create_task(batcher.answers([k], soon())) for k in range(6)]
        await asyncio.sleep(0.1)
        fake.go.set()
        await asyncio.gather(first, *others)
        return fake.batches

    assert asked(ask) == [1, 6]


def test_a_client_alone_waits_for_nobody() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> float:
        began = time.perf_counter()
        for k in range(5):
            await batcher.answers([k], soon())
        return time.perf_counter() - began

    assert asked(ask, wait=5) < 2


def test_a_full_queue_refuses_at_once_and_takes_again_afterwards() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> tuple[Problem, float, Any]:
        fake.go.clear()
        waiting = asyncio.create_task(batcher.answers([1, 2, 3], soon()))
        await asyncio.to_thread(fake.running.wait, 5)
        began = time.perf_counter()
        with pytest.raises(Problem) as refused:
            await batcher.answers([4, 5], soon())
        took = time.perf_counter() - began
        fake.go.set()
        await waiting
        return refused.value, took, await batcher.answers([4, 5], soon())

    refused, took, after = asked(ask, queue=4, images=4)
    assert (refused.status, refused.kind, refused.headers["Retry-After"]) == (503, "queue-full", "1")
    assert took < 0.05
    assert after == [8, 10]


def test_who_waited_too_long_is_told_and_makes_room() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> tuple[Problem, Any]:
        fake.go.clear()
        held = asyncio.create_task(batcher.answers([1], soon()))
        await asyncio.to_thread(fake.running.wait, 5)
        with pytest.raises(Problem) as late:
            await batcher.answers([2, 3], soon(0.05))
        fake.go.set()
        await held
        answers = await batcher.answers([5, 6], soon())
        return late.value, (answers, fake.batches)

    late, (answers, batches) = asked(ask, queue=3, images=3)
    assert (late.status, late.kind) == (503, "late")
    assert answers == [10, 12]
    assert sum(batches) == 3, "an image that nobody waits for is not run"


def test_a_mistake_in_a_run_reaches_those_who_wait() -> None:
    async def ask(batcher: Batcher, fake: Fake) -> Any:
        fake.decode = None  # pyright: ignore
        with pytest.raises(TypeError):
            await batcher.answers([1], soon())
        del fake.decode
        return await batcher.answers([1], soon())

    assert asked(ask) == [2]


def form(*parts: tuple[str, bytes], end: bytes = b"--b0--\r\n") -> bytes:
    return b"".join(b"--b0\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + end


FILE = 'Content-Disposition: form-data; name="x"; filename="a.png"'


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5))
def test_a_form_gives_back_its_files(datas: list[bytes]) -> None:
    datas = [data for data in datas if b"\r\n--b0" not in data] or [b"x"]
    assert images_of(form(*((FILE, data) for data in datas)), FORM, 5) == [Part("a.png", data) for data in datas]


@given(st.binary(max_size=200), st.sampled_from([FORM, "application/json", "image/png", "text/html", ""]))
def test_any_body_is_read_or_refused(body: bytes, kind: str) -> None:
    try:
        found = images_of(body, kind, 4)
    except Problem as problem:
        status, found = problem.status, [Part(None, b"refused")]
    else:
        status = 200
    assert status in (200, 400, 413, 415, 422)
    assert any(part.data for part in found)


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"", "image/png", 422, "found none"),
        (b"abc", "text/plain", 415, "curl"),
        (b"abc", "", 415, "found nothing"),
        (b"abc", "multipart/form-data", 400, "boundary"),
        (b"abc", FORM, 400, "damaged"),
        (form((FILE, b"data"), end=b""), FORM, 400, "before its last boundary"),
        (form(), FORM, 422, "found none"),
        (form(*[(FILE, b"data")] * 5), FORM, 413, "at most 4"),
        (form(('Content-Disposition: form-data; name="age"', b"7")), FORM, 422, "'age'"),
        (form(("Content-Type: text/plain", b"7")), FORM, 422, "found the field"),
        (b"{", "application/json", 400, "no JSON"),
        (b"\xff\xfe{", "application/json", 400, "no JSON"),
        (b"[" * 100_000, "application/json", 400, "nested"),
        (b"[]", "application/json", 422, "list of images"),
        (b'{"images": []}', "application/json", 422, "list of images"),
        (b'{"images": ["@"]}', "application/json", 422, "base64"),
        (b'{"images": [""]}', "application/json", 422, "found none"),
        (b'{"images": [{"file": "a"}]}', "application/json", 422, "images[0]"),
        (json.dumps({"images": ["eA=="] * 5}).encode(), "application/json; charset=utf-8", 413, "at most 4"),
    ],
)
def test_what_is_wrong_with_a_body(body: bytes, kind: str, status: int, words: str) -> None:
    with pytest.raises(Problem) as refused:
        images_of(body, kind, 4)
    assert refused.value.status == status
    assert words in refused.value.detail


def test_fields_named_image_and_data_urls_and_names() -> None:
    assert images_of(form(('Content-Disposition: form-data; name="image"', b"7")), FORM, 4) == [Part(None, b"7")]
    text = base64.b64encode(b"7").decode()
    told = {"images": [text, {"data": f"data:image/png;base64,{text}", "file": "a\n" + 300 * "b"}]}
    assert images_of(json.dumps(told).encode(), "application/json", 4) == [
        Part(None, b"7"),
        Part("a" + 253 * "b", b"7"),
    ]


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"0\.0\.0\.0 can be reached") as refused:
        Settings(host="0.0.0.0")
    assert "--token-file" in refused.value.remedy
    (tmp_path / "token").write_text("0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    token, warning = read_token(tmp_path / "token")
    assert (token, warning) == ("0123456789abcdef", "")
    assert token not in repr(Settings(host="0.0.0.0", token=token))
    (tmp_path / "token").chmod(0o644)
    assert "0644" in read_token(tmp_path / "token")[1]
    for text in ("short", "with a space in the middle", ""):
        (tmp_path / "token").write_text(text)
        with pytest.raises(ServeError, match="16 or more"):
            read_token(tmp_path / "token")
    with pytest.raises(ServeError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(("limits", "words"), [({"body": 0}, "body"), ({"images": 300}, "--queue")])
def test_limits_that_nothing_passes(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ServeError) as refused:
        Limits(**limits)
    assert words in str(refused.value)


def test_names_of_models(tmp_path: Path) -> None:
    for place in ("runs/cats-1/bundle", "runs/dogs-1/bundle-int8", "birds"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "bundle.json").write_text("{}")
    runs = tmp_path / "runs"
    asked = [str(runs / "cats-1"), str(runs / "dogs-1/bundle-int8"), f"geese={tmp_path / 'birds'}"]
    assert places_of(asked) == {
        "cats-1": runs / "cats-1/bundle",
        "dogs-1": runs / "dogs-1/bundle-int8",
        "geese": tmp_path / "birds",
    }
    with pytest.raises(ServeError, match="Two models are called cats-1"):
        places_of([asked[0], asked[0]])
    with pytest.raises(ServeError, match="Expected a name"):
        places_of([f"a b={tmp_path / 'birds'}"])
    (tmp_path / "w w é").mkdir()
    with pytest.raises(ServeError, match="found 'w w é'") as refused:
        places_of([str(tmp_path / "w w é")])
    assert refused.value.remedy == f"Name it: w-w='{tmp_path}/w w é'"


def test_problems_have_one_form() -> None:
    from foveal.server.problems import answer, raw

    told = json.loads(bytes(answer(Problem(413, "too-large", "why"), "7", "/v2/x").body))
    assert told == {
        "type": "urn:foveal:problem:too-large",
        "title": "Content Too Large" if told["title"].startswith("Content") else "Request Entity Too Large",
        "status": 413,
        "detail": "why",
        "error": "why",
        "request": "7",
    }
    head, body = raw(503, "busy", "why").split(b"\r\n\r\n")
    assert b"Retry-After: 1" in head
    assert json.loads(body)["type"] == "urn:foveal:problem:busy"
