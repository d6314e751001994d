"""The API as an application of its own, with its OpenAPI description at `/api/v1/openapi.json`."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from blfd import __version__
from blfd.web.api import (
    admins,
    devices,
    extensions,
    groups,
    history,
    live,
    settings,
    tenants,
    trunks,
    upstreams,
)
from blfd.web.api.description import as_it_is, reading
from blfd.web.api.problems import MEDIA_TYPE, Problem, install
from blfd.web.api.strict import only_known, said_once
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


TAGS = {
    "Tenants": "SIP domains, and what holds in each.",
    "Extensions": "The accounts of a tenant: numbers, names, rights, forwarding.",
    "Pickup groups": "Who may pick up whose calls by the group's code.",
    "Phones": "Provisioned phones, and what has become of their files.",
    "Settings of phones": "What phones are told over blfd's own settings.",
    "Trunks": "Where calls from and to the outside go.",
    "Upstreams": "PBXs whose lamps are shown here.",
    "Live": "What the running SIP server knows: lamps, calls, who watches whom.",
    "History": "Who has picked up what, and who has changed what.",
    "Administrators and tokens": "Who may sign in to the portal, and what programs show to this API.",
    "System": "For who looks after all tenants.",
}


def api(site: Site) -> FastAPI:
    app = FastAPI(
        title="blfd",
        version=__version__,
        summary="Lamps, pickup groups, extensions and phones of a blfd server.",
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        dependencies=[Depends(only_known), Depends(said_once)],
        responses={status: dict(one) for status, one in PROBLEMS.items()},
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(BoundedBody, largest=LARGEST_BODY)
    app.state.site = site
    install(app)
    for part in (tenants, extensions, groups, trunks, upstreams, devices, settings, live, history, admins):
        app.include_router(part.router)
    written = app.openapi
    app.openapi = lambda: app.openapi_schema or as_it_is(written())  # type: ignore[method-assign]
    app.routes.append(reading(app))
    return app
