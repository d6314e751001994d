"""The lamp board: what phones do is seen at once by those who may see it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from browser import ADMIN_PASSWORD, Browser, portal_url, program, web_processes, words
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect
from ports import free_port
from sites import Site
from wire import DEADLINE as PATIENCE

BY_GROUP = ["front", "101", "102", "103", "back", "100", "102"]  # headings of a board, and tiles behind each


@pytest.fixture
def site(own_site: Callable[..., Site]) -> Site:
    site = own_site("--web", "http://127.0.0.1:0", config="hang_up_on_stop = true\n")
    for name, tenant, role in (
        ("boss", "default", "administrator"),
        ("reception", "default", "attendant"),
        ("wall", "default", "viewer"),
        ("acme", "acme.example", "administrator"),
    ):
        site.cli("admin", "add", name, "--tenant", tenant, "--role", role, "--password", ADMIN_PASSWORD)
    return site


class Reader:
    """A reader of a stream of events, on a thread of its own."""

    def __init__(self, client: httpx.Client, address: str) -> None:
        self.events: list[tuple[str, list[dict[str, Any]]]] = []
        self.ended = threading.Event()
        self._client, self._address = client, address
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda kind, rows: kind in ("lamps", "down"))

    @classmethod
    def board(cls, url: str, name: str, tenant: str = "default") -> Reader:
        """A reader of a portal's board, signed in by this name."""
        browser = Browser(url)
        browser.sign_in(name)
        return cls(browser.client, f"/t/{tenant}/lamps/events")

    @classmethod
    def program(cls, site: Site, *scopes: str) -> Reader:
        """A reader of the API's events, with a token of its own."""
        return cls(program(site, *scopes), "tenants/default/events")

    def _read(self) -> None:
        kind = ""
        try:
            with self._client.stream("GET", self._address) as answer:
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        self.events.append((kind, json.loads(value)))
        except httpx.HTTPError:
            pass
        finally:
            self._client.close()
            self.ended.set()

    def wait(self, wanted: Callable[[str, list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        until = time.monotonic() + PATIENCE
        while True:
            for kind, rows in list(self.events):
                if wanted(kind, rows):
                    return rows
            assert time.monotonic() < until, self.events
            time.sleep(0.02)

    def lamp(self, extension: str, lamp: str) -> dict[str, Any]:
        """Wait for the row that says that an extension's lamp shows `lamp`, and return it."""

        def wanted(kind: str, rows: list[dict[str, Any]]) -> bool:
            return any(row["extension"] == extension and row["lamp"] == lamp for row in rows)

        rows = self.wait(lambda kind, rows: kind in ("lamp", "lamps") and wanted(kind, rows))
        return next(row for row in rows if row["extension"] == extension)


@pytest.fixture
def call(site: Site) -> Callable[[], None]:
    """Have 101 call 102, which rings, and return a function by which 102 answers."""
    alice, bob = site.phone("101"), site.phone("102")
    alice.do("call", to="102")
    bob.wait("incoming")
    return lambda: bob.do("answer")


def test_each_sees_what_they_may(site: Site, call: Callable[[], None]) -> None:
    url = portal_url(site)
    boss, reception, wall = (Reader.board(url, name) for name in ("boss", "reception", "wall"))
    acme = Reader.board(url, "acme@acme.example", "acme.example")
    for reader in (boss, reception):
        assert reader.lamp("102", "ringing")["dialogs"][0]["remote"] == "101"
    (dialog,) = wall.lamp("102", "ringing")["dialogs"]
    assert dialog.keys() == {"lamp", "state", "direction", "held", "since"}
    call()
    assert wall.lamp("102", "talking")
    assert boss.lamp("101", "talking")
    seen = {row["name"] for _, rows in acme.events for row in rows}
    assert seen == {"Acme 101"}, "another tenant sees its own and no more"


def test_a_pickup_is_an_event_for_who_may_read(site: Site, call: Callable[[], None]) -> None:
    url = portal_url(site)
    knowing = (Reader.board(url, "boss"), Reader.program(site, "lamps", "read", "callers"))
    others = (
        Reader.board(url, "reception"),
        Reader.program(site, "lamps", "callers"),
        Reader.program(site, "lamps", "read"),
    )
    site.phone("103").do("call", to="*97102")
    for reader in knowing:
        rows = reader.wait(lambda kind, rows: kind == "pickup")
        assert (rows[0]["picker"], rows[0]["extension"], rows[0]["status"]) == ("103", "102", 200)
    for reader in others:
        dialog = reader.lamp("103", "talking")["dialogs"][0]
        assert ("remote" in dialog) == (reader is not others[2])
        assert all(kind != "pickup" for kind, _ in reader.events)


def test_a_board_ends_with_the_server_and_comes_back_with_it(site: Site) -> None:
    reader = Reader.board(portal_url(site), "wall")
    site.kill()
    assert reader.ended.wait(PATIENCE)
    site.start()
    assert Reader.board(portal_url(site), "wall").lamp("102", "not registered")


def test_a_board_does_not_hold_up_the_end(site: Site) -> None:
    """While the server waits for the answer to its BYE, the board goes on asking what has changed."""
    reader = Reader.board(portal_url(site), "wall")
    alice, bob = site.phone("101"), site.phone("102")
    alice.do("call", to="102")
    bob.wait("incoming")
    bob.do("answer")
    reader.lamp("102", "talking")
    for phone in (alice, bob):
        site.phones.remove(phone)
        phone.process.kill()
        phone.stop()
    assert site.server.stop() == 0
    assert reader.ended.wait(PATIENCE)
    assert any(kind == "down" for kind, _ in reader.events)


def test_a_board_ends_when_its_session_does_and_a_programs_when_its_token_does(
    site: Site, sign_in: Callable[[str], Page]
) -> None:
    page = sign_in("wall")
    board, other = (Reader.board(portal_url(site), name) for name in ("wall", "boss"))
    program = Reader.program(site, "lamps")
    site.cli("admin", "remove", "wall", "--yes")
    (token,) = site.shown("token", "list", "--tenant", "default")
    site.cli("token", "remove", token["name"], "--tenant", "default", "--yes")
    assert board.ended.wait(PATIENCE)
    assert program.ended.wait(PATIENCE)
    assert not other.ended.is_set()
    expect(page).to_have_url(re.compile("/sign-in"), timeout=PATIENCE * 1000)


def test_other_tenants_are_not_there(site: Site) -> None:
    with Browser(portal_url(site)) as browser:
        browser.sign_in("acme@acme.example")
        theirs, none = browser.get("/t/default/lamps"), browser.get("/t/nowhere.example/lamps")
        assert theirs.status_code == none.status_code == 404
        assert words(theirs).replace("default", "X") == words(none).replace("nowhere.example", "X")
        assert browser.get("/t/default/lamps/events").status_code == 404
        assert "Acme 101" in words(browser.get("/t/acme.example/lamps"))


def test_the_board_without_javascript(site: Site, call: Callable[[], None]) -> None:
    with Browser(portal_url(site)) as browser:
        browser.sign_in("reception")
        assert "ringing" in words(browser.get("/t/default/lamps"))
        assert "101 Name 101" in words(browser.get("/t/default/lamps"))
        assert browser.get("/t/default/groups").status_code == 403


@pytest.fixture
def sign_in(chromium: Chromium, site: Site) -> Iterator[Callable[[str], Page]]:
    """A function that opens the live board for an administrator."""
    contexts = []

    def signed_in(name: str) -> Page:
        contexts.append(chromium.new_context(base_url=portal_url(site)))
        page = contexts[-1].new_page()
        page.goto("/sign-in?next=/t/default/lamps")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(ADMIN_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#board[data-live]").wait_for()
        return page

    yield signed_in
    for context in contexts:
        context.close()


def test_the_board_turns_at_once(site: Site, sign_in: Callable[[str], Page]) -> None:
    """The time from the phone's 180 to the tile is printed here, and measured by the benchmark."""
    page = sign_in("boss")
    page.evaluate(
        """() => { const tile = document.querySelector('[data-extension="102"]');
        new MutationObserver(() => { if (tile.dataset.lamp === 'ringing') window.turned ??= Date.now(); })
        .observe(tile, {attributes: true}); }"""
    )
    calls = page.context.new_page()
    calls.goto("/t/default/lamps?calls=on")
    expect(calls.get_by_text("Nobody is in a call now.")).to_be_visible()
    site.cli("group", "add", "front", "101", "102", "103")
    site.cli("extension", "add", "100", "--password", "x")
    site.cli("group", "add", "back", "100", "102")
    by_group = page.context.new_page()
    by_group.goto("/t/default/lamps?wall=dense&group=front&group=back")
    expect(by_group.locator("#board > li")).to_have_text([re.compile(n) for n in BY_GROUP])
    calls_by_group = page.context.new_page()
    calls_by_group.goto("/t/default/lamps?calls=on&group=front&group=back")
    expect(calls_by_group.locator("#board .tile")).to_have_count(0)
    alice, bob = site.phone("101"), site.phone("102")
    alice.do("call", to="102")
    bob.wait("incoming")
    rang = time.time()
    tile = page.locator('[data-extension="102"]')
    expect(tile).to_have_attribute("data-lamp", "ringing")
    expect(tile).to_contain_text("← 101 Name 101")
    print(f"the tile turned {page.evaluate('window.turned') - rang * 1000:.0f} ms after the phone rang")
    bob.do("answer")
    expect(tile).to_have_attribute("data-lamp", "talking")
    for board, shown in (
        (by_group, ["front", "101", "102", "103", "back", "102", "100"]),
        (calls_by_group, ["front", "101", "102", "back", "102"]),
    ):
        expect(board.locator("#board > li")).to_have_text([re.compile(n) for n in shown])
        expect(board.locator('[data-extension="102"]')).to_have_count(2)
        expect(board.locator('[data-extension="102"]').last).to_have_attribute("data-lamp", "talking")
    page.get_by_label("Only those in a call").check()
    expect(page.locator('[data-extension="103"]')).to_be_hidden()
    expect(tile).to_be_visible()
    expect(calls.locator('[data-extension="102"]')).to_contain_text("talking")
    bob.do("hangup")
    expect(calls.get_by_text("Nobody is in a call now.")).to_be_visible()
    expect(calls.locator('[data-extension="102"]')).to_have_count(0)
    expect(calls_by_group.locator("#board .tile")).to_have_count(0)
    expect(by_group.locator("#board > li")).to_have_text([re.compile(n) for n in BY_GROUP])


def test_a_phones_keys_and_the_list_of_extensions_turn_too(
    site: Site, sign_in: Callable[[str], Page]
) -> None:
    site.cli("device", "add", "80:5e:c0:12:34:56", "--model", "yealink/t54w", "--extension", "103")
    site.cli("device", "set", "80:5e:c0:12:34:56", "--keys", "102=Bob,*98=Group")
    keys = sign_in("boss")
    listed = keys.context.new_page()
    keys.goto("/t/default/phones/show/80:5e:c0:12:34:56")
    listed.goto("/t/default/extensions")
    alice, bob = site.phone("101"), site.phone("102")
    alice.do("call", to="102")
    bob.wait("incoming")
    for page in (keys, listed):
        shown = page.locator('[data-lamp-of="102"]')
        expect(shown).to_have_attribute("data-lamp", "ringing")
        expect(shown).to_contain_text("ringing")
    bob.do("answer")
    for page in (keys, listed):
        expect(page.locator('[data-lamp-of="102"]')).to_contain_text("talking")


def test_tabs_that_nobody_sees_let_go(site: Site, sign_in: Callable[[str], Page]) -> None:
    """A browser has six connections for all its tabs, so with a seventh board nothing would load."""
    context = sign_in("boss").context
    for _ in range(7):
        page = context.new_page()
        page.add_init_script(
            "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"
        )
        page.goto("/t/default/lamps")
    site.phone("102")
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator('[data-extension="102"]')).to_have_attribute("data-lamp", "idle")


def test_the_web_process_dies_and_lamps_go_on(own_site: Callable[..., Site]) -> None:
    port = free_port()
    site = own_site("--web", f"http://127.0.0.1:{port}")
    site.cli("admin", "add", "wall", "--tenant", "default", "--password", ADMIN_PASSWORD)
    with Browser(f"http://127.0.0.1:{port}") as browser:
        browser.sign_in("wall")
        (process,) = web_processes(site.server.process.pid)
        os.kill(process, signal.SIGKILL)
        alice, bob = site.phone("101"), site.phone("102")
        watcher = site.phone("103", watch="102")
        alice.do("call", to="102")
        bob.wait("incoming")
        watcher.wait_lamp("102", "ringing")
        until = time.monotonic() + PATIENCE
        while True:
            try:
                page = browser.get("/t/default/lamps")
                break
            except httpx.HTTPError:
                assert time.monotonic() < until
                time.sleep(0.1)
        assert "102 Name 102 ringing" in words(page), "the session is still there, too"
