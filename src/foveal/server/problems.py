"""Every answer that is an error, in the one form of RFC 9457 (problem details, `application/problem+json`)."""

import json
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

__all__ = ["MEDIA_TYPE", "Problem", "ProblemDocument", "answer", "document", "raw"]

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:foveal:problem:"
RETRY = {"Retry-After": "1"}  # seconds


class ProblemDocument(BaseModel):
    """Why a request was refused, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:foveal:problem:` and one word that stays the same for this kind of problem")
    title: str = Field(description="the phrase of the status")
    status: int = Field(description="of the response")
    detail: str = Field(description="what was expected, what was found, and where")
    request: str | None = Field(default=None, description="the number of the request in the server's log")


class Problem(Exception):
    """A request that is refused.

    Args:
        kind: one word for this kind of problem.
        detail: what was expected, what was found, and where.
    """

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = dict(headers or {})


def document(status: int, kind: str, detail: str, request: str | None = None, path: str = "") -> dict[str, Any]:
    """The fields of the problem. Under /v2 the detail stands in `error`, too, where clients of KServe look for it."""
    told = {"type": TYPES + kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    told |= {"error": detail} if path.startswith("/v2") else {}
    return told | ({"request": request} if request else {})


def answer(problem: Problem, request: str | None = None, path: str = "") -> Response:
    """The response."""
    told = document(problem.status, problem.kind, problem.detail, request, path)
    return Response(json.dumps(told), problem.status, problem.headers, MEDIA_TYPE)


@lru_cache(64)
def raw(status: int, kind: str, detail: str, path: str = "", close: bool = True) -> bytes:
    """The same as bytes, for a request that no application sees.

    Args:
        close: whether the connection is closed after it.
    """
    body = json.dumps(document(status, kind, detail, path=path)).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        *(["Connection: close"] if close else []),
        *(["Retry-After: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
