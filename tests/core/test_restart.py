"""Subscriptions from one process to the next, in the core."""

from __future__ import annotations

import pytest
from builders import World, document, each, flow, notifies, register, reply, state, subscribe

from blfd.core.effects import Effect, SaveSubscription
from blfd.core.events import subscription, ways
from blfd.core.inputs import BindingsRestored, Drain, NotifyLost, SubscriptionsRestored
from blfd.core.messages import NotifyResponseReceived
from blfd.core.saved import SavedSubscription
from blfd.core.settings import Settings
from blfd.core.values import Aor


def stored(effects: list[Effect], kept: dict[str, SavedSubscription]) -> None:
    """Keep in `kept` what the effects have the store keep."""
    for effect in effects:
        if isinstance(effect, SaveSubscription):
            if effect.saved:
                kept[effect.key] = effect.saved
            else:
                del kept[effect.key]


class Site:
    """A process and its store; `restart` is what kill -9 and a start are."""

    def __init__(self) -> None:
        self.world = World()
        self.kept: dict[str, SavedSubscription] = {}

    def give(self, event: object) -> list[Effect]:
        effects = self.world.give(event)  # type: ignore[arg-type]
        stored(effects, self.kept)
        return effects

    def at(self, now: float) -> list[Effect]:
        effects = self.world.at(now)
        stored(effects, self.kept)
        return effects

    def changed(self) -> list[Effect]:
        """Have the lamp of 102 show something else, and return the effects."""
        effects = each(self.world.core.notifier.resources_changed([Aor("default", "102")], self.world.now))
        stored(effects, self.kept)
        return effects

    def restart(self, after: float = 5.0) -> list[Effect]:
        """Begin the next process, for which the store has reserved numbers; return what it does at once."""
        now, before = self.world.now + after, list(self.kept.values())
        self.kept = {key: one._replace(cseq=one.cseq + subscription.AHEAD) for key, one in self.kept.items()}
        self.world = World()
        self.world.now = now
        return self.give(SubscriptionsRestored(tuple(before)))


def cseq(effects: list[Effect]) -> list[int]:
    return [notify.cseq for notify in notifies(effects)]


def test_it_goes_on_in_the_same_dialog() -> None:
    site = Site()
    first = notifies(site.give(subscribe()))[0]
    assert site.restart() == []
    (again,) = notifies(site.at(site.world.now))
    assert (again.dialog, again.flow, again.subscription) == (first.dialog, first.flow, first.subscription)
    assert state(again) == "active;expires=595"
    assert cseq([again]) > cseq([first])
    assert document(again).version > document(first).version


def test_a_refresh_goes_on_too() -> None:
    site = Site()
    asked = subscribe(call_id="one")
    tag = reply(site.give(asked)).to_tag
    site.restart()
    refresh = subscribe(call_id="one", to_tag=tag, cseq=2)
    assert reply(site.give(refresh)).status == 200
    late = subscribe(call_id="one", to_tag=tag, cseq=1)
    assert reply(site.give(late)).status == 500, "what was known of its CSeq is still known"


def test_numbers_rise_through_any_number_of_notifies_and_restarts() -> None:
    """The store keeps a number ahead of those that are used, so it is seldom written."""
    site, writes = Site(), 0
    (notify,) = notifies(site.give(subscribe()))
    for number in range(3 * subscription.AHEAD):
        last = notify
        if number % 1500 == 700:
            site.restart()
            (notify,) = notifies(site.at(site.world.now))
        else:
            site.give(NotifyResponseReceived(notify.subscription, 200))
            effects = site.changed()
            writes += sum(isinstance(effect, SaveSubscription) for effect in effects)
            (notify,) = notifies(effects)
        assert cseq([notify]) > cseq([last])
        assert document(notify).version > document(last).version
        assert site.kept[notify.subscription].cseq > cseq([notify])[0]
    assert 0 < writes < 10


def test_a_clean_end_goes_on_with_the_very_next_number() -> None:
    site = Site()
    (first,) = notifies(site.give(subscribe()))
    site.give(NotifyResponseReceived(first.subscription, 200))
    site.give(Drain(tell=False))
    site.restart()
    (again,) = notifies(site.at(site.world.now))
    assert cseq([again]) == [cseq([first])[0] + 1]
    assert document(again).version == document(first).version + 1


