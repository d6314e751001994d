"""The open database, and what an administrator has set in it of one moment."""

from __future__ import annotations

import json
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from blfd.core.directory import Directory, Owner
from blfd.core.trunk import split
from blfd.store import rows
from blfd.store.admins import Admins
from blfd.store.audit import Audit
from blfd.store.devices import Devices
from blfd.store.extensions import AMONG, Extensions
from blfd.store.groups import Groups
from blfd.store.opening import Connections
from blfd.store.overrides import Overrides
from blfd.store.records import Records
from blfd.store.sqlite_records import SqliteRecords
from blfd.store.tenants import Tenants
from blfd.store.trunks import Trunks
from blfd.store.upstreams import Upstreams

if TYPE_CHECKING:
    from sqlite_utils.db import Database


class Store:
    """The open database. Opening creates it, or brings it to the newest version. Raises StoreError.

    Every change is all or nothing; `records` is what the server keeps by itself, `devices` are the phones
    that are provisioned, `overrides` what a site sets for them, `admins` who may use the portal and the API,
    `audit` who has changed what, `trunks` the lines to the outside, `upstreams` PBXs whose lamps are shown.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connections = Connections(path)
        self.records: Records = SqliteRecords(self._connections)
        self.devices = Devices(self._connections)
        self.overrides = Overrides(self._connections)
        self.admins = Admins(self._connections)
        self.audit = Audit(self._connections)
        self.trunks = Trunks(self._connections)
        self.tenants = Tenants(self._connections)
        self.extensions = Extensions(self._connections, self.tenants, self.trunks)
        self.groups = Groups(self._connections, self.tenants, self.extensions)
        self.upstreams = Upstreams(self._connections)

    def writing(self) -> AbstractContextManager[Database]:
        """One transaction around several changes. Raises StoreError."""
        return self._connections.writing()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Several reads of one moment, whatever others write meanwhile. Raises StoreError."""
        return self._connections.of_one_moment()

    def directory(self) -> Directory:
        """All that is configured, of one moment."""
        with self._connections.of_one_moment() as connection:
            tenants = {row["domain"]: rows.tenant(row) for row in rows.all_of(connection, "tenants")}
            of_devices = self.devices.ha1s({domain: tenant.realm for domain, tenant in tenants.items()})
            extensions = [
                rows.extension(row, of_devices.get((row["tenant"], row["extension"]), ()))
                for row in rows.all_of(connection, "extensions")
            ]
            groups = rows.groups(rows.all_of(connection, "groups"), rows.all_of(connection, "group_members"))
            trunks, routes = self.trunks.read(connection)
            upstreams = self.upstreams.read(connection)
        return Directory(tenants, {e.aor: e for e in extensions}, groups, trunks, routes, upstreams)

    def lines(self) -> Directory:
        """Tenants, trunks, routes and upstreams of one moment, with the extensions that trunks name and those
        whose lamps an upstream should have; without groups, other extensions and passwords of devices.
        """
        with self._connections.of_one_moment() as connection:
            tenants = {row["domain"]: rows.tenant(row) for row in rows.all_of(connection, "tenants")}
            trunks, routes = self.trunks.read(connection)
            upstreams = self.upstreams.read(connection)
            named = {
                name
                for trunk in trunks
                for name in (trunk.username, trunk.default, *(split(did)[1] for did in trunk.dids))
            }
            of_upstreams = [domain for domain, tenant in tenants.items() if tenant.owner is Owner.UPSTREAM]
            where = (
                f"{AMONG} OR owner = ? OR owner IS NULL AND tenant IN (SELECT value FROM json_each(?))",
                (json.dumps([*named]), Owner.UPSTREAM.value, json.dumps(of_upstreams)),
            )
            found = [rows.extension(row) for row in rows.all_of(connection, "extensions", *where)]
        return Directory(tenants, {e.aor: e for e in found}, (), trunks, routes, upstreams)
