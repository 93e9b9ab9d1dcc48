"""Downloads from a server of our own: resumed, checked, whole or not there; and the CIFAR archives behind them."""

import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.data import open_source
from foveal.data.sources import cifar, download
from foveal.data.sources.cifar import CIFAR, BinaryArchive, open_cifar
from foveal.data.sources.download import fetch
from foveal.errors import OfflineError, SourceError

PAYLOAD = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@dataclass
class Server:
    """What the handler does, and what it was asked."""

    url: str = ""
    content: bytes = PAYLOAD
    ranges: bool = True
    status: int = 200
    break_after: int | None = None
    length: bool = True
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file.bin")
                self.end_headers()
                return
            if start >= len(state.content):
                self.send_error(416)
                return
            if state.status != 200:
                self.send_error(state.status)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            if state.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.break_after])

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_address[1]}/file.bin"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_download_is_whole_checked_and_told(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    steps = list(fetch(server.url, path, SHA256))
    assert path.read_bytes() == PAYLOAD
    assert steps[0] == (0, len(PAYLOAD))
    assert steps[-1] == (len(PAYLOAD), len(PAYLOAD))
    assert list(path.parent.iterdir()) == [path]


def test_without_a_length_the_total_is_unknown(server: Server, tmp_path: Path) -> None:
    server.length = False
    assert list(fetch(server.url, tmp_path / "f", SHA256))[-1] == (len(PAYLOAD), 0)


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    list(fetch(server.url.replace("file.bin", "moved"), tmp_path / "f", SHA256))
    assert (tmp_path / "f").read_bytes() == PAYLOAD


def test_a_broken_download_is_resumed(server: Server, tmp_path: Path) -> None:
    path, part = tmp_path / "f", tmp_path / "f.part"
    server.break_after = 100_000
    with pytest.raises(OfflineError, match="100,000 bytes are kept"):
        list(fetch(server.url, path, SHA256))
    assert not path.exists()
    assert part.read_bytes() == PAYLOAD[:100_000]
    server.break_after = None
    steps = list(fetch(server.url, path, SHA256))
    assert server.asked == [None, "bytes=100000-"]
    assert steps[0] == (100_000, len(PAYLOAD))
    assert path.read_bytes() == PAYLOAD
    assert not part.exists()


def test_a_server_that_ignores_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(b"old" * 10)
    server.ranges = False
    first, *_ = fetch(server.url, tmp_path / "f", SHA256)
    assert first == (0, len(PAYLOAD))
    assert (tmp_path / "f").read_bytes() == PAYLOAD


