"""What every page needs: who asks, for which tenant, and how a page is made."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from jinja2 import StrictUndefined
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from blfd.operations import Desk
from blfd.operations.admins import SYSTEM_SCOPE
from blfd.operations.loss import Loss
from blfd.store import StoreError
from blfd.web.site import Site
from blfd.web.visitor import Forbidden, Visitor, of_session

COOKIE = "blfd_session"
LARGEST_FILE = 1 << 20  # octets
LARGEST_BODY = 6 * LARGEST_FILE + (1 << 16)  # such a file as a form has it, where a line end is "%0D%0A"
MOST_TENANTS = 200  # tenants to choose from on each page; the page of tenants has all
MOST_FIELDS = 100_000  # fields of a form: a group's page has three for each extension
OWNERS = {
    "default": "as the tenant says",
    "local": "blfd, which carries its calls",
    "published": "whoever publishes it",
    "upstream": "a PBX whose lamp is watched (upstream)",
}
PICKUP = {  # whose calls an extension may take, in words
    "default": "as the tenant says",
    "on": "anybody's calls",
    "groups": "those of its groups",
    "off": "nobody's",
}
DONE = {
    "added": "Added.",
    "changed": "Saved.",
    "removed": "Removed.",
    "renumbered": "It has another number now. What went along stands in the list of changes.",
    "imported": "Imported.",
    "renewed": "It has other passwords and another address for its files now.",
    "all_renewed": "They have other passwords and other addresses for their files now.",
    "told_next": "Saved. Phones take it at their next fetch.",
    "told": "Told to fetch the files now.",
    "nobody": "No phone is registered that could be told.",
    "nothing": "There was nothing to do.",
}

_templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
_templates.env.undefined = StrictUndefined
_templates.env.trim_blocks = _templates.env.lstrip_blocks = True


def moment(at: float | str) -> str:
    """A time (seconds since the epoch, or ISO 8601) in the server's own time, as filters take it."""
    when = datetime.fromtimestamp(at) if isinstance(at, float) else datetime.fromisoformat(at).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S")


_templates.env.filters["moment"] = moment
_templates.env.filters["query"] = partial(urlencode, doseq=True)  # some values are lists


class SignInNeeded(Exception):
    """Nobody is signed in."""


def site_of(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


def signed_in(request: Request) -> Visitor | None:
    return _signed_in(request, used=True)


def still_signed_in(request: Request) -> Visitor | None:
    """Who is signed in, for what a page asks by itself, which does not keep the session alive."""
    return _signed_in(request, used=False)


def _signed_in(request: Request, used: bool) -> Visitor | None:
    secret = request.cookies.get(COOKIE)
    session = site_of(request).store.admins.session(secret, used) if secret else None
    return of_session(session) if session else None


def visitor(request: Request) -> Visitor:
    """A dependency: who is signed in. Raises SignInNeeded."""
    found = signed_in(request)
    if found is None:
        raise SignInNeeded
    request.state.visitor = found
    return found


async def form(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> FormData:
    """A dependency: the form that was sent, from a page of this very session. Raises Forbidden."""
    found = await request.form(max_fields=MOST_FIELDS, max_part_size=LARGEST_BODY)
    if found.get("csrf") != who.csrf:
        raise Forbidden(
            "This page was opened before you signed in: go back, load it again, and send it anew."
        )
    return found


Who = Annotated[Visitor, Depends(visitor)]
Form = Annotated[FormData, Depends(form)]


@dataclass(frozen=True)
class There:
    """A page of the system, for somebody who may see it."""

    request: Request
    visitor: Visitor
    desk: Desk

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        return page(self.request, template, status, **context)

    def ask_to_remove(self, loss: Loss, back: str) -> Response:
        return self.page("remove.html", loss=loss, back=back)


@dataclass(frozen=True)
class Here(There):
    """A page of a tenant, for somebody who may see it."""

    tenant: str

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        return page(self.request, template, status, tenant=self.tenant, **context)

    def file(self, content: bytes, name: str) -> Response:
        """A CSV file to keep, with the mark by which spreadsheets know UTF-8."""
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(codecs.BOM_UTF8 + content, 200, headers, "text/csv")

    def to(self, path: str, done: str = "") -> Response:
        """A redirection to another page of the tenant, which says what was done (a key of DONE)."""
        return RedirectResponse(f"/t/{self.tenant}/{path}{f'?done={done}' if done else ''}", 303)


def here(scope: str) -> Callable[..., Here]:
    """A dependency: the tenant of the address, for those who have the right `scope` there.

    Raises NotFound for a tenant that is not the visitor's, or does not exist, and Forbidden.
    """

    def found(request: Request, tenant: str, who: Who) -> Here:
        who.check_tenant(tenant)
        site = site_of(request)
        site.store.tenants.get(tenant)
        who.check(scope)
        return Here(request, who, site.desk(who), tenant)

    return found


def there(scope: str) -> Callable[..., There]:
    """A dependency: the system, for those who look after it and have the right `scope`. Raises Forbidden."""

    def found(request: Request, who: Who) -> There:
        who.check(SYSTEM_SCOPE)
        who.check(scope)
        return There(request, who, site_of(request).desk(who))

    return found


def at_either(scope: str) -> Callable[..., There]:
    """A dependency: the tenant of the address if it names one, or else the system."""
    of_tenant, of_system = here(scope), there(scope)

    def found(request: Request, who: Who) -> There:
        tenant = request.path_params.get("tenant")
        return of_tenant(request, tenant, who) if tenant is not None else of_system(request, who)

    return found


Reading = Annotated[Here, Depends(here("read"))]
Writing = Annotated[Here, Depends(here("write"))]


def page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """Renders a template; `who` is None where nobody is signed in."""
    who = getattr(request.state, "visitor", None)
    if who is None:
        with contextlib.suppress(StoreError):  # else no page could say so
            who = signed_in(request)
    known, parts = list[str](), request.url.path.split("/")
    if who is not None and who.is_system:
        with contextlib.suppress(StoreError):
            known = site_of(request).store.tenants.domains()[:MOST_TENANTS]
    defaults = {
        "tenants_known": known,
        "section": parts[3] if parts[1:2] == ["t"] and len(parts) > 3 else "lamps",
        "tenant": who.tenant if who else None,
        "only_tenant": known[0] if len(known) == 1 else None,
        "done": DONE.get(request.query_params.get("done", ""), ""),
    }
    return _templates.TemplateResponse(
        request, template, {**defaults, "who": who, "path": request.url.path, **context}, status
    )
