"""SUBSCRIBE and NOTIFY in the core (RFC 6665, RFC 4235)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from builders import (
    HOST,
    World,
    directory,
    document,
    flow,
    invite,
    notifies,
    register,
    reply,
    state,
    subscribe,
)

from blfd.core import report
from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegAccepted
from blfd.core.effects import Effect, Log, SaveSubscription
from blfd.core.events import requests
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import DirectoryChanged, FlowClosed, FlowReached, NotifyLost
from blfd.core.messages import InviteReceived, NotifyResponseReceived, RegisterReceived, SubscribeReceived
from blfd.core.settings import Settings
from blfd.core.values import Aor, DialogId, Flow
from dialog_info import DialogState, Direction, DocumentState

WATCHED = Aor("default", "102")


def ringing(leg: int = 1, state: DialogState = DialogState.EARLY) -> WatchedDialog:
    dialog = DialogId(f"call{leg}", "l", "r")
    return WatchedDialog(dialog, Direction.RECIPIENT, state, 0.0, "101", "Alice", leg=leg)


@pytest.mark.parametrize(
    ("over", "status", "header"),
    [
        ({"event": "presence"}, 489, ("Allow-Events", "dialog, as-feature-event")),
        ({"event": "refer"}, 403, None),
        ({"event": "refer", "to_tag": "sub1"}, 481, None),
        ({"event": ""}, 489, ("Allow-Events", "dialog, as-feature-event")),
        ({"accept": ("text/plain",)}, 406, ("Accept", "application/dialog-info+xml")),
        ({"accept": ()}, 406, ("Accept", "application/dialog-info+xml")),
        ({"accept": ("*/*",)}, 200, None),
        ({"accept": ("application/*",)}, 200, None),
        ({"accept": ("multipart/related", "application/dialog-info+xml")}, 200, None),
        ({"expires": 59}, 423, ("Min-Expires", "60")),
        ({"expires": 1}, 423, ("Min-Expires", "60")),
        ({"expires": 60}, 200, ("Expires", "60")),
        ({"expires": 0}, 200, ("Expires", "0")),
        ({"expires": None}, 200, ("Expires", "3600")),
        ({"expires": 99999}, 200, ("Expires", "7200")),
        ({"to": "999"}, 404, None),
        ({"to": ""}, 404, None),
        ({"contact": ""}, 400, None),
        ({"to_tag": "unknown"}, 481, None),
        ({"user": "999"}, 403, None),
    ],
)
def test_answers_to_a_subscribe(over: dict[str, object], status: int, header: tuple[str, str] | None) -> None:
    effects = World().give(subscribe(**over))  # type: ignore[arg-type]
    assert reply(effects).status == status
    assert header is None or header in reply(effects).headers
    assert len(notifies(effects)) == (status == 200)


def test_another_tenant_is_forbidden() -> None:
    world = World()
    foreign = subscribe("101", "101")
    target = foreign.request.target._replace(host="acme.example")
    asked = foreign._replace(request=foreign.request._replace(target=target))
    assert reply(world.give(asked)).status == 403


def test_the_first_notify() -> None:
    (notify,) = notifies(World().give(subscribe()))
    info = document(notify)
    assert (info.version, info.state, info.entity) == (0, DocumentState.FULL, f"sip:102@{HOST}")
    assert [d.state for d in info.dialogs] == [DialogState.TERMINATED]
    assert state(notify) == "active;expires=600"
    assert notify.cseq == 1
    assert notify.dialog.target == "sip:103@198.51.100.7"


def test_subscriptions_of_a_phone_share_what_is_the_same() -> None:
    """There are tens of thousands of subscriptions, most of them twenty to a phone."""
    world = World()
    for number, resource in enumerate(("101", "102", "103")):
        asked = subscribe(to=resource, call_id=f"call-{number}")
        moved = Flow(*asked.request.flow[:2], 5999 if number == 2 else 5060)  # a new tuple each time
        world.give(asked._replace(request=asked.request._replace(flow=moved)))
    first, second, third = world.core.notifier.subscriptions
    assert first.flow is second.flow
    assert (first.flow.port, third.flow.port) == (5060, 5999)
    assert first.dialog.event is third.dialog.event


def test_changes_are_coalesced() -> None:
    world = World()
    (first,) = notifies(world.give(subscribe()))
    dialogs, notifier = world.core.dialogs, world.core.notifier
    for becomes in (DialogState.EARLY, DialogState.CONFIRMED):
        dialogs.put(WATCHED, ringing(state=becomes))
        assert notifier.resources_changed(dialogs.changed.take(), world.now) == []
    (second,) = notifies(world.give(NotifyResponseReceived(first.subscription, 200)))
    assert [d.state for d in document(second).dialogs] == [DialogState.CONFIRMED]
    assert document(second).version == 1
    assert world.give(NotifyResponseReceived(first.subscription, 200)) == []


@pytest.mark.parametrize("status", [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604])
def test_answers_that_end_a_subscription(status: int) -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe()))
    world.give(NotifyResponseReceived(notify.subscription, status))
    assert len(world.core.notifier.subscriptions) == 0


@pytest.mark.parametrize("status", [408, 500, 503, 400, 600])
def test_other_failures_are_retried_with_back_off_then_given_up(status: int) -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe(expires=7200)))
    pauses = []
    for _ in range(4):
        assert notifies(world.give(NotifyResponseReceived(notify.subscription, status))) == []
        failed_at = world.now
        while not (found := notifies(world.at(world.now + 1))):
            assert world.now < failed_at + 400
        pauses.append(world.now - failed_at)
        (notify,) = found
    assert pauses == [5, 10, 20, 40]
    effects = world.give(NotifyResponseReceived(notify.subscription, status))
    assert any(isinstance(e, Log) and "does not take NOTIFY" in e.text for e in effects)
    assert len(world.core.notifier.subscriptions) == 0


def test_retry_after_is_honoured() -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe()))
    world.give(NotifyResponseReceived(notify.subscription, 503, 60))
    assert notifies(world.at(world.now + 59)) == []
    assert len(notifies(world.at(world.now + 1))) == 1


def test_a_success_forgets_failures() -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe(expires=7200)))
    for _ in range(12):
        world.give(NotifyResponseReceived(notify.subscription, 503))
        (notify,) = notifies(world.at(world.now + 10))
        world.give(NotifyResponseReceived(notify.subscription, 200))
        world.core.dialogs.put(WATCHED, ringing(int(world.now)))
        changed = world.core.dialogs.changed.take()
        (notify,) = notifies(world.core.notifier.resources_changed(changed, world.now))


def test_a_change_that_nobody_watched_is_in_the_next_document() -> None:
    world = World()
    world.confirm(world.give(subscribe(expires=0)))
    world.core.dialogs.put(WATCHED, ringing())
    assert world.core.notifier.resources_changed(world.core.dialogs.changed.take(), world.now) == []
    (notify,) = notifies(world.give(subscribe()))
    assert [d.state for d in document(notify).dialogs] == [DialogState.EARLY]


def test_expiry() -> None:
    world = World()
    world.confirm(world.give(subscribe(expires=60)))
    assert notifies(world.at(world.now + 59)) == []
    (last,) = notifies(world.at(world.now + 1))
    assert state(last) == "terminated;reason=timeout"
    world.confirm([last])
    assert len(world.core.notifier.subscriptions) == 0


def test_a_refresh_moves_the_expiry() -> None:
    world = World()
    effects = world.give(subscribe(expires=60, call_id="s"))
    world.confirm(effects)
    world.now += 50
    again = subscribe(expires=60, call_id="s", cseq=2, to_tag=reply(effects).to_tag)
    world.confirm(world.give(again))
    assert notifies(world.at(world.now + 30)) == []
    assert len(notifies(world.at(world.now + 30))) == 1
    assert reply(world.give(again)).status == 481


def test_an_old_cseq_is_refused() -> None:
    world = World()
    effects = world.give(subscribe(call_id="s", cseq=7))
    old = subscribe(call_id="s", cseq=7, to_tag=reply(effects).to_tag)
    assert reply(world.give(old)).status == 500


def test_somebody_elses_dialog_is_unknown() -> None:
    world = World()
    tag = reply(world.give(subscribe("103", call_id="s"))).to_tag
    assert reply(world.give(subscribe("101", call_id="s", cseq=2, to_tag=tag))).status == 481


def test_single_dialog_prefers_the_ringing_one() -> None:
    world = World()
    for single, expected in ((False, {"early", "confirmed"}), (True, {"early"})):
        found = directory()
        tenant = replace(found.tenants["default"], single_dialog=single)
        world.give(DirectoryChanged(replace(found, tenants={**found.tenants, "default": tenant})))
        world.core.dialogs.put(WATCHED, ringing(2, DialogState.CONFIRMED))
        world.core.dialogs.put(WATCHED, ringing())
        world.core.dialogs.changed.take()
        (notify,) = notifies(world.give(subscribe()))
        assert {d.state.value for d in document(notify).dialogs} == expected


def test_a_removed_extension_ends_its_subscriptions() -> None:
    world = World()
    world.confirm(world.give(subscribe()))
    (last,) = notifies(world.give(DirectoryChanged(directory(("101", "103")))))
    assert state(last) == "terminated;reason=noresource"


NAT, DIRECT = "sip:103@10.0.0.7:5062", "sip:103@198.51.100.7:5062"
PORT = 40_000


class Connected:
    """Phones of 103 over TCP; each has the number of its connection."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.world = World(settings, phones=())

    @staticmethod
    def flow(connection: int) -> Flow:
        return flow("103", "tcp")._replace(port=PORT + connection)

    def asked(self, connection: int, contact: str, **over: object) -> SubscribeReceived:
        message = subscribe(contact=contact, **over)  # type: ignore[arg-type]
        return message._replace(request=message.request._replace(flow=self.flow(connection)))

    def subscribed(self, connection: int, contact: str, call_id: str = "", expires: int = 600) -> str:
        """Subscribe, confirm the first NOTIFY, and return the key of the subscription."""
        effects = self.world.give(self.asked(connection, contact, call_id=call_id, expires=expires))
        self.world.confirm(effects)
        return reply(effects).to_tag

    def close(self, connection: int, *in_flight: str) -> list[Effect]:
        flow = self.flow(connection)
        effects = self.world.give(FlowClosed(flow))
        return [*effects, *(e for key in in_flight for e in self.world.give(NotifyLost(key, flow)))]

    def changed(self) -> list[Flow]:
        """Change the lamp, and return the flows by which watchers are told."""
        changed = self.world.core.notifier.resources_changed([WATCHED], self.world.now)
        return [notify.flow for notify in notifies(changed)]


