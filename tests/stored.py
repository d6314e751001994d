"""Rows that tests of the database write and expect, and one way to look into it beside the store."""

from __future__ import annotations

import sqlite3
from typing import Any

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.saved import SavedCall, SavedLeg, SavedSeat, SavedSubscription, SessionTimer
from blfd.core.values import Aor, Binding, DialogId, Flow, NameAddr, SubscriptionDialog
from blfd.store import Store

ALICE = Aor("default", "101")
ATTEMPT = Attempt(1000.5, ALICE, Way.DIRECTED, "102", "103", 200, "picked up", 0.75)


def binding(user: str = "a", expires_at: float = 1e10) -> Binding:
    """A phone of 101."""
    flow = Flow("udp", "192.0.2.1", 5060)
    more = (0.5, "Yealink", ("<sip:e;lr>",), "<urn:uuid:x>")
    return Binding(ALICE, f"sip:{user}@192.0.2.1", flow, "c", 1, expires_at, *more)


def subscription(key: str = "k", **over: Any) -> SavedSubscription:
    """A watcher of 102, with octets in its dialog that are no UTF-8."""
    flow = Flow("udp", "192.0.2.1", 5060)
    who = Aor("default", "102"), ALICE
    dialog = SubscriptionDialog(
        DialogId("\udcff", key, "t"),
        NameAddr("sip:102@host"),
        NameAddr("sip:101@host", 'Zoë "\udcfe"'),
        "sip:a@192.0.2.1",
        ("<sip:edge;lr>", "<sip:\udcfd;lr>"),
        "dialog;id=3",
    )
    whole = SavedSubscription(*who, "dialog", "sip:102@host", dialog, 7, flow, 1e10, "Zoë", 5, "p1")
    return whole._replace(**over)


def leg(tag: str = "ours", **over: Any) -> SavedLeg:
    """A leg with all that a row can have."""
    whole = SavedLeg(
        DialogId("\udcff", tag, "t\udcfe"),
        NameAddr("sip:102@host"),
        NameAddr("sip:101@host", 'Zoë "\udcfe"'),
        "sip:a@192.0.2.1;x=\udcfd",
        "sip:b@192.0.2.1;x=\udcfd",
        ("<sip:edge;lr>", "<sip:\udcfd;lr>"),
        Flow("udp", "192.0.2.1", 5060, 2),
        5,
        7,
        b"v=0\r\ns=\xff\r\n",
        b"v=0\r\n\0",
        True,
        SessionTimer(1800, True, 1e10),
    )
    return whole._replace(**over)


def call(number: int = 3, **over: Any) -> SavedCall:
    """A call between 101 and 102, whose number outside is 4930."""
    one = SavedSeat(
        2 * number,
        ALICE,
        "Zoë",
        True,
        False,
        "",
        True,
        5.5,
        True,
        False,
        ("104", "Dan \udcff"),
        DialogId("a", "b", "c"),
        leg(f"{number}"),
    )
    other = SavedSeat(
        2 * number + 1,
        Aor("default", "102"),
        "",
        False,
        True,
        "sip:\udcfc@b",
        False,
        6.5,
        False,
        True,
        ("", ""),
        None,
        leg(f"{number}", allows_update=False, timer=None),
        number="+4930",
    )
    return SavedCall(number, "host", "192.0.2.1", 4.5, 2, False, one, other)._replace(**over)


def count(store: Store, table: str) -> int:
    """The rows of a table."""
    connection = sqlite3.connect(store.path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()
