"""A phone's files as the process makes them that serves them: they follow what is stored at once."""

from __future__ import annotations

import functools
import gc
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree
from makers import MAC, MAKERS, Maker

import provisioning
from blfd.core.values import Aor
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.store import NewExtension, Store
from blfd.store.devices import Fetch
from provisioning import Account, Contact, Device, Layer, ProvisioningError, Service, Shape, find

PLACE = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "http://192.0.2.5:8080")
TENANT, ALICE, BOB = "default", Aor("default", "101"), Aor("default", "102")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The database, as administrators have it open."""
    made = Store(tmp_path / "blfd.db")
    made.extensions.add(TENANT, (NewExtension(str(n), "secret", f"Name {n}") for n in range(101, 105)))
    made.groups.add(TENANT, "sales", (), ("102", "103"))
    return made


def serving(store: Store, model: str, keys: str) -> Phones:
    """A phone, and what the process has that serves it its files."""
    phones = Phones(Store(store.path), lambda: PLACE)
    phones.keep(phones.checked(TENANT, [Wanted(MAC, model, ("101",), keys)]))
    return phones


def fetched(phones: Phones) -> dict[str, bytes]:
    """The phone's main file and its phonebook, as it gets them now."""
    row = phones.get(TENANT, MAC)
    named = Device(MAC, find(row.model), ())
    names = {"main": provisioning.names(named)[0], "book": provisioning.book_name(named)}
    return {what: phones.file(row, name) or b"" for what, name in names.items()}


class Change(NamedTuple):
    """What an administrator does, and of the two files those that are others then."""

    do: Callable[[Store], object]
    changed: set[str]
    keys: str = "team"


