"""Pages as forms: extensions, groups and people of an office, who comes late, and what is refused."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from browser import ADMIN_PASSWORD, Browser, found_in, portal_url, words
from sites import Site

from blfd.operations.admins import SHORTEST_PASSWORD
from blfd.web.portal.here import LARGEST_BODY, LARGEST_FILE

ODD_NAMES = (
    "<script>alert(1)</script>",
    'O\'Brien & "Sons"',
    "\u202eمرحبا بك",
    "🎉 Ünï",
    "{{ 7919 * 7907 }}",
)
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
        assert len(portal.shown("--tenant", "large.example", "group", "show", "most")["pickers"]) == 1999
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


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_shown_as_they_are(portal: Site, browser: Browser, name: str) -> None:
    new = {"name": name, "pickup": "groups", "pickable": "off", "withhold": "on"}
    assert "Saved." in words(browser.submit("/t/default/extensions/edit/112", **new))
    row = portal.shown("extension", "show", "112")
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
    assert portal.shown("extension", "show", "111")["name"] == "Of second"
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
    assert (portal.shown("group", "show", "contested"))["targets"] == ["103", "104"]
    assert portal.shown("tenant", "list")[0]["pickup_code"] == "*77"
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
    assert portal.shown("extension", "show", "802")["name"] == "Ben, of old"
    changed = {
        "file": ("e.csv", '\ufeffname;extension\r\nAnna;801\r\n"Ben, of old";802\r\n'.encode(), "text/csv")
    }
    preview = browser.submit("/t/default/extensions/import", files=changed, update="on")
    assert "0 extensions would be added, 1 changed, 1 left as before" in words(preview)
    text = preview.text.split('<textarea name="text" hidden>\n')[1].split("</textarea>")[0]
    assert "Imported." in words(browser.send(preview, text=html.unescape(text)))
    assert portal.shown("extension", "show", "801")["name"] == "Anna"
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
    assert portal.shown("extension", "show", "109")["name"] == "Changed meanwhile"


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
