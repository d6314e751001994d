"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from blfd.control import ControlError, NotRunning
from blfd.operations import NotTaken
from blfd.store import Conflict, Exists, NotFound, StoreError, Unavailable
from blfd.web.visitor import Forbidden

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/v1"


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str


class Unauthorized(Exception):
    """No token, or none that is known."""


class PreconditionMissing(Exception):
    """A change needs If-Match."""


STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (Unauthorized, 401, "A token is needed"),
    (Forbidden, 403, "Not allowed"),
    (NotFound, 404, "Not found"),
    (Exists, 409, "It exists already"),
    (Conflict, 412, "It has been changed meanwhile"),
    (PreconditionMissing, 428, "If-Match is needed"),
    (NotTaken, 502, "The server did not take it over"),
    (Unavailable, 503, "The database cannot be used now"),
    (StoreError, 422, "This cannot be done"),
    (NotRunning, 503, "No server runs"),
    (ControlError, 502, "The server refused"),
)


def problem(status: int, title: str, detail: str) -> JSONResponse:
    body = Problem(title=title, status=status, detail=detail).model_dump()
    headers = {"WWW-Authenticate": 'Bearer realm="blfd"'} if status == 401 else None
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make a problem of every error of an operation."""
    for kind, status, title in STATUSES:
        app.add_exception_handler(kind, _answer(status, title))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "A fault of blfd", "The server's log says more; please report it.")

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        return problem(422, "The request is not as described", "; ".join(wrong))

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(error.status_code, str(error.detail), f"{request.method} {request.url.path}")
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(_served(app, request.url.path.removeprefix(PREFIX)))
        return answer


def _served(app: FastAPI, path: str) -> list[str]:
    """The methods of an address, of all routes together (RFC 9110, section 10.2.1)."""
    return sorted(
        method.upper()
        for template, methods in app.openapi()["paths"].items()
        for method in methods
        if compile_path(template)[0].fullmatch(path)
    )


def _answer(status: int, title: str):  # type: ignore[no-untyped-def]
    def answer(request: Request, error: Exception) -> JSONResponse:
        text = error.text if isinstance(error, StoreError) else str(error)
        return problem(status, title, text or title)

    return answer
