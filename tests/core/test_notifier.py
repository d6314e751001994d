"""SUBSCRIBE and NOTIFY in the core (RFC 6665, RFC 4235)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, World, directory, document, invite, notifies, reply, state, subscribe

from blfd.core import report
from blfd.core.effects import Accept, Log
from blfd.core.events import notifier
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import DirectoryChanged, FlowClosed, LegAccepted, NotifyAnswered
from blfd.core.values import Aor, Settings
from dialog_info import DialogState, Direction, DocumentState

WATCHED = Aor("default", "102")


def ringing(call_id: str = "ring", state: DialogState = DialogState.EARLY) -> WatchedDialog:
    return WatchedDialog(call_id, "l", "r", Direction.RECIPIENT, state, 0.0, "101", "Alice")


@pytest.mark.parametrize(
    ("over", "status", "header"),
    [
        ({"event": "presence"}, 489, ("Allow-Events", "dialog")),
        ({"event": ""}, 489, ("Allow-Events", "dialog")),
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
def test_answers(over: dict[str, object], status: int, header: tuple[str, str] | None) -> None:
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


def test_changes_are_coalesced() -> None:
    world = World()
    (first,) = notifies(world.give(subscribe()))
    dialogs, notifier = world.core.dialogs, world.core.notifier
    for becomes in (DialogState.EARLY, DialogState.CONFIRMED):
        dialogs.put(WATCHED, ringing(state=becomes))
        assert notifier.resources_changed(dialogs.take_changed(), world.now) == []
    (second,) = notifies(world.give(NotifyAnswered(first.subscription, 200)))
    assert [d.state for d in document(second).dialogs] == [DialogState.CONFIRMED]
    assert document(second).version == 1
    assert world.give(NotifyAnswered(first.subscription, 200)) == []


@pytest.mark.parametrize("status", [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604])
def test_answers_that_end_a_subscription(status: int) -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe()))
    world.give(NotifyAnswered(notify.subscription, status))
    assert len(world.core.notifier.subscriptions) == 0


@pytest.mark.parametrize("status", [408, 500, 503, 400, 600])
def test_other_failures_are_retried_with_back_off_then_given_up(status: int) -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe(expires=7200)))
    pauses = []
    for _ in range(4):
        assert notifies(world.give(NotifyAnswered(notify.subscription, status))) == []
        failed_at = world.now
        while not (found := notifies(world.at(world.now + 1))):
            assert world.now < failed_at + 400
        pauses.append(world.now - failed_at)
        (notify,) = found
    assert pauses == [5, 10, 20, 40]
    effects = world.give(NotifyAnswered(notify.subscription, status))
    assert any(isinstance(e, Log) and "does not take NOTIFY" in e.text for e in effects)
    assert len(world.core.notifier.subscriptions) == 0


def test_retry_after_is_honoured() -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe()))
    world.give(NotifyAnswered(notify.subscription, 503, 60))
    assert notifies(world.at(world.now + 59)) == []
    assert len(notifies(world.at(world.now + 1))) == 1


def test_a_success_forgets_failures() -> None:
    world = World()
    (notify,) = notifies(world.give(subscribe(expires=7200)))
    for _ in range(12):
        world.give(NotifyAnswered(notify.subscription, 503))
        (notify,) = notifies(world.at(world.now + 10))
        world.give(NotifyAnswered(notify.subscription, 200))
        world.core.dialogs.put(WATCHED, ringing(f"c{world.now}"))
        changed = world.core.dialogs.take_changed()
        (notify,) = notifies(world.core.notifier.resources_changed(changed, world.now))


def test_a_change_that_nobody_watched_is_in_the_next_document() -> None:
    world = World()
    world.confirm(world.give(subscribe(expires=0)))
    world.core.dialogs.put(WATCHED, ringing())
    assert world.core.notifier.resources_changed(world.core.dialogs.take_changed(), world.now) == []
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
        world.core.dialogs.put(WATCHED, ringing("talk", DialogState.CONFIRMED))
        world.core.dialogs.put(WATCHED, ringing("ring"))
        world.core.dialogs.take_changed()
        (notify,) = notifies(world.give(subscribe()))
        assert {d.state.value for d in document(notify).dialogs} == expected


def test_a_removed_extension_ends_its_subscriptions() -> None:
    world = World()
    world.confirm(world.give(subscribe()))
    (last,) = notifies(world.give(DirectoryChanged(directory(("101", "103")))))
    assert state(last) == "terminated;reason=noresource"


def test_a_closed_connection_ends_its_subscriptions() -> None:
    world = World()
    asked = subscribe()
    tcp = asked.request.flow._replace(transport="tcp")
    world.give(asked._replace(request=asked.request._replace(flow=tcp)))
    world.give(FlowClosed(tcp))
    assert len(world.core.notifier.subscriptions) == 0


def test_minimum_from_settings() -> None:
    world = World(Settings(subscribe_min_expires=5))
    assert reply(world.give(subscribe(expires=5))).status == 200


def test_keys_for_nobody_are_remembered_until_the_directory_changes() -> None:
    world = World()
    for number in range(notifier.MAX_UNKNOWN + 5):
        assert reply(world.give(subscribe("103", f"9{number:03}"))).status == 404
    rows = report.unknown(world.core, "default")
    assert len(rows) == notifier.MAX_UNKNOWN
    assert rows[0] == {"watcher": "103", "wanted": f"9{notifier.MAX_UNKNOWN + 4:03}"}
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
