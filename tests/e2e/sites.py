"""Running servers on loopback, with extensions, and the phones that talk to them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from certificates import self_signed
from forked import Forked
from ports import free_port
from shaper import Shaper
from sockets import HAS_IPV6
from wire import Agent

from blfd.control import ControlClient, socket_path
from blfd.demo.simulation import PATIENCE, Missing, PhoneProcess, ServerProcess
from blfd.store import NewExtension, Store

EXTENSIONS = [str(number) for number in range(101, 113)]
SALES = ("102", "103", "104")
LOSSY, SEED = "lossy", 3261
PATIENCE_OF_LOSSY = 40.0  # seconds: timers B and F are 32 s
LINES = 60  # lines of a log that are shown where a test has failed
LISTEN = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"]

if HAS_IPV6:
    LISTEN += ["udp:[::1]:0", "tcp:[::1]:0", "tls:[::1]:0"]
UDP6, TCP6, TLS6 = ("udp6", "tcp6", "tls6") if HAS_IPV6 else ("udp", "tcp", "tls")
"""Over IPv6, where the machine has it."""
NETWORKS = tuple(dict.fromkeys(("udp", "tcp", "tls", UDP6, TCP6, TLS6)))


def password(extension: str) -> str:
    return f"secret-{extension}"


_password = password


class Site:
    """A running server with extensions 101 to 112, of which SALES are a group, and phones that talk to it."""

    running: ClassVar[list[Site]] = []
    forked: ClassVar[Forked]
    """Runs the commands of all."""

    def __init__(self, folder: Path, *options: str, config: str = "") -> None:
        self.folder, self.options = folder, options
        if "certificate" not in config and "--certificate" not in options:
            self.options += self_signed(folder, "site").options()
        self.database = folder / "blfd.db"
        store = Store(self.database)
        store.extensions.add("default", [NewExtension(e, password(e), f"Name {e}") for e in EXTENSIONS])
        store.groups.add("default", "sales", SALES, SALES)
        store.tenants.add("acme.example")
        store.extensions.add("acme.example", [NewExtension("101", "acme", "Acme 101")])
        self.config = folder / "blfd.toml" if config else None
        if self.config:
            self.config.write_text(config)
        self.listen = LISTEN
        self.agents: list[Agent] = []
        self.phones: list[PhoneProcess] = []
        self.shaper: Shaper | None = None
        self.start()
        Site.running.append(self)

    def start(self) -> None:
        """Start the server, at ports that nobody gets by chance while it is down."""
        listen = [
            f"{address[:-1]}{free_port()}" if address.endswith(":0") else address for address in self.listen
        ]
        self.server = ServerProcess(self.database, listen, *self.options, config=self.config)
        self.listen = self.server.addresses  # a restart uses the same ports

    def kill(self, *, at_once: bool = False) -> None:
        """End the server by kill -9, once all that was sent to it is on disk, or `at_once`."""
        if not at_once:
            self.wait_saved()
        self.server.process.kill()
        self.server.stop()

    def agent(self, user: str = "101", transport: str = "udp") -> Agent:
        """A raw SIP agent; `transport` is one that `ServerProcess.address` takes."""
        agent = Agent(self.server.address(transport), user, password(user), transport.rstrip("6"))
        self.agents.append(agent)
        return agent

    def registered(self, user: str, transport: str = "udp") -> Agent:
        agent = self.agent(user, transport)
        assert agent.register().status == 200
        agent.is_registered = True
        return agent

    def reach(self, network: str) -> tuple[str, str]:
        """The server's address for phones, and their transport; LOSSY is UDP through a shaper."""
        if network != LOSSY:
            return self.server.address(network), network.rstrip("6")
        self.shaper = self.shaper or Shaper(self.server.address(), SEED)
        return self.shaper.address, "udp"

    def phone(
        self, user: str, *more: str, watch: str = "", transport: str = "udp", password: str = ""
    ) -> PhoneProcess:
        """A PJSUA2 phone that has registered; `more` are options of its own."""
        patience = PATIENCE_OF_LOSSY if transport == LOSSY else PATIENCE
        address, transport = self.reach(transport)
        phone = PhoneProcess(
            address,
            user,
            password or _password(user),
            folder=self.folder,
            watch=watch,
            transport=transport,
            more=more,
            patience=patience,
        )
        self.phones.append(phone)
        phone.wait("registered")
        return phone

    def wait_watched(self, extension: str) -> None:
        """Wait until somebody watches the lamp of an extension and has confirmed what it shows."""
        self._wait_row("watchers", resource=extension, state="told")

    def wait_registered(self, extension: str) -> None:
        self._wait_row("registrations", extension=extension)

    def wait_idle(self, extension: str) -> None:
        """Wait until an extension has no call."""
        self._wait_row("lamps", extension=extension, dialogs=[])

    def wait_lamp(self, extension: str, lamp: str) -> None:
        self._wait_row("lamps", extension=extension, lamp=lamp)

    def wait_trunk(self, name: str, **values: object) -> None:
        self._wait_row("trunks", name=name, **values)

    def wait_upstream(self, name: str, **values: object) -> None:
        self._wait_row("upstreams", name=name, **values)

    def wait_watch(self, extension: str, **values: object) -> None:
        """Wait until our subscription to an extension's lamp at its upstream has these values."""
        self._wait_row("upstream lamps", extension=extension, **values)

    def wait_log(self, text: str) -> None:
        """Wait until the log has a line with `text`."""
        self.wait(lambda: text in self.server.log.read_text(), self.server.log.read_text)

    def wait_no_call(self) -> None:
        """Wait until there is no call, and no leg of one."""

        def is_none() -> bool:
            status = self.ask("status")
            return not status["calls"] and not status["legs"]

        self.wait(is_none, lambda: self.ask("calls"))

    def rows(self, table: str) -> int:
        """How many rows a table of the database has."""
        connection = sqlite3.connect(self.database)
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()

    def wait_rows(self, table: str, count: int) -> None:
        """Wait until a table has so many rows on disk."""
        self.wait(lambda: self.rows(table) == count, lambda: f"{self.rows(table)} {table}")

    def wait_saved(self) -> None:
        """Wait until the server has taken what was sent by UDP, and has it on disk."""
        for network, _, address in (at.partition(":") for at in self.server.addresses):
            if network == "udp":
                last = Agent(address)
                last.request("OPTIONS", "101")  # OPTIONS is answered after what was sent before
                last.close()
        self.wait(lambda: not self.ask("status")["unsaved"], lambda: self.ask("status"))

    def wait(self, condition: Callable[[], object], shown: Callable[[], object]) -> None:
        """Wait until the condition is true; if it stays false, the error tells what is `shown`."""
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, shown()
            time.sleep(0.02)

    def account(self) -> str:
        """What server and phones have seen last, for people to read."""
        lines = self.server.log.read_text(errors="replace").splitlines()[-LINES:]
        for phone in self.phones:
            phone.patience = 0.0
            with contextlib.suppress(Missing):
                phone.wait("what it never reports")  # this has the phone report what nobody has waited for
            lines += [f"phone {phone.user}: {event}" for event in phone.events[-8:]]
        return "\n".join(line[:300] for line in lines)

    def memory(self) -> float:
        """The server's proportional set size in MiB."""
        text = Path(f"/proc/{self.server.process.pid}/smaps_rollup").read_text()
        return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.M)[0]) / 1024

    def ask(self, call: str) -> Any:
        """The answer to a call over the control socket, as the CLI makes it."""
        return ControlClient(socket_path(self.database)).call(call, tenant="default")

    def _wait_row(self, call: str, **values: object) -> None:
        def is_there() -> bool:
            return any(values.items() <= row.items() for row in self.ask(call))

        self.wait(is_there, lambda: f"no {values} in the {call}: {self.ask(call)}")

    def cli(self, *arguments: str) -> str:
        """Run a command on the database, and return what it prints."""
        done = self.forked.run(("--db", str(self.database), *arguments), self.folder, os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shown(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.cli(*arguments, "--json"))

    def forget(self) -> None:
        for agent in self.agents:
            if agent.is_registered:
                if agent.transport != "udp":
                    agent.unsubscribe()
                agent.register(expires=0)
            agent.close()
        for phone in self.phones:
            phone.quit()
        for phone in self.phones:
            phone.stop()
        if self.shaper:
            self._forget_shaper(self.shaper)
        self.agents.clear()
        self.phones.clear()

    def _forget_shaper(self, shaper: Shaper) -> None:
        """Close a shaper, and unregister the phones behind it, as what they sent last may be lost."""
        shaper.close()
        self.shaper = None
        for phone in self.phones:
            agent = Agent(self.server.address(), phone.user, password(phone.user))
            assert (
                agent.request("REGISTER", phone.user, f"sip:{agent.server}", Contact="*", Expires="0").status
                == 200
            )
            agent.close()

    def stop(self) -> None:
        """Stop the server: SIGTERM has to end it with code 0, and its log may show no failure of ours."""
        Site.running.remove(self)
        self.forget()
        code = self.server.stop()
        log = self.server.log.read_text()
        assert code == 0, log
        assert "Traceback" not in log, log
        assert " ERROR " not in log, log


class Listening:
    """A phone, or a carrier at a `host` of its own, that connects from one port and listens at another.

    Messages that the server sends to the other port are received there.
    """

    def __init__(self, site: Site, user: str, host: str = "127.0.0.1") -> None:
        self.site, self.user, self.host = site, user, host
        self.socket = socket.create_server((host, 0))
        self.port = self.socket.getsockname()[1]
        self.contact = f"<sip:{user}@{host}:{self.port};transport=tcp>"

    def connect(self) -> Agent:
        agent = Agent(self.site.server.address("tcp"), self.user, password(self.user), "tcp", host=self.host)
        self.site.agents.append(agent)
        return agent

    def accept(self) -> Agent:
        """Accept the connection that the server makes, and return it as an agent."""
        self.socket.settimeout(PATIENCE)
        agent = self.connect()
        agent.socket.close()
        agent.socket, _ = self.socket.accept()
        return agent

    def close(self) -> None:
        self.socket.close()

    def again(self) -> None:
        """Listen again at the same port."""
        self.socket = socket.create_server((self.host, self.port))
