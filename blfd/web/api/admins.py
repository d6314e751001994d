"""Administrators, and tokens for this API; of a tenant, and under /system of the system."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from blfd.operations import admins
from blfd.operations.desk import Row
from blfd.store.admins import Role
from blfd.web.api.access import Place, place
from blfd.web.api.paging import Cursor, Limit, Page, cut

router = APIRouter(tags=["Administrators and tokens"])

Reading = Annotated[Place, Depends(place("read"))]
Writing = Annotated[Place, Depends(place("write"))]
RoleName = Literal["administrator", "attendant", "viewer"]


class Admin(BaseModel):
    """`tenant` is null for who looks after the system."""

    name: str
    tenant: str | None
    role: RoleName


class NewAdmin(BaseModel):
    """Who is of a tenant is called NAME@TENANT."""

    name: str
    password: str
    role: RoleName = "administrator"


class AdminChange(BaseModel):
    """A new password signs them out everywhere."""

    password: str | None = None
    role: RoleName | None = None


class Token(BaseModel):
    name: str
    tenant: str | None
    scopes: list[str]
    used_at: float | None


class NewToken(BaseModel):
    name: str
    scopes: list[str]


class MadeToken(Token):
    """With the token itself, which nobody can show again."""

    token: str


@router.get("/tenants/{tenant}/administrators", operation_id="list_administrators")
@router.get("/system/administrators", operation_id="list_system_administrators")
def list_admins(at: Reading, limit: Limit = 100, after: Cursor = None) -> Page[Admin]:
    return cut(Admin, admins.all(at.desk, at.tenant), "name", limit, after)


@router.post(
    "/tenants/{tenant}/administrators",
    status_code=201,
    response_model=Admin,
    operation_id="add_administrator",
)
@router.post(
    "/system/administrators",
    status_code=201,
    response_model=Admin,
    operation_id="add_system_administrator",
)
def add_admin(at: Writing, new: NewAdmin) -> Row:
    return admins.add(at.desk, new.name, new.password, at.tenant, Role(new.role))


@router.patch(
    "/tenants/{tenant}/administrators/{name}", response_model=Admin, operation_id="change_administrator"
)
@router.patch(
    "/system/administrators/{name}", response_model=Admin, operation_id="change_system_administrator"
)
def change_admin(at: Writing, name: str, change: AdminChange) -> Row:
    admins.get(at.desk, name, at.tenant)
    role = Role(change.role) if change.role else None
    return admins.change(at.desk, name, password=change.password, role=role)


@router.delete(
    "/tenants/{tenant}/administrators/{name}", status_code=204, operation_id="remove_administrator"
)
@router.delete("/system/administrators/{name}", status_code=204, operation_id="remove_system_administrator")
def remove_admin(at: Writing, name: str) -> None:
    admins.get(at.desk, name, at.tenant)
    admins.remove(at.desk, name)


@router.get("/tenants/{tenant}/tokens", operation_id="list_tokens")
@router.get("/system/tokens", operation_id="list_system_tokens")
def list_tokens(at: Reading, limit: Limit = 100, after: Cursor = None) -> Page[Token]:
    rows = sorted(admins.tokens(at.desk, at.tenant), key=lambda row: str(row["name"]))
    return cut(Token, rows, "name", limit, after)


@router.post("/tenants/{tenant}/tokens", status_code=201, operation_id="add_token")
@router.post("/system/tokens", status_code=201, operation_id="add_system_token")
def add_token(at: Writing, new: NewToken) -> MadeToken:
    row, secret = admins.add_token(at.desk, at.tenant, new.name, new.scopes)
    return MadeToken(**row, token=secret)


@router.delete("/tenants/{tenant}/tokens/{name}", status_code=204, operation_id="remove_token")
@router.delete("/system/tokens/{name}", status_code=204, operation_id="remove_system_token")
def remove_token(at: Writing, name: str) -> None:
    admins.remove_token(at.desk, at.tenant, name)
