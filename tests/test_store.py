"""What an administrator has set, in the database: tenants, extensions and groups, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
from stored import ALICE, binding

from blfd.core.directory import Group
from blfd.core.values import Aor
from blfd.store import NewExtension, Store, StoreError


def test_what_is_kept(store: Store) -> None:
    again = Store(store.path).directory()
    extension = again.extensions[ALICE]
    assert extension.name == "Alice Ng"
    assert extension.ha1 == {
        "SHA-256": hashlib.sha256(b"101:blfd:s3cret").hexdigest(),
        "MD5": hashlib.md5(b"101:blfd:s3cret").hexdigest(),
    }
    assert again.tenants.keys() == {"default"}


def test_a_tenants_realm_is_its_domain(store: Store) -> None:
    store.tenants.add("acme.example", ["pbx.acme.example"])
    store.extensions.add("acme.example", [NewExtension("101", "x")])
    extension = store.extensions.get(Aor("acme.example", "101"))
    assert extension.ha1["MD5"] == hashlib.md5(b"101:acme.example:x").hexdigest()


def test_changing(store: Store) -> None:
    store.extensions.set(ALICE, name="Alice B")
    before = store.extensions.get(ALICE)
    store.extensions.set(ALICE, password="other")
    after = store.extensions.get(ALICE)
    assert (after.name, after.ha1 == before.ha1) == ("Alice B", False)
    store.tenants.set("default", single_dialog=True, aliases=["pbx.example"])
    assert store.tenants.get("default").single_dialog
    assert store.tenants.get("default").aliases == ("pbx.example",)


def test_removing_takes_along_what_belongs(store: Store) -> None:
    store.records.save({ALICE: (binding(),)}, (), {}, {}, {})
    store.extensions.remove(ALICE)
    assert store.records.bindings() == []
    store.tenants.add("acme.example")
    store.extensions.add("acme.example", [NewExtension("1", "x")])
    store.tenants.remove("acme.example")
    assert store.directory().extensions == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (NewExtension("101", "x"), "exists already"),
        (NewExtension("", "x"), "letters, digits"),
        (NewExtension("*97", "x"), "letters, digits"),
        (NewExtension("a b", "x"), "letters, digits"),
        (NewExtension("x" * 65, "x"), "letters, digits"),
        (NewExtension("102", ""), "needs a password"),
        (NewExtension("102", "a\nb"), "control characters"),
        (NewExtension("102", "x", "a\tb"), "control characters"),
        (NewExtension("102", "x", "a\x7fb"), "control characters"),
        (NewExtension("#1", "x"), "letters, digits"),
    ],
)
def test_wrong_extensions(store: Store, row: NewExtension, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        store.extensions.add("default", [NewExtension("200", "x"), row])
    assert Aor("default", "200") not in store.directory().extensions, "all or none"


def test_unusual_extensions(store: Store) -> None:
    names = {"+4989123", "alice.b-c_d", "x" * 64}
    store.extensions.add("default", [NewExtension(name, "x", "Zoë\u00a0 \U0001f600") for name in names])
    assert {e.aor.extension for e in store.extensions.all("default")} == {"101", *names}


@pytest.mark.parametrize("domain", ["", "a b", "-a.example", "a..b", "x" * 300, "acme.example:5060"])
def test_wrong_domains(store: Store, domain: str) -> None:
    with pytest.raises(StoreError, match="domain name"):
        store.tenants.add(domain)


def test_what_is_not_there_or_taken(store: Store) -> None:
    store.tenants.add("Acme.Example", ["alias.example"])
    for act in (
        lambda: store.tenants.add("acme.example"),
        lambda: store.tenants.add("other.example", ["alias.example"]),
        lambda: store.tenants.remove("default"),
        lambda: store.tenants.remove("none.example"),
        lambda: store.tenants.set("acme.example"),
        lambda: store.extensions.set(ALICE),
        lambda: store.extensions.remove(Aor("default", "999")),
        lambda: store.extensions.all("none.example"),
    ):
        with pytest.raises(StoreError):
            act()


def test_groups(store: Store) -> None:
    store.extensions.add("default", [NewExtension(e, "x") for e in ("102", "103")])
    store.groups.add("default", "Büro 1", ["101", "102"], ["103"])
    expected = Group("default", "Büro 1", frozenset(("101", "102")), frozenset(("103",)))
    assert Store(store.path).directory().groups == (expected,)
    store.groups.set("default", "Büro 1", [], ["101"])
    assert store.groups.get("default", "Büro 1").targets == {"101"}
    store.extensions.remove(ALICE)
    assert store.groups.get("default", "Büro 1") == Group("default", "Büro 1"), "it is empty and stays"
    store.tenants.add("acme.example")
    with pytest.raises(StoreError, match=r"no extension 102@acme\.example"):
        store.groups.add("acme.example", "x", ["102"], [])
    assert store.groups.all("acme.example") == []


def test_shapes_of_extensions(store: Store) -> None:
    """Shapes are the first digits and lengths of one tenant's extensions that a keypad can dial."""
    store.tenants.add("acme.example")
    numbers = ("101", "102", "1001", "7", "012", "bob", "1a", "+49301", "12345678901234567890")
    store.extensions.add("acme.example", [NewExtension(number, "x") for number in numbers])
    assert store.devices.shapes("acme.example") == [("0", 3), ("1", 3), ("1", 4), ("1", 20), ("7", 1)]
    assert store.devices.shapes("nobody.example") == []
