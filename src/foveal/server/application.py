"""The application: all routes behind the gate."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from foveal.server import kserve, routes
from foveal.server.gate import OPEN, Gate
from foveal.server.kserve import InputTensor, RequestedOutput
from foveal.server.problems import Problem, ProblemDocument, answer
from foveal.server.service import Service

__all__ = ["application"]

TITLE = "Foveal"
ABOUT = "Answers of trained networks for images. Every error is a problem document of RFC 9457."
KINDS = {404: "no-path", 405: "method"}


def application(service: Service) -> ASGIApp:
    """What uvicorn runs."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/openapi.json", redirect_slashes=False)
    app.include_router(routes.routes(service))
    app.include_router(kserve.routes(service))

    async def problem(request: Request, error: Exception) -> Response:
        return answer(_as_problem(error), request.scope["number"], request.url.path)

    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, problem)
    app.openapi = lambda: _openapi(app, bool(service.settings.token))
    return Gate(app, service.settings, service.metrics, service.admission)


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        words = {404: "There is nothing at this path; GET /openapi.json lists what is."}
        words |= {405: "This path does not take this method; `Allow` lists those it takes."}
        detail = words.get(error.status_code, str(error.detail))
        return Problem(error.status_code, KINDS.get(error.status_code, "http"), detail, error.headers)
    if isinstance(error, RequestValidationError):
        return Problem(422, "schema", "A parameter of the path or the query is not of the expected form.")
    return Problem(500, "mistake", "A mistake in the server; its log has the place under this request's number.")


def _openapi(app: FastAPI, token: bool) -> dict[str, Any]:
    """The schema, made once; what FastAPI writes of its own errors is not what is answered, and goes."""
    if app.openapi_schema is None:
        schema = get_openapi(title=TITLE, version=version("foveal"), description=ABOUT, routes=app.routes)
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for model in (ProblemDocument, InputTensor, RequestedOutput):
            schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        if token:
            schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, item in schema["paths"].items():
                for operation in item.values():
                    operation["security"] = [] if path in OPEN else [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
