"""Looks for the usual faults of an installation."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blfd.config import Config
from blfd.control import ControlClient, ControlError, NotRunning, socket_path
from blfd.core import hosts
from blfd.core.directory import Directory, Owner
from blfd.core.trunks.faults import faults as faults_of_trunks
from blfd.core.trunks.outgoing import route_of
from blfd.core.trunks.remote import check_sources
from blfd.core.upstreams.upstream import clash
from blfd.core.values import TRANSPORTS
from blfd.store import Store, StoreError
from blfd.transport.addresses import ListenAddress, new_socket
from blfd.transport.certificate import CertificateError, load
from blfd.transport.certificate_faults import faults

GOOD_RECEIVE_BUFFER = 4 << 20
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
SANE_CLOCK = 1_700_000_000  # November 2023: an older clock has not been set
LOW_DISK = 100 << 20
IF_INET6 = Path("/proc/net/if_inet6")
SIOCGIFADDR = 0x8915  # an interface's IPv4 address (netdevice(7))


class Finding(NamedTuple):
    """What was found; `state` is ok, warning or fault; `advice` is empty where all is well."""

    state: str
    what: str
    advice: str = ""


PUBLISHING = {
    401: "trust it (blfd run --trust), or give it an account (blfd extension set NAME --publish on)",
    403: "'blfd extension set NAME --owner published' takes it, '--publish on' lets an account publish all",
    489: "only 'Event: dialog' is published here",
}
"""What is to be done about a publisher that is refused."""


def examine(config: Config, tenant: str) -> list[Finding]:
    """All findings, the installation's first, then the running server's, with the phones of `tenant`."""
    findings = [_database(config.database, tenant), _clock(), _receive_buffer()]
    findings += [*_phones_settings(config.database, tenant), *_certificates(config)]
    directory = Directory()
    with contextlib.suppress(StoreError):
        directory = Store(config.database).lines()
        findings += _of_lines(directory, tenant)
    try:
        ControlClient(socket_path(config.database)).call("status")
    except (NotRunning, ControlError) as error:
        what = f"no server runs on {config.database}"
        findings.append(Finding("warning", what, "start one with 'blfd run'"))
        if isinstance(error, NotRunning):
            findings += [_port(listen) for listen in config.listen]
        return [*findings, *_addresses([str(listen) for listen in config.listen])]
    return [*findings, *_running(ControlClient(socket_path(config.database)), tenant, directory)]


def examine_running(store: Store, client: ControlClient) -> Iterator[Finding]:
    """What concerns the running server, and the phones of all tenants."""
    yield from (_clock(), _receive_buffer())
    try:
        status = client.call("status")
    except (NotRunning, ControlError):
        yield Finding("fault", "no SIP server answers", "start one with 'blfd run'")
        return
    yield from _server(status)
    directory = store.lines()
    for tenant in directory.tenants:
        of_others = (
            *_trunks(client, tenant, directory),
            *_upstreams(client, tenant),
            *_publishers(client, tenant),
        )
        found = (
            *_phones(client, tenant),
            *of_others,
            *_of_lines(directory, tenant),
        )
        for finding in found:
            yield finding._replace(what=f"{tenant}: {finding.what}")


def _database(path: Path, tenant: str) -> Finding:
    folder = path.resolve().parent
    if not folder.is_dir():
        return Finding("fault", f"{folder} is no folder", "make it, or choose another file with --db")
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK:
        return Finding("fault", f"{free >> 20} MB of disk are free at {path}", "free some")
    if not os.path.exists(path):  # unlike Path.exists, it never raises
        return Finding("warning", f"database {path} does not exist yet", "the first command makes it")
    try:
        count = len(Store(path).extensions.all(tenant))
    except StoreError as error:
        return Finding("fault", "the database cannot be used", str(error))
    if not count:
        return Finding("warning", "no extension exists", "add one with 'blfd extension add'")
    return Finding("ok", f"database {path}: {count} extensions")


def _clock() -> Finding:
    if time.time() < SANE_CLOCK:
        return Finding("fault", f"the clock says {time.ctime()}", "set it: expiries and nonces depend on it")
    return Finding("ok", "the clock is set")


def _phones_settings(path: Path, tenant: str) -> Iterator[Finding]:
    """Whether phones that fetch their files from here are told the time of their place, and reach help."""
    if not os.path.exists(path):
        return
    with contextlib.suppress(StoreError):  # which is a finding of its own
        store = Store(path)
        if not store.devices.all(tenant):
            return
        if not store.overrides.has(tenant, "timezone"):
            advice = "blfd provision set '*' timezone Europe/Berlin"
            yield Finding(
                "warning", "phones are not told their time zone: their clocks are their maker's", advice
            )
        yield from _emergency_numbers(store, tenant)


def _emergency_numbers(store: Store, tenant: str) -> Iterator[Finding]:
    """The emergency numbers that phones dial by themselves as such, and that no emergency route has."""
    said = [*store.overrides.all(tenant), *store.overrides.all(None)]
    texts = (value or "" for _, name, value in said if name == "emergency-numbers")
    wanted = sorted({number for text in texts for number in text.split(",") if number})
    routes = store.trunks.routes(tenant)
    for number in wanted:
        found = route_of(routes, tenant, number)
        if found is None or not found.emergency:
            what = f"phones dial {number} as an emergency number, and no emergency route has it"
            advice = f"blfd route add {number} --trunks NAME --emergency on --caller-id NUMBER"
            yield Finding("fault", what, advice)


def _certificates(config: Config) -> Iterator[Finding]:
    """Whether phones will take the certificates: dates, names, chain."""
    tls = config.tls
    for number, files in enumerate(tls.certificates):
        try:
            one = load(files, tls)
        except CertificateError as error:
            yield Finding("fault", f"{error}", "until then it is not served, after a renewal the old one is")
            continue
        found = list(faults(one, "" if number else config.address, tls.ca, time.time()))
        yield from (Finding("warning", *fault) for fault in found)
        if not found:
            yield Finding("ok", f"{one}")
    if tls.oldest < "1.2" and tls.certificates:
        advice = "replace the phones that need it, and leave `oldest` out"
        yield Finding("warning", f"TLS {tls.oldest} is let in", advice)


def _receive_buffer() -> Finding:
    try:
        size = int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        return Finding("warning", "the socket buffer limit cannot be read")
    if size < GOOD_RECEIVE_BUFFER:
        advice = f"run as root, or: sysctl -w net.core.rmem_max={GOOD_RECEIVE_BUFFER}"
        return Finding("warning", f"socket buffers are limited to {size} octets: storms lose packets", advice)
    return Finding("ok", "socket buffers are large enough")


def _port(listen: ListenAddress) -> Finding:
    kind = socket.SOCK_STREAM if TRANSPORTS[listen.transport].connected else socket.SOCK_DGRAM
    try:
        with new_socket(listen.host, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
    except OSError as error:
        advice = "stop what uses it, or choose another with --listen"
        return Finding("fault", f"{listen} cannot be used: {error.strerror}", advice)
    return Finding("ok", f"{listen} is free")


def _addresses(listening: list[str]) -> Iterator[Finding]:
    addresses = [ListenAddress.parse(text) for text in listening]
    if all(one.host.startswith("127.") or one.host == "::1" for one in addresses):
        advice = "phones need one of this machine's addresses: --listen udp:0.0.0.0:5060"
        yield Finding("warning", "the server listens on loopback only", advice)
    elif any(one.everywhere for one in addresses):
        has_ipv6 = any(one.host == hosts.EVERY for one in addresses) and _has_ipv6()
        if not has_ipv6 and not _has_ipv4():
            what = "this machine has no address but loopback where it listens: no phone can reach it"
            yield Finding("fault", what, "connect it to the phones' network")


def _has_ipv6() -> bool:
    """Whether an interface has an IPv6 address for more than its own link."""
    try:
        return any(line.split()[3] == "00" for line in IF_INET6.read_text().splitlines())
    except OSError:  # the system has no IPv6
        return False


def _has_ipv4() -> bool:
    """Whether an interface has an IPv4 address that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                found = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()))
                if found[20] != 127:
                    return True
    return False


