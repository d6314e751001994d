"""Looks for the usual faults of an installation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from blfd.config import Config
from blfd.control import ControlClient, ControlError, NotRunning, socket_path
from blfd.core.directory import Directory
from blfd.doctor.configured import certificates, of_lines, phones_settings
from blfd.doctor.finding import Finding
from blfd.doctor.machine import addresses, clock, database, port, receive_buffer
from blfd.doctor.running import phones, publishers, server, trunks, upstreams
from blfd.store import Store, StoreError

__all__ = ["Finding", "examine", "examine_running"]


def examine(config: Config, tenant: str) -> list[Finding]:
    """All findings, the installation's first, then the running server's, with the phones of `tenant`."""
    findings = [database(config.database, tenant), clock(), receive_buffer()]
    findings += [*phones_settings(config.database, tenant), *certificates(config)]
    directory = Directory()
    with contextlib.suppress(StoreError):
        directory = Store(config.database).lines()
        findings += of_lines(directory, tenant)
    client = ControlClient(socket_path(config.database))
    try:
        status = client.call("status")
    except (NotRunning, ControlError) as error:
        what = f"no server runs on {config.database}"
        findings.append(Finding("warning", what, "start one with 'blfd run'"))
        if isinstance(error, NotRunning):
            findings += [port(listen) for listen in config.listen]
        return [*findings, *addresses([str(listen) for listen in config.listen])]
    return [*findings, *server(status), *_of_tenant(client, tenant, directory)]


def examine_running(store: Store, client: ControlClient) -> Iterator[Finding]:
    """What concerns the running server, and the phones of all tenants."""
    yield from (clock(), receive_buffer())
    try:
        status = client.call("status")
    except (NotRunning, ControlError):
        yield Finding("fault", "no SIP server answers", "start one with 'blfd run'")
        return
    yield from server(status)
    directory = store.lines()
    for tenant in directory.tenants:
        for finding in (*_of_tenant(client, tenant, directory), *of_lines(directory, tenant)):
            yield finding._replace(what=f"{tenant}: {finding.what}")


def _of_tenant(client: ControlClient, tenant: str, directory: Directory) -> Iterator[Finding]:
    """What the running server knows of a tenant's phones, and of others that have to do with it."""
    yield from phones(client, tenant)
    yield from trunks(client, tenant, directory)
    yield from upstreams(client, tenant)
    yield from publishers(client, tenant)