def test_a_part_longer_than_the_file_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(bytes(len(PAYLOAD) + 5))
    list(fetch(server.url, tmp_path / "f", SHA256))
    assert server.asked == [f"bytes={len(PAYLOAD) + 5}-", None]
    assert (tmp_path / "f").read_bytes() == PAYLOAD


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.content = PAYLOAD[:-1] + b"!"
    with pytest.raises(SourceError, match=rf"f\.part with SHA-256 {SHA256}, found .* deleted"):
        list(fetch(server.url, tmp_path / "f", SHA256))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_server(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(OfflineError, match="the server answers 503 Service Unavailable"):
        list(fetch(server.url, tmp_path / "f", SHA256))


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        with pytest.raises(OfflineError, match="cannot be downloaded: timed out"):
            list(fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/f", tmp_path / "f", SHA256))
        closed = silent.getsockname()[1]
    with pytest.raises(OfflineError, match="cannot be downloaded"):
        list(fetch(f"http://127.0.0.1:{closed}/f", tmp_path / "f", SHA256))


def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match="cannot be written"):
        list(fetch(server.url, tmp_path / "file" / "f", SHA256))


LABELS = ["airplane", "cat", "ship"]


def binary_archive(label_bytes: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A tiny archive in CIFAR's binary form, 5 train and 2 test records: bytes, labels, (7, 32, 32, 3) pixels."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 7, dtype=np.uint8)
    pixels = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    other = np.full((7, label_bytes - 1), 19, np.uint8)  # coarse labels come first in CIFAR-100
    records = np.concatenate([other, labels[:, None], pixels.transpose(0, 3, 1, 2).reshape(7, -1)], axis=1)
    parts = {"data_1.bin": records[:3], "data_2.bin": records[3:5], "test.bin": records[5:]}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in [
            *((n, r.tobytes()) for n, r in parts.items()),
            ("names.txt", "\n".join([*LABELS, ""]).encode()),
        ]:
            info = tarfile.TarInfo(f"cifar-bin/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue(), labels, pixels


@pytest.fixture
def offline_cache(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FOVEAL_DATA", raising=False)
    return empty_cache


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_cifar_from_the_official_form(server: Server, offline_cache: Path, label_bytes: int) -> None:
    server.content, labels, pixels = binary_archive(label_bytes)
    sha256 = hashlib.sha256(server.content).hexdigest()
    tiny = BinaryArchive(server.url, sha256, ("data_1.bin", "data_2.bin"), ("test.bin",), "names.txt", label_bytes)
    told: list[tuple[str, int, int]] = []
    source = open_cifar("cifar10", archive=tiny, progress=lambda *step: told.append(step))
    assert told[-1] == ("downloading file.bin", len(server.content), len(server.content))
    entries = source.entries()
    assert len(entries) == 7
    for split, rows in (("train", range(5)), ("test", range(5, 7))):
        for number, row in enumerate(rows):
            file = f"{split}/{LABELS[labels[row]]}/{number:05}"
            assert np.array_equal(source.read(file), pixels[row])
            assert next(entry for entry in entries if entry.file == file).split == split
    asked = len(server.asked)
    assert open_cifar("cifar10", archive=tiny).signature == source.signature
    assert len(server.asked) == asked  # from the cache this time


def test_a_damaged_archive_in_the_cache_is_named_and_left(server: Server, offline_cache: Path) -> None:
    server.content = binary_archive(1)[0]
    tiny = BinaryArchive(server.url, "0" * 64, (), (), "names.txt", 1)
    path = offline_cache / "downloads" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(SourceError, match="Delete it"):
        open_cifar("cifar10", archive=tiny)
    assert path.read_bytes() == b"something else", "somebody may have put it there by hand"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_offline_names_both_ways_out(offline_cache: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "fetch", refuse)
    with pytest.raises(OfflineError) as caught:
        open_source(name)
    assert caught.value.message.startswith(f"{name} is not on this machine, and https://www.cs.toronto.edu/~kriz/")
    assert f"Put {name}.zip" in caught.value.remedy
    assert "FOVEAL_DATA" in caught.value.remedy
    assert str(offline_cache / "downloads" / CIFAR[name].url.rpartition("/")[2]) in caught.value.remedy


def refuse(url: str, *_: object) -> Iterator[tuple[int, int]]:
    raise OfflineError(f"{url} cannot be downloaded: no network.")
    yield


def test_own_archive_comes_first(tmp_path: Path, offline_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "cifar10.zip", "w") as opened:
        opened.writestr("train/cat/1.png", buffer.getvalue())
        opened.writestr("test/dog/2.png", buffer.getvalue())
    monkeypatch.setenv("FOVEAL_DATA", str(tmp_path))
    source = open_source("cifar10")
    assert (source.name, source.spec) == ("cifar10", "cifar10")
    assert [entry.cell for entry in source.entries()] == ["dog", "cat"]


def test_progress_lines_only_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, lines in ((Terminal(), 11), (io.StringIO(), 0)):
        monkeypatch.setattr("sys.stderr", stream)
        say = cifar._Lines()
        for done in range(1001):
            say("downloading x", done * 10**5, 10**8)
        assert stream.getvalue().count("\n") == lines
