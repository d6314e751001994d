"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, Field

from blfd.operations import extensions, table
from blfd.operations.desk import Row
from blfd.store import NewExtension
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut

router = APIRouter(prefix="/tenants/{tenant}", tags=["Extensions"])

Reach = Annotated[
    Literal["on", "off", "groups", "default"],
    Field(description="Whose calls it may pick up; `default`: as the tenant says."),
]
Pickable = Annotated[
    Literal["on", "off", "default"], Field(description="Whether others may pick up its calls.")
]
Csv = Annotated[
    bytes, Body(media_type="text/csv", description="UTF-8 with the header extension,password,name.")
]


class Extension(BaseModel):
    extension: str
    tenant: str
    name: str
    pickup: Reach
    pickable: Pickable


class NewExtensionBody(BaseModel):
    """An account to add; its password is not shown again."""

    extension: str
    password: str
    name: str = ""
    pickup: Reach = "default"
    pickable: Pickable = "default"


class ExtensionChange(BaseModel):
    """What is left out stays."""

    name: str | None = None
    password: str | None = None
    pickup: Reach | None = None
    pickable: Pickable | None = None


class ImportRow(BaseModel):
    """`problem` is empty where the row would be added."""

    extension: str
    name: str
    problem: str


class Imported(BaseModel):
    added: int


@router.get("/extensions")
def list_extensions(at: Reading, limit: Limit = 100, after: Cursor = None) -> Page[Extension]:
    return cut(Extension, extensions.all(at.desk, at.tenant), "extension", limit, after)


@router.post("/extensions", status_code=201, response_model=Extension, responses=MADE)
def add_extension(at: Writing, response: Response, new: NewExtensionBody) -> Row:
    wanted = NewExtension(new.extension, new.password, new.name)
    row = extensions.add(at.desk, at.tenant, wanted, pickup=new.pickup, pickable=new.pickable)
    return tagged(response, row)


@router.post("/imports/extensions", status_code=201)
def import_extensions(at: Writing, file: Csv) -> Imported:
    """All or none."""
    rows = table.read(file, "the file", extensions.COLUMNS)
    return Imported(added=extensions.add_many(at.desk, at.tenant, extensions.read(rows)))


@router.post("/imports/extensions/preview")
def preview_extension_import(at: Writing, file: Csv) -> list[ImportRow]:
    """What an import would do; nothing is changed."""
    rows = table.read(file, "the file", extensions.COLUMNS)
    found = extensions.preview(at.desk, at.tenant, extensions.read(rows))
    return [ImportRow(extension=e.new.extension, name=e.new.name, problem=e.problem) for e in found]


@router.get("/extensions/{extension}", response_model=Extension, responses=TAGGED)
def get_extension(at: Reading, response: Response, extension: str) -> Row:
    return tagged(response, extensions.get(at.desk, at.tenant, extension))


@router.patch("/extensions/{extension}", response_model=Extension, responses=TAGGED)
def change_extension(
    at: Writing, response: Response, extension: str, change: ExtensionChange, expected: Expected
) -> Row:
    changed = extensions.change(at.desk, at.tenant, extension, **change.model_dump(), expected=expected)
    return tagged(response, changed)


@router.delete("/extensions/{extension}", status_code=204)
def remove_extension(at: Writing, extension: str, expected: Expected) -> None:
    """Its phones are unregistered, its watchers told."""
    extensions.remove(at.desk, at.tenant, extension, expected)
