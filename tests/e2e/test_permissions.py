"""Who may do what: every role on every page and operation of the API, in one's own tenant and another's.

The table names each address; one that is added to portal or API without a row here fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from browser import ADMIN_PASSWORD, Browser, found_in, portal_url, words
from sites import Site
from starlette.routing import Mount, Route

from blfd.web.api import api
from blfd.web.portal.app import PARTS
from blfd.web.portal.app import portal as portal_of

MAC = "80:5e:c0:12:34:56"

ANYBODY = {"/sign-in", "/"}
SIGNED_IN = {"/password", "/sign-out"}
PAGES = {  # the right that an address needs, for GET and for POST
    "/t/{tenant}/lamps": ("lamps", None),
    "/t/{tenant}/lamps/events": ("lamps", None),
    "/t/{tenant}/extensions": ("read", None),
    "/t/{tenant}/extensions/new": ("write", "write"),
    "/t/{tenant}/extensions/edit/{extension}": ("write", "write"),
    "/t/{tenant}/extensions/renumber/{extension}": ("write", "write"),
    "/t/{tenant}/extensions/remove/{extension}": ("write", "write"),
    "/t/{tenant}/extensions/import": ("write", "write"),
    "/t/{tenant}/extensions/bulk": (None, "write"),
    "/t/{tenant}/extensions/suggest": ("read", None),
    "/t/{tenant}/extensions/export": ("read", None),
    "/t/{tenant}/phones": ("read", None),
    "/t/{tenant}/phones/show/{mac}": ("read", None),
    "/t/{tenant}/phones/new": ("write", "write"),
    "/t/{tenant}/phones/edit/{mac}": ("write", "write"),
    "/t/{tenant}/phones/remove/{mac}": ("write", "write"),
    "/t/{tenant}/phones/renew/{mac}": ("write", "write"),
    "/t/{tenant}/phones/sync": (None, "write"),
    "/t/{tenant}/phones/sync/{mac}": (None, "write"),
    "/t/{tenant}/phones/secrets/{mac}": (None, "write"),
    "/t/{tenant}/phones/import": ("write", "write"),
    "/t/{tenant}/phones/bulk": (None, "write"),
    "/t/{tenant}/phones/export": ("read", None),
    "/t/{tenant}/phones/addresses": ("write", None),
    "/t/{tenant}/settings": ("read", "write"),
    **{f"/t/{{tenant}}/{what}": ("read", None) for what in ("trunks", "upstreams")},
    **{
        f"/t/{{tenant}}/{what}s/{page}": ("write", "write")
        for what in ("trunk", "route", "upstream")
        for page in ("new", "edit/{name}", "remove/{name}")
    },
    "/t/{tenant}/groups": ("read", None),
    "/t/{tenant}/groups/new": ("write", "write"),
    "/t/{tenant}/groups/edit/{name}": ("write", "write"),
    "/t/{tenant}/groups/remove/{name}": ("write", "write"),
    "/t/{tenant}/codes": ("read", "write"),
    "/t/{tenant}/pickups": ("read", None),
    "/t/{tenant}/changes": ("read", None),
    "/t/{tenant}/changes/{number}": ("read", None),
    "/t/{tenant}/explain": ("read", None),
    "/t/{tenant}/administrators": ("read", "write"),
    "/t/{tenant}/administrators/edit/{name}": ("write", "write"),
    "/t/{tenant}/administrators/remove/{name}": ("write", "write"),
    "/t/{tenant}/tokens": ("read", "write"),
    "/t/{tenant}/tokens/remove/{name}": ("write", "write"),
    "/tenants": ("system", None),
    "/tenants/new": ("system", "system"),
    "/tenants/edit/{domain}": ("system", "system"),
    "/tenants/remove/{domain}": ("system", "system"),
    "/settings": ("system", "system"),
    "/templates": ("system", None),
    "/templates/edit": ("system", "system"),
    "/templates/remove": ("system", "system"),
    "/changes": ("system", None),
    "/changes/{number}": ("system", None),
    "/health": ("system", None),
    "/administrators": ("system", "system"),
    "/administrators/edit/{name}": ("system", "system"),
    "/administrators/remove/{name}": ("system", "system"),
    "/tokens": ("system", "system"),
    "/tokens/remove/{name}": ("system", "system"),
}
OPERATIONS = {  # the right that an operation needs, by method; "all" is all of a tenant's rights
    "/tenants": {"get": "system", "post": "system"},
    "/tenants/{tenant}": {"get": "read", "patch": "write", "delete": "system"},
    "/tenants/{tenant}/aliases": {"put": "system"},
    "/tenants/{tenant}/extensions": {"get": "read", "post": "write"},
    "/tenants/{tenant}/imports/extensions": {"post": "write"},
    "/tenants/{tenant}/imports/extensions/preview": {"post": "write"},
    "/tenants/{tenant}/exports/extensions": {"get": "read"},
    "/tenants/{tenant}/exports/devices": {"get": "read"},
    "/tenants/{tenant}/exports/addresses": {"get": "write"},
    "/tenants/{tenant}/extensions/{extension}": {"get": "read", "patch": "write", "delete": "write"},
    "/tenants/{tenant}/extensions/{extension}/renumber": {"post": "write"},
    "/tenants/{tenant}/groups": {"get": "read", "post": "write"},
    "/tenants/{tenant}/groups/{name}": {"get": "read", "put": "write", "delete": "write"},
    "/tenants/{tenant}/trunks": {"get": "read", "post": "write"},
    "/tenants/{tenant}/trunks/{name}": {"get": "read", "patch": "write", "delete": "write"},
    "/tenants/{tenant}/routes": {"get": "read", "post": "write"},
    "/tenants/{tenant}/routes/{pattern}": {"get": "read", "patch": "write", "delete": "write"},
    "/tenants/{tenant}/devices": {"get": "read", "post": "write"},
    "/tenants/{tenant}/imports/devices": {"post": "write"},
    "/tenants/{tenant}/imports/devices/preview": {"post": "write"},
    "/tenants/{tenant}/sync": {"post": "write"},
    "/tenants/{tenant}/settings": {"get": "read", "post": "write", "delete": "write"},
    "/tenants/{tenant}/settings/common": {"get": "read"},
    "/system/settings": {"get": "system", "post": "system", "delete": "system"},
    "/system/settings/common": {"get": "system"},
    "/tenants/{tenant}/devices/{mac}": {"get": "read", "patch": "write", "delete": "write"},
    "/tenants/{tenant}/devices/{mac}/sync": {"post": "write"},
    "/tenants/{tenant}/lamps": {"get": "lamps"},
    "/tenants/{tenant}/events": {"get": "lamps"},
    "/tenants/{tenant}/registrations": {"get": "read"},
    "/tenants/{tenant}/trunk-states": {"get": "read"},
    "/tenants/{tenant}/upstreams": {"get": "read", "post": "write"},
    "/tenants/{tenant}/upstreams/{name}": {"get": "read", "patch": "write", "delete": "write"},
    "/tenants/{tenant}/upstream-states": {"get": "read"},
    "/tenants/{tenant}/upstream-lamps": {"get": "read"},
    "/tenants/{tenant}/watchers": {"get": "read"},
    "/tenants/{tenant}/calls": {"get": "callers"},  # "read" is needed, too
    "/tenants/{tenant}/explain/{extension}": {"get": "callers"},
    "/tenants/{tenant}/pickups": {"get": "callers"},
    "/tenants/{tenant}/changes": {"get": "read"},
    "/tenants/{tenant}/changes/{number}/parts": {"get": "read"},
    "/system/changes": {"get": "system"},
    "/system/changes/{number}/parts": {"get": "system"},
    "/system/status": {"get": "system"},
    "/system/findings": {"get": "system"},
    "/tenants/{tenant}/administrators": {"get": "read", "post": "all"},
    "/tenants/{tenant}/administrators/{name}": {"get": "read", "patch": "all", "delete": "all"},
    "/tenants/{tenant}/tokens": {"get": "read", "post": "all"},
    "/tenants/{tenant}/tokens/{name}": {"delete": "all"},
    "/system/administrators": {"get": "system", "post": "system"},
    "/system/administrators/{name}": {"get": "system", "patch": "system", "delete": "system"},
    "/system/tokens": {"get": "system", "post": "system"},
    "/system/tokens/{name}": {"delete": "system"},
}
TENANT_SCOPES = {"lamps", "callers", "read", "write"}
PEOPLE = {  # the tenant of each, and their rights there
    "root": (None, {*TENANT_SCOPES, "system"}),
    "boss@default": ("default", TENANT_SCOPES),
    "reception@default": ("default", {"lamps", "callers"}),
    "wall@default": ("default", {"lamps"}),
    "other@acme.example": ("acme.example", TENANT_SCOPES),
}
ROLES = {"reception@default": "attendant", "wall@default": "viewer"}
PROGRAMS = {
    "all": (None, {*TENANT_SCOPES, "system"}),
    "everything": ("default", TENANT_SCOPES),
    "watching": ("default", {"lamps"}),
    "reading": ("default", {"read"}),
    "writing": ("default", {"write"}),
    "almost all": ("default", TENANT_SCOPES - {"callers"}),
    "elsewhere": ("acme.example", TENANT_SCOPES),
}


def filled(path: str) -> str:
    """The address with names of what exists if a stale version protects that, and else with nobody's name."""
    name = "sales" if "/groups/" in path else "nobody"
    values = {"tenant": "default", "extension": "101", "mac": MAC, "domain": "acme.example", "name": name}
    values |= {"pattern": "0X", "number": "1"}
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)


