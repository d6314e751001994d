"""NOTIFYs of upstreams: whose are heard, and what comes of them.

What is told goes to the composition, as what publishers say does. A lamp is known as long as its subscription
lives, and 64*T1 more.
"""

from __future__ import annotations

from blfd.core import capabilities, hosts
from blfd.core.advice import command
from blfd.core.effects import Effect, Reply
from blfd.core.errors import Refusal
from blfd.core.events.documents import DialogPackage
from blfd.core.messages import NotifyReceived
from blfd.core.publications.composition import Composition
from blfd.core.upstreams.telling import take
from blfd.core.upstreams.watch import Watch
from blfd.core.upstreams.watches import LATE, ONCE_IN, Pbx, Watches
from blfd.core.upstreams.watching import Event, State
from blfd.core.values import Flow
from blfd.core.visible import visible
from dialog_info import DialogInfoError

MULTIPART = "multipart/related"
SHORTEST = 2  # seconds that a subscription lasts at the least, whatever a PBX says
AT_ONCE = frozenset(("", "deactivated", "timeout"))
LATER = frozenset(("probation", "giveup"))
"""Reasons of NOTIFYs that end a subscription; the others are for good (RFC 6665, section 4.1.3)."""


class Hearing:
    """Takes NOTIFYs of upstreams; `strays` counts those that are refused, as nobody has asked for them."""

    def __init__(self, watches: Watches, composition: Composition) -> None:
        self._watches, self._composition = watches, composition
        self.strays = 0

    def notified(self, notify: NotifyReceived, now: float) -> list[Effect]:
        """Take a NOTIFY. Raises Refusal for what we have not asked for, and what cannot be used."""
        request = notify.request
        watch = self._watches.by_dialog.get((request.call_id, request.to.tag))
        if watch is None or watch.remote_tag not in ("", request.from_.tag):
            self.strays += notify.event.lower() == DialogPackage.name  # others keep NATs awake by NOTIFY
            raise Refusal(481, "Subscription does not exist")
        pbx = self._watches.pbx(watch)
        if not self._is_from(pbx, watch, request.flow):
            self.strays += 1
            raise Refusal(481, "Subscription does not exist", (), _elsewhere(pbx, watch, request.flow))
        if notify.event.lower() != DialogPackage.name:
            raise Refusal(489, "", (capabilities.ALLOW_EVENTS,))
        if request.cseq <= watch.remote_cseq:
            raise Refusal(500, "A NOTIFY that is older than the last")
        watch.remote_cseq, watch.remote_tag = request.cseq, request.from_.tag
        if notify.contact:
            watch.set_target(notify.contact, notify.record_route)
        self._watches.responds(pbx, now)
        reply: Effect = Reply(request.transaction, 200, "OK")
        if notify.state == "terminated":
            return [reply, *self._ended(pbx, watch, notify, now)]
        if watch.state is State.LEAVING:
            return [reply]
        try:
            return [reply, *self._told(pbx, watch, notify, now)]
        except DialogInfoError as error:
            words = f"what it tells cannot be read: {visible(str(error), 120)}"
            refused = Reply(request.transaction, 400, visible(f"Dialog-info: {error}", 120))
            self._watches.forget(watch, now)
            watch.said = words
            logs = self._watches.tell_once(pbx, watch, words, "its lamp is unknown", "unreadable")
            self._ask_for_all(pbx, watch, now)
            return [refused, *logs]

    def _is_from(self, pbx: Pbx, watch: Watch, flow: Flow) -> bool:
        """Whether a NOTIFY by `flow` comes from where the PBX is."""
        if watch.flow and watch.flow.host == flow.host:
            return True
        if any(way.host == flow.host for _, way in self._watches.ways(pbx.upstream)):
            return True
        address = hosts.address(flow.host)
        return any(address in hosts.network(text) for text in pbx.upstream.sources) if address else False

    def _told(self, pbx: Pbx, watch: Watch, notify: NotifyReceived, now: float) -> list[Effect]:
        """Take what a NOTIFY tells. Raises DialogInfoError, or Refusal for another type of document."""
        was_told, watch.is_told = watch.is_told, True
        if notify.state == "pending":
            watch.said = "it has not decided yet whether it tells (pending)"
            return self._watches.step(watch, Event.TOLD, now)
        wanted = MULTIPART if watch.is_list else DialogPackage.content_type
        if notify.body and notify.content_type not in (wanted, ""):
            watch.said = f"it tells in {visible(notify.content_type)}, not in {wanted}"
            raise Refusal(415, "", (("Accept", wanted),))
        before = {aor for aor, lamp in watch.lamps.items() if lamp.is_known}
        told = take(watch, notify, now)
        pbx.said.pop(watch.said, None)
        watch.said, watch.failures = "", 0
        for aor, dialogs in told.heard.items():
            self._composition.hear(aor, pbx.upstream.name, dialogs, now)
            if (aor in before) is not watch.lamps[aor].is_known:
                self._watches.changed.add(aor)
        self._keep(watch, notify.expires, was_told and bool(before), now)
        logs = []
        for fault in told.faults:
            words = f"a dialog that cannot be read is left out: {visible(fault, 120)}"
            logs += self._watches.tell_once(pbx, watch, words, "the others are shown", "left out")
        if told.is_all:
            watch.lacks = False
        else:
            self._ask_for_all(pbx, watch, now)
        return [*logs, *self._watches.step(watch, Event.TOLD, now)]

    def _keep(self, watch: Watch, expires: int | None, is_kept: bool, now: float) -> None:
        """Set the end of a subscription: as late as was granted, or earlier where a NOTIFY says so."""
        ends = now + max(expires, SHORTEST) if expires is not None else watch.until
        shorter = watch.is_subscribed and ends < watch.until - 1.0
        if shorter:
            watch.until = ends
        if watch.state is State.SUBSCRIBED and (shorter or not is_kept):
            self._watches.keep(watch, now)
        elif not is_kept:  # until the SUBSCRIBE is answered
            lapses = max(watch.until, now) + LATE
            self._watches.timers.set(("lapse", watch.upstream.key, watch.number), lapses)

    def _ask_for_all(self, pbx: Pbx, watch: Watch, now: float) -> None:
        """Have an upstream asked for the full state, but not again and again."""
        if now - watch.full_at < ONCE_IN:
            return
        watch.full_at = now
        if watch.state is State.SUBSCRIBED:
            pbx.turns.want(watch.number)
            self._watches.set_turn(pbx, now)
        elif watch.state is State.ASKING:
            watch.lacks = True

    def _ended(self, pbx: Pbx, watch: Watch, notify: NotifyReceived, now: float) -> list[Effect]:
        """Take a NOTIFY that ends its subscription (RFC 6665, section 4.1.3)."""
        if watch.state is State.LEAVING:
            return self._watches.step(watch, Event.REJECTED, now)
        pbx.turns.done(watch.number)
        self._watches.end_dialog(watch)
        after = notify.retry_after or 0
        if notify.reason in AT_ONCE and not after:
            return self._watches.step(watch, Event.DEACTIVATED, now)
        words = f"it has ended its subscription ({visible(notify.reason) or 'without a reason'})"
        event = Event.POSTPONED if after or notify.reason in LATER else Event.REJECTED
        return self._watches.failed(watch, event, words, now, after)


def _elsewhere(pbx: Pbx, watch: Watch, flow: Flow) -> str:
    """What the operator reads of a NOTIFY from elsewhere, once; then ""."""
    if not pbx.is_news(f"NOTIFY from {flow.host}"):
        return ""
    name = pbx.upstream.name
    advice = command(pbx.upstream.tenant, "upstream", "set", name, "--source", flow.host)
    return (
        f"upstream {name}: {flow.host}, which is none of its servers, tells of {watch.whose}: refused; "
        f"{advice} takes it, beside all sources that it has"
    )
