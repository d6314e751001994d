"""The feed of changes: several tenants at once, slow readers, and a server that goes and comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, cast

import pytest

from blfd.control import ControlClient, NotRunning
from blfd.web import feed as module
from blfd.web.feed import BEHIND, Event, Feed, Watched

DEADLINE = 30.0


class Server:
    """A stand-in for the control socket; `changes` is what it answers next, and None if no server runs."""

    def __init__(self) -> None:
        self.number = 0
        self.changes: list[dict[str, Any]] | None = []

    def call(self, name: str, **arguments: Any) -> Any:
        if self.changes is None:
            raise NotRunning("gone")
        if name == "lamps" and "extensions" in arguments:
            return [lamp(arguments["tenant"], "idle", extension) for extension in arguments["extensions"]]
        if name == "lamps" and "calls" in arguments:
            return [busy("1"), busy("2"), busy("3")]
        if name == "lamps":
            return [lamp(arguments["tenant"], "idle")]
        if arguments.get("since") == "now":
            return {"server": "s", "number": self.number, "all": False, "lamps": [], "pickups": []}
        if "since" not in arguments:
            both = [lamp(tenant, "idle") for tenant in ("acme", "zoo")]
            return {"server": "s", "number": self.number, "all": True, "lamps": both, "pickups": []}
        self.number += 1
        found, self.changes = self.changes, []
        return {"server": "s", "number": self.number, "all": False, "lamps": found, "pickups": []}


def lamp(tenant: str, shows: str, extension: str = "1") -> dict[str, Any]:
    return {"tenant": tenant, "extension": extension, "lamp": shows, "dialogs": []}


def busy(extension: str) -> dict[str, Any]:
    return {**lamp("acme", "talking", extension), "dialogs": [{"lamp": "talking"}]}


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
        acme, zoo = feed.follow(Watched("acme")), feed.follow(Watched("zoo"))
        assert (await until(acme, "lamps")).rows == [lamp("acme", "idle")]
        assert (await until(zoo, "lamps")).rows == [lamp("zoo", "idle")]
        server.changes = [lamp("zoo", "ringing"), lamp("acme", "talking")]
        assert (await until(zoo, "lamp")).rows == [lamp("zoo", "ringing")]
        assert (await until(acme, "lamp")).rows == [lamp("acme", "talking")]
        await acme.aclose()
        server.changes = [lamp("zoo", "idle")]
        assert (await until(zoo, "lamp")).rows == [lamp("zoo", "idle")]
        await zoo.aclose()

    run(steps)


@pytest.mark.parametrize(
    ("watched", "first", "later"),
    [
        (Watched("acme", frozenset("1")), ["1"], ["1"]),
        (Watched("acme", frozenset("1"), None), ["1", "2", "3"], ["1", "2", "3", "4"]),
        (Watched("acme", frozenset("1"), frozenset("24")), ["1", "2"], ["1", "2", "4"]),
        (Watched("acme", frozenset(), None), ["1", "2", "3"], ["1", "2", "3", "4"]),
        (Watched("zoo", frozenset("8")), ["8"], None),
    ],
)
def test_a_page_is_told_its_own_and_calls(
    watched: Watched, first: list[str], later: list[str] | None
) -> None:
    """A page shows some hundreds of 20,000 extensions, and those that have a call."""

    async def steps(feed: Feed, server: Server) -> None:
        events = feed.follow(watched)
        assert [row["extension"] for row in (await until(events, "lamps")).rows] == first
        server.changes = [lamp("acme", "idle", extension) for extension in "1234"]
        if later is None:
            server.changes.append(lamp("zoo", "idle", "8"))
        told = [row["extension"] for row in (await until(events, "lamp")).rows]
        assert told == (later or ["8"]), "also that a call is over"
        await events.aclose()

    run(steps)


def test_a_server_that_is_gone_is_said_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHOUT_SERVER", 0.01)

    async def steps(feed: Feed, server: Server) -> None:
        events = feed.follow(Watched("acme"))
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
        events = feed.follow(Watched("acme"))
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
        slow, quick = feed.follow(Watched("acme")), feed.follow(Watched("zoo"))
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
        events = feed.follow(Watched("acme"))
        await until(events, "down")
        await until(events, "beat")
        await events.aclose()

    run(steps)


def test_who_comes_at_once_shares_an_answer_that_is_asked_for_after_it_came() -> None:
    """As after a restart; who came while the server was asked for others may miss what changed meanwhile."""

    async def steps(feed: Feed, server: Server) -> None:
        asked, may_answer, answer = list[str](), threading.Event(), server.call

        def call(name: str, **arguments: Any) -> Any:
            if name == "lamps":
                asked.append(arguments["tenant"])
                may_answer.wait(DEADLINE)
            return answer(name, **arguments)

        server.call = call  # type: ignore[method-assign]
        first = asyncio.create_task(until(feed.follow(Watched("acme")), "lamps"))
        while not asked:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(until(feed.follow(Watched("acme")), "lamps")) for _ in range(20)]
        while len(feed._readers) < 21:
            await asyncio.sleep(0.001)
        may_answer.set()
        told = await asyncio.gather(*later)
        assert len(asked) == 2
        assert (await first).rows == told[0].rows
        assert len({id(event) for event in told}) == 1

    run(steps)
