"""Which phone it is that has registered and watches, where an extension has several."""

from __future__ import annotations

from typing import Any

import pytest

from blfd.devices.states import device_states
from blfd.store.devices import DeviceRow, Fetch

ONE, TWO = "805ec0000001", "805ec0000002"
HERE, THERE = "192.0.2.1", "192.0.2.2"
WORKS = "registered, watches all its keys"
EITHER = " (this phone or another of 101)"


def phone(mac: str, address: str = "", extension: str = "101") -> DeviceRow:
    fetch = Fetch(1.0, address, "Yealink") if address else None
    return DeviceRow(mac, "default", "yealink/t54w", (extension,), "102,103", fetch=fetch)


def registered(extension: str = "101", host: str = HERE, user_agent: str = "Yealink") -> dict[str, Any]:
    return {"extension": extension, "source": f"udp:{host}:5060", "user_agent": user_agent}


def watches(
    *resources: str, watcher: str = "101", host: str = HERE, user_agent: str = "Yealink"
) -> list[dict[str, Any]]:
    source = f"udp:{host}:5060"
    return [{"watcher": watcher, "resources": {*resources}, "source": source, "user_agent": user_agent}]


NAMED = {"user_agent": f"Fanvil X5U 2.12 {ONE}"}


@pytest.mark.parametrize(
    ("rows", "registrations", "watchers", "states"),
    [
        ([phone(ONE)], [], [], ["not registered"]),
        ([phone(ONE)], [registered("102")], [], ["not registered"]),
        ([phone(ONE)], [registered()], watches("102"), ["does not watch 103"]),
        ([phone(ONE)], [registered()], watches("102", "103"), [WORKS]),
        ([phone(ONE)], [registered(user_agent=f"x {TWO}")], watches("102", "103"), ["not registered"]),
        (
            [phone(ONE), phone(TWO, extension="102")],
            [registered()],
            watches("102", "103"),
            [WORKS, "not registered"],
        ),
        (
            [phone(ONE, HERE), phone(TWO, THERE)],
            [registered()],
            watches("102", "103"),
            [WORKS, "not registered"],
        ),
        (
            [phone(ONE, HERE), phone(TWO, THERE)],
            [registered(), registered(host=THERE)],
            watches("102", "103") + watches("102", host=THERE),
            [WORKS, "does not watch 103"],
        ),
        (
            [phone(ONE, HERE), phone(TWO, HERE)],
            [registered(**NAMED)],
            watches("102", "103", **NAMED),
            [WORKS, "not registered"],
        ),
        (
            [phone(ONE, HERE), phone(TWO, HERE)],
            [registered()],
            watches("102", "103"),
            [WORKS + EITHER, WORKS + EITHER],
        ),
        (
            [phone(ONE), phone(TWO)],
            [registered()],
            watches("102"),
            ["does not watch 103" + EITHER, "does not watch 103" + EITHER],
        ),
        (
            [phone(ONE, "2001:db8::1"), phone(TWO, "2001:db8::2")],
            [registered(host="[2001:db8::1]")],
            watches("102", "103", host="[2001:db8::1]"),
            [WORKS, "not registered"],
        ),
    ],
    ids=[
        "nobody",
        "somebody else",
        "half",
        "all",
        "another phone, by its name",
        "each its extension",
        "by where it fetched",
        "each by where it fetched",
        "by its name",
        "behind one address",
        "before any fetch",
        "by where it fetched, over IPv6",
    ],
)
def test_whose_it_is(
    rows: list[DeviceRow],
    registrations: list[dict[str, Any]],
    watchers: list[dict[str, Any]],
    states: list[str],
) -> None:
    wanted = {row.mac: {"102", "103"} for row in rows}
    found = device_states(rows, wanted, registrations, watchers)
    assert [found[row.mac] for row in rows] == states


def test_a_state_is_a_few_words() -> None:
    wanted = {ONE: {str(number) for number in range(102, 131)}}
    (state,) = device_states([phone(ONE)], wanted, [registered()], watches("102")).values()
    assert state == "28 of 29 keys silent"
