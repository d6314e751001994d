"""The phones that are provisioned: whose they are, what their keys show, when they came for their files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from blfd.core.advice import command
from blfd.store import rows
from blfd.store.opening import Connections, Exists
from blfd.store.secrets import of_phone

# For each first digit the shortest, then the next longer one: each a look into the index of that name.
_SHAPES = """
    WITH RECURSIVE
        digits(first) AS (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9')),
        shapes(first, length) AS (
            SELECT first, 0 FROM digits
            UNION ALL
            SELECT first, (
                SELECT min(length(extension)) FROM extensions
                WHERE tenant = :tenant AND substr(extension, 1, 1) = shapes.first
                    AND length(extension) > shapes.length AND extension NOT GLOB '*[^0-9]*'
            ) FROM shapes WHERE length IS NOT NULL
        )
    SELECT first, length FROM shapes WHERE length > 0 ORDER BY first, length
"""


class Fetch(NamedTuple):
    """When a phone last came for its own file, from where, and what it said it was."""

    at: float
    address: str
    user_agent: str


class DeviceRow(NamedTuple):
    """A phone. `keys` are as `provisioning.parse_keys` reads them, or `team`, or `team:GROUP`; `modules` is
    how many stand beside it.

    `password` is its SIP password, of no other phone; `secret` is in the address from which it fetches;
    `admin_password` and `user_password` are those of its web page.
    """

    mac: str
    tenant: str
    model: str
    extensions: tuple[str, ...]
    keys: str = ""
    transport: str = "udp"
    modules: int = 0
    password: str = ""
    secret: str = ""
    admin_password: str = ""
    user_password: str = ""
    fetch: Fetch | None = None

    def told(self, other: DeviceRow) -> DeviceRow:
        """The same phone, with what an administrator says of `other`."""
        return self._replace(**{name: getattr(other, name) for name in ("extensions", *SAID)})


_STORED = (
    "mac, tenant, model, keys, transport, modules, password, secret, admin_password, user_password, "
    "fetched_at, fetched_from, fetched_by"
)
SAID = ("model", "transport", "keys", "modules")
Settings = Iterable[tuple[DeviceRow, str, str]]  # of one device alone, by name


class Devices:
    """Rows of devices. What they mean is checked by `blfd.devices.files`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def all(self, tenant: str) -> list[DeviceRow]:
        """A tenant's phones, sorted by address."""
        return self._where("tenant = ?", tenant)

    def with_any(self, tenant: str, extensions: Iterable[str]) -> list[DeviceRow]:
        """The phones that have one of these extensions."""
        those = "SELECT value FROM json_each(?)"
        of = f"SELECT mac FROM device_extensions WHERE tenant = ? AND extension IN ({those})"
        return self._where(f"mac IN ({of})", tenant, json.dumps([*extensions]))

    def get(self, mac: str) -> DeviceRow | None:
        """The phone of that address, of whatever tenant: an address is one phone's."""
        return next(iter(self._where("mac = ?", mac)), None)

    def by_secret(self, secret: str) -> DeviceRow | None:
        return next(iter(self._where("secret = ?", secret)), None)

    def _where(self, condition: str, *values: str) -> list[DeviceRow]:
        with self._connections.of_one_moment() as connection:
            found = connection.execute(
                f"SELECT {_STORED} FROM devices WHERE {condition} ORDER BY mac", values
            ).fetchall()
            lines = connection.execute(
                f"SELECT mac, extension FROM device_extensions JOIN devices USING (mac) "
                f"WHERE devices.{condition} ORDER BY mac, position",
                values,
            )
            extensions: dict[str, list[str]] = {}
            for mac, extension in lines:
                extensions.setdefault(mac, []).append(extension)
        return [_device(row, extensions.get(row[0], [])) for row in found]

    def everywhere(self) -> list[DeviceRow]:
        """The phones of all tenants."""
        return self._where("mac <> ?", "")

    def add(self, new: Iterable[DeviceRow], settings: Settings) -> None:
        """Add all phones or none, each with secrets of its own. Raises Exists for one that exists."""
        devices = list(new)
        with self._connections.writing() as db:
            macs = json.dumps([device.mac for device in devices])
            for row in db.query(
                "SELECT mac, tenant FROM devices WHERE mac IN (SELECT value FROM json_each(?))", [macs]
            ):
                advice = f"{command(row['tenant'], 'device', 'set', row['mac'])} changes it"
                raise Exists(f"device {row['mac']} exists already", advice)
            db.table("devices").insert_all({**_columns(device), **of_phone()} for device in devices)
            self._put_extensions(devices)
            self._put_settings(settings)

    def replace(self, device: DeviceRow, settings: Settings) -> None:
        """Change what an administrator says of a phone; its secrets, last fetch and other settings stay."""
        columns = {name: getattr(device, name) for name in SAID}
        with self._connections.writing():
            self._connections.db.table("devices").update(device.mac, columns)
            self._connections.db.table("device_extensions").delete_where("mac = ?", [device.mac])
            self._put_extensions([device])
            self._put_settings(settings)

    def _put_extensions(self, devices: Iterable[DeviceRow]) -> None:
        self._connections.db.table("device_extensions").insert_all(
            {"mac": device.mac, "position": number, "tenant": device.tenant, "extension": extension}
            for device in devices
            for number, extension in enumerate(device.extensions)
        )

    def _put_settings(self, settings: Settings) -> None:
        self._connections.db.table("device_settings").insert_all(
            (
                {"tenant": device.tenant, "scope": device.mac, "name": name, "value": value}
                for device, name, value in settings
            ),
            replace=True,
        )

    def renew(self, mac: str) -> None:
        """Give a phone other passwords and another secret, as if it had never fetched."""
        never = {"fetched_at": None, "fetched_from": "", "fetched_by": ""}
        with self._connections.writing():
            self._connections.db.table("devices").update(mac, {**of_phone(), **never})

    def remove(self, mac: str) -> None:
        """Remove a phone with what was set for it alone."""
        with self._connections.writing():
            self._connections.db.table("devices").delete(mac)
            self._connections.db.table("device_settings").delete_where("scope = ?", [mac])

    def fetched(self, mac: str, fetch: Fetch) -> None:
        """Keep when a phone came; nothing is kept of one that has been removed since."""
        columns = "fetched_at = ?, fetched_from = ?, fetched_by = ?"
        with self._connections.writing():
            self._connections.connection.execute(f"UPDATE devices SET {columns} WHERE mac = ?", (*fetch, mac))

    # What one phone's files need of its tenant, which may have thousands of extensions

    def names(self, tenant: str, extensions: Iterable[str]) -> dict[str, str]:
        """The names of those of these extensions that exist."""
        return self._names("extension IN (SELECT value FROM json_each(?))", tenant, json.dumps([*extensions]))

    def first_names(self, tenant: str, most: int) -> dict[str, str]:
        """The names of the first `most` extensions."""
        return self._names("true ORDER BY extension LIMIT ?", tenant, most)

    def targets(self, tenant: str, group: str) -> list[str]:
        """The targets of a group; none if there is no such group."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT extension FROM group_members WHERE tenant = ? AND name = ? AND is_picked",
                [tenant, group],
            )
            return [extension for (extension,) in found]

    def shapes(self, tenant: str) -> list[tuple[str, int]]:
        """The first digit and length of a tenant's extensions that a keypad can dial, each once."""
        with self._connections.reported():
            return self._connections.connection.execute(_SHAPES, {"tenant": tenant}).fetchall()

    def _names(self, condition: str, tenant: str, value: str | int) -> dict[str, str]:
        with self._connections.reported():
            found = self._connections.connection.execute(
                f"SELECT extension, name FROM extensions WHERE tenant = ? AND {condition}", [tenant, value]
            )
            return dict(found.fetchall())

    def ha1s(self, realms: dict[str, str]) -> dict[tuple[str, str], tuple[dict[str, str], ...]]:
        """For each tenant and extension, the HA1s of its phones; `realms` are those of the tenants."""
        found: dict[tuple[str, str], tuple[dict[str, str], ...]] = {}
        lines = self._connections.connection.execute(
            "SELECT e.tenant, e.extension, d.password FROM device_extensions e JOIN devices d USING (mac)"
        )
        for tenant, extension, password in lines:
            ha1 = rows.by_algorithm(rows.ha1(extension, realms[tenant], password))
            found[tenant, extension] = (*found.get((tenant, extension), ()), ha1)
        return found


def _device(row: tuple[Any, ...], extensions: list[str]) -> DeviceRow:
    """A phone of the columns that are `_STORED`."""
    fetch = Fetch(*row[10:]) if row[10] else None
    return DeviceRow._make((*row[:3], tuple(extensions), *row[3:10], fetch))


def _columns(device: DeviceRow) -> dict[str, Any]:
    names = ("mac", "tenant", *SAID)
    return {name: getattr(device, name) for name in names}
