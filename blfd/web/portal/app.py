"""The portal: pages for people, and under `/api/v1` the same for programs."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blfd.store import Conflict, NotFound, StoreError, Unavailable
from blfd.web.api import api
from blfd.web.api.problems import PREFIX, problem
from blfd.web.limits import BoundedBody
from blfd.web.metrics import health_of
from blfd.web.portal import (
    admins,
    extensions,
    groups,
    history,
    lamps,
    look,
    phones,
    settings,
    signin,
    tenants,
    trunks,
    upstreams,
)
from blfd.web.portal.here import LARGEST_BODY, SignInNeeded, page
from blfd.web.site import Site
from blfd.web.visitor import Forbidden

PARTS = (
    signin,
    lamps,
    extensions,
    phones,
    settings,
    groups,
    trunks,
    upstreams,
    tenants,
    history,
    look,
    admins,
)
"""All that has pages."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Adds HEADERS to every answer; not a BaseHTTPMiddleware, which would hold up streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)


def portal(site: Site) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.mount(PREFIX, api(site))
    app.routes.append(health_of(site.client))
    for part in PARTS:
        app.include_router(part.router)

    app.add_middleware(BoundedBody, largest=LARGEST_BODY)
    app.add_middleware(Guard)

    @app.exception_handler(SignInNeeded)
    def sign_in_needed(request: Request, error: SignInNeeded) -> Response:
        return RedirectResponse(signin.address(request), 303)

    @app.exception_handler(Forbidden)
    def forbidden(request: Request, error: Forbidden) -> Response:
        return page(request, "problem.html", 403, title="Not allowed", text=str(error))

    @app.exception_handler(StoreError)
    def refused(request: Request, error: StoreError) -> Response:
        match error:
            case NotFound():
                status, title = 404, "Not found"
            case Conflict():
                status, title = 409, "Look again first"
            case Unavailable():
                status, title = 503, "The database cannot be used now"
            case _:
                status, title = 422, "This cannot be done"
        return page(request, "problem.html", status, title=title, text=error.text)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        answer = page(request, "problem.html", status, title=status.phrase, text=error.detail)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(404)
    def unknown(request: Request, error: Exception) -> Response:
        if request.url.path.startswith(PREFIX):  # with a line end, this is no address of the API
            return problem(404, "Not found", "There is no such address.")
        return page(request, "problem.html", 404, title="Not found", text="There is no such page.")

    return app
