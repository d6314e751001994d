"""Tenants, and what holds in each."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from blfd.core.directory import DndLamp, Owner, Reach, Whose
from blfd.operations import tenants
from blfd.operations.desk import Row
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, System, Writing, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent, changing

router = APIRouter(prefix="/tenants", tags=["Tenants"])

KINDS: dict[str, type[Enum]] = {
    "pickup": Reach,
    "owner": Owner,
    "dnd_lamp": DndLamp,
    "redirect": Whose,
    "decline": Whose,
}


Whom = Annotated[
    Literal["all", "phone"],
    Field(description="For which phones of an extension holds what one says that forwards or declines."),
]


class Tenant(BaseModel):
    domain: str
    aliases: list[str]
    single_dialog: bool
    pickup_code: str
    group_pickup_code: str
    pickup: Literal["on", "off", "groups"]
    pickable: bool
    owner: Literal["local", "published", "upstream"]
    dnd_lamp: Literal["busy", "idle"]
    redirect: Whom
    decline: Whom
    star_codes: dict[str, str]
    feature_sync: bool
    send_outside: bool
    extensions: int


class NewTenant(Sent):
    domain: str
    aliases: list[str] = Field([])


@changing(Tenant, "domain", "aliases", "extensions")
class TenantChange(Sent):
    """What is left out stays."""

    star_codes: dict[str, str] | None = Field(
        None, description="By name, those to change; an empty code is for none.", max_length=50
    )


class Aliases(Sent):
    aliases: list[str]


@router.get("")
def list_tenants(
    there: System, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[Tenant]:
    rows = sorted(tenants.all(there.desk), key=lambda row: str(row["domain"]))
    return cut(Tenant, rows, "domain", limit, after, search)


@router.post("", status_code=201, response_model=Tenant, responses=MADE)
def add_tenant(there: System, response: Response, new: NewTenant) -> Row:
    return tagged(response, tenants.add(there.desk, new.domain, new.aliases))


@router.get("/{tenant}", response_model=Tenant, responses=TAGGED)
def get_tenant(at: Reading, response: Response) -> Row:
    return tagged(response, tenants.get(at.desk, at.tenant))


@router.patch("/{tenant}", response_model=Tenant, responses=TAGGED)
def change_tenant(at: Writing, response: Response, change: TenantChange, expected: Expected) -> Row:
    """Its feature codes, and what holds for extensions that say nothing else."""
    fields: dict[str, Any] = {
        name: KINDS[name](value) if value is not None and name in KINDS else value
        for name, value in change.model_dump().items()
    }
    changed = tenants.change(at.desk, at.tenant, **fields, expected=expected)
    return tagged(response, changed)


@router.put("/{tenant}/aliases", response_model=Tenant, responses=TAGGED)
def change_aliases(
    there: System, response: Response, tenant: str, wanted: Aliases, expected: Expected
) -> Row:
    return tagged(response, tenants.change(there.desk, tenant, aliases=wanted.aliases, expected=expected))


@router.delete("/{tenant}", status_code=204)
def remove_tenant(there: System, tenant: str, expected: Expected) -> None:
    """Remove a tenant with its extensions, groups, phones and administrators."""
    tenants.remove(there.desk, tenant, expected)
