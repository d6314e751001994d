"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from blfd.core.directory import Forwarding
from blfd.operations import extensions, renumbering
from blfd.operations.desk import Row
from blfd.store import NewExtension, Outcome
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.files import CsvFile, Update, csv_body, lines_of
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent, changing

router = APIRouter(prefix="/tenants/{tenant}", tags=["Extensions"])

Reach = Annotated[
    Literal["on", "off", "groups", "default"],
    Field(description="Whose calls it may pick up; `default`: as the tenant says."),
]
Pickable = Annotated[
    Literal["on", "off", "default"], Field(description="Whether others may pick up its calls.")
]
Owner = Annotated[
    Literal["local", "published", "upstream", "default"],
    Field(
        description="Who knows its state: blfd, who publishes it, an upstream, or `default`: what else holds."
    ),
]
Target = Annotated[str, Field(description="The extension where calls go; empty for nowhere.")]
Csv = Annotated[bytes, csv_body(extensions.COLUMNS)]


class Extension(BaseModel):
    """An account. With `withhold`, its number is not shown outside; `dnd` is do not disturb;
    `forward_no_answer` holds after `forward_after` seconds."""

    extension: str
    tenant: str
    name: str
    pickup: Reach
    pickable: Pickable
    owner: Owner
    publish: Literal["on", "off"]
    withhold: Literal["on", "off"]
    dnd: bool
    forward_always: Target
    forward_busy: Target
    forward_no_answer: Target
    forward_after: int
    forward_unregistered: Target


class NewExtensionBody(Sent):
    """An account to add; its password is not shown again."""

    extension: str
    password: str
    name: str = ""
    pickup: Reach = "default"
    pickable: Pickable = "default"
    owner: Owner = "default"
    publish: Literal["on", "off"] = "off"
    withhold: Literal["on", "off"] = "off"
    dnd: bool = False
    forward_always: Target = ""
    forward_busy: Target = ""
    forward_no_answer: Target = ""
    forward_after: int = Forwarding().after
    forward_unregistered: Target = ""


@changing(Extension, "extension", "tenant")
class ExtensionChange(Sent):
    """What is left out stays."""

    password: str | None = None


class NewNumber(Sent):
    """Another number. The `password` is needed, though it may be the same: its hash is made of the number,
    too."""

    extension: str
    password: str


class Renumbered(BaseModel):
    """`notes` say what has changed along with it, and what has not; `devices` are phones with other files
    now, and `told` is how many registered ones were told to fetch them."""

    extension: Extension
    notes: list[str]
    devices: list[str]
    told: int


class ImportRow(BaseModel):
    """What would become of a row of the file; nothing, where there is a problem."""

    extension: str
    name: str
    outcome: Outcome | None
    problem: str


class Imported(BaseModel):
    """How many rows of the file were added, changed something, or were there already."""

    added: int
    changed: int
    unchanged: int


@router.get("/extensions")
def list_extensions(
    at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[Extension]:
    return cut(Extension, extensions.all(at.desk, at.tenant), "extension", limit, after, search)


@router.post("/extensions", status_code=201, response_model=Extension, responses=MADE)
def add_extension(at: Writing, response: Response, new: NewExtensionBody) -> Row:
    rules = {name: getattr(new, name) for name in extensions.FORWARDING}
    wanted = NewExtension(**{**new.model_dump(), **extensions.rules_as_text(rules)})
    return tagged(response, extensions.add(at.desk, at.tenant, wanted))


@router.post("/imports/extensions", status_code=201)
def import_extensions(at: Writing, file: Csv, update: Update = False) -> Imported:
    """All or none."""
    new = extensions.read(at.desk, at.tenant, lines_of(file, extensions.COLUMNS), update)
    return Imported(**extensions.put_many(at.desk, at.tenant, new, update)._asdict())


@router.post("/imports/extensions/preview")
def preview_extension_import(at: Writing, file: Csv, update: Update = False) -> list[ImportRow]:
    """What an import would do; nothing is changed."""
    new = extensions.read(at.desk, at.tenant, lines_of(file, extensions.COLUMNS), update)
    return [
        ImportRow(extension=each.extension, name=each.name, outcome=outcome, problem=problem)
        for each, outcome, problem in extensions.preview(at.desk, at.tenant, new, update)
    ]


@router.get("/exports/extensions", response_class=CsvFile)
def export_extensions(at: Reading) -> CsvFile:
    """A file that an import takes. It has no passwords, as they are not kept, and an update leaves them."""
    return CsvFile(extensions.export(at.desk, at.tenant))


@router.get("/extensions/{extension}", response_model=Extension, responses=TAGGED)
def get_extension(at: Reading, response: Response, extension: str) -> Row:
    return tagged(response, extensions.get(at.desk, at.tenant, extension))


@router.patch("/extensions/{extension}", response_model=Extension, responses=TAGGED)
def change_extension(
    at: Writing, response: Response, extension: str, change: ExtensionChange, expected: Expected
) -> Row:
    fields = change.model_dump()
    forwarding = {name: fields.pop(name) for name in extensions.FORWARDING}
    changed = extensions.change(
        at.desk, at.tenant, extension, **fields, forwarding=forwarding, expected=expected
    )
    return tagged(response, changed)


@router.post("/extensions/{extension}/renumber", response_model=Renumbered, responses=TAGGED)
def renumber_extension(
    at: Writing, response: Response, extension: str, new: NewNumber, expected: Expected
) -> Row:
    """Whatever names the extension names the new number then; its phones are unregistered, its watchers
    told."""
    done = renumbering.renumber(at.desk, at.tenant, extension, new.extension, new.password, expected=expected)
    return {**done._asdict(), "extension": tagged(response, done.row)}


@router.delete("/extensions/{extension}", status_code=204)
def remove_extension(at: Writing, extension: str, expected: Expected) -> None:
    """Its phones are unregistered, its watchers told."""
    extensions.remove(at.desk, at.tenant, extension, expected)
