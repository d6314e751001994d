"""What an earlier process has left goes on in this one: its phones, publications, calls and subscriptions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from blfd.core.effects import SaveSubscription
from blfd.core.events.subscription import AHEAD
from blfd.core.inputs import (
    BindingsRestored,
    CallsRestored,
    Input,
    PublicationsRestored,
    SubscriptionsRestored,
)
from blfd.core.saved import SavedCall, SavedSeat
from blfd.core.values import Flow
from blfd.store.records import Records

log = logging.getLogger("blfd")


def restore(
    records: Records,
    adopt: Callable[[Flow], Flow | None],
    emit: Callable[[Input], None],
    save: Callable[[SaveSubscription], None],
) -> None:
    """Go on with the phones, calls and watchers of before, by the flows of today that `adopt` says."""
    bindings = [(b, adopt(b.flow)) for b in records.bindings()]
    emit(BindingsRestored(tuple(replace(b, flow=flow) for b, flow in bindings if flow)))
    emit(PublicationsRestored(tuple(records.publications())))
    _restore_calls(records, adopt, emit)
    saved = [(s, adopt(s.flow)) for s in records.subscriptions(AHEAD)]
    found = tuple(s if flow is s.flow else s._replace(flow=flow) for s, flow in saved if flow)
    emit(SubscriptionsRestored(found))
    for one, flow in saved:
        if flow is None:
            save(SaveSubscription(one.key, None))
    if saved:
        log.info("%d subscriptions go on, %d cannot be reached any more", len(found), len(saved) - len(found))


def _restore_calls(
    records: Records, adopt: Callable[[Flow], Flow | None], emit: Callable[[Input], None]
) -> None:
    """Go on with calls before those who watch are told, so that they see no other state between."""
    found: list[SavedCall] = []
    lost: list[SavedCall] = []
    halves = [seat for half in records.halves() if (seat := _by_today(half.seat, adopt))]
    for call in records.calls(AHEAD):
        ends = [_by_today(seat, adopt) for seat in (call.caller, call.callee)]
        reached = [seat for seat in ends if seat]
        if len(reached) == 2:
            found.append(call._replace(caller=reached[0], callee=reached[1]))
        else:
            lost.append(call)
    emit(CallsRestored(tuple(found), tuple(lost), tuple(halves)))


def _by_today(seat: SavedSeat, adopt: Callable[[Flow], Flow | None]) -> SavedSeat | None:
    flow = adopt(seat.saved.flow)
    return seat._replace(saved=seat.saved._replace(flow=flow)) if flow else None
