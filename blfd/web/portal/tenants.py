"""Tenants, for who looks after the system; and each tenant's feature codes."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from blfd.core.directory import DndLamp, Owner, Reach, Whose
from blfd.core.values import DEFAULT_TENANT
from blfd.operations import etag, tenants
from blfd.operations.lists import listed
from blfd.store import Conflict, StoreError
from blfd.web.portal.here import OWNERS, PICKUP, Form, Here, Reading, There, Writing, there
from blfd.web.portal.lists import Listing, part

router = APIRouter()

System = Annotated[There, Depends(there("system"))]
TENANT_OWNERS = {owner.value: OWNERS[owner.value] for owner in Owner}
REACHES = {reach.value: PICKUP[reach.value] for reach in Reach}
CHOICES: dict[str, type[Enum]] = {
    "pickup": Reach,
    "owner": Owner,
    "dnd_lamp": DndLamp,
    "redirect": Whose,
    "decline": Whose,
}
DND_LAMPS = {"busy": "busy", "idle": "idle"}
STAR_CODES = {
    "dnd": "Do not disturb on",
    "dnd_off": "Do not disturb off",
    "forward_always": "Forward all calls",
    "forward_always_off": "No longer",
    "forward_busy": "Forward when busy",
    "forward_busy_off": "No longer",
    "forward_no_answer": "Forward when nobody answers",
    "forward_no_answer_off": "No longer",
    "withhold": "A call that does not say whose it is",
    "withhold_off": "A call that says whose it is, although the extension withholds that",
}
WHOSE = {"all": "all of the extension", "phone": "that phone alone"}


@router.get("/tenants")
def list_(there: System, wanted: Listing) -> Response:
    return there.page("tenants.html", part=part(tenants.all(there.desk), wanted), default=DEFAULT_TENANT)


@router.get("/tenants/new")
def new(there: System) -> Response:
    return there.page("tenant.html", row={"domain": "", "aliases": []}, is_new=True, version="", error="")


@router.post("/tenants/new")
def add(there: System, form: Form) -> Response:
    domain, aliases = str(form.get("domain", "")).strip(), str(form.get("aliases", ""))
    try:
        tenants.add(there.desk, domain, listed(aliases, "aliases"))
    except StoreError as error:
        row = {"domain": domain, "aliases": [aliases]}
        return there.page("tenant.html", 422, row=row, is_new=True, version="", error=error.text)
    return RedirectResponse("/tenants?done=added", 303)


@router.get("/tenants/edit/{domain}")
def edit(there: System, domain: str) -> Response:
    row = tenants.get(there.desk, domain)
    return there.page("tenant.html", row=row, is_new=False, version=etag(row), error="")


@router.post("/tenants/edit/{domain}")
def change(there: System, domain: str, form: Form) -> Response:
    aliases, version = str(form.get("aliases", "")), str(form.get("version", ""))
    try:
        tenants.change(there.desk, domain, aliases=listed(aliases, "aliases"), expected=version)
    except Conflict as error:
        row = tenants.get(there.desk, domain)
        return there.page("tenant.html", 409, row=row, is_new=False, version=etag(row), error=error.text)
    except StoreError as error:
        row = {"domain": domain, "aliases": [aliases]}
        return there.page("tenant.html", 422, row=row, is_new=False, version=version, error=error.text)
    return RedirectResponse("/tenants?done=changed", 303)


@router.get("/tenants/remove/{domain}")
def ask_to_remove(there: System, domain: str) -> Response:
    return there.ask_to_remove(tenants.loss(there.desk, domain), "/tenants")


@router.post("/tenants/remove/{domain}")
def remove(there: System, domain: str, form: Form) -> Response:
    tenants.remove(there.desk, domain, str(form.get("version", "")))
    return RedirectResponse("/tenants?done=removed", 303)


# Feature codes


@router.get("/t/{tenant}/codes")
def codes(here: Reading) -> Response:
    row = tenants.get(here.desk, here.tenant)
    return _codes(here, row, etag(row))


@router.post("/t/{tenant}/codes")
def change_codes(here: Writing, form: Form, request: Request) -> Response:
    wanted: dict[str, Any] = {
        "pickup_code": str(form.get("pickup_code", "")).strip(),
        "group_pickup_code": str(form.get("group_pickup_code", "")).strip(),
        **{name: str(form[name]) for name in CHOICES if name in form},
        "single_dialog": "single_dialog" in form,
        "pickable": "pickable" in form,
        "feature_sync": "feature_sync" in form,
        "send_outside": "send_outside" in form,
        "star_codes": {name: str(form[f"star_{name}"]) for name in STAR_CODES if f"star_{name}" in form},
    }
    version = str(form.get("version", ""))
    known = tenants.get(here.desk, here.tenant)
    shown = {**known, **wanted, "star_codes": {**known["star_codes"], **wanted["star_codes"]}}
    chosen: dict[str, Enum] = {}
    for name in CHOICES.keys() & wanted.keys():
        known = {choice.value: choice for choice in CHOICES[name]}
        if wanted[name] not in known:
            return _codes(here, shown, version, f"{wanted[name]!r} is none of {', '.join(known)}.")
        chosen[name] = known[wanted[name]]
    try:
        tenants.change(here.desk, here.tenant, **{**wanted, **chosen}, expected=version)
    except Conflict as error:
        row = tenants.get(here.desk, here.tenant)
        return _codes(here, row, etag(row), error.text, 409)
    except StoreError as error:
        return _codes(here, shown, version, error.text)
    return here.to("codes", "changed")


def _codes(here: Here, row: dict[str, Any], version: str, error: str = "", status: int = 422) -> Response:
    limits = here.desk.limits()
    return here.page(
        "codes.html",
        status if error else 200,
        row=row,
        version=version,
        error=error,
        reaches=REACHES,
        owners=TENANT_OWNERS,
        dnd_lamps=DND_LAMPS,
        whose=WHOSE,
        star_codes=STAR_CODES,
        limits=limits,
    )
