"""The API as an application of its own, with its OpenAPI description at `/api/v1/openapi.json`."""

from __future__ import annotations

from fastapi import FastAPI

from blfd import __version__
from blfd.web.api import admins, devices, extensions, groups, live, settings, tenants, trunks
from blfd.web.api.problems import MEDIA_TYPE, Problem, install
from blfd.web.limits import BoundedBody
from blfd.web.site import Site

LARGEST_BODY = 1 << 20  # octets
PROBLEMS = {
    status: {"content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}, "description": text}
    for status, text in (
        (400, "The body cannot be read"),
        (401, "No token"),
        (403, "The token may not"),
        (404, "Not found"),
        (409, "It exists already"),
        (413, "More than 1 MiB"),
        (412, "It has been changed meanwhile"),
        (422, "Not as described, or against the rules"),
        (428, "If-Match is missing"),
        (502, "The SIP server did not take it over"),
        (503, "No SIP server runs, or the database cannot be used"),
    )
}


PROBLEMS[401]["headers"] = {
    "WWW-Authenticate": {"description": "Bearer.", "required": True, "schema": {"type": "string"}}
}


def api(site: Site) -> FastAPI:
    app = FastAPI(
        title="blfd",
        version=__version__,
        summary="Lamps, pickup groups, extensions and phones of a blfd server.",
        docs_url=None,
        redoc_url=None,
        responses={status: dict(one) for status, one in PROBLEMS.items()},
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(BoundedBody, largest=LARGEST_BODY)
    app.state.site = site
    install(app)
    for part in (tenants, extensions, groups, trunks, devices, settings, live, admins):
        app.include_router(part.router)
    return app
