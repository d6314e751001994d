"""Pages of phones as forms: their keys, settings and templates, and one thing done to many at once."""

from __future__ import annotations

from typing import Any

import httpx
from browser import Browser, portal_url, words
from sites import Site

MAC = "80:5e:c0:12:34:56"
OTHER_MAC = "80:5e:c0:12:34:59"


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
    before = portal.shown("device", "show", MAC, "--secrets")
    assert "Renew phone" in words(browser.get(f"/t/default/phones/renew/{MAC}"))
    assert "other passwords" in words(browser.submit(f"/t/default/phones/renew/{MAC}"))
    after = portal.shown("device", "show", MAC, "--secrets")
    assert before["admin_password"] != after["admin_password"]
    secret = browser.send(browser.get(f"/t/default/phones/show/{MAC}"), to="/secrets/")
    kept = portal.shown("device", "show", MAC, "--secrets")
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
    assert len(portal.shown("device", "list")) == 1
    csv = csv.rpartition(b"xx")[0]
    preview = browser.submit("/t/default/phones/import", files={"file": ("p.csv", csv, "text/csv")})
    assert "1 phone would be added" in words(preview)
    assert len(portal.shown("device", "list")) == 1, "nothing has been done yet"
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
        assert portal.shown("device", "show", MAC)["keys"] == keys
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
    assert portal.shown("device", "list") == []


def test_many_at_once(portal: Site, browser: Browser) -> None:
    page = browser.get("/t/default/extensions")

    def do(what: str, *rows: str, **more: str) -> httpx.Response:
        return browser.send(
            page, to=f"{'phones' if ':' in rows[0] else 'extensions'}/bulk", do=what, row=rows, **more
        )

    assert "Saved." in words(do("pickup-off", "108", "109"))
    assert [portal.shown("extension", "show", n)["pickup"] for n in ("108", "109", "110")] == [
        "off",
        "off",
        "default",
    ]
    assert "Saved." in words(do("withhold-on", "108", "109"))
    assert [portal.shown("extension", "show", n)["withhold"] for n in ("108", "110")] == ["on", "off"]
    assert "Saved." in words(do("withhold-off", "108", "109"))
    assert portal.shown("extension", "show", "108")["withhold"] == "off"
    assert "Saved." in words(do("join", "108", "109", group="sales"))
    assert portal.shown("group", "show", "sales")["pickers"] == ["102", "103", "104", "108", "109"]
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
    assert portal.shown("group", "show", "gone")["pickers"] == ["108"]
    portal.cli("group", "remove", "gone", "--yes")
    macs = [MAC, OTHER_MAC]
    for mac, extension in zip(macs, ("108", "109"), strict=True):
        portal.cli("device", "add", mac, "--model", "yealink/t31", "--extension", extension)
    page = browser.get("/t/default/phones")
    assert "No phone is registered that could be told." in words(do("sync", *macs))
    assert "the field is empty" in words(do("keys", *macs, keys=""))
    assert "Saved." in words(do("keys", *macs, keys="102"))
    assert [row["keys"] for row in portal.shown("device", "list")] == ["102", "102"]
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
    assert portal.shown("device", "list") == []


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
