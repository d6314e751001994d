"""The OpenAPI description, as each operation really is, and a page of it for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

Operation = dict[str, Any]

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


def as_it_is(spec: dict[str, Any]) -> dict[str, Any]:
    """The description, where each operation has a summary, and only the errors that it can have."""
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            for status in _never(path, method, operation):
                operation["responses"].pop(status, None)
            operation["summary"] = _summary(operation)
    return spec


def _never(path: str, method: str, operation: Operation) -> list[str]:
    """Errors that an operation cannot have."""
    sent = {each["name"].lower() for each in operation.get("parameters", ()) if each["in"] == "header"}
    never = [] if "if-match" in sent else ["412", "428"]
    if "requestBody" not in operation:
        never += ["400", "413"]
    if method not in ("post", "put", "patch"):
        never += ["409"]
    if method == "get" and "Live" not in operation["tags"] and "System" not in operation["tags"]:
        never += ["502"]
    return never


def _summary(operation: Operation) -> str:
    words = operation["operationId"].replace("_", " ").replace("csv", "CSV").replace("api", "API")
    return f"{words[:1].upper()}{words[1:]}"


def reading(app: FastAPI) -> Route:
    """`/docs`: the description as a page of our own, which loads nothing from anywhere."""

    def docs(request: Request) -> Response:
        spec = app.openapi()
        found: dict[str, list[tuple[str, str, Operation]]] = {tag["name"]: [] for tag in spec["tags"]}
        for path, methods in spec["paths"].items():
            for method, operation in methods.items():
                found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
        page = _pages.get_template("docs.html").render(spec=spec, tags=spec["tags"], found=found)
        return HTMLResponse(page)

    return Route("/docs", docs)
