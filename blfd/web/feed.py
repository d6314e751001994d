"""Lamps and pickups of tenants as they change, for everybody who follows them.

While anybody does, one task asks the server ten times a second for all readers, so one more of them costs the
SIP thread nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from blfd.control import ControlClient, ControlError, NotRunning

log = logging.getLogger("blfd.web")

EVERY = 0.1  # seconds between two questions to the server
BEAT = 15.0  # seconds between signs of life
WITHOUT_SERVER = 2.0  # seconds until it is asked again
BEHIND = 100  # events that a slow reader may be behind
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """What a reader is told; `kind` is "lamps" (all that are watched, `rows` as `blfd lamps --json`), "lamp"
    (one that changed), "pickup" (an attempt, as of `blfd pickups --json`), "down" (no server answers) or
    "beat" (all is well). One that many are told is written once for each set of what they may see, and kept
    in `texts`."""

    kind: str
    rows: list[Row]
    texts: dict[bool, str] = field(default_factory=dict)


class Watched(NamedTuple):
    """Whose lamps a reader is told: these `extensions` of a tenant, or all with None.

    Beside them, a reader is told of those of `calls` that have a call; of all that have one, with None.
    """

    tenant: str
    extensions: frozenset[str] | None = None
    calls: frozenset[str] | None = frozenset()

    def of(self, rows: list[Row], *, news: bool) -> list[Row]:
        """Those of the tenant's rows that a reader is told; with `news`, also those whose calls have
        ended."""
        known = self.extensions
        if known is None:
            return rows
        return [row for row in rows if row["extension"] in known or self._guest(row, news)]

    def _guest(self, row: Row, news: bool) -> bool:
        return (news or bool(row["dialogs"])) and (self.calls is None or row["extension"] in self.calls)


END = Event("end", [])


class Feed:
    """What the process asks the server, for all readers; used on its event loop alone."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._readers: dict[asyncio.Queue[Event], Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()  # what changes from now on is told
        self._position: Row = {}  # what to ask with: empty for everything
        self._asked: dict[str, asyncio.Task[Event]] = {}  # all lamps of a tenant, once it is its turn
        self._turn = asyncio.Lock()

    async def follow(self, watched: Watched) -> AsyncGenerator[Event, None]:
        """Events: first all lamps that are watched (or "down"), then what changes.

        They end when the feed is closed, and for a reader that is too slow, which has to begin again.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue(BEHIND)
        self._readers[queue] = (
            watched  # before all lamps are asked for: what changes meanwhile comes after them
        )
        if self._task is None:
            self._position = {"since": "now"}
            self._begun.clear()
            self._task = asyncio.create_task(self._run())
        try:
            await self._begun.wait()
            event = await self._everything(watched)
            while event is not END:
                yield event
                event = await queue.get()
        finally:
            del self._readers[queue]
            if not self._readers and self._task:
                self._task.cancel()
                self._task = None

    def close(self) -> None:
        """End the events of whoever follows."""
        self._tell_all(END)

    async def _everything(self, watched: Watched) -> Event:
        tenant, extensions, calls = watched
        if extensions is None:
            return await self._all(tenant)
        ask = partial(run_in_threadpool, self._client.call, "lamps", tenant=tenant)
        try:
            found = await ask(extensions=sorted(extensions)) if extensions else []
            others = await ask(calls=True) if calls is None or calls else []
        except (NotRunning, ControlError):
            return Event("down", [])
        guests = (row for row in others if row["extension"] not in extensions)
        return Event("lamps", watched.of([*found, *guests], news=False))

    async def _all(self, tenant: str) -> Event:
        """All lamps of a tenant, no older than this call. Who waits at the same time shares one answer, as
        many come at once after a restart."""
        asked = self._asked.get(tenant)
        if asked is None:
            asked = self._asked[tenant] = asyncio.create_task(self._ask_all(tenant))
        return await asyncio.shield(asked)

    async def _ask_all(self, tenant: str) -> Event:
        async with self._turn:
            del self._asked[tenant]  # who comes from here on needs a newer answer
            try:
                return Event("lamps", await run_in_threadpool(self._client.call, "lamps", tenant=tenant))
            except (NotRunning, ControlError):
                return Event("down", [])

    async def _run(self) -> None:
        beat_at = time.monotonic() + BEAT
        while True:
            try:
                found = await run_in_threadpool(self._client.call, "changes", **self._position)
                self._tell(found)
                self._position, pause = {"server": found["server"], "since": found["number"]}, EVERY
            except Exception as error:
                if not isinstance(error, NotRunning | ControlError):
                    log.exception("lamp boards: what changes cannot be told; all is asked anew")
                self._position, pause = {}, WITHOUT_SERVER
                self._tell_all(Event("down", []))
            self._begun.set()
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + BEAT
                self._tell_all(Event("beat", []))
            await asyncio.sleep(pause)

    def _tell_all(self, event: Event) -> None:
        for queue in self._readers:
            _put(queue, event)

    def _tell(self, found: Row) -> None:
        lamps = _by_tenant(found["lamps"])
        pickups = _by_tenant(found["pickups"])
        for queue, watched in self._readers.items():
            rows = watched.of(lamps.get(watched.tenant, []), news=not found["all"])
            if found["all"]:
                _put(queue, Event("lamps", rows))
            elif rows:
                _put(queue, Event("lamp", rows))
            if watched.tenant in pickups:
                _put(queue, Event("pickup", pickups[watched.tenant]))


def _put(queue: asyncio.Queue[Event], event: Event) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        event = END
    queue.put_nowait(event)


def _by_tenant(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["tenant"], []).append(row)
    return found
