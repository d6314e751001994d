"""Administrators, and tokens for this API: those of a tenant, and under /system those of the system.

Who gives rights to others has to have them all: a token that may only write cannot make itself a better one.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from blfd.operations import admins
from blfd.operations.desk import Row
from blfd.store.admins import Role
from blfd.web.api.access import MADE, TAGGED, Expected, Place, at, system, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Sent

RoleName = Literal["administrator", "attendant", "viewer"]


class Admin(BaseModel):
    """An administrator; `tenant` is null for one of the system."""

    name: str
    tenant: str | None
    role: RoleName


class NewAdmin(Sent):
    """An administrator to add; one of a tenant is called NAME@TENANT."""

    name: str
    password: str
    role: RoleName = "administrator"


class AdminChange(Sent):
    """A new password signs them out everywhere."""

    password: str | None = None
    role: RoleName | None = None


class Token(BaseModel):
    name: str
    tenant: str | None
    scopes: list[str]
    used_at: float | None


class NewToken(Sent):
    name: str
    scopes: list[str]


class MadeToken(Token):
    """A token that was just made; `token` is its secret, which nobody can show again."""

    token: str


def _routes(prefix: str, place: Callable[..., Callable[..., Place]], of: str) -> APIRouter:
    """Routes that a tenant and the system have alike; `of` goes into the names of the operations."""
    router = APIRouter(
        prefix=prefix,
        tags=["Administrators and tokens"],
        generate_unique_id_function=lambda route: route.name.replace("_", of, 1),
    )
    Reading = Annotated[Place, Depends(place("read"))]  # noqa: N806
    Writing = Annotated[Place, Depends(place(*admins.TENANT_SCOPES))]  # noqa: N806

    @router.get("/administrators")
    def list_administrators(at: Reading, limit: Limit = 100, after: Cursor = None) -> Page[Admin]:
        return cut(Admin, admins.all(at.desk, at.tenant), "name", limit, after)

    @router.post("/administrators", status_code=201, response_model=Admin, responses=MADE)
    def add_administrator(at: Writing, response: Response, new: NewAdmin) -> Row:
        return tagged(response, admins.add(at.desk, new.name, new.password, at.tenant, Role(new.role)))

    @router.get("/administrators/{name}", response_model=Admin, responses=TAGGED)
    def get_administrator(at: Reading, response: Response, name: str) -> Row:
        return tagged(response, admins.get(at.desk, name, at.tenant))

    @router.patch("/administrators/{name}", response_model=Admin, responses=TAGGED)
    def change_administrator(
        at: Writing, response: Response, name: str, change: AdminChange, expected: Expected
    ) -> Row:
        admins.get(at.desk, name, at.tenant)
        role = Role(change.role) if change.role else None
        row = admins.change(at.desk, name, password=change.password, role=role, expected=expected)
        return tagged(response, row)

    @router.delete("/administrators/{name}", status_code=204)
    def remove_administrator(at: Writing, name: str, expected: Expected) -> None:
        admins.get(at.desk, name, at.tenant)
        admins.remove(at.desk, name, expected)

    @router.get("/tokens")
    def list_tokens(at: Reading, limit: Limit = 100, after: Cursor = None) -> Page[Token]:
        rows = sorted(admins.tokens(at.desk, at.tenant), key=lambda row: str(row["name"]))
        return cut(Token, rows, "name", limit, after)

    @router.post("/tokens", status_code=201)
    def add_token(at: Writing, new: NewToken) -> MadeToken:
        row, secret = admins.add_token(at.desk, at.tenant, new.name, new.scopes)
        return MadeToken(**row, token=secret)

    @router.delete("/tokens/{name}", status_code=204)
    def remove_token(at: Writing, name: str) -> None:
        admins.remove_token(at.desk, at.tenant, name)

    return router


router = APIRouter()
router.include_router(_routes("/tenants/{tenant}", at, "_"))
router.include_router(_routes("/system", system, "_system_"))
