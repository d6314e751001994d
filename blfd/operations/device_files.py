"""Phones in files: read to be added or changed, written with what is set of them, or with their addresses."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from blfd.devices.values import Wanted
from blfd.operations.desk import Desk, Row
from blfd.operations.devices import bare, put_many, row
from blfd.operations.imports import Counts, counts
from blfd.operations.table import Columns, Line, write
from blfd.store import Outcome, StoreError
from blfd.store.devices import DeviceRow
from provisioning import written_mac

COLUMNS = Columns(("mac", "model", "extensions", "keys", "transport", "modules"), ("mac",))
ADDRESSES = ("mac", "model", "extensions", "url")  # of a file of addresses
NOTHING = DeviceRow("", "", "", ())  # what holds where a file says nothing


def read(desk: Desk, tenant: str, lines: Iterable[Line], update: bool = False) -> Iterator[Wanted]:
    """The phones in the lines of a file with COLUMNS; what an update says nothing of is as it was."""
    known = {device.mac: device for device in desk.phones.all(tenant)} if update else {}
    for where, values in lines:
        mac = values["mac"].strip(" ")
        there = known.get(bare(mac), NOTHING)
        given = {column: value.strip(" ") for column, value in values.items()}
        yield Wanted(
            mac,
            given.get("model", there.model),
            (given["extensions"],) if "extensions" in given else there.extensions,
            given.get("keys", there.keys),
            (given["transport"].lower() or NOTHING.transport) if "transport" in given else there.transport,
            (given["modules"] or NOTHING.modules) if "modules" in given else there.modules,
            where=f"{where}: ",
        )


class Preview(NamedTuple):
    """What an import would do with a row of the file, or the `problem` that keeps it from that."""

    wanted: Wanted
    outcome: Outcome | None
    problem: str


def preview(desk: Desk, tenant: str, wanted: Iterable[Wanted], update: bool = False) -> Iterator[Preview]:
    """What `put_many` would do; nothing is changed."""
    for each, found in desk.phones.check(tenant, wanted, update):
        if isinstance(found, StoreError):
            yield Preview(each, None, found.text)
        else:
            yield Preview(each, found.outcome, "")


class Put(NamedTuple):
    """What an import has done, and the addresses of the file's phones: rows of ADDRESSES."""

    counts: Counts
    addresses: list[Row]


def put(desk: Desk, tenant: str, wanted: Iterable[Wanted], update: bool = False) -> Put:
    """Add the phones of a file, and with `update` change those that exist: all or none.

    Where nothing is to be changed, nothing is done. Raises StoreError with all that is wrong.
    """
    checked = put_many(desk, tenant, wanted, update, "device.import")
    macs = {each.row.mac for each in checked}
    return Put(counts(each.outcome for each in checked), addresses(desk, tenant, macs))


def addresses(desk: Desk, tenant: str, macs: Container[str] | None = None) -> list[Row]:
    """The addresses of phones' files, with their secrets: rows of ADDRESSES, sorted by MAC.

    They are those of `macs`, or of all phones with None; an address is "" where no files are served.
    """
    return [
        {
            "mac": written_mac(device.mac),
            "model": device.model,
            "extensions": list(device.extensions),
            "url": desk.phones.url(device),
        }
        for device in desk.phones.all(tenant)
        if macs is None or device.mac in macs
    ]


def in_file(rows: Iterable[Row], columns: tuple[str, ...]) -> bytes:
    """Rows of phones as a CSV file."""
    return write(columns, ([_cell(each[column]) for column in columns] for each in rows))


def _cell(value: str | int | list[str]) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def export(desk: Desk, tenant: str) -> bytes:
    """A file that `read` reads. What is set for phones alone, and what is secret, is not in it."""
    return in_file(map(row, desk.phones.all(tenant)), COLUMNS.all)
