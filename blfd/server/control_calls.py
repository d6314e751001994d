"""What the running server answers to control calls."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from blfd import __version__
from blfd.core import lines, phones_seen, report
from blfd.core.alterations import altered, sharing
from blfd.core.core import Core
from blfd.core.inputs import DirectoryChanged, Input, SyncWanted
from blfd.core.publications import report as of_publications
from blfd.core.settings import Settings
from blfd.core.trunks import report as of_trunks
from blfd.core.upstreams import report as of_upstreams
from blfd.core.values import DEFAULT_TENANT, Aor
from blfd.devices.values import Place
from blfd.pjsip.calls import Calls
from blfd.server.supervisor import restarts
from blfd.server.thread_work import Work
from blfd.sip.stack import Stack
from blfd.store import Store
from blfd.store.writer import StoreWriter
from blfd.transport.addresses import ListenAddress

SLICE = 200  # rows: a millisecond of the SIP thread
PHONES = 100  # rows that have all that a phone watches: likewise


class ControlCalls:
    """The calls of the control socket. `ask` is called on any thread, and reads the core on the SIP thread.

    `listening`, `place` and `urls` say where the server is reached; whoever makes it sets the latter two.
    `now` is the time that the core goes by.
    """

    def __init__(
        self,
        core: Core,
        stack: Stack,
        calls: Calls,
        store: Store,
        work: Work,
        emit: Callable[[Input], None],
        settings: Settings,
        listening: list[ListenAddress],
        place: Place,
        writer: StoreWriter,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._core, self._stack, self._store, self._work, self._emit = core, stack, store, work, emit
        self._writer, self._now = writer, now
        self._calls = calls
        self._settings, self._listening = settings, listening
        self.place, self.urls = place, dict[str, str]()
        self.pickups: Counter[tuple[str, int]] = Counter()  # how many there were, by way and status
        self._started = time.monotonic()
        self._reloading = threading.Lock()
        self._identity = secrets.token_hex(8)  # numbers of changes are of one process
        self._queries: dict[str, Callable[[str], Any]] = {
            "status": lambda tenant: self._status(),
            "registrations": lambda tenant: report.registrations(core, tenant, now()),
            "lamps": lambda tenant: report.lamps(core, now(), report.extensions_of(core, tenant)),
            "watchers": lambda tenant: report.watchers(core, tenant, now()),
            "calls": lambda tenant: report.calls(core, tenant, now()),
            "publications": lambda tenant: of_publications.publications(core, tenant, now()),
            "refused publishers": lambda tenant: of_publications.refused_publishers(core, tenant, now()),
            "trunks": lambda tenant: of_trunks.trunks(core, tenant, now()),
            "upstreams": lambda tenant: of_upstreams.upstreams(core, tenant, now()),
            "upstream lamps": lambda tenant: of_upstreams.upstream_lamps(core, tenant, now()),
            "unknown": lambda tenant: report.unknown(core, tenant),
            "metrics": lambda tenant: self._metrics(),
            "limits": lambda tenant: self._limits(),
            "place": lambda tenant: asdict(self.place),
        }

    def ask(self, name: str, arguments: dict[str, Any]) -> Any:
        """The answer to a call. Raises ValueError for one that does not exist, or cannot be answered."""
        do = self._do
        tenant = arguments.get("tenant") or DEFAULT_TENANT
        match name:
            case "reload":
                return self._reload()
            case "explain":
                aor = Aor(tenant, str(arguments.get("extension")))
                return do(lambda: self._explain(aor))
            case "changes":
                same = arguments.get("server") == self._identity
                since = int(arguments["since"]) if same else None
                return do(lambda: self._changes(since, from_now=arguments.get("since") == "now"))
            case "sync":
                aors = [Aor(tenant, str(extension)) for extension in arguments["extensions"]]
                wanted = (SyncWanted(aor, str(arguments["event"])) for aor in aors)
                return sum(do(lambda: map(self._synchronize, wanted)))
            case "lamps" if "calls" in arguments:
                return do(lambda: report.lamps(self._core, self._now(), self._core.dialogs.busy(tenant)))
            case "lamps" | "registrations" if "extensions" in arguments:
                aors = [Aor(tenant, str(extension)) for extension in arguments["extensions"]]
                of = report.lamps if name == "lamps" else report.registrations_of
                return do(lambda: of(self._core, self._now(), aors))
            case "phones":
                return self._phones(tenant, arguments.get("extensions"))
        query = self._queries.get(name)
        if query is None:
            known = ", ".join([*self._queries, "changes", "explain", "phones", "reload", "sync"])
            raise ValueError(f"no call {name!r}; there are {known}")
        return do(lambda: query(tenant))

    def _reload(self) -> dict[str, int]:
        """Read the directory anew, one at a time, or what was read first could be told last."""
        with self._reloading:
            before = self._core.directory  # nobody else changes it; the slow work is done here
            directory = sharing(before, self._store.directory())
            changed = DirectoryChanged(directory, altered(before, directory))
            self._do(lambda: self._emit(changed))
        return {"extensions": len(directory.extensions), "tenants": len(directory.tenants)}

    def _do(self, act: Callable[[], Any], most: int = SLICE) -> Any:
        """What `act` returns on the SIP thread; rows come `most` at a time, so that SIP does not wait."""
        found = self._work.do(act)
        if isinstance(found, Iterator):
            return self._all(found, most)
        if isinstance(found, dict):
            return {
                name: self._all(value, most) if isinstance(value, Iterator) else value
                for name, value in found.items()
            }
        return found

    def _all(self, rows: Iterator[Any], most: int) -> list[Any]:
        found = list[Any]()
        while True:
            part = self._work.do(lambda: list(islice(rows, most)))
            found += part
            if len(part) < most:
                return found

    def _phones(self, tenant: str, extensions: list[Any] | None) -> dict[str, Any]:
        """What the phones of these extensions have done, or of all of the tenant."""
        core = self._core
        some = None if extensions is None else [Aor(tenant, str(extension)) for extension in extensions]

        def registered() -> Iterator[Any]:
            aors = core.registrar.registered_in(tenant) if some is None else some
            return phones_seen.registered(core, aors, self._now())

        def watching() -> Iterator[Any]:
            aors = core.notifier.subscriptions.watchers(tenant) if some is None else some
            return phones_seen.watching(core, aors)

        return phones_seen.told(self._do(registered), self._do(watching, PHONES))

    def _explain(self, aor: Aor) -> dict[str, Any]:
        if lines.is_line(aor.extension):
            found = lines.explain(self._core, aor.tenant, aor.extension, time.time())
            if found is None:
                raise ValueError(f"the running server knows no {aor}: restart it")
            return found
        if aor not in self._core.directory.extensions:
            raise ValueError(f"the running server knows no extension {aor}: restart it")
        return report.explain(self._core, aor, self._now())

    def _changes(self, since: int | None, from_now: bool) -> dict[str, Any]:
        """What has changed since; `from_now`: nothing but what to ask with the next time."""
        since = self._core.changes.number if from_now else since
        return {"server": self._identity, **report.changes(self._core, since, self._now())}

    def _synchronize(self, wanted: SyncWanted) -> int:
        """Have an extension's phones fetch their files: how many are told."""
        self._emit(wanted)
        return len(self._core.registrar.reachable(wanted.aor, self._now()))

    def _status(self) -> dict[str, Any]:
        stack = self._stack
        notifies = stack.client.clients
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime": round(time.monotonic() - self._started),
            "restarts": restarts(),
            "listen": [str(address) for address in self._listening],
            "serves": [f"{name}: {url}" for name, url in self.urls.items()],
            **report.totals(self._core, self._now()),
            "legs": len(self._calls.legs),
            "waiting": stack.admission.waiting,
            "strangers_ignored": self._core.strangers.ignored,
            "sent_away": stack.admission.sent_away + self._core.senders.sent_away,
            "connections": len(stack.network.connections),
            "dropped": stack.network.drops(),
            "silent": self._core.notifier.silent,
            "overdue": self._core.watchdog.overdue,
            "stuck": report.stuck(self._core, self._now()),
            "notifies": {
                "sent": notifies.sent,
                "responded": notifies.responded,
                "retransmitted": notifies.retransmitted,
                "failed": notifies.failed,
            },
            "requests": stack.counters.requests,
            "malformed": stack.counters.malformed,
            "without_response": stack.without_response,
            "undelivered": stack.undelivered,
            "unsaved": self._writer.unsaved,
            "given_to_pjsip": self._calls.given,
        }

    def _limits(self) -> dict[str, int]:
        """How much one extension or tenant may have."""
        settings = asdict(self._settings)
        return {k: v for k, v in settings.items() if k.startswith(("max_", "tenant_", "extension_"))}

    def _metrics(self) -> dict[str, Any]:
        """What Prometheus is told, beyond the status."""
        return {
            **self._status(),
            "phases": report.phases(self._core),
            "pickups": [[way, status, count] for (way, status), count in self.pickups.items()],
            "latency": self._stack.client.notifies.latency(),
        }
