"""Calls that are up, as rows: two of each, one for each leg; and a row for a leg that has no call yet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from blfd.core.saved import Kept, SavedCall, SavedHalf, SavedLeg, SavedSeat, SessionTimer
from blfd.core.values import Aor, DialogId, NameAddr
from blfd.store.kept import NUMBER, check, flow_of, readable, routes
from blfd.store.rows import exact, text

CALLER, CALLEE = "caller", "callee"
WHOLE = ("leg", "call", "transfers", "cseq", "remote_cseq")  # numbers; -1 is none yet
TIMES = ("started_at", "since")  # seconds since the epoch
SDP = ("sent", "received")
SESSION = ("session_interval", "session_expires_at")  # both or none


def calls(found: Iterable[dict[str, Any]]) -> tuple[list[SavedCall], set[int]]:
    """The calls with both legs in all rows, and the numbers of those of which a leg is of no use."""
    sides, lost = readable(found, _side, lambda row: f"call {row['call']}")
    seats: dict[int, dict[str, SavedSeat]] = {}
    rows: dict[int, dict[str, Any]] = {}
    for row, seat in sides:
        seats.setdefault(row["call"], {})[row["side"]] = seat
        rows[row["call"]] = row
    whole = [
        SavedCall(
            number,
            row["domain"],
            row["source"],
            row["started_at"],
            row["transfers"],
            bool(row["settled"]),
            seats[number][CALLER],
            seats[number][CALLEE],
            bool(row["secure"]),
        )
        for number, row in rows.items()
        if len(seats[number]) == 2
    ]
    return whole, {row["call"] for row in lost}


def halves(found: Iterable[dict[str, Any]]) -> list[SavedHalf]:
    """The legs without a call, from the rows that are alone."""
    sides, _ = readable(found, _side, lambda row: f"the leg of call {row['call']}")
    return [
        SavedHalf(row["call"], row["domain"], row["source"], row["started_at"], seat) for row, seat in sides
    ]


def _side(row: dict[str, Any]) -> tuple[dict[str, Any], SavedSeat]:
    """The row and its seat. Raises ValueError for one of no use."""
    if row["side"] not in (CALLER, CALLEE):
        raise ValueError(f"side is {row['side']!r}")
    check(row, NUMBER, *(TIMES if row["session_interval"] is None else (*TIMES, *SESSION)))
    check(row, bytes, *SDP)
    check(row, int, *WHOLE)
    if wrong := [name for name in WHOLE if row[name] < -1]:
        raise ValueError(f"{wrong[0]} is {row[wrong[0]]}")
    return row, _seat(row)


def _seat(row: dict[str, Any]) -> SavedSeat:
    replaces = json.loads(row["replaces"])
    user, name = json.loads(row["referred_by"])
    return SavedSeat(
        row["leg"],
        Aor(row["tenant"], row["extension"]),
        text(row["name"]),
        bool(row["withheld"]),
        bool(row["trusted"]),
        text(row["contact"]),
        bool(row["initiator"]),
        row["since"],
        bool(row["held"]),
        bool(row["picked"]),
        (user, name),
        DialogId(*replaces) if replaces else None,
        _leg(row),
        number=row["number"],
    )


def _leg(row: dict[str, Any]) -> SavedLeg:
    interval = row["session_interval"]
    timer = SessionTimer(interval, bool(row["session_is_ours"]), row["session_expires_at"])
    return SavedLeg(
        DialogId(text(row["call_id"]), row["local_tag"], text(row["remote_tag"])),
        NameAddr(text(row["local_uri"]), text(row["local_name"])),
        NameAddr(text(row["remote_uri"]), text(row["remote_name"])),
        text(row["target"]),
        text(row["reached_at"]),
        routes(row["route_set"]),
        flow_of(row),
        row["cseq"],
        row["remote_cseq"],
        row["sent"],
        row["received"],
        bool(row["allows_update"]),
        timer if interval else None,
    )


def rows(saved: Kept) -> list[dict[str, Any]]:
    """The rows of a call or of a leg without one, by column."""
    if isinstance(saved, SavedCall):
        sides = [(CALLER, saved.caller), (CALLEE, saved.callee)]
        transfers, settled, secure = saved.transfers, saved.settled, saved.secure
    else:
        sides = [(CALLEE, saved.seat)]
        transfers, settled, secure = 0, False, False
    of_call = {
        "call": saved.number,
        "domain": exact(saved.domain),
        "source": saved.source,
        "started_at": saved.started_at,
        "transfers": transfers,
        "settled": settled,
        "secure": secure,
    }
    return [{**of_call, "side": side, **_seat_row(seat), **_leg_row(seat.saved)} for side, seat in sides]


def _seat_row(seat: SavedSeat) -> dict[str, Any]:
    return {
        "leg": seat.leg,
        "tenant": seat.aor.tenant,
        "extension": seat.aor.extension,
        "name": exact(seat.name),
        "withheld": seat.withheld,
        "trusted": seat.is_trusted,
        "contact": exact(seat.contact),
        "initiator": seat.initiator,
        "since": seat.since,
        "held": seat.held,
        "picked": seat.picked,
        "referred_by": json.dumps(seat.referred_by),
        "replaces": json.dumps(seat.replaces),
        "number": seat.number,
    }


def _leg_row(leg: SavedLeg) -> dict[str, Any]:
    interval, is_ours, expires_at = leg.timer or (None, None, None)
    return {
        "call_id": exact(leg.dialog.call_id),
        "local_tag": leg.dialog.local_tag,
        "remote_tag": exact(leg.dialog.remote_tag),
        "local_uri": exact(leg.local.uri),
        "local_name": exact(leg.local.display),
        "remote_uri": exact(leg.remote.uri),
        "remote_name": exact(leg.remote.display),
        "target": exact(leg.target),
        "reached_at": exact(leg.contact),
        "route_set": json.dumps(leg.route_set),
        "transport": leg.flow.transport,
        "host": leg.flow.host,
        "port": leg.flow.port,
        "listener": leg.flow.listener,
        "peer": leg.flow.name,
        "cseq": leg.cseq,
        "remote_cseq": leg.remote_cseq,
        "sent": leg.sent,
        "received": leg.received,
        "allows_update": leg.allows_update,
        "session_interval": interval,
        "session_is_ours": is_ours,
        "session_expires_at": expires_at,
    }