def verdict(answer: httpx.Response) -> str:
    """What the rights have made of a request, in a word."""
    if answer.status_code == 401 or answer.headers.get("location", "").startswith("/sign-in"):
        return "sign in"
    if answer.status_code == 403:
        return "forbidden"
    if answer.status_code == 404 and "no tenant default" in answer.text:
        return "not there"
    assert answer.status_code < 500, answer.text
    return "allowed"


def expected(path: str, right: str, tenant: str | None, scopes: set[str]) -> str:
    if "{tenant}" in path and right != "system" and tenant not in (None, "default"):
        return "not there"
    needed = TENANT_SCOPES if right == "all" else {right}
    return "allowed" if needed <= scopes else "forbidden"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("rights"), "--web", "http://127.0.0.1:0")
    site.cli("device", "add", MAC, "--model", "yealink/t54w", "--extension", "101")
    for name, (tenant, _) in PEOPLE.items():
        whose = ["--tenant", tenant] if tenant else []
        role = ROLES.get(name, "administrator")
        site.cli("admin", "add", name.partition("@")[0], *whose, "--role", role, "--password", ADMIN_PASSWORD)
    yield site
    site.stop()


def test_the_table_is_whole() -> None:
    served = portal_of(Mock()).routes
    others = {route.path for route in served if isinstance(route, Mount | Route)}
    assert others == {"/static", "/api/v1", "/healthz"}, "who may have what else is served has to be said"
    assert len(served) == len(PARTS) + len(others)
    routes = {
        (route.path, method) for part in PARTS for route in part.router.routes for method in route.methods
    }
    table = {
        (path, m)
        for path, pair in PAGES.items()
        for m, right in zip(("GET", "POST"), pair, strict=True)
        if right
    }
    open_to_all = {(path, method) for path, method in routes if path in ANYBODY | SIGNED_IN}
    assert routes - open_to_all == table
    found = {(path, m) for path, methods in api(Mock()).openapi()["paths"].items() for m in methods}
    assert found == {(path, method) for path, methods in OPERATIONS.items() for method in methods}


