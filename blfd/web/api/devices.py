"""Provisioned phones. Their files are not here: they hold passwords."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from blfd.devices.values import Wanted
from blfd.operations import device_files, devices
from blfd.operations.desk import Row
from blfd.store import Outcome
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.extensions import Imported
from blfd.web.api.files import CsvFile, Update, csv_body, lines_of
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent, changing

router = APIRouter(prefix="/tenants/{tenant}", tags=["Phones"])

Transport = Literal["udp", "tcp", "tls"]
Modules = Annotated[int, Field(ge=0, le=9)]
Csv = Annotated[bytes, csv_body(device_files.COLUMNS)]


class Device(BaseModel):
    """A phone, as an administrator has set it up."""

    mac: str
    tenant: str
    model: str = Field(description="Such as yealink/t54w.")
    extensions: list[str]
    keys: str = Field(description="102,103=Bob,*98=Group; or team, or team:GROUP.")
    transport: str
    modules: int = Field(description="How many expansion modules stand beside it.")


class DeviceState(Device):
    """A phone, and what it has done; `fetched` is "never" or when it last came for its files.

    `left_out` is how many of its team have no key on it.
    """

    fetched: str
    address: str
    firmware: str
    state: str
    left_out: int


class NewDevice(Sent):
    mac: str
    model: str
    extensions: list[str]
    keys: str = ""
    transport: Transport = "udp"
    modules: Modules = 0


@changing(Device, "mac", "tenant")
class DeviceChange(Sent):
    """What is left out stays."""

    transport: Transport | None = None
    modules: Modules | None = None


class DeviceImportRow(BaseModel):
    """What would become of a row of the file; nothing, where there is a problem."""

    mac: str
    model: str
    extensions: list[str]
    keys: str
    outcome: Outcome | None
    problem: str


class DeviceAddress(BaseModel):
    """The address at which a phone fetches its files, which holds the phone's secret."""

    mac: str
    model: str
    extensions: list[str]
    url: str = Field(description="Empty where no files are served.")


class DevicesImported(Imported):
    devices: list[DeviceAddress]


class Told(BaseModel):
    """How many registered phones were told to fetch their files, and how many devices were meant."""

    told: int
    devices: int


@router.get("/devices")
def list_devices(
    at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[DeviceState]:
    rows = [_renamed(row) for row in devices.all(at.desk, at.tenant)]
    return cut(DeviceState, rows, "mac", limit, after, search)


def _renamed(row: Row) -> dict[str, Any]:
    return {**row, "address": row["from"]}


@router.post("/devices", status_code=201, response_model=Device, responses=MADE)
def add_device(at: Writing, response: Response, new: NewDevice) -> Row:
    wanted = Wanted(new.mac, new.model, tuple(new.extensions), new.keys, new.transport, new.modules)
    return tagged(response, devices.add(at.desk, at.tenant, wanted))


@router.post("/imports/devices", status_code=201)
def import_devices(at: Writing, file: Csv, update: Update = False) -> DevicesImported:
    """All or none."""
    wanted = device_files.read(at.desk, at.tenant, lines_of(file, device_files.COLUMNS), update)
    counts, addresses = device_files.put(at.desk, at.tenant, wanted, update)
    return DevicesImported(**counts._asdict(), devices=[DeviceAddress(**each) for each in addresses])


@router.post("/imports/devices/preview")
def preview_device_import(at: Writing, file: Csv, update: Update = False) -> list[DeviceImportRow]:
    """What an import would do; nothing is changed."""
    wanted = device_files.read(at.desk, at.tenant, lines_of(file, device_files.COLUMNS), update)
    return [
        DeviceImportRow(
            mac=each.mac,
            model=each.model,
            extensions=list(each.extensions),
            keys=each.keys,
            outcome=outcome,
            problem=problem,
        )
        for each, outcome, problem in device_files.preview(at.desk, at.tenant, wanted, update)
    ]


@router.get("/exports/devices", response_class=CsvFile)
def export_devices(at: Reading) -> CsvFile:
    """A file that an import takes, without secrets and without the settings of single phones."""
    return CsvFile(device_files.export(at.desk, at.tenant))


@router.get("/exports/addresses", response_class=CsvFile)
def export_addresses(at: Writing) -> CsvFile:
    """The address of each phone's files, which holds its secret; so only for who may change phones."""
    found = device_files.addresses(at.desk, at.tenant)
    return CsvFile(device_files.in_file(found, device_files.ADDRESSES))


@router.post("/sync")
def sync_all_devices(at: Writing) -> Told:
    """Has all registered phones fetch their files now."""
    told, of = devices.sync(at.desk, at.tenant, None)
    return Told(told=told, devices=of)


@router.get("/devices/{mac}", response_model=Device, responses=TAGGED)
def get_device(at: Reading, response: Response, mac: str) -> Row:
    return tagged(response, devices.get(at.desk, at.tenant, mac))


@router.patch("/devices/{mac}", response_model=Device, responses=TAGGED)
def change_device(at: Writing, response: Response, mac: str, change: DeviceChange, expected: Expected) -> Row:
    changed = devices.change(at.desk, at.tenant, mac, **change.model_dump(), expected=expected)
    return tagged(response, changed)


@router.delete("/devices/{mac}", status_code=204)
def remove_device(at: Writing, mac: str, expected: Expected) -> None:
    devices.remove(at.desk, at.tenant, mac, expected)


@router.post("/devices/{mac}/sync")
def sync_device(at: Writing, mac: str) -> Told:
    """Has the phone fetch its files now, in its maker's form."""
    told, of = devices.sync(at.desk, at.tenant, mac)
    return Told(told=told, devices=of)