def _running(client: ControlClient, tenant: str, directory: Directory) -> Iterator[Finding]:
    yield from _server(client.call("status"))
    yield from _phones(client, tenant)
    yield from _trunks(client, tenant, directory)
    yield from _upstreams(client, tenant)
    yield from _publishers(client, tenant)


def _server(status: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("ok", f"server {status['version']} runs on {', '.join(status['listen'])}")
    yield from _addresses(status["listen"])
    yield from _troubles(status)


def _phones(client: ControlClient, tenant: str) -> Iterator[Finding]:
    for row in client.call("unknown", tenant=tenant):
        what = f"{row['watcher']} has a key for {row['wanted']}, which does not exist"
        yield Finding("warning", what, f"fix the key, or: blfd extension add {row['wanted']}")
    registrations = client.call("registrations", tenant=tenant)
    watching = client.call("watching", tenant=tenant)
    yield from _unsubscribed(registrations, watching)
    yield from _apart(registrations)


def _apart(registrations: list[dict[str, Any]]) -> Iterator[Finding]:
    """Extensions whose phones have come over one address family alone, and those over the other alone."""
    over = {
        is_ipv6: {row["extension"] for row in registrations if ("[" in row["source"]) is is_ipv6}
        for is_ipv6 in (False, True)
    }
    ipv4, ipv6 = over[False] - over[True], over[True] - over[False]
    if ipv4 and ipv6:
        what = f"{_some(ipv4)} registered over IPv4 alone, {_some(ipv6)} over IPv6 alone"
        advice = (
            "calls between them fail (488) unless these phones have both: give them both, or all the same"
        )
        yield Finding("warning", what, advice)


def _trunks(client: ControlClient, tenant: str, directory: Directory) -> Iterator[Finding]:
    """Lines to the outside that do not serve, and why; emergency calls that go by none that does."""
    rows = client.call("trunks", tenant=tenant)
    yield from _emergencies(directory, tenant, rows)
    for row in rows:
        what = f"trunk {row['name']}: {row['state']}"
        if row["usable"]:
            yield Finding("ok", what)
        else:
            advice = f"look at 'blfd trunk show {row['name']}', and ask whose server it is"
            yield Finding("fault", what, advice)


def _upstreams(client: ControlClient, tenant: str) -> Iterator[Finding]:
    """PBXs that do not tell of all their lamps, and why; extensions that none of them knows."""
    for row in client.call("upstreams", tenant=tenant):
        what = f"upstream {row['name']}: {row['state']}"
        if row["usable"]:
            yield Finding("ok", what)
        else:
            advice = f"look at 'blfd upstream show {row['name']}', and ask whose PBX it is"
            yield Finding("fault", what, advice)


def _publishers(client: ControlClient, tenant: str) -> Iterator[Finding]:
    """Servers that publish lamps and are refused, so that these show nothing."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in client.call("refused publishers", tenant=tenant):
        found.setdefault((row["source"], row["status"]), {})[row["extension"]] = row["reason"]
    for (source, status), reasons in found.items():
        why = f"{status} {next(iter(reasons.values()))}"
        what = f"{source} publishes {_some(set(reasons))} and is refused: {why}"
        yield Finding("fault", what, PUBLISHING.get(status, "'blfd publications' shows what is taken"))


def _of_lines(directory: Directory, tenant: str) -> Iterator[Finding]:
    """What is wrong with the trunks, routes and upstreams as they are set."""
    yield from _numbers(directory, tenant)
    yield from _unwatched(directory, tenant)
    yield from _claimed(directory, tenant)


def _unwatched(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Extensions whose lamps an upstream should know, and none does."""
    found = {
        aor.extension
        for aor, extension in directory.extensions.items()
        if aor.tenant == tenant
        and directory.owner(extension) is Owner.UPSTREAM
        and directory.upstream(aor) is None
    }
    if found:
        what = f"{_some(found)}: no upstream has their lamps"
        yield Finding("warning", what, "'blfd upstream set NAME --extensions' names whose lamps it knows")


def _claimed(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Upstreams that claim to know the same extensions, or that anybody could speak for."""
    found_here = (one for one in directory.upstreams if one.tenant == tenant)
    of_tenant = sorted(found_here, key=lambda one: one.name)
    for number, one in enumerate(of_tenant):
        if found := clash(one, of_tenant[number + 1 :]):
            what = f"upstreams {one.name} and {found[1].name} both have {found[0]}: one of them is asked"
            yield Finding("warning", what, "'blfd upstream set NAME --extensions' says which knows it")
        try:
            check_sources(f"upstream {one.name}", one.sources)
        except ValueError as error:
            advice = f"'blfd upstream set {one.name} --source' gives it others"
            yield Finding("fault", f"{error}", advice)


def _numbers(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Numbers from outside that lead nowhere, and an emergency that nobody can tell of."""
    for fault in faults_of_trunks(directory, tenant):
        yield Finding("fault" if fault.breaks else "warning", fault.what, fault.advice)


def _emergencies(directory: Directory, tenant: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Emergency numbers whose trunks are all out of order."""
    usable = {row["name"] for row in rows if row["usable"]}
    for route in directory.routes:
        if route.tenant == tenant and route.emergency and not usable & set(route.trunks):
            what = f"emergency calls to {route.pattern} reach nobody: {', '.join(route.trunks)} out of order"
            yield Finding("fault", what, "mend one of these, or give the route another trunk")


def _some(extensions: set[str]) -> str:
    named = sorted(extensions)
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


def _troubles(status: dict[str, Any]) -> Iterator[Finding]:
    """What the server has counted that should be zero."""
    for key, what, advice in (
        (
            "dropped",
            "datagrams were dropped for want of room",
            "raise net.core.rmem_max, start the server anew",
        ),
        (
            "stuck",
            "calls ring longer than they may: their lamps lie",
            "start the server anew, and report this",
        ),
        (
            "overdue",
            "times something that had to come never did, and its call was ended",
            "the log says which ('given up'); report this",
        ),
        ("restarts", "times the server has died and was started again", "its log says when; report this"),
    ):
        if status[key]:
            yield Finding("warning", f"{status[key]} {what}", advice)


def _unsubscribed(registrations: list[dict[str, Any]], watching: list[dict[str, Any]]) -> Iterator[Finding]:
    silent = {row["extension"] for row in registrations} - {row["watcher"] for row in watching}
    if silent:
        does = "is registered and watches" if len(silent) == 1 else "are registered and watch"
        advice = "give its phone BLF keys, if it should have lamps"
        yield Finding("warning", f"{_some(silent)} {does} no lamp", advice)
