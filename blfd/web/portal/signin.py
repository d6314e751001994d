"""Signing in and out, and one's own password."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from blfd.core import hosts
from blfd.core.errors import auth_failed
from blfd.core.visible import visible
from blfd.operations import admins
from blfd.store import StoreError
from blfd.store.admins import LONGEST
from blfd.web.patience import Busy
from blfd.web.portal.here import COOKIE, Form, SignInNeeded, Who, page, signed_in, site_of
from blfd.web.visitor import Visitor

router = APIRouter()

log = logging.getLogger("blfd.web")

LONGEST_NAME = 400  # characters of NAME@DOMAIN: a name has 64, and a domain 253


def address(request: Request) -> str:
    """The address of the sign-in page, which leads back to this page afterwards."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(here)}" if request.method == "GET" else "/sign-in"


@router.get("/")
def start(request: Request, who: Annotated[Visitor | None, Depends(signed_in)]) -> Response:
    if who is None:
        raise SignInNeeded
    domains = [who.tenant] if who.tenant else site_of(request).store.tenants.domains()
    return RedirectResponse(f"/t/{domains[0]}/lamps" if len(domains) == 1 else "/tenants", 303)


@router.get("/sign-in")
def ask(request: Request) -> Response:
    return page(request, "signin.html", name="", next=_inside(request.query_params.get("next", "")), error="")


async def _tried(request: Request, name: str, password: str) -> str | None:
    """The secret of a new session, None where name or password are wrong; who keeps failing waits.

    Failures count by name and by source; each attempt counts as failed until it has succeeded, so that many
    at the same time wait as well.
    """
    site, source = site_of(request), hosts.unmapped(request.client.host) if request.client else ""
    keys = (f"name {name}", f"source {hosts.sender(source)}")
    waits = [site.patience.wait(key, time.monotonic()) for key in keys]
    for key in keys:
        site.patience.failed(key, time.monotonic())
    await asyncio.sleep(max(waits))
    try:
        async with site.turns.turn():  # the waiting is done here, not on the threads that every page needs
            secret = await run_in_threadpool(admins.sign_in, site.store, name, password)
    except Busy:
        text = "Too many sign in at this moment: try again in a minute."
        raise HTTPException(503, text, {"Retry-After": "60"}) from None
    if secret is None:
        log.warning("%s", auth_failed(source, f"portal as {visible(name)}: wrong name or password"))
        return None
    for key in keys:
        site.patience.succeeded(key)
    return secret


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    if request.headers.get("sec-fetch-site") == "cross-site":  # the browser says so, and no page can forge it
        raise HTTPException(403, "Another site's page asks to sign in here: use the page of this portal.")
    fields = await request.form()
    name, then = _sound(fields, "name")[:LONGEST_NAME], _inside(_sound(fields, "next"))
    secret = await _tried(request, name, str(fields.get("password", "")))
    if secret is None:
        return page(request, "signin.html", 401, name=name, next=then, error="Name or password are wrong.")
    response = RedirectResponse(then or "/", 303)
    # Behind a proxy that has the certificate, the browser's Origin says that there is TLS.
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(LONGEST.longest),
        httponly=True,
        samesite="strict",
        secure=site_of(request).secure or request.headers.get("origin", "").startswith("https://"),
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request, form: Form) -> Response:
    site_of(request).store.admins.close_session(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/password")
def password_page(request: Request, who: Who) -> Response:
    return page(request, "password.html", error="")


@router.post("/password")
async def change_password(request: Request, who: Who, form: Form) -> Response:
    """Change one's own password, which needs the present one, and signs out everywhere."""
    secret = await _tried(request, who.name, str(form.get("present", "")))
    if secret is None:
        return page(request, "password.html", 422, error="The present password is wrong.")
    return await run_in_threadpool(_change, request, who, form, secret)


def _change(request: Request, who: Visitor, form: FormData, secret: str) -> Response:
    site = site_of(request)
    site.store.admins.close_session(secret)  # this session was made to show that the password is right
    new, again = str(form.get("new", "")), str(form.get("again", ""))
    if new != again:
        return page(request, "password.html", 422, error="The two new passwords differ.")
    try:
        admins.change(site.desk(who), who.name, password=new)
    except StoreError as error:
        return page(request, "password.html", 422, error=error.text)
    return RedirectResponse("/sign-in", 303)


def _sound(fields: FormData, name: str) -> str:
    """A field as sound text, whatever a client calls the encoding of what it sends."""
    return str(fields.get(name, "")).encode("utf-8", "replace").decode()


def _inside(address: str) -> str:
    """The address if it is of this portal, "" for any other: nobody is sent elsewhere."""
    sound = address.startswith("/") and not address.startswith(("//", "/\\")) and "\\" not in address
    return address if sound else ""
