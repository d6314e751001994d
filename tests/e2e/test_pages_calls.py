"""Pages of what calls are led by, as forms: forwarding, trunks, upstreams, codes; and of pickups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from browser import Browser, found_in, portal_url, words
from sites import Site

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.values import Aor
from blfd.store import Store


def test_where_calls_go_is_set_and_what_leads_nowhere_is_told(portal: Site, browser: Browser) -> None:
    page = "/t/default/extensions/edit/112"
    rules = {"dnd": "on", "forward_busy": " 105 ", "forward_no_answer": "106", "forward_after": "15"}
    assert "Saved." in words(browser.submit(page, name="R", **rules))
    assert "do not disturb, busy: 105, no answer for 15 s: 106" in words(browser.get("/t/default/extensions"))
    for wrong, said in (
        ({"forward_busy": "999"}, "'999', which is no extension here"),
        ({"forward_after": "soon"}, "'soon' is no whole number"),
    ):
        refused = browser.submit(page, name="R", **{**rules, **wrong})
        assert (refused.status_code, said in words(refused)) == (422, True)
        (value,) = wrong.values()
        assert f'value="{value}"' in refused.text, "what was written is not lost"
    off = {"dnd": "off", "forward_busy": "", "forward_no_answer": "", "forward_after": "20"}
    assert "Saved." in words(browser.submit(page, name="R", **off))
    assert portal.shown("extension", "show", "112")["forward_busy"] == ""


def test_an_upstream(portal: Site, browser: Browser) -> None:
    pages, new = (
        "/t/default/upstreams",
        {"servers": "127.0.0.11", "extensions": "11x", "password": "s3cret", "enabled": "on"},
    )
    refused = browser.submit(f"{pages}/new", name="pbx", **{**new, "extensions": "1y"})
    assert (refused.status_code, "neither an extension here nor a pattern" in words(refused)) == (422, True)
    refused = browser.submit(f"{pages}/new", name="pbx", **{**new, "rate": "fast"})
    assert (refused.status_code, 'value="fast"' in refused.text) == (422, True)
    assert "Added." in words(browser.submit(f"{pages}/new", name="pbx", **new))
    listed = words(browser.get(pages))
    for text in ("127.0.0.11", "0 of ", "Not as they should be", "unknown"):
        assert text in listed
    assert "of upstream pbx: unknown" in words(browser.get("/t/default/explain?extension=111"))
    of_pbx = words(browser.get("/t/default/explain?extension=upstream%2Bpbx"))
    assert "upstream pbx: " in of_pbx
    assert "What to do: " in of_pbx
    assert browser.get("/t/default/explain?extension=upstream%2Bnone").status_code == 404
    assert "Saved." in words(browser.send(browser.get(f"{pages}/edit/pbx"), interval="3600"))
    row = portal.shown("upstream", "show", "pbx")
    assert (row["interval"], row["password"], row["live"]["known"]) == (3600, True, 0)
    assert "s3cret" not in browser.get(f"{pages}/edit/pbx").text
    assert "Removed." in words(browser.submit(f"{pages}/remove/pbx"))


def test_a_trunk_and_a_route(portal: Site, browser: Browser) -> None:
    new = {
        "servers": "192.0.2.7\n192.0.2.8:5070",
        "dids": "+49301=101",
        "password": "s3cret",
        "max_calls": "4",
    }
    refused = browser.submit("/t/default/trunks/new", name="carrier", **{**new, "dids": "nonsense"})
    assert (refused.status_code, "is written NUMBER=EXTENSION" in words(refused)) == (422, True)
    assert ("nonsense" in refused.text, "s3cret" in refused.text) == (True, False)
    refused = browser.submit("/t/default/trunks/new", name="carrier", **{**new, "max_calls": "four"})
    assert (refused.status_code, "Calls at a time: 'four' is no number" in words(refused)) == (422, True)
    assert ('value="four"' in refused.text, "192.0.2.8:5070" in refused.text) == (True, True)
    assert "Added." in words(browser.submit("/t/default/trunks/new", name="carrier", **new))
    of_carrier = words(browser.get("/t/default/explain?extension=trunk%2Bcarrier"))
    assert "trunk carrier: " in of_carrier
    assert browser.get("/t/default/explain?extension=trunk%2Bnone").status_code == 404
    row = portal.shown("trunk", "show", "carrier")
    assert (row["servers"], row["max_calls"], row["password"]) == (["192.0.2.7", "192.0.2.8:5070"], 4, True)
    page = browser.get("/t/default/trunks/edit/carrier")
    assert ("192.0.2.8:5070" in page.text, "s3cret" in page.text) == (True, False)
    portal.cli("trunk", "set", "carrier", "--max-calls", "5")
    assert browser.send(page, max_calls="6").status_code == 409
    refused = browser.send(browser.get("/t/default/trunks/edit/carrier"), expires="an hour")
    assert (refused.status_code, 'value="an hour"' in refused.text) == (422, True)
    refused = browser.send(refused, expires="3600", pickup_code="**")
    assert (refused.status_code, "for whose call it is" in words(refused)) == (422, True)
    way = {"pickup_code": "**{extension}", "replaces": "caller"}
    assert "Saved." in words(browser.send(refused, max_calls="6", **way))
    row = portal.shown("trunk", "show", "carrier")
    assert {name: row[name] for name in way} == way
    assert portal.shown("trunk", "show", "carrier")["password"] is True
    taken = browser.submit("/t/default/routes/new", name="10x", trunks="carrier", emergency="on")
    assert (taken.status_code, "would get the calls" in words(taken)) == (422, True)
    refused = browser.submit("/t/default/routes/new", name="0.", trunks="carrier", strip="one")
    assert (refused.status_code, 'value="one"' in refused.text) == (422, True)
    assert "Added." in words(browser.submit("/t/default/routes/new", name="0.", trunks="carrier", strip="1"))
    assert "1" in words(browser.get("/t/default/trunks"))
    assert browser.submit("/t/default/trunks/remove/carrier").status_code == 422
    assert "Saved." in words(browser.submit("/t/default/routes/edit/0.", prefix="+49"))
    assert browser.submit("/t/default/routes/edit/0.", strip="-1").status_code == 422
    assert portal.shown("route", "show", "0.")["prefix"] == "+49"
    for address in ("routes/remove/0.", "trunks/remove/carrier"):
        assert "Removed." in words(browser.submit(f"/t/default/{address}"))


def test_feature_codes(portal: Site, browser: Browser) -> None:
    fields = {"pickup_code": "*4", "group_pickup_code": "*8", "pickup": "groups", "pickable": "on"}
    fields |= {"feature_sync": "on", "send_outside": "on"}
    assert "Saved." in words(browser.submit("/t/default/codes", **fields))
    (tenant,) = (row for row in portal.shown("tenant", "list") if row["domain"] == "default")
    assert (tenant["pickup_code"], tenant["pickup"], tenant["pickable"]) == ("*4", "groups", True)
    choices = {"dnd_lamp": "idle", "redirect": "phone", "decline": "phone"}
    assert "Saved." in words(browser.submit("/t/default/codes", **fields, **choices))
    tenant = portal.shown("tenant", "list")[0]
    assert {name: tenant[name] for name in choices} == choices
    assert "Saved." in words(browser.submit("/t/default/codes", **fields, star_dnd="*5", star_dnd_off=""))
    tenant = portal.shown("tenant", "list")[0]
    assert [tenant["star_codes"][name] for name in ("dnd", "dnd_off", "forward_busy")] == ["*5", "", "*90"]
    taken = browser.submit("/t/default/codes", **fields, star_dnd="*4")
    assert "codes *4 and *4: neither may begin" in words(taken)
    assert "'red' is none of busy, idle." in words(
        browser.submit("/t/default/codes", **fields, dnd_lamp="red")
    )
    wrong = browser.submit("/t/default/codes", **{**fields, "pickup_code": "12"})
    assert "pickup code '12'" in words(wrong)
    assert "max_calls" in words(browser.get("/t/default/codes"))
    back = {"pickup_code": "*97", "group_pickup_code": "*98", "pickup": "on", "pickable": "on"}
    back |= {"dnd_lamp": "busy", "redirect": "all", "decline": "all"}
    back |= {"feature_sync": "on", "send_outside": "on", "star_dnd": "*78", "star_dnd_off": "*79"}
    assert "Saved." in words(browser.submit("/t/default/codes", **back))


def test_pickups_and_why(portal: Site, browser: Browser, request: pytest.FixtureRequest) -> None:
    alice, bob, carol = (portal.phone(extension) for extension in ("101", "102", "103"))
    alice.do("call", to="102")
    bob.wait("incoming")
    explained = words(browser.get("/t/default/explain?extension=102"))
    assert "ringing" in explained
    assert "103: *97102, *98" in explained
    carol.do("call", to="*97102")
    carol.wait_call("confirmed")
    carol.do("hangup")
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        health = words(root.get("/health"))
        assert "server 0." in health
        assert "requests" in health
    portal.cli("extension", "set", "112", "--owner", "published")
    assert "Nobody publishes it" in words(browser.get("/t/default/explain?extension=112"))
    portal.cli("extension", "set", "112", "--owner", "default")
    assert browser.get("/t/default/pickups?since=yesterday").status_code == 422
    assert browser.get("/t/default/explain?extension=none").status_code == 404
    request.addfinalizer(portal.forget)


def test_pickups_are_searched_sorted_and_turned(portal: Site) -> None:
    portal.cli("tenant", "add", "busy.example")
    now, ways = time.time(), [*Way]
    attempts = [
        Attempt(
            now - 60 * at,
            Aor("busy.example", str(101 + at % 5)),
            ways[at % len(ways)],
            str(900 + at % 30),
            f"caller {at}",
            480 if at % 5 == 0 else 200,
            "nothing rings" if at % 5 == 0 else "picked up",
            float(at),
        )
        for at in reversed(range(250))
    ]
    Store(portal.database).records.save({}, attempts, {}, {}, {})
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")

        def rows(query: str) -> list[list[str]]:
            """The cells of each row of the list."""
            page = root.get(f"/t/busy.example/pickups{query}")
            assert page.status_code == 200
            lines = found_in(page.text, "//table/tbody/tr")
            return [["".join(cell.itertext()) for cell in line] for line in lines]

        def callers(query: str) -> list[str]:
            return [cells[4] for cells in rows(query)]

        newest = [f"caller {at}" for at in range(250)]
        page = root.get("/t/busy.example/pickups")
        assert "1 to 100 of 250" in words(page)
        assert callers("") == newest[:100]
        (following,) = found_in(page.text, "//a[@rel='next']/@href")
        assert callers(str(following)) == newest[100:200]
        assert callers("?page=3") == newest[200:]
        assert "No attempt to pick up is like that." in words(root.get("/t/busy.example/pickups?page=4&q=x"))
        by = {name: str(href) for name, href in _headings(page.text)}
        assert callers(by["ms"]) == newest[:100]
        assert callers(f"{by['ms'].replace('=', '=-', 1)}") == newest[:149:-1]
        assert [cells[1] for cells in rows(by["Picker"])] == ["101"] * 50 + ["102"] * 50
        assert {cells[1] for cells in rows("?q=picker%3D103")} == {"103"}
        assert callers("?q=917+caller+4") == ["caller 47"]
        assert len(rows("?result=no")) == 50
        assert {cells[5] for cells in rows("?result=no&sort=-milliseconds")} == {"480 nothing rings"}
        since = datetime.fromtimestamp(now - 3570, UTC).isoformat()
        assert len(rows(f"?since={quote(since)}")) == 60
        assert len(rows("?since=7d")) == 100
        assert "1 to 100 of 200" in words(root.get("/t/busy.example/pickups?result=yes"))
        kept = root.get("/t/busy.example/pickups?result=yes&q=1&sort=picker&since=7d")
        assert "result=yes" in str(found_in(kept.text, "//a[@rel='next']/@href"))
        assert callers("?q=%25") == []
        root.sign_in("boss")
        assert root.get("/t/busy.example/pickups").status_code == 404
    portal.cli("tenant", "remove", "busy.example", "--yes")


def _headings(text: str) -> Iterator[tuple[str, str]]:
    for link in found_in(text, "//thead//a"):
        yield link.text_content(), link.get("href")