def test_a_closed_connection_ends_no_subscription() -> None:
    """A phone whose contact is where it comes from is connected to once there is something to tell."""
    phones = Connected()
    phones.subscribed(1, DIRECT)
    assert phones.close(1) == []
    assert phones.changed() == [phones.flow(1)._replace(port=5062)]


def test_what_was_in_flight_is_told_again() -> None:
    phones = Connected()
    (first,) = notifies(phones.world.give(phones.asked(1, DIRECT)))
    assert notifies(phones.close(1, first.subscription)) == []
    (again,) = notifies(phones.world.at(phones.world.now))
    assert again.flow == phones.flow(1)._replace(port=5062)
    assert again.cseq > first.cseq


def test_nothing_is_sent_behind_nat_until_the_phone_comes_again() -> None:
    phones = Connected()
    keys = [phones.subscribed(1, NAT) for _ in range(3)]
    other = phones.subscribed(2, NAT.replace("10.0.0.7", "10.0.0.8"))
    (log,) = phones.close(1)
    assert isinstance(log, Log)
    assert "3 subscription(s) wait" in log.text
    assert phones.changed() == [phones.flow(2)]
    phones.world.give(NotifyResponseReceived(other, 200))
    assert notifies(phones.world.at(phones.world.now + 100)) == []
    refresh = phones.asked(3, NAT, to_tag=keys[0], call_id="", cseq=2)
    dialog = phones.world.core.notifier.subscriptions.get(keys[0]).dialog  # type: ignore[union-attr]
    refresh = refresh._replace(request=refresh.request._replace(call_id=dialog.id.call_id))
    told = notifies(phones.world.give(refresh))
    assert {notify.subscription for notify in told} == set(keys), "all its keys, not the one that asked alone"
    assert {notify.flow for notify in told} == {phones.flow(3)}


