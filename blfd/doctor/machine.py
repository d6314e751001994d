"""What the machine gives a server: disk, clock, buffers, ports and addresses."""

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

from blfd.core import hosts
from blfd.core.advice import command
from blfd.core.values import TRANSPORTS
from blfd.doctor.finding import Finding
from blfd.store import Store, StoreError
from blfd.transport.addresses import ListenAddress, advice, new_socket

GOOD_RECEIVE_BUFFER = 4 << 20
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
SANE_CLOCK = 1_700_000_000  # November 2023: an older clock has not been set
LOW_DISK = 100 << 20
IF_INET6 = Path("/proc/net/if_inet6")
SIOCGIFADDR = 0x8915  # an interface's IPv4 address (netdevice(7))


def database(path: Path, tenant: str) -> Finding:
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
        add = command(tenant, "extension", "add")
        return Finding("warning", "no extension exists", f"add one with {add}")
    return Finding("ok", f"database {path}: {count} extensions")


def clock() -> Finding:
    if time.time() < SANE_CLOCK:
        return Finding("fault", f"the clock says {time.ctime()}", "set it: expiries and nonces depend on it")
    return Finding("ok", "the clock is set")


def receive_buffer() -> Finding:
    try:
        size = int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        return Finding("warning", "the socket buffer limit cannot be read")
    if size < GOOD_RECEIVE_BUFFER:
        advice = f"run as root, or: sysctl -w net.core.rmem_max={GOOD_RECEIVE_BUFFER}"
        return Finding("warning", f"socket buffers are limited to {size} octets: storms lose packets", advice)
    return Finding("ok", "socket buffers are large enough")


def port(listen: ListenAddress) -> Finding:
    kind = socket.SOCK_STREAM if TRANSPORTS[listen.transport].connected else socket.SOCK_DGRAM
    try:
        with new_socket(listen.host, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
    except OSError as error:
        return Finding("fault", f"{listen} cannot be used: {error.strerror}", advice(error))
    return Finding("ok", f"{listen} is free")


def addresses(listening: list[str]) -> Iterator[Finding]:
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
