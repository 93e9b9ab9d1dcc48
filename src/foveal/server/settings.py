"""What a server is told: where it listens, and how much it takes."""

import stat
from dataclasses import dataclass, field, fields
from pathlib import Path

from foveal.errors import ServeError
from foveal.phrasing import command

__all__ = ["LOOPBACK", "Limits", "Settings", "read_token"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes before it refuses. All are positive.

    Args:
        body: bytes of a request's body.
        memory: bytes of all bodies that are held at one time.
        megapixels: of an image, in millions of pixels; a larger one is refused before it is decoded.
        images: in a request.
        header_seconds: for a request's first line and headers to arrive, from the first byte or the connection.
        body_seconds: for its body to arrive.
        answer_seconds: from then to the answer.
        queue: images of all requests that wait or are being answered, for each model.
        requests: whose body is here and that are not answered yet, at one time.
        connections: open at one time.
        batch: images answered in one run of the network, at the most.
        wait: seconds that an image waits for others that are still being decoded.
        decoders: threads that decode images.
    """

    body: int = 16 << 20
    memory: int = 256 << 20
    megapixels: float = 32.0
    images: int = 32
    header_seconds: float = 5.0
    body_seconds: float = 10.0
    answer_seconds: float = 10.0
    queue: int = 256
    requests: int = 128
    connections: int = 512
    batch: int = 32
    wait: float = 0.002
    decoders: int = 2

    def __post_init__(self) -> None:
        """
        Raises:
            ServeError: a limit that nothing can pass.
        """
        for limit in fields(self):
            if not getattr(self, limit.name) > 0 and limit.name != "wait":
                raise ServeError(f"Expected the limit {limit.name} to be above 0, found {getattr(self, limit.name)}.")
        if self.images > self.queue:
            raise ServeError(
                f"A request may have {self.images} images, and only {self.queue} fit into the queue.",
                remedy="Raise --queue, or lower --images.",
            )
        if self.body > self.memory:
            raise ServeError(
                f"A body may have {self.body >> 20} MiB, and all bodies at one time {self.memory >> 20}.",
                remedy="Raise --memory, or lower --body.",
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server runs.

    Args:
        token: what `Authorization: Bearer` must carry; empty where nothing is asked.
        workers: processes that share the port.
        device: `cpu`, `cuda` or `auto`, as for `foveal.load`.
        threads: of ONNX Runtime, for each worker; the processors shared among the workers where None.

    Raises:
        ServeError: an address that others can reach, and no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = field(default="", repr=False)
    workers: int = 1
    device: str = "auto"
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.token:
            raise ServeError(
                f"Expected a token, because {self.host} can be reached from other machines; found none.",
                remedy="Make one and name its file: "
                "(umask 077; openssl rand -hex 32 > token) and then --token-file token",
            )


def read_token(path: Path) -> tuple[str, str]:
    """The token in a file, and a warning where others may read it; empty where nobody can.

    Raises:
        ServeError: there is no such file, or what is in it is too short to keep anybody out.
    """
    try:
        mode = path.stat().st_mode
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ServeError(f"The token file {path} cannot be read: {reason}.") from None
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ServeError(
            f"Expected {path} to hold one token of {SHORTEST_TOKEN} or more visible ASCII characters, "
            f"found {len(token)} characters.",
            remedy=f"Make one: (umask 077; openssl rand -hex 32 > {command(path)})",
        )
    loose = stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO)
    warning = f"{path} has the permissions {stat.S_IMODE(mode):04o}: others may read the token; chmod 600 {path}"
    return token, warning if loose else ""