@pytest.mark.parametrize("kind", ["REGISTER", "INVITE"])
@pytest.mark.parametrize("contact", [NAT, DIRECT])
def test_any_request_over_a_new_connection_leads_notifies_there(kind: str, contact: str) -> None:
    phones = Connected()
    key = phones.subscribed(1, contact)
    phones.close(1)
    event: RegisterReceived | InviteReceived
    if kind == "REGISTER":
        event = register("103", contact.replace("5062", "5099"))
    else:
        event = invite("103", "102")._replace(contact=contact)
    request = event.request._replace(flow=phones.flow(2))
    (notify,) = notifies(phones.world.give(event._replace(request=request)))
    assert (notify.subscription, notify.flow) == (key, phones.flow(2))


def test_a_peer_that_cannot_be_reached_is_tried_less_and_less() -> None:
    """A subscription is never dropped for that, and a peer that can be reached again is told at once."""
    phones = Connected()
    key = phones.subscribed(1, DIRECT, expires=7200)
    phones.close(1)
    phones.changed()
    world, way = phones.world, phones.flow(1)._replace(port=5062)
    times: list[float] = []
    world.give(NotifyLost(key, way))
    while len(times) < 9:
        at = world.core.notifier.timers.next()
        assert at is not None
        if notifies(world.at(at)):
            times.append(world.now)
            world.give(FlowClosed(way))
            world.give(NotifyLost(key, way))
    pauses = [later - earlier for earlier, later in pairwise([1000.0, *times])]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    world.give(FlowReached(way))
    (notify,) = notifies(world.at(world.now))
    assert notify.flow == way
    world.give(NotifyResponseReceived(key, 200))
    assert world.core.notifier.silent == 0