MAIN, BOOK = {"main"}, {"book"}
CHANGES = {
    "a name": Change(lambda s: s.extensions.set(BOB, name="Bobby"), MAIN | BOOK),
    "its own name": Change(lambda s: s.extensions.set(ALICE, name="Alice"), MAIN | BOOK),
    "an extension more": Change(
        lambda s: s.extensions.add(TENANT, [NewExtension("1001", "x", "New")]), MAIN | BOOK
    ),
    "an extension less": Change(lambda s: s.extensions.remove(BOB), MAIN | BOOK),
    "another number": Change(lambda s: s.extensions.renumber(BOB, "202", "x"), MAIN | BOOK),
    "a member of its group": Change(
        lambda s: s.groups.set(TENANT, "sales", (), ("102", "104")), MAIN, "team:sales"
    ),
    "another code": Change(lambda s: s.tenants.set(TENANT, pickup_code="*8"), MAIN),
    "another star code": Change(lambda s: s.tenants.set(TENANT, star_codes={"dnd": "#78"}), MAIN),
    "its password": Change(lambda s: s.devices.renew(MAC), MAIN),
    "a setting of all tenants": Change(lambda s: s.overrides.set(None, "*", "call-waiting", "off"), MAIN),
    "a setting of the tenant": Change(lambda s: s.overrides.set(TENANT, "*", "refetch", "off"), MAIN),
    "a setting of its own": Change(lambda s: s.overrides.set(TENANT, MAC, "codecs", "pcma"), MAIN),
    "no phonebook": Change(lambda s: s.overrides.set(TENANT, "*", "phonebook", "off"), BOOK),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_a_change_is_in_the_next_file(store: Store, maker: Maker, change: Change) -> None:
    """Whatever has been made before: the file is the one of a process that has just begun."""
    phones = serving(store, maker.model, change.keys)
    before = fetched(phones)
    assert fetched(phones) == before
    change.do(store)
    after = fetched(phones)
    assert {what for what in after if after[what] != before[what]} >= change.changed
    forget()
    assert fetched(Phones(Store(store.path), lambda: PLACE)) == after


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_a_template_is_that_of_the_moment(store: Store, maker: Maker) -> None:
    phones = serving(store, maker.model, "102")
    vendor = maker.model.partition("/")[0]
    before = fetched(phones)
    for text in ("one", "two"):
        store.overrides.set_template(vendor, f"<x>{text}</x>")
        assert fetched(phones) == {**before, "main": f"<x>{text}</x>".encode()}
    store.overrides.unset_template(vendor)
    assert fetched(phones) == before


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_what_breaks_the_main_file_breaks_no_other(store: Store, maker: Maker) -> None:
    """A file that is asked for is made, and no other is."""
    phones = serving(store, maker.model, "102")
    row = phones.get(TENANT, MAC)
    sound = phones.files(row)
    store.overrides.set_template(maker.model, "{{ 1 / 0 }}")
    main = provisioning.names(Device(MAC, find(maker.model), ()))
    for name, content in sound.items():
        if name in main:
            with pytest.raises(ProvisioningError, match="division by zero"):
                phones.file(row, name.upper())
        else:
            assert phones.file(row, name.upper()) == content
    assert phones.file(row, "x.cfg") is None


def test_the_version_of_a_file_rises_with_each_change_and_each_start(store: Store) -> None:
    """A Fanvil leaves a file unread whose version is not higher than that of the one that it has."""
    phones = serving(store, "fanvil/x5u", "102")

    def version(phones: Phones) -> str:
        found = etree.fromstring(fetched(phones)["main"]).findtext("Version", "")
        assert re.fullmatch(r"2\.\d{10}", found), "as its own files have it"
        return found

    first = version(phones)
    assert version(phones) == first, "nothing has changed, and the phone has nothing to do"
    with sqlite3.connect(store.path) as connection:  # an hour later
        record(store)
        connection.execute("UPDATE audit SET at = at + 3600")
    second = version(phones)
    assert float(second) > float(first)
    started = replace(PLACE, since=PLACE.since + 7200)
    assert float(version(Phones(Store(store.path), lambda: started))) > float(second)
    year = Service("192.0.2.5", year=2026).version, Service("192.0.2.5", year=2027).version
    assert year[0] < year[1], "summer time may be told by its days"


def record(store: Store) -> None:
    """Have a change be recorded as those of administrators are."""
    store.audit.record("root", TENANT, "extension.change", "102", {"name": "Bob"}, {"name": "Bobby"})


@pytest.mark.parametrize("keys", ["102,103", "team"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_a_long_name_is_a_key_as_long_as_a_label(store: Store, maker: Maker, keys: str) -> None:
    """A name may be longer than what phones take as a label, which Grandstream's templates say of theirs."""
    name = "Wilhelmine-Charlotte Eleonore von und zu der Tann-Rathsamhausen"
    store.extensions.set(BOB, name=name)
    main = fetched(serving(store, maker.model, keys))["main"].decode()
    assert name[:32].rstrip() in main
    assert name[:33] not in main


def test_a_fetch_of_a_phone_that_has_been_removed_is_not_kept(store: Store) -> None:
    phones = serving(store, "yealink/t54w", "102")
    phones.store.devices.fetched(MAC, Fetch(1.0, "192.0.2.9", "Yealink"))
    assert phones.get(TENANT, MAC).fetch == Fetch(1.0, "192.0.2.9", "Yealink")
    phones.remove(TENANT, MAC)
    phones.store.devices.fetched(MAC, Fetch(2.0, "192.0.2.9", "Yealink"))
    assert phones.store.devices.get(MAC) is None


# What is kept of what has been made


def kept() -> list[functools._lru_cache_wrapper[object]]:
    """All that provisioning keeps by what it was made of."""
    caches = (each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper))
    return [each for each in caches if each.__module__.partition(".")[0] == "provisioning"]


def forget() -> None:
    for each in kept():
        each.cache_clear()


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_what_is_kept_does_not_grow_with_tenants(maker: Maker) -> None:
    """Nor with what an administrator changes in a year."""
    forget()
    device = Device(MAC, find(maker.model), (Account("101", "x"),))
    for number in range(400):
        service = Service("192.0.2.5", shapes=frozenset({Shape("1", 3)}), directed_code=f"*{number}")
        provisioning.main_file(device, service, [Layer("", {"timezone": "Europe/Berlin"})])
        provisioning.phonebook(device, service, [Contact("101", f"Name {number}")])
    held = {each.__name__: each.cache_info().currsize for each in kept()}
    assert max(held.values()) <= 256, held
    books = [each.cache_info() for each in kept() if each.__module__ == "provisioning.directories"]
    assert 0 < sum(info.currsize for info in books) <= 8
