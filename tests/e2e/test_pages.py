"""Pages as forms: what an administrator types, what that changes, and what is refused."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from browser import ADMIN_PASSWORD, Browser, found_in, portal_url, words
from sites import Site

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.values import Aor
from blfd.operations.admins import SHORTEST_PASSWORD
from blfd.store import Store
from blfd.web.portal.here import LARGEST_BODY, LARGEST_FILE

ODD_NAMES = (
    "<script>alert(1)</script>",
    'O\'Brien & "Sons"',
    "\u202eمرحبا بك",
    "🎉 Ünï",
    "{{ 7919 * 7907 }}",
)
MAC = "80:5e:c0:12:34:56"
ODD_MAC = "80:5e:c0:12:34:58"
LISTS = (
    "lamps",
    "lamps?wall=dense",
    "extensions",
    "groups",
    "groups/new",
    "groups/edit/all",
    "explain",
    "phones/new",
    "changes",
    "pickups",
)
CONTESTED_MAC = "80:5e:c0:12:34:57"
OTHER_MAC = "80:5e:c0:12:34:59"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("pages"), "--web", "http://127.0.0.1:0")
    for name in ("boss", "second"):
        site.cli("admin", "add", name, "--tenant", "default", "--password", ADMIN_PASSWORD)
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    yield site
    site.stop()


@pytest.fixture
def browser(portal: Site) -> Iterator[Browser]:
    with Browser(portal_url(portal)) as browser:
        browser.sign_in("boss")
        yield browser


def shown(site: Site, *what: str) -> Any:
    return json.loads(site.cli(*what, "--json"))


def test_a_form_that_is_too_large(portal: Site, browser: Browser) -> None:
    refused = browser.submit("/t/default/extensions/import", text="x" * (LARGEST_BODY + 1))
    assert refused.status_code == 413
    assert "A body may have 6 MiB at most" in words(refused)


def test_errors_are_pages(browser: Browser) -> None:
    for path, status, text in (
        ("/t/default/nothing", 404, "There is no such page."),
        ("/t/default/extensions/remove", 404, "There is no such page."),
        (f"/t/default/pickups?page={'9' * 20}", 200, "Pickups"),
        ("/t/default/pickups?sort=colour", 422, "no order by"),
        (f"/t/default/changes?older={'9' * 5000}", 200, "Changes"),
        (f"/t/default/changes/{'9' * 30}", 404, "no change 9999"),
    ):
        answer = browser.get(path)
        assert (answer.status_code, text in words(answer)) == (status, True), path
    for method in ("PUT", "DELETE"):
        answer = browser.client.request(method, "/t/default/groups")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        assert "Method Not Allowed" in words(answer)


def test_a_large_office(portal: Site) -> None:
    """No page shows the whole office, and what is done to all is done to the whole office."""
    portal.cli("tenant", "add", "large.example")
    members = [str(number) for number in range(1000, 3000)]
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        text = "extension,password,name\n" + "".join(f"{n},secret,Person {n}\n" for n in members)
        root.submit("/t/large.example/extensions/import", text=text)
        made = root.submit("/t/large.example/groups/new", name="all", member=members, shown=",".join(members))
        assert "Added." in words(made)
        for path in LISTS:
            page = root.get(f"/t/large.example/{path}")
            assert page.status_code == 200
            assert len(page.content) < 200_000, path
        lamps = words(root.get("/t/large.example/lamps"))
        assert "1 to 300 of 2,000" in lamps
        assert "1300" not in lamps
        assert "1 to 300 of 2,000" in words(root.get("/t/large.example/lamps?group=all&wall="))
        assert "1300 Person" in words(root.get("/t/large.example/lamps?page=2"))
        assert "1777 Person" in words(root.get("/t/large.example/lamps?q=person+1777"))
        assert "Nobody is in a call now." in words(root.get("/t/large.example/lamps?calls=on"))
        assert "1777 Person 1777: not registered" in words(
            root.get("/t/large.example/explain?extension=person+1777")
        )
        assert "Which one? 1770" in words(root.get("/t/large.example/explain?extension=177"))
        suggested = root.get("/t/large.example/extensions/suggest?q=177").json()
        assert suggested[0] == {"value": "1770", "label": "Person 1770"}
        edit = "/t/large.example/groups/edit/all"
        assert "1 to 100 of 2,000" in words(root.get(edit))
        ticked = members[:100]  # a browser sends the ticks of one page
        found = root.submit(edit, name="all", member=ticked, look="yes", q="2999", which="members")
        assert (found.text.count(" checked"), "1 to 1 of 1" in words(found)) == (3, True)
        unticked = root.send(found, name="all", look="yes", q="none", which="all")
        assert "1,999 members; 1 changed and not saved yet" in words(unticked)
        assert "Saved." in words(root.send(unticked, name="most"))
        assert len(shown(portal, "--tenant", "large.example", "group", "show", "most")["pickers"]) == 1999
        changes = root.get("/t/large.example/changes")
        assert "removed 2999 from group most" in words(changes)
        address = re.search(r'href="([^"]*)">All that it has changed', changes.text)
        assert address
        whole = root.get(address[1])
        assert "root added 2000 extensions (1000, 1001, 1002, 1003, 1004, 1005 and 1994 more)" in words(whole)
        assert "1 to 100 of 2,000" in words(whole)
        assert "name: Person 1777pickup" in words(root.get(f"{address[1]}?q=1777"))
        assert root.get(address[1].replace("/t/large.example", "")).status_code == 200
        assert root.get(address[1].replace("large.example", "default")).status_code == 404
        assert "added 2000 extensions" in words(root.get("/t/large.example/changes?q=1777"))
    portal.cli("tenant", "remove", "large.example", "--yes")


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
    assert shown(portal, "extension", "show", "112")["forward_busy"] == ""


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
    assert "Saved." in words(browser.send(browser.get(f"{pages}/edit/pbx"), interval="3600"))
    row = shown(portal, "upstream", "show", "pbx")
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
    row = shown(portal, "trunk", "show", "carrier")
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
    row = shown(portal, "trunk", "show", "carrier")
    assert {name: row[name] for name in way} == way
    assert shown(portal, "trunk", "show", "carrier")["password"] is True
    taken = browser.submit("/t/default/routes/new", name="10x", trunks="carrier", emergency="on")
    assert (taken.status_code, "would get the calls" in words(taken)) == (422, True)
    refused = browser.submit("/t/default/routes/new", name="0.", trunks="carrier", strip="one")
    assert (refused.status_code, 'value="one"' in refused.text) == (422, True)
    assert "Added." in words(browser.submit("/t/default/routes/new", name="0.", trunks="carrier", strip="1"))
    assert "1" in words(browser.get("/t/default/trunks"))
    assert browser.submit("/t/default/trunks/remove/carrier").status_code == 422
    assert "Saved." in words(browser.submit("/t/default/routes/edit/0.", prefix="+49"))
    assert browser.submit("/t/default/routes/edit/0.", strip="-1").status_code == 422
    assert shown(portal, "route", "show", "0.")["prefix"] == "+49"
    for address in ("routes/remove/0.", "trunks/remove/carrier"):
        assert "Removed." in words(browser.submit(f"/t/default/{address}"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_shown_as_they_are(portal: Site, browser: Browser, name: str) -> None:
    new = {"name": name, "pickup": "groups", "pickable": "off", "withhold": "on"}
    assert "Saved." in words(browser.submit("/t/default/extensions/edit/112", **new))
    row = shown(portal, "extension", "show", "112")
    assert {field: row[field] for field in new} == new
    portal.cli(
        "device", "add", ODD_MAC, "--model", "yealink/t31", "--extension", "112", "--keys", f"101={name}"
    )
    phone = f"phones/show/{ODD_MAC}"
    shown_in = (
        "extensions",
        "lamps",
        "groups",
        "groups/new",
        "explain?extension=112",
        "changes",
        "phones",
        phone,
    )
    for path in shown_in:
        page = browser.get(f"/t/default/{path}")
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "62615533" not in words(page)
    for path in ("extensions", phone):
        assert name in words(browser.get(f"/t/default/{path}"))
    refused = browser.submit("/t/default/groups/new", name=f"/{name}", targets="101")
    assert refused.status_code == 422
    assert "<script>alert" not in refused.text
    assert "Removed." in words(browser.submit(f"/t/default/phones/remove/{ODD_MAC}"))


def test_an_extension_from_its_making_to_its_end(portal: Site, browser: Browser) -> None:
    new = {"extension": "300", "name": "Neu", "password": "s3cret", "pickup": "off", "pickable": "default"}
    assert "Added." in words(browser.submit("/t/default/extensions/new", **new))
    again = browser.submit("/t/default/extensions/new", **new)
    assert again.status_code == 422
    assert "300 exists already" in words(again)
    assert "s3cret" not in again.text, "a password is not shown again"
    agent = portal.agent("300")
    agent.password = "s3cret"
    assert agent.register().status == 200, "it holds at once"
    page = browser.get("/t/default/extensions/edit/300")
    assert "Extension 300" in page.text
    (number,) = found_in(page.text, "//a[normalize-space()='Another number']/@href")
    taken = browser.submit(str(number), new="101", password="an0ther")
    assert (taken.status_code, "extension 101 exists already" in words(taken)) == (422, True)
    assert "an0ther" not in taken.text
    late = browser.get(str(number))
    portal.cli("extension", "set", "300", "--name", "Newer")
    assert browser.send(late, new="310", password="an0ther").status_code == 409
    assert "It has another number now." in words(browser.submit(str(number), new="310", password="an0ther"))
    assert "gave extension 300 the number 310" in words(browser.get("/t/default/changes"))
    assert agent.register().status == 401
    agent = portal.agent("310")
    agent.password = "an0ther"
    assert agent.register().status == 200
    assert "Removed." in words(browser.submit("/t/default/extensions/remove/310"))
    assert agent.register().status == 401


def test_two_who_change_the_same(portal: Site, browser: Browser) -> None:
    page = browser.get("/t/default/extensions/edit/111")
    with Browser(portal_url(portal)) as second:
        second.sign_in("second")
        assert "Saved." in words(second.submit("/t/default/extensions/edit/111", name="Of second"))
    late = browser.send(page, name="Of boss")
    assert late.status_code == 409
    assert "changed by somebody else" in words(late)
    assert shown(portal, "extension", "show", "111")["name"] == "Of second"
    assert "Saved." in words(browser.send(late, name="Of boss after all"))


CONTESTED = {  # pages that are open, and what somebody else does meanwhile
    "groups/edit/contested": "group set contested 102 103",
    "groups/remove/contested": "group set contested 103 104",
    f"phones/edit/{CONTESTED_MAC}": f"device set {CONTESTED_MAC} --keys 103",
    f"phones/remove/{CONTESTED_MAC}": f"device set {CONTESTED_MAC} --keys 104",
    "codes": "tenant set --pickup-code *77",
    "administrators/edit/contested@default": "admin role contested@default attendant",
    "administrators/remove/contested@default": "admin role contested@default viewer",
}


def test_whoever_comes_late_is_told(portal: Site, browser: Browser) -> None:
    portal.cli("group", "add", "contested", "101", "102")
    portal.cli("device", "add", CONTESTED_MAC, "--model", "yealink/t31", "--extension", "101")
    portal.cli("admin", "add", "contested", "--tenant", "default", "--password", ADMIN_PASSWORD)
    codes = {"pickup_code": "*97", "group_pickup_code": "*98", "pickup": "on", "pickable": "on"}
    others = {"extensions": "101", "model": "yealink/t31", "name": "contested", "role": "administrator"}
    for address, change in CONTESTED.items():
        page = browser.get(f"/t/default/{address}")
        portal.cli(*change.split())
        late = browser.send(page, **codes, **others)
        assert late.status_code == 409, address
        assert "changed by somebody else" in words(late), address
    assert (shown(portal, "group", "show", "contested"))["targets"] == ["103", "104"]
    assert shown(portal, "tenant", "list")[0]["pickup_code"] == "*77"
    portal.cli("tenant", "set", "--pickup-code", "*97")
    for words_ in (("group", "contested"), ("device", CONTESTED_MAC), ("admin", "contested@default")):
        portal.cli(words_[0], "remove", words_[1], "--yes")


def test_an_import_shows_first_what_it_will_do(portal: Site, browser: Browser) -> None:
    def upload(text: bytes) -> httpx.Response:
        return browser.submit("/t/default/extensions/import", files={"file": ("e.csv", text, "text/csv")})

    good = b'extension,password,name\n801,a,Ann\n802,b,"Ben, of old"\n'
    wrong = upload(good + b"802,c,Cid\n101,d,Dot\n")
    assert wrong.status_code == 422
    assert "2 of 4 are" in words(wrong)
    assert "line 4" in words(wrong)
    assert "line 5" in words(wrong)
    for bad in (b"", b"a,b\n1,2\n", b"\xff\xfe", b'extension,password,name\n"1'):
        assert upload(bad).status_code == 422
    preview = upload(good)
    assert "2 extensions would be added" in words(preview)
    assert "802" not in portal.cli("extension", "list"), "nothing has been done yet"
    text = preview.text.split('<textarea name="text" hidden>\n')[1].split("</textarea>")[0]
    assert "Imported." in words(browser.send(preview, text=html.unescape(text)))
    assert shown(portal, "extension", "show", "802")["name"] == "Ben, of old"
    changed = {
        "file": ("e.csv", '\ufeffname;extension\r\nAnna;801\r\n"Ben, of old";802\r\n'.encode(), "text/csv")
    }
    preview = browser.submit("/t/default/extensions/import", files=changed, update="on")
    assert "0 extensions would be added, 1 changed, 1 left as before" in words(preview)
    text = preview.text.split('<textarea name="text" hidden>\n')[1].split("</textarea>")[0]
    assert "Imported." in words(browser.send(preview, text=html.unescape(text)))
    assert shown(portal, "extension", "show", "801")["name"] == "Anna"
    exported = browser.get("/t/default/extensions/export")
    assert exported.headers["content-disposition"] == 'attachment; filename="extensions.csv"'
    assert "\r\n801,,Anna,default,default," in exported.text
    assert '\r\n802,,"Ben, of old",default,default,' in exported.text
    same = {"file": ("e.csv", exported.content, "text/csv")}
    preview = browser.submit("/t/default/extensions/import", files=same, update="on")
    assert "Nothing would change: all is as the file says." in words(preview)


def test_an_import_that_was_shown_can_be_done(portal: Site) -> None:
    """The file is as large as files may be, in letters that take most room in a form."""
    portal.cli("tenant", "add", "big.example")
    rows: list[str] = []
    size = len("extension,password,name\n")
    while True:
        row = f"big{len(rows)},secret,{'ب' * 180}\n"
        size += len(row.encode())
        if size > LARGEST_FILE:
            break
        rows.append(row)
    text = "extension,password,name\n" + "".join(rows)
    files = {"file": ("big.csv", text.encode(), "text/csv")}
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        preview = root.submit("/t/big.example/extensions/import", files=files)
        assert f"{len(rows)} extensions would be added" in words(preview)
        assert "Imported." in words(root.send(preview, text=text))
        changes = root.get("/t/big.example/changes")
        assert f"and {len(rows) - 6} more) from a file" in words(changes)
        assert len(changes.content) < 200_000
    portal.cli("tenant", "remove", "big.example", "--yes")


def test_a_removal_of_what_has_changed_since(portal: Site, browser: Browser) -> None:
    page = browser.get("/t/default/extensions/remove/109")
    portal.cli("extension", "set", "109", "--name", "Changed meanwhile")
    late = browser.send(page)
    assert late.status_code == 409
    assert "changed by somebody else" in words(late)
    assert shown(portal, "extension", "show", "109")["name"] == "Changed meanwhile"


def test_phones(portal: Site, browser: Browser) -> None:
    new = {
        "mac": MAC,
        "model": "yealink/t54x",
        "extensions": "101",
        "keys": "102,*98=Group",
        "transport": "udp",
    }
    wrong = browser.submit("/t/default/phones/new", **new)
    assert "t54w" in words(wrong), "near matches are named"
    gap = browser.submit("/t/default/phones/new", **{**new, "extensions": "101,,102"})
    assert "extensions: nothing stands after '101'" in words(gap)
    assert 'value="101,,102"' in gap.text, "what was typed is still there"
    assert "Added." in words(browser.submit("/t/default/phones/new", **{**new, "model": "yealink/t54w"}))
    page = words(browser.get(f"/t/default/phones/show/{MAC}"))
    assert "not registered" in page
    assert "Group speed dial *98" in page
    assert "none: start the server with --provision" in page
    changed = browser.submit(
        f"/t/default/phones/edit/{MAC}", **{**new, "model": "yealink/t54w", "keys": "999"}
    )
    assert "999, which does not exist" in words(changed)
    edit = {**new, "model": "yealink/t54w"}
    for modules, said in (("4", "takes 3 modules at most, not 4"), ("two", "modules 'two': write how many")):
        assert said in words(browser.submit(f"/t/default/phones/edit/{MAC}", **edit, modules=modules))
    assert "Module 2" in words(browser.submit(f"/t/default/phones/edit/{MAC}", **edit, modules="2"))
    told = browser.submit(f"/t/default/phones/show/{MAC}")
    assert "No phone is registered that could be told." in words(told)
    before = json.loads(portal.cli("device", "show", MAC, "--secrets", "--json"))
    assert "Renew phone" in words(browser.get(f"/t/default/phones/renew/{MAC}"))
    assert "other passwords" in words(browser.submit(f"/t/default/phones/renew/{MAC}"))
    after = json.loads(portal.cli("device", "show", MAC, "--secrets", "--json"))
    assert before["admin_password"] != after["admin_password"]
    secret = browser.send(browser.get(f"/t/default/phones/show/{MAC}"), to="/secrets/")
    kept = json.loads(portal.cli("device", "show", MAC, "--secrets", "--json"))
    for name in ("admin_password", "user_password"):
        assert kept[name] in words(secret)
        for path in (f"/t/default/phones/show/{MAC}", "/t/default/phones", "/t/default/changes"):
            assert kept[name] not in browser.get(path).text
        assert kept[name] not in portal.server.log.read_text()
    assert f"looked at the passwords of phone {MAC}" in words(browser.get("/t/default/changes"))
    assert browser.get(f"/t/default/phones/secrets/{MAC}").status_code == 405, "it has no address to keep"
    portal.registered("101")
    assert "Told to fetch" in words(browser.submit("/t/default/phones"))
    csv = b"mac,model,extensions,keys\n80:5e:c0:12:34:99,yealink/t31,102,team\nxx,yealink/t31,102,\n"
    refused = browser.submit("/t/default/phones/import", files={"file": ("p.csv", csv, "text/csv")})
    assert "line 3" in words(refused)
    assert len(shown(portal, "device", "list")) == 1
    csv = csv.rpartition(b"xx")[0]
    preview = browser.submit("/t/default/phones/import", files={"file": ("p.csv", csv, "text/csv")})
    assert "1 phone would be added" in words(preview)
    assert len(shown(portal, "device", "list")) == 1, "nothing has been done yet"
    assert "Imported." in words(browser.send(preview, text=csv.decode()))
    assert "80:5e:c0:12:34:99,yealink/t31,102,team,udp,0" in browser.get("/t/default/phones/export").text
    assert "80:5e:c0:12:34:99,yealink/t31,102," in browser.get("/t/default/phones/addresses").text
    assert "Removed." in words(browser.submit("/t/default/phones/remove/80:5e:c0:12:34:99"))
    asked = words(browser.get("/t/default/extensions/remove/101"))
    assert f"No other extension is on {MAC}: no files for that any more." in asked
    assert "Removed." in words(browser.submit(f"/t/default/phones/remove/{MAC}"))
    assert "No phone gets its files from here yet" in words(browser.get("/t/default/phones"))


def test_keys_are_chosen_or_written(portal: Site, browser: Browser) -> None:
    page, phone = "/t/default/phones/new", {"mac": MAC, "model": "yealink/t54w", "extensions": "101"}

    def chosen(way: str, *rows: tuple[str, str, str], **more: str) -> dict[str, Any]:
        kinds, values, labels = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 3
        return {"way": way, "key_kind": kinds, "key_value": values, "key_label": labels, **more}

    rows = (("blf", "102", "Bob"), ("blf", "", ""), ("speed dial", "*98", "Group"), ("line", "1", ""))
    for way, keys in (
        (chosen("everybody"), "team"),
        (chosen("group", key_group="sales"), "team:sales"),
        (chosen("each", *rows), "102=Bob,*98=Group,line:1"),
        (chosen("text", *rows, keys="103"), "103"),
    ):
        assert "Added." in words(browser.submit(page, **phone, **way))
        assert shown(portal, "device", "show", MAC)["keys"] == keys
        again = browser.get(f"/t/default/phones/edit/{MAC}").text
        assert f'value="{way["way"] if keys != "103" else "each"}" checked' in again
        assert "Removed." in words(browser.submit(f"/t/default/phones/remove/{MAC}"))
    for wrong, said in (
        (("speed dial", "102", ""), "Key 1: what a key dials is a code that begins with * or #"),
        (("blf", "*98", ""), "Key 1: '*98' is a code, not an extension"),
        (("blf", "102", "a,b"), "Key 1: a comma or an equals sign"),
        (("blf", "1 2", ""), "is no extension and no code"),
        (("blf", "999", ""), "999, which does not exist"),
    ):
        refused = browser.submit(page, **phone, **chosen("each", wrong))
        assert (refused.status_code, said in words(refused)) == (422, True), wrong
        assert f'value="{wrong[1]}"' in refused.text, "what was typed is still there"
    assert "choose which" in words(browser.submit(page, **phone, **chosen("group", key_group="")))
    more = browser.submit(page, **phone, **chosen("each", ("blf", "102", "")), more="yes")
    assert more.text.count('name="key_value"') == 9
    assert shown(portal, "device", "list") == []


def test_many_at_once(portal: Site, browser: Browser) -> None:
    page = browser.get("/t/default/extensions")

    def do(what: str, *rows: str, **more: str) -> httpx.Response:
        return browser.send(
            page, to=f"{'phones' if ':' in rows[0] else 'extensions'}/bulk", do=what, row=rows, **more
        )

    assert "Saved." in words(do("pickup-off", "108", "109"))
    assert [shown(portal, "extension", "show", n)["pickup"] for n in ("108", "109", "110")] == [
        "off",
        "off",
        "default",
    ]
    assert "Saved." in words(do("withhold-on", "108", "109"))
    assert [shown(portal, "extension", "show", n)["withhold"] for n in ("108", "110")] == ["on", "off"]
    assert "Saved." in words(do("withhold-off", "108", "109"))
    assert shown(portal, "extension", "show", "108")["withhold"] == "off"
    assert "Saved." in words(do("join", "108", "109", group="sales"))
    assert shown(portal, "group", "show", "sales")["pickers"] == ["102", "103", "104", "108", "109"]
    assert "Saved." in words(do("leave", "108", "109", group="sales"))
    changes = words(browser.get("/t/default/changes"))
    assert "changed 2 extensions (108 and 109)" in changes
    assert "added 108 and 109 to group sales" in changes
    for wrong in (do("", "108"), do("join", "108", group="none"), browser.send(page, to="bulk", do="remove")):
        assert wrong.status_code in (404, 422)
    for extension in ("401", "402"):
        portal.cli("extension", "add", extension, "--password", "x")
    portal.cli("group", "add", "gone", "401", "402", "108")
    portal.cli("extension", "set", "108", "--forward-busy", "402")
    asked = do("remove", "401", "402")
    said = words(asked)
    assert "Remove: 2 extensions (401, 402)?" in said
    assert "Group gone loses members. Calls of 108 are no longer forwarded to them." in said
    portal.cli("extension", "set", "401", "--name", "Somebody")
    late = browser.send(asked)
    assert (late.status_code, "changed by somebody else" in words(late)) == (409, True)
    assert "Removed." in words(browser.send(do("remove", "401", "402")))
    assert shown(portal, "group", "show", "gone")["pickers"] == ["108"]
    portal.cli("group", "remove", "gone", "--yes")
    macs = [MAC, OTHER_MAC]
    for mac, extension in zip(macs, ("108", "109"), strict=True):
        portal.cli("device", "add", mac, "--model", "yealink/t31", "--extension", extension)
    page = browser.get("/t/default/phones")
    assert "No phone is registered that could be told." in words(do("sync", *macs))
    assert "the field is empty" in words(do("keys", *macs, keys=""))
    assert "Saved." in words(do("keys", *macs, keys="102"))
    assert [row["keys"] for row in shown(portal, "device", "list")] == ["102", "102"]
    assert "999, which does not exist" in words(do("keys", *macs, keys="999"))
    for name, value in (("", "1"), ("timezone", "Mars/Base")):
        assert do("setting", *macs, setting=name, value=value).status_code == 422
    assert "Saved." in words(do("setting", *macs, setting="timezone", value="Europe/Berlin"))
    for mac in macs:
        assert 'value="Europe/Berlin"' in browser.get(f"/t/default/settings?scope={mac}").text
    assert "Saved." in words(do("unset", *macs, setting="timezone"))
    assert "set for none of these phones" in words(do("unset", *macs, setting="timezone"))
    changes = words(browser.get("/t/default/changes"))
    assert f"set timezone for 2 phones ({' and '.join(sorted(macs))})" in changes
    assert "took back timezone for 2 phones" in changes
    asked = do("renew", *macs)
    assert "Renew: 2 phones" in words(asked)
    assert "other passwords" in words(browser.send(asked))
    assert "gave 2 phones" in words(browser.get("/t/default/changes"))
    assert "Remove: 2 phones" in words(do("remove", *macs))
    assert "Removed." in words(browser.send(do("remove", *macs)))
    assert shown(portal, "device", "list") == []


def test_settings_of_phones(portal: Site, browser: Browser) -> None:
    page = browser.get("/t/default/settings")
    assert "timezone The phone's time zone." in words(page)
    fields = {"scope": "yealink", "name": "timezone", "how": "set"}
    wrong = browser.send(page, to="settings", **{**fields, "value": "Berlin"})
    assert "near it: Europe/Berlin" in words(wrong)
    assert 'value="Berlin"' in wrong.text, "what was typed is still there"
    saved = browser.send(page, to="settings", **{**fields, "value": "europe/berlin"})
    assert "timezone: saved. Phones take it at their next fetch." in words(saved)
    of_model = words(browser.get("/t/default/settings?scope=yealink/t54w"))
    assert "Europe/Berlin vendor yealink" in of_model
    assert "something is set for yealink" in of_model
    own = {"scope": "yealink", "name": "features.dnd.alow", "value": "0", "how": "set"}
    assert "near it: features.dnd.allow" in words(browser.send(page, to="settings", **own))
    secret = {
        "scope": "yealink",
        "name": "static.security.user_password",
        "value": "admin:h1dden",
        "how": "set",
    }
    kept = browser.send(page, to="settings", **secret)
    assert "static.security.user_password(hidden)" in words(kept)
    assert "h1dden" not in kept.text + browser.get("/t/default/changes").text
    refused = {"scope": "yealink", "name": "account.1.password", "value": "x", "how": "set"}
    assert "the phone is not reached" in words(browser.send(page, to="settings", **refused))
    out = browser.send(page, to="settings", **{**fields, "name": "refetch", "value": "", "how": "out"})
    assert 'placeholder="left out"' in out.text
    for name in ("timezone", "refetch", own["name"], secret["name"]):
        gone = browser.send(page, to="settings", **{**fields, "name": name, "how": "back"})
        assert f"{name}: saved." in words(gone)
    assert "something is set" not in words(browser.get("/t/default/settings"))
    for scope in ("siemens", "80:5e:c0:00:00:09", "\x1b"):
        assert browser.client.get("/t/default/settings", params={"scope": scope}).status_code == 422
    assert "set features.dnd.alow to 0 for yealink" in words(browser.get("/t/default/changes"))


def test_templates_of_phones(portal: Site) -> None:
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        page, source = "/templates/edit", "#!version:1.0.0.1\n# ours\n"
        for scope, said in (("siemens", "siemens"), ("*", "is for a maker (yealink) or a model")):
            refused = root.submit(page, scope=scope, source=source)
            assert (refused.status_code, said in words(refused)) == (422, True)
            assert "# ours" in refused.text, "what was typed is still there"
        assert "Saved." in words(root.submit(page, scope="yealink", source=source))
        assert portal.cli("provision", "template", "show", "yealink").strip() == source.strip()
        assert "# ours" in root.get("/templates/edit?scope=yealink").text
        assert "set the template of yealink" in words(root.get("/changes"))
        assert "Its 2 lines are kept" in words(root.get("/templates/remove?scope=yealink"))
        assert "Removed." in words(root.submit("/templates/remove?scope=yealink"))
        assert "There is none" in words(root.get("/templates"))


def test_feature_codes(portal: Site, browser: Browser) -> None:
    fields = {"pickup_code": "*4", "group_pickup_code": "*8", "pickup": "groups", "pickable": "on"}
    fields |= {"feature_sync": "on", "send_outside": "on"}
    assert "Saved." in words(browser.submit("/t/default/codes", **fields))
    (tenant,) = (row for row in shown(portal, "tenant", "list") if row["domain"] == "default")
    assert (tenant["pickup_code"], tenant["pickup"], tenant["pickable"]) == ("*4", "groups", True)
    choices = {"dnd_lamp": "idle", "redirect": "phone", "decline": "phone"}
    assert "Saved." in words(browser.submit("/t/default/codes", **fields, **choices))
    tenant = shown(portal, "tenant", "list")[0]
    assert {name: tenant[name] for name in choices} == choices
    assert "Saved." in words(browser.submit("/t/default/codes", **fields, star_dnd="*5", star_dnd_off=""))
    tenant = shown(portal, "tenant", "list")[0]
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


def test_tenants_and_their_administrators(portal: Site) -> None:
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        made = root.submit("/tenants/new", domain="New.Example", aliases="pbx.new.example")
        assert "new.example" in words(made)
        assert "is a tenant's domain" in words(root.submit("/tenants/new", domain="new.example", aliases=""))
        gap = root.submit("/tenants/new", domain="gap.example", aliases="a.example,,b.example")
        assert "leave that comma out" in words(gap)
        assert 'value="a.example,,b.example"' in gap.text, "what was typed is still there"
        added = root.submit(
            "/t/new.example/administrators", name="ann", password="x" * SHORTEST_PASSWORD, role="viewer"
        )
        assert "ann@new.example" in words(added)
        short = root.submit("/t/new.example/administrators", name="bob", password="short", role="viewer")
        assert "has to have" in words(short)
        with Browser(portal_url(portal)) as ann:
            ann.sign_in("ann@new.example", "x" * SHORTEST_PASSWORD)
            assert ann.get("/t/new.example/lamps").status_code == 200
            assert "Removed." in words(root.submit("/tenants/remove/new.example"))
            assert str(ann.get("/t/new.example/lamps").url).endswith("/sign-in?next=/t/new.example/lamps")
        last = root.get("/administrators/remove/root")
        assert "nobody takes their own rights away" in words(last)


def test_a_token_is_shown_once(portal: Site, browser: Browser) -> None:
    made = browser.submit("/t/default/tokens", name="crm", scope=["lamps", "read"])
    (secret,) = (word for word in words(made).split() if word.startswith("blfd_"))
    address = f"{portal_url(portal)}/api/v1/tenants/default/lamps"
    assert httpx.get(address, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    listed = browser.get("/t/default/tokens")
    assert secret not in listed.text
    assert "crm" in words(listed)
    browser.client.post(
        "/t/default/tokens/remove/crm",
        data={"csrf": listed.text.split('name="csrf" value="')[1].split('"')[0]},
    )
    assert httpx.get(address, headers={"Authorization": f"Bearer {secret}"}).status_code == 401


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


def test_every_change_is_kept(portal: Site, browser: Browser) -> None:
    browser.submit("/t/default/extensions/edit/110", name="Before", password="")
    browser.submit("/t/default/extensions/edit/110", name="After", password="n3w-one")
    page = browser.get("/t/default/changes")
    assert "name: Before After" in words(page)
    assert "boss@default" in words(page)
    assert "n3w-one" not in page.text
    with Browser(portal_url(portal)) as root:
        root.sign_in("root")
        assert "changed extension 110: name and password" in words(root.get("/changes?of=default"))
        elsewhere = words(root.get("/changes?of=acme.example"))
        assert "Nothing has been changed yet" in elsewhere
        assert "extension 110" not in elsewhere
