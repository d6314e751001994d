"""Looks for the usual faults of an installation."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blfd.config import Config, Listen
from blfd.control import ControlClient, ControlError, NotRunning, socket_path
from blfd.core.values import DEFAULT_TENANT
from blfd.store import Store, StoreError

GOOD_RECEIVE_BUFFER = 4 << 20
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
SANE_CLOCK = 1_700_000_000  # November 2023: an older clock has not been set
LOW_DISK = 100 << 20


class Finding(NamedTuple):
    """`state` is ok, warning or fault; `advice` is empty where all is well."""

    state: str
    what: str
    advice: str = ""


def examine(config: Config) -> list[Finding]:
    """All findings, the installation's first, then the running server's."""
    findings = [_database(config.database), _clock(), _receive_buffer()]
    try:
        ControlClient(socket_path(config.database)).call("status")
    except (NotRunning, ControlError) as error:
        what = f"no server runs on {config.database}"
        findings.append(Finding("warning", what, "start one with 'blfd run'"))
        if isinstance(error, NotRunning):
            findings += [_port(listen) for listen in config.listen]
        return [*findings, *_addresses([str(listen) for listen in config.listen])]
    return [*findings, *_running(ControlClient(socket_path(config.database)))]


def _database(path: Path) -> Finding:
    folder = path.resolve().parent
    if not folder.is_dir():
        return Finding("fault", f"{folder} is no folder", "make it, or choose another file with --db")
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK:
        return Finding("fault", f"{free >> 20} MB of disk are free at {path}", "free some")
    if not path.exists():
        return Finding("warning", f"database {path} does not exist yet", "the first command makes it")
    try:
        directory = Store(path).directory()
    except StoreError as error:
        return Finding("fault", "the database cannot be used", str(error))
    count = len(directory.extensions)
    if not count:
        return Finding("warning", "no extension exists", "add one with 'blfd extension add'")
    return Finding("ok", f"database {path}: {count} extensions")


def _clock() -> Finding:
    if time.time() < SANE_CLOCK:
        return Finding("fault", f"the clock says {time.ctime()}", "set it: expiries and nonces depend on it")
    return Finding("ok", "the clock is set")


def _receive_buffer() -> Finding:
    try:
        size = int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        return Finding("warning", "the socket buffer limit cannot be read")
    if size < GOOD_RECEIVE_BUFFER:
        advice = f"run as root, or: sysctl -w net.core.rmem_max={GOOD_RECEIVE_BUFFER}"
        return Finding("warning", f"socket buffers are limited to {size} octets: storms lose packets", advice)
    return Finding("ok", "socket buffers are large enough")


def _port(listen: Listen) -> Finding:
    kind = socket.SOCK_DGRAM if listen.transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            advice = "stop what uses it, or choose another with --listen"
            return Finding("fault", f"{listen} cannot be used: {error.strerror}", advice)
    return Finding("ok", f"{listen} is free")


def _addresses(listening: list[str]) -> Iterator[Finding]:
    hosts = {address.split(":")[1] for address in listening}
    if all(host.startswith("127.") for host in hosts):
        advice = "phones need one of this machine's addresses: --listen udp:0.0.0.0:5060"
        yield Finding("warning", "the server listens on loopback only", advice)


def _running(client: ControlClient) -> Iterator[Finding]:
    status = client.call("status")
    yield Finding("ok", f"server {status['version']} runs on {', '.join(status['listen'])}")
    yield from _addresses(status["listen"])
    registrations = client.call("registrations", tenant=DEFAULT_TENANT)
    watchers = client.call("watchers", tenant=DEFAULT_TENANT)
    yield from _unsubscribed(registrations, watchers)


def _unsubscribed(registrations: list[dict[str, Any]], watchers: list[dict[str, Any]]) -> Iterator[Finding]:
    watching = {row["watcher"] for row in watchers}
    for extension in sorted({row["extension"] for row in registrations} - watching):
        what = f"{extension} is registered and watches no lamp"
        yield Finding("warning", what, "give its phone BLF keys, if it should have lamps")