@pytest.mark.parametrize("name", PEOPLE)
def test_pages(portal: Site, name: str) -> None:
    tenant, scopes = PEOPLE[name]
    with Browser(portal_url(portal)) as browser:
        signed_in = browser.sign_in(name)
        (csrf,) = set(found_in(signed_in.text, "//input[@name='csrf']/@value"))
        browser.client.follow_redirects = False
        wrong = []
        for path, rights in PAGES.items():
            for method, right in zip(("GET", "POST"), rights, strict=True):
                if right is None:
                    continue
                data = {"csrf": csrf, "version": "stale"} if method == "POST" else None
                with browser.client.stream(method, filled(path), data=data) as answer:
                    if "event-stream" not in answer.headers.get("content-type", ""):
                        answer.read()
                    found = verdict(answer)
                if found != expected(path, right, tenant, scopes):
                    wrong.append((method, path, found, answer.status_code))
        assert not wrong


def test_pages_for_nobody(portal: Site) -> None:
    with Browser(portal_url(portal)) as browser:
        browser.client.follow_redirects = False
        for path, rights in PAGES.items():
            for method, right in zip(("GET", "POST"), rights, strict=True):
                if right:
                    assert verdict(browser.client.request(method, filled(path))) == "sign in", path


def test_a_form_from_elsewhere_is_refused(portal: Site) -> None:
    """Another site cannot make whoever is signed in here change anything."""
    with Browser(portal_url(portal)) as browser:
        browser.sign_in("root")
        for path, (_, right) in PAGES.items():
            if right:
                answer = browser.client.post(filled(path), data={"csrf": "guessed"})
                assert answer.status_code == 403, path
                assert "was opened before you signed in" in words(answer)


@pytest.mark.parametrize("name", PROGRAMS)
def test_operations(portal: Site, name: str) -> None:
    tenant, scopes = PROGRAMS[name]
    whose = ["--tenant", tenant] if tenant else []
    wanted = [word for scope in sorted(scopes) for word in ("--scope", scope)]
    token = portal.cli("token", "add", name.replace(" ", "-"), *wanted, *whose).strip()
    wrong = []
    with httpx.Client(base_url=f"{portal_url(portal)}/api/v1", timeout=20) as client:
        for path, methods in OPERATIONS.items():
            for method, right in methods.items():
                headers = {"Authorization": f"Bearer {token}", "If-Match": '"stale"'}
                body: dict[str, Any] = {"json": {}} if method in ("post", "put", "patch") else {}
                with client.stream(method, filled(path), headers=headers, **body) as answer:
                    if "event-stream" not in answer.headers.get("content-type", ""):
                        answer.read()
                    found = verdict(answer)
                if found != expected(path, right, tenant, scopes):
                    wrong.append((method, path, found, answer.status_code))
                assert verdict(client.request(method, filled(path))) == "sign in", path
    assert not wrong
