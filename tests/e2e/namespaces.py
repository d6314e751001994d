"""Network namespaces of Linux: a server, and phones that are each on a network of their own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from baresip import Baresip
from programs import program
from sites import Site, password
from wire import Agent

CLONE_NEWNET = 0x40000000
MARK = f"blfd{os.getpid()}"
SERVER = f"{MARK}server"
LISTEN = ["udp:[::]:5060", "tcp:[::]:5060", "tls:[::]:5061"]
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Put this thread into a namespace; sockets and processes that it makes meanwhile stay there."""
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{namespace}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Networks:
    """A network for each phone, fd0b:1fd:0:N::/64, where the server is ::1 and the phone is ::2."""

    def __init__(self, users: tuple[str, ...]) -> None:
        self.prefixes = {user: f"fd0b:1fd:0:{number:x}::" for number, user in enumerate(users, 1)}

    def __enter__(self) -> Networks:
        lines = [f"netns add {name}" for name in self._names()]
        lines += [f"-n {name} link set lo up" for name in self._names()]
        for user, prefix in self.prefixes.items():
            phone = MARK + user
            lines.append(f"-n {SERVER} link add to{user} type veth peer name eth0 netns {phone}")
            for name, device, last in ((SERVER, f"to{user}", 1), (phone, "eth0", 2)):
                lines.append(f"-n {name} link set {device} addrgenmode none")  # so it has no other address
                lines.append(f"-n {name} address add {prefix}{last}/64 dev {device} nodad")
                lines.append(f"-n {name} address add {of_link(user, last)}/64 dev {device} nodad")
                lines.append(f"-n {name} link set {device} up")
        try:
            for line in lines:
                ip(*line.split())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names():
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)

    def _names(self) -> list[str]:
        return [SERVER, *(MARK + user for user in self.prefixes)]


def of_link(user: str, last: int) -> str:
    """An address that is known only on this phone's link."""
    return f"fe80::{user}:{last}"


def ip(*words: str) -> None:
    subprocess.run([program("ip"), *words], check=True, capture_output=True)


def check() -> None:
    """Skip the test where no namespace can be made."""
    name = f"{MARK}try"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        ip("-n", name, "link", "add", "x0", "type", "veth", "peer", "name", "x1")
        ip("-n", name, "address", "add", "fd0b:1fd::1/64", "dev", "x0", "nodad")
        with inside(name):
            pass
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"no network can be made in a namespace here: {getattr(error, 'stderr', error)!r}")
    finally:
        ip("netns", "delete", name)


class FarSite(Site):
    """A site on the networks of all its phones, with another address on each."""

    def __init__(self, folder: Path, networks: Networks, config: str = "") -> None:
        self._networks = networks
        super().__init__(folder, config=config)

    def start(self) -> None:
        self.listen = LISTEN
        with inside(SERVER):
            super().start()

    def wait_saved(self) -> None:
        with inside(SERVER):
            super().wait_saved()

    def agent(self, user: str = "101", transport: str = "udp") -> Agent:
        server, host = self._ends(user, transport)
        with inside(MARK + user):
            agent = Agent(server, user, password(user), transport, host=host)
        self.agents.append(agent)
        return agent

    def neighbour(self, user: str, transport: str) -> Agent:
        """A phone that has no address but its link's, which it writes without a zone, as no URI has one."""
        server, port = of_link(user, 1), 5061 if transport == "tls" else 5060
        with inside(MARK + user):
            zone, host = socket.if_nametoindex("eth0"), of_link(user, 2)
            agent = Agent(f"[{server}]:{port}", user, password(user), transport, host=host, zone=zone)
        self.agents.append(agent)
        return agent

    def baresip(self, user: str, transport: str) -> Baresip:
        server, host = self._ends(user, transport)
        with inside(MARK + user):
            phone = Baresip(self.folder, user, server, transport, host)
        self.wait_registered(user)
        return phone

    def _ends(self, user: str, transport: str) -> tuple[str, str]:
        """The server's address as a phone sees it, and the phone's own."""
        prefix = self._networks.prefixes[user]
        return f"[{prefix}1]:{5061 if transport == 'tls' else 5060}", f"{prefix}2"