def test_unreachable_subscriptions_make_room_and_expire() -> None:
    phones = Connected(Settings(max_subscriptions=2))
    first, _ = phones.subscribed(1, NAT), phones.subscribed(1, NAT)
    assert reply(phones.world.give(phones.asked(1, NAT))).status == 403
    phones.close(1)
    effects = phones.world.give(phones.asked(2, NAT.replace("10.0.0.7", "10.0.0.8")))
    assert reply(effects).status == 200
    assert SaveSubscription(first, None) in effects
    phones.close(2)
    assert notifies(phones.world.at(phones.world.now + 601)) == []
    assert len(phones.world.core.notifier.subscriptions) == 0


def test_who_is_refused_keeps_what_it_has() -> None:
    """A subscription that would give way to another one stays if that is refused for another reason."""
    phones = Connected(Settings(max_subscriptions=1, source_subscriptions=1))
    key = phones.subscribed(1, NAT)
    elsewhere = flow("103", "tcp")._replace(host="198.51.100.99")
    other = subscribe("101")
    other = other._replace(request=other.request._replace(flow=elsewhere))
    assert reply(phones.world.give(other)).status == 200
    phones.close(1)
    refused = phones.asked(2, NAT)
    refused = refused._replace(request=refused.request._replace(flow=elsewhere._replace(port=7)))
    assert reply(phones.world.give(refused)).status == 403
    assert phones.world.core.notifier.subscriptions.get(key)
    assert reply(phones.world.give(phones.asked(2, "tel:+4912"))).status == 400
    assert phones.world.core.notifier.subscriptions.get(key)
    assert reply(phones.world.give(phones.asked(2, NAT.replace("10.0.0.7", "10.0.0.8")))).status == 200


@pytest.mark.parametrize("contact", ["http://198.51.100.7/", "tel:+4912", "sip", "*"])
def test_a_contact_that_nothing_can_be_sent_to(contact: str) -> None:
    assert reply(World().give(subscribe(contact=contact))).status == 400


def test_the_headers_of_a_contact_are_no_part_of_the_request_uri() -> None:
    world = World()
    (first,) = notifies(world.give(subscribe(contact=f"{DIRECT};line=1?Replaces=x", call_id="s")))
    assert first.dialog.target == f"{DIRECT};line=1"
    world.give(NotifyResponseReceived(first.subscription, 200))
    again = subscribe(contact=f"{NAT}?Replaces=x", call_id="s", to_tag=first.subscription, cseq=2)
    (second,) = notifies(world.give(again))
    assert second.dialog.target == NAT


def test_the_minimum_interval_comes_from_the_settings() -> None:
    world = World(Settings(subscribe_min_expires=5))
    assert reply(world.give(subscribe(expires=5))).status == 200


def test_keys_for_nobody_are_remembered_until_the_directory_changes() -> None:
    world = World()
    for number in range(requests.MAX_UNKNOWN + 5):
        assert reply(world.give(subscribe("103", f"9{number:03}"))).status == 404
    rows = report.unknown(world.core, "default")
    assert len(rows) == requests.MAX_UNKNOWN
    assert rows[0] == {"watcher": "103", "wanted": f"9{requests.MAX_UNKNOWN + 4:03}"}
    assert report.unknown(world.core, "acme.example") == []
    world.give(DirectoryChanged(directory()))
    assert report.unknown(world.core, "default") == []


def test_a_call_that_should_have_ended_is_counted() -> None:
    world = World(Settings(no_answer_timeout=30))
    (accept,) = world.give(invite())
    assert isinstance(accept, Accept)
    world.give(LegAccepted(accept.leg, "tag"))
    assert report.stuck(world.core, world.now + 90) == 0
    assert report.stuck(world.core, world.now + 91) == 1, "its timer has not fired"
    world.at(world.now + 91)
    assert report.stuck(world.core, world.now) == 0