def test_watchers_that_are_told_of_the_end_are_not_kept() -> None:
    site = Site()
    site.give(subscribe())
    site.give(Drain(tell=True))
    assert site.kept == {}


@pytest.mark.parametrize("end", ["unsubscribed", "expired", "refused"])
def test_what_has_ended_is_not_kept(end: str) -> None:
    site = Site()
    (notify,) = notifies(site.give(subscribe(call_id="one")))
    assert site.kept
    match end:
        case "unsubscribed":
            site.give(subscribe(call_id="one", to_tag=notify.subscription, cseq=2, expires=0))
        case "expired":
            site.at(site.world.now + 601)
        case "refused":
            site.give(NotifyResponseReceived(notify.subscription, 481))
    assert site.kept == {}


def test_a_fetch_is_never_kept() -> None:
    site = Site()
    site.give(subscribe(expires=0))
    assert site.kept == {}


def test_what_has_expired_meanwhile_is_told_so() -> None:
    site = Site()
    site.give(subscribe())
    site.restart(after=601)
    (last,) = notifies(site.at(site.world.now))
    assert state(last) == "terminated;reason=timeout"
    assert site.kept == {}


def test_what_was_removed_meanwhile_is_told_so() -> None:
    site = Site()
    site.give(subscribe())
    one = next(iter(site.kept.values()))
    site.kept = {one.key: one._replace(resource=one.resource._replace(extension="999"))}
    (last,) = notifies(site.restart())
    assert state(last) == "terminated;reason=noresource"
    assert site.kept == {}


def test_many_are_told_one_after_the_other() -> None:
    """NOTIFYs after a start go out little by little, so that answers can be read between them."""
    site = Site()
    for _ in range(100):
        site.give(subscribe())
    site.restart()
    start = site.world.now
    told = [len(notifies(site.at(start + n / 1000))) for n in range(6)]
    assert sum(told) == 100
    assert max(told) <= ways.AT_ONCE_PER_SECOND // 1000 + 1


def test_a_change_before_a_watcher_was_told_is_in_what_it_is_told() -> None:
    site = Site()
    site.give(subscribe())
    site.restart()
    assert notifies(site.changed()) == []
    assert len(notifies(site.at(site.world.now))) == 1


@pytest.mark.parametrize("contact", ["sip:103@198.51.100.7:5062", "sip:103@10.0.0.7:5062"])
def test_a_watcher_over_tcp_is_tried_at_its_contact(contact: str) -> None:
    """The watcher's connection has ended with the process; behind NAT it is told when it comes again."""
    site = Site()
    asked = subscribe(contact=contact)
    gone = flow("103", "tcp")
    site.give(asked._replace(request=asked.request._replace(flow=gone)))
    site.restart()
    told = notifies(site.at(site.world.now))
    assert [notify.flow for notify in told] == ([gone._replace(port=5062)] if "198" in contact else [])
    back = register("103", contact)
    (notify,) = [
        *(told and notifies(site.give(NotifyLost(told[0].subscription, told[0].flow)))),
        *notifies(site.give(back._replace(request=back.request._replace(flow=gone._replace(port=1))))),
    ]
    assert notify.flow.port == 1
    assert len(site.kept) == 1


@pytest.mark.parametrize("after", [-3_600.0, -1e8])
def test_nothing_outlives_what_is_granted_where_the_clock_was_set_back_meanwhile(after: float) -> None:
    site = Site()
    site.give(subscribe("103", "102", 600))
    bindings = tuple(site.world.core.registrar.all_bindings(site.world.now))
    site.restart(after)
    most = Settings()
    (one,) = site.world.core.notifier.subscriptions
    assert one.expires_at - site.world.now <= most.subscribe_max_expires
    site.give(BindingsRestored(bindings))
    left = [b.expires_at - site.world.now for b in site.world.core.registrar.all_bindings(site.world.now)]
    assert left
    assert max(left) <= most.register_max_expires
