"""A file from the web: resumed where it stopped, checked, and there only when it is whole."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import OfflineError, SourceError
from foveal.extras import extra

if TYPE_CHECKING:
    import httpx

__all__ = ["check", "fetch"]

TIMEOUT = 30.0
PARTIAL, RANGE_NOT_SATISFIABLE = 206, 416


def fetch(url: str, path: Path, sha256: str) -> Iterator[tuple[int, int]]:
    """Download to `path`, yielding (bytes done, bytes in all or 0) as it goes. Nothing happens until it is iterated.

    What has come so far is kept as `path` + `.part`; the next call goes on from there, if the server can.

    Raises:
        OfflineError: the server cannot be reached, answers with an error, or breaks off.
        SourceError: what came is not what was expected; it is deleted.
    """
    with extra("train"):
        import httpx
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield from _fetch_part(url, part)
        check(part, sha256)
        part.replace(path)
    except SourceError as error:
        part.unlink(missing_ok=True)
        raise SourceError(f"{error.message} What came was deleted.", remedy="Try again.") from error
    except httpx.HTTPStatusError as error:
        answer = f"{error.response.status_code} {error.response.reason_phrase}"
        raise OfflineError(f"{url} cannot be downloaded: the server answers {answer}.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kept = f" {part.stat().st_size:,} bytes are kept." if part.exists() else ""
        reason = str(error) or type(error).__name__
        raise OfflineError(f"{url} cannot be downloaded: {reason}.{kept}") from error
    except OSError as error:
        raise SourceError(f"{part} cannot be written: {error.strerror or error}.") from error


def check(path: Path, sha256: str) -> None:
    """
    Raises:
        SourceError: the file is not the expected one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise SourceError(
            f"Expected {path} with SHA-256 {sha256}, found {found}: the file is damaged, or another one.",
            remedy="Delete it; it will be downloaded again.",
        )


def _fetch_part(url: str, part: Path) -> Iterator[tuple[int, int]]:
    import httpx

    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT) as response:
        if response.status_code != RANGE_NOT_SATISFIABLE or not done:
            response.raise_for_status()
            yield from _write(response, part, done)
            return
    part.unlink()  # longer than the file on the server: start again
    yield from _fetch_part(url, part)


def _write(response: "httpx.Response", part: Path, done: int) -> Iterator[tuple[int, int]]:
    """Append, or start again where the server sends the whole file in spite of the range that was asked for."""
    resumed = response.status_code == PARTIAL and response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
    done = done if resumed else 0
    total = done + int(response.headers.get("Content-Length", -done))
    with part.open("ab" if resumed else "wb") as file:
        yield done, total
        for block in response.iter_raw():  # as it comes: blocks of a fixed size would be lost when it breaks off
            file.write(block)
            done += len(block)
            yield done, total
