"""The feed of changes: several tenants at once, slow readers, a server that goes and comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, cast

import pytest

from blfd.control import ControlClient, NotRunning
from blfd.web import feed as module
from blfd.web.feed import BEHIND, Event, Feed

DEADLINE = 5.0


class Server:
    """Answers as the control socket does; `changes` is what it says next, None: it does not answer."""

    def __init__(self) -> None:
        self.number = 0
        self.changes: list[dict[str, Any]] | None = []

    def call(self, name: str, **arguments: Any) -> Any:
        if self.changes is None:
            raise NotRunning("gone")
        if name == "lamps":
            return [lamp(arguments["tenant"], "idle")]
        if "since" not in arguments:
            both = [lamp(tenant, "idle") for tenant in ("acme", "zoo")]
            return {"server": "s", "number": self.number, "all": True, "lamps": both, "pickups": []}
        self.number += 1
        found, self.changes = self.changes, []
        return {"server": "s", "number": self.number, "all": False, "lamps": found, "pickups": []}


def lamp(tenant: str, shows: str) -> dict[str, Any]:
    return {"tenant": tenant, "extension": "1", "lamp": shows, "dialogs": []}


def run(steps: Callable[[Feed, Server], Coroutine[Any, Any, None]]) -> None:
    server = Server()
    feed = Feed(cast(ControlClient, server))
    asyncio.run(asyncio.wait_for(steps(feed, server), DEADLINE))


async def until(events: AsyncGenerator[Event, None], kind: str) -> Event:
    async for event in events:
        if event.kind == kind:
            return event
    raise AssertionError(f"it ended without {kind!r}")


def test_each_tenant_gets_its_own() -> None:
    async def steps(feed: Feed, server: Server) -> None:
        acme, zoo = feed.follow("acme"), feed.follow("zoo")
        assert (await until(acme, "lamps")).rows == [lamp("acme", "idle")]
        assert (await until(zoo, "lamps")).rows == [lamp("zoo", "idle")]
        await until(acme, "lamps")  # of the first question, which is for everything
        server.changes = [lamp("zoo", "ringing"), lamp("acme", "talking")]
        assert (await until(zoo, "lamp")).rows == [lamp("zoo", "ringing")]
        assert (await until(acme, "lamp")).rows == [lamp("acme", "talking")]
        await acme.aclose()
        server.changes = [lamp("zoo", "idle")]
        assert (await until(zoo, "lamp")).rows == [lamp("zoo", "idle")]
        await zoo.aclose()

    run(steps)


def test_a_server_that_is_gone_is_said_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHOUT_SERVER", 0.01)

    async def steps(feed: Feed, server: Server) -> None:
        events = feed.follow("acme")
        await until(events, "lamps")
        server.changes = None
        assert (await until(events, "down")).rows == []
        server.changes = []
        assert (await until(events, "lamps")).rows == [lamp("acme", "idle")], "everything anew"
        await events.aclose()

    run(steps)


def test_what_goes_wrong_does_not_stop_the_boards(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WITHOUT_SERVER", 0.01)

    async def steps(feed: Feed, server: Server) -> None:
        events = feed.follow("acme")
        await until(events, "lamps")
        server.changes = [{"no": "tenant"}]
        await until(events, "down")
        assert (await until(events, "lamps")).rows == [lamp("acme", "idle")]
        await events.aclose()

    run(steps)
    assert "all is asked anew" in caplog.text


def test_who_reads_too_slowly_has_to_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)

    async def steps(feed: Feed, server: Server) -> None:
        slow, quick = feed.follow("acme"), feed.follow("zoo")
        await until(slow, "lamps")
        await until(quick, "lamps")
        for _ in range(BEHIND + 2):
            server.changes = [lamp("acme", "ringing"), lamp("zoo", "ringing")]
            await until(quick, "lamp")
        rest = [event async for event in slow]
        assert len(rest) < BEHIND
        server.changes = [lamp("zoo", "idle")]
        assert (await until(quick, "lamp")).rows == [lamp("zoo", "idle")], "others go on"
        await quick.aclose()

    run(steps)


def test_signs_of_life_also_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHOUT_SERVER", 0.01)
    monkeypatch.setattr(module, "BEAT", 0.02)

    async def steps(feed: Feed, server: Server) -> None:
        server.changes = None
        events = feed.follow("acme")
        await until(events, "down")
        await until(events, "beat")
        await events.aclose()

    run(steps)
