"""Signing in, slowly for whoever guesses, over TLS alone where there is TLS; and signing out everywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from browser import ADMIN_PASSWORD, Browser, found_in, portal_url, words
from certificates import self_signed
from sites import Site

from blfd.web.patience import FREE_FAILURES


@pytest.fixture
def site(own_site: Callable[..., Site]) -> Site:
    site = own_site("--web", "http://127.0.0.1:0")
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    return site


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with Browser(portal_url(site)) as browser:
        yield browser


def test_wrong_names_and_wrong_passwords_are_told_the_same(site: Site, browser: Browser) -> None:
    wrong, nobody = browser.sign_in("root", "wrong"), browser.sign_in("nobody", "wrong")
    assert wrong.status_code == nobody.status_code == 401
    assert words(wrong) == words(nobody)
    assert browser.sign_in("root").status_code == 200


def test_half_characters(browser: Browser) -> None:
    """A client that names such an encoding can send half characters."""
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    for field in ("name", "password", "next"):
        part = f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n/\\ud800\r\n--x--\r\n'
        assert browser.client.post("/sign-in", content=part.encode(), headers=kind).status_code == 401, field


def test_who_keeps_guessing_waits(site: Site, browser: Browser) -> None:
    """The wait is there on purpose, so the test may look at a clock."""
    for _ in range(FREE_FAILURES + 2):
        assert browser.sign_in("root", "wrong").status_code == 401
    answer = browser.sign_in("root", "wrong")
    assert answer.elapsed.total_seconds() >= 0.5, "at least two doublings of the first wait"


HOUR, DAY = 3600.0, 86400.0
ENDS = (  # a role, what is how long ago, and whether the session has ended then
    ("administrator", "used_at", 7 * HOUR, False),
    ("administrator", "used_at", 9 * HOUR, True),
    ("administrator", "opened_at", 6 * DAY, False),
    ("administrator", "opened_at", 8 * DAY, True),
    ("viewer", "used_at", 29 * DAY, False),
    ("viewer", "used_at", 31 * DAY, True),
    ("viewer", "opened_at", 364 * DAY, False),
    ("viewer", "opened_at", 366 * DAY, True),
)


def aged(site: Site, column: str, age: float) -> None:
    with sqlite3.connect(site.database) as db:
        db.execute(f"UPDATE sessions SET {column} = {column} - ?", [age])


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/t/default/lamps").url.path == "/t/default/lamps"


def test_a_session_ends(site: Site, browser: Browser) -> None:
    """A viewer's session lasts longer, as nobody stands before a screen on the wall; no other role's does."""
    for role in ("administrator", "viewer"):
        site.cli("admin", "add", role, "--tenant", "default", "--role", role, "--password", ADMIN_PASSWORD)
    for role, column, age, ends in ENDS:
        browser.sign_in(role)
        aged(site, column, age)
        assert is_signed_in(browser) != ends, (role, column, age)
    browser.sign_in("viewer")
    aged(site, "opened_at", 8 * DAY)
    assert is_signed_in(browser)
    site.cli("admin", "role", "viewer", "administrator")
    assert not is_signed_in(browser)


def test_a_database_that_is_gone_is_said(site: Site, browser: Browser) -> None:
    browser.sign_in("root")
    with sqlite3.connect(site.database) as db:
        db.execute("ALTER TABLE sessions RENAME TO elsewhere")
    answer = browser.get("/t/default/groups")
    assert answer.status_code == 503
    assert "The database cannot be used now" in words(answer)
    with sqlite3.connect(site.database) as db:
        db.execute("ALTER TABLE elsewhere RENAME TO sessions")
    assert browser.get("/t/default/groups").status_code == 200


def test_the_cookie(site: Site, browser: Browser) -> None:
    browser.client.follow_redirects = False
    cookie = browser.sign_in("root").headers["set-cookie"]
    assert all(flag in cookie for flag in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie
    assert ADMIN_PASSWORD not in site.server.log.read_text()
    assert browser.sign_in("root\n AUTH-FAILED 192.0.2.1 ", "wrong").status_code == 401
    token = {"Authorization": "Bearer wrong"}
    assert browser.client.get("/api/v1/tenants", headers=token).status_code == 401
    assert browser.client.get("/healthz").text == "ok\n"
    lines = [line for line in site.server.log.read_text().splitlines() if "AUTH-FAILED" in line]
    assert [line.partition(" AUTH-FAILED ")[2].split(" ", 2)[:2] for line in lines[-2:]] == [
        ["127.0.0.1", "portal"],
        ["127.0.0.1", "API:"],
    ]


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(browser: Browser) -> None:
    """The browser's Origin says what it sees; nobody else's request can have one that it did not send."""
    browser.client.follow_redirects = False
    fields = {"name": "root", "password": ADMIN_PASSWORD}
    for origin, secure in (("https://blfd.example", True), ("http://blfd.example", False), ("null", False)):
        answer = browser.client.post("/sign-in", data=fields, headers={"Origin": origin})
        assert ("Secure" in answer.headers["set-cookie"]) == secure, origin


def test_over_tls_the_cookie_is_for_tls_alone(own_site: Callable[..., Site], tmp_path: Path) -> None:
    site = own_site("--web", "https://127.0.0.1:0", config=self_signed(tmp_path, "own").toml())
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    with httpx.Client(base_url=portal_url(site), verify=False) as client:
        answer = client.post("/sign-in", data={"name": "root", "password": ADMIN_PASSWORD})
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"]
)
def test_nobody_is_sent_elsewhere(site: Site, browser: Browser, address: str) -> None:
    browser.client.follow_redirects = False
    fields = {"name": "root", "password": ADMIN_PASSWORD, "next": address}
    assert browser.client.post("/sign-in", data=fields).headers["location"] == "/"


def test_the_page_of_another_site_cannot_sign_anybody_in(site: Site, browser: Browser) -> None:
    """Else a visitor would work under somebody else's name and not know it."""
    fields = {"name": "root", "password": ADMIN_PASSWORD}
    refused = browser.client.post("/sign-in", data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403
    assert "Another site's page" in words(refused)
    assert not browser.client.cookies
    browser.client.post("/sign-in", data=fields, headers={"Sec-Fetch-Site": "same-origin"})
    assert browser.client.cookies


def test_of_one_tenant_all_pages_are_in_the_menu(site: Site, browser: Browser) -> None:
    """Who has one office begins at its lamps, and need not choose it again after a page of the system."""
    assert browser.sign_in("root").url.path == "/tenants"
    assert not found_in(browser.get("/health").text, "//nav//a[@href='/t/default/lamps']")
    site.cli("tenant", "remove", "acme.example", "--yes")
    assert browser.get("/").url.path == "/t/default/lamps"
    for page in ("/health", "/changes", "/nowhere"):
        assert found_in(browser.get(page).text, "//nav//a[@href='/t/default/lamps']"), page


def test_signing_out(site: Site, browser: Browser) -> None:
    browser.sign_in("root")
    stolen = dict(browser.client.cookies)
    assert "Sign in" in words(browser.client.post("/sign-out", data={"csrf": csrf(browser)}))
    with httpx.Client(base_url=portal_url(site), cookies=stolen) as thief:
        assert thief.get("/tenants").status_code == 303


def test_a_new_password_signs_out_everywhere(site: Site, browser: Browser) -> None:
    with Browser(portal_url(site)) as other:
        other.sign_in("root")
        browser.sign_in("root")
        fields = {"present": ADMIN_PASSWORD, "new": "another horse", "again": "another horse"}
        assert "is wrong" in words(browser.submit("/password", **{**fields, "present": "no"}))
        assert "differ" in words(browser.submit("/password", **{**fields, "again": "no"}))
        assert "Sign in" in words(browser.submit("/password", **fields))
        assert "Sign in" in words(other.get("/tenants"))
        assert other.sign_in("root").status_code == 401
        assert other.sign_in("root", "another horse").status_code == 200


def test_headers_keep_everything_inside(site: Site, browser: Browser) -> None:
    for path in ("/sign-in", "/static/portal.js", "/nowhere", "/api/v1/tenants"):
        policy = browser.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy


def csrf(browser: Browser) -> str:
    return browser.get("/tenants").text.split('name="csrf" value="')[1].split('"')[0]
