"""Our subscriptions to upstreams' lamps: each goes by the table in `watching`, and asks when it is its turn.

Nothing is stored: after a start each lamp is asked for in a dialog of its own, and what still comes in those
of before is answered 481.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from blfd.core.advice import command
from blfd.core.challenges import Proofs
from blfd.core.changes import Changed
from blfd.core.effects import Effect, Level, Log, SendRequest
from blfd.core.events.documents import DialogPackage
from blfd.core.publications.composition import Composition
from blfd.core.timers import Timers, chance
from blfd.core.trunks.remote import HostPort, Remote
from blfd.core.upstreams.telling import RLMI
from blfd.core.upstreams.turns import Turns
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watch import Lamp, Watch
from blfd.core.upstreams.watching import TABLE, Action, Event, State
from blfd.core.values import TRANSPORTS, Account, Aor, Flow, NameAddr

KIND = "watch"
FIRST_PAUSE = 2.0  # seconds; doubled with each failure up to the upstream's `retry`
EARLIEST, LATEST = 0.6, 0.8  # parts of the time granted, after which it is refreshed
LATE = 32.0  # 64*T1: for as long a NOTIFY may be on its way
ONCE_IN = 60.0  # seconds between two times that a PBX can have us ask at once
MOST_SAID = 20  # errors of an upstream that are not logged again
LOOKS, BETWEEN_LOOKS = 10, 0.5  # looks, and seconds between, until a server's name counts as not found
WITHOUT_ACCOUNT = "blfd"  # the user in From

OF_LIST = (
    ("Accept", f"{DialogPackage.content_type}, {RLMI}, multipart/related"),
    ("Supported", "eventlist"),
)

Key = tuple[str, tuple[str, str], int]


@dataclass(slots=True, eq=False)
class Pbx:
    """One upstream as it is now; `said` are the errors that the operator has read, `server` is the index of
    the server that is asked, and `checked_at` is when all its subscriptions were looked after."""

    upstream: Upstream
    turns: Turns
    server: int = 0
    looks: int = 0
    checked_at: float = 0.0
    said: dict[str, None] = field(default_factory=dict)
    watches: dict[Aor, Watch] = field(default_factory=dict)

    def take(self, upstream: Upstream) -> None:
        """Take what is set of it now, with the account as it was."""
        self.upstream, self.turns.rate = upstream, upstream.rate
        for watch in self.watches.values():
            watch.upstream, watch.expires = upstream, upstream.interval

    def is_news(self, words: str) -> bool:
        """Whether the operator has not read this yet; he has from now on."""
        if words in self.said:
            return False
        self.said[words] = None
        if len(self.said) > MOST_SAID:
            del self.said[next(iter(self.said))]
        return True


class Watches:
    """Our subscriptions to upstreams. `ways` are the servers of an upstream and their flows, and `leads_here`
    says whether one leads to ourselves. `changed` has extensions whose lamp is known now, or not any more."""

    def __init__(
        self,
        composition: Composition,
        ways: Callable[[Remote], list[tuple[HostPort, Flow]]],
        new_tag: Callable[[], str],
        leads_here: Callable[[Flow], bool],
    ) -> None:
        self._composition, self.ways, self._new_tag = composition, ways, new_tag
        self._leads_here = leads_here
        self._numbers = itertools.count(1)
        self.by_number: dict[int, Watch] = {}
        self.by_dialog: dict[tuple[str, str], Watch] = {}
        self.pbxs: dict[tuple[str, str], Pbx] = {}
        self.has_left = False
        self.changed = Changed()
        self.timers: Timers[Key] = Timers(self._due)

    def begin(self, pbx: Pbx, aor: Aor) -> Watch:
        """Watch an extension, by the subscription to the list where there is one."""
        watch = next(iter(pbx.watches.values()), None) if pbx.upstream.resource_list else None
        if watch is None:
            of_list = bool(pbx.upstream.resource_list)
            watch = Watch(next(self._numbers), pbx.upstream, pbx.upstream.interval, of_list)
            self.by_number[watch.number] = watch
        watch.lamps[aor], pbx.watches[aor] = Lamp(), watch
        if watch.state in (State.WAITING, State.SUBSCRIBED):
            pbx.turns.want(watch.number)
        else:
            watch.lacks = True  # it may have been told of the others already
        return watch

    def pbx(self, watch: Watch) -> Pbx:
        return self.pbxs[watch.upstream.key]

    # Turns

    def set_turn(self, pbx: Pbx, now: float) -> None:
        at = pbx.turns.next(now)
        key = ("turn", pbx.upstream.key, 0)
        if at is None or self.has_left:
            self.timers.cancel(key)
        else:
            self.timers.set(key, at)

    def _due(self, key: Key, now: float) -> list[Effect]:
        what, of, number = key
        pbx = self.pbxs[of]
        if what == "turn":
            return self._take_turns(pbx, now)
        watch = self.by_number[number]
        if what == "lapse":
            watch.said = watch.said or "its subscription has ended, and is not renewed"
            self.forget(watch, now)
            return self.tell_once(pbx, watch, watch.said, "its lamp is unknown")
        if watch.state is State.SUBSCRIBED and not watch.is_told:
            return self.failed(watch, Event.UNTOLD, "it has accepted, and sends no NOTIFY", now)
        pbx.turns.want(number)
        self.set_turn(pbx, now)
        return []

    def _take_turns(self, pbx: Pbx, now: float) -> list[Effect]:
        if self.way(pbx) is None and pbx.looks < LOOKS:  # its name is being looked up
            pbx.looks += 1
            self.timers.set(("turn", pbx.upstream.key, 0), now + BETWEEN_LOOKS)
            return []
        pbx.looks = 0
        effects: list[Effect] = []
        while (number := pbx.turns.take(now)) is not None:
            watch = self.by_number[number]
            if watch.state in (State.WAITING, State.SUBSCRIBED, State.LEAVING):
                effects += self.step(watch, Event.MOVED if self._is_moved(pbx, watch) else Event.DUE, now)
        self.set_turn(pbx, now)
        return effects

    def _is_moved(self, pbx: Pbx, watch: Watch) -> bool:
        """Whether another server is asked now than that which it is subscribed with. DNS may well name them
        in another order each time, which moves nobody."""
        if watch.state is not State.SUBSCRIBED or watch.flow == self.way(pbx):
            return False
        return watch.server != pbx.server or watch.flow not in [way for _, way in self.ways(pbx.upstream)]

    def hurry(self, pbx: Pbx, now: float) -> None:
        """Have all asked for now that have no reason not to be."""
        pbx.checked_at = now
        for watch in pbx.watches.values():
            if watch.state is State.SUBSCRIBED or (watch.state is State.WAITING and not watch.is_refused):
                pbx.turns.want(watch.number)
        self.set_turn(pbx, now)

    def responds(self, pbx: Pbx, now: float, *, after_silence: bool = False) -> None:
        """Note that a PBX is there: after silence it may have started anew, and know nothing of us."""
        if pbx.turns.is_silent or after_silence:
            pbx.turns.is_silent = False
            self.hurry(pbx, now)
        self.set_turn(pbx, now)

    # What is said of it

    def failed(self, watch: Watch, event: Event, words: str, now: float, after: int = 0) -> list[Effect]:
        """Take a failure, in words; `after` are seconds until it may be asked again, if it says so."""
        pbx, logs = self.pbx(watch), []
        if watch.state is not State.LEAVING:
            watch.said = words
            slowly = event in (Event.REFUSED, Event.REJECTED)
            logs = self.tell_once(pbx, watch, words, "tried again slowly" if slowly else "tried again")
        effects = self.step(watch, event, now)
        if after and watch.state is State.WAITING:
            pause = min(max(after, 1), watch.upstream.retry_forbidden)
            pbx.turns.done(watch.number)
            self.timers.set(("due", pbx.upstream.key, watch.number), now + pause)
        return [*logs, *effects]

    @staticmethod
    def tell_once(pbx: Pbx, watch: Watch, words: str, then: str, kind: str = "") -> list[Effect]:
        """Tell the operator of an error once, whatever number of extensions has it, and of those of one
        `kind`, too."""
        if not pbx.is_news(kind or words):
            return []
        name = pbx.upstream.name
        text = f"upstream {name} ({watch.flow or pbx.upstream.servers[0]}) does not tell of {watch.whose}"
        shows = command(pbx.upstream.tenant, "upstream", "show", name)
        return [Log(Level.WARNING, f"{text}: {words}; {then}; {shows} says of which others")]

    def forget(self, watch: Watch, now: float) -> None:
        """Forget the lamps of a subscription, as they are not known any more."""
        self.timers.cancel(("lapse", watch.upstream.key, watch.number))
        for aor in watch.lamps:
            self.forget_lamp(watch, aor, now)

    def forget_lamp(self, watch: Watch, aor: Aor, now: float) -> None:
        if watch.lamps[aor].is_known:
            watch.lamps[aor].documents = {}
            self.changed.add(aor)
        self._composition.hear(aor, watch.upstream.name, (), now)

    # What is done

    def step(self, watch: Watch, event: Event, now: float) -> list[Effect]:
        watch.state, action = TABLE[watch.state, event]
        pbx = self.pbx(watch)
        match action:
            case Action.SUBSCRIBE:
                self.end_dialog(watch)
                watch.begin(self._new_tag(), self._new_tag())
                watch.flow, watch.server = self.way(pbx), pbx.server
                self.by_dialog[watch.call_id, watch.tag] = watch
                return self._send(pbx, watch, Proofs(), now)
            case Action.REFRESH | Action.UNSUBSCRIBE:
                return self._send(pbx, watch, Proofs(), now)
            case Action.PROVE | Action.LENGTHEN:
                return self._send(pbx, watch, watch.proofs, now)
            case Action.KEEP:
                watch.since, watch.is_refused = now, False
                self.keep(watch, now)
            case Action.RENEW:
                self.end_dialog(watch)
                self._renew(pbx, watch, now)
            case Action.RETRY:
                self._retry(watch, now)
            case Action.RETRY_SLOWLY:
                watch.failures, watch.is_refused = watch.failures + 1, True
                self._set(watch, watch.upstream.retry_forbidden, now)
                self.forget(watch, now)
            case Action.LEAVE:
                watch.serial += 1  # what is answered to the request that is out tells nothing any more
                self._cancel(pbx, watch)
                pbx.turns.want(watch.number)
            case Action.FORGET:
                self.end_dialog(watch)
                self.by_number.pop(watch.number, None)
                self._cancel(pbx, watch)
            case Action.NOTHING:
                pass
        self.set_turn(pbx, now)
        return []

    def end_dialog(self, watch: Watch) -> None:
        self.by_dialog.pop((watch.call_id, watch.tag), None)

    def _cancel(self, pbx: Pbx, watch: Watch) -> None:
        pbx.turns.done(watch.number)
        self.timers.cancel(("due", pbx.upstream.key, watch.number))

    def keep(self, watch: Watch, now: float) -> None:
        """Wait until it is to be refreshed; as long as nothing was told, until that has to have come."""
        part = EARLIEST + (LATEST - EARLIEST) * chance(self._new_tag())
        pause = (watch.until - now) * part if watch.is_told else LATE
        if watch.lacks:
            watch.lacks, pause = False, 0.0
        key = watch.upstream.key
        self.timers.set(("due", key, watch.number), now + pause)
        if watch.is_known:
            self.timers.set(("lapse", key, watch.number), watch.until + LATE)

    def _renew(self, pbx: Pbx, watch: Watch, now: float) -> None:
        """Subscribe anew at once, but not again and again."""
        if now - watch.renewed_at < ONCE_IN:
            self._retry(watch, now)
            return
        watch.renewed_at = now
        self._cancel(pbx, watch)
        pbx.turns.want(watch.number)

    def _retry(self, watch: Watch, now: float) -> None:
        watch.failures += 1
        pause = min(FIRST_PAUSE * 2 ** min(watch.failures - 1, 10), watch.upstream.retry)
        self._set(watch, pause, now)

    def _set(self, watch: Watch, pause: float, now: float) -> None:
        spread = 0.8 + 0.4 * chance(self._new_tag())
        self.timers.set(("due", watch.upstream.key, watch.number), now + pause * spread)

    def way(self, pbx: Pbx) -> Flow | None:
        ways = self.ways(pbx.upstream)
        return ways[pbx.server % len(ways)][1] if ways else None

    def _send(self, pbx: Pbx, watch: Watch, proofs: Proofs, now: float) -> list[Effect]:
        upstream = watch.upstream
        if watch.flow is None:
            words = f"no listener for {upstream.transport}, or its name is not found"
            return self.failed(watch, Event.FAILED, words, now)
        if self._leads_here(watch.flow):  # its lamps would be lit by themselves for ever
            return self.failed(watch, Event.FAILED, "its address is that of this server", now)
        watch.proofs = proofs
        watch.serial += 1
        watch.cseq += 1
        pbx.turns.sent(watch.number, now)
        self.timers.cancel(("due", upstream.key, watch.number))
        target = watch.target or f"{watch.resource}{TRANSPORTS[upstream.transport].parameter}"
        account = upstream.credentials or Account("", "")
        return [
            SendRequest(
                f"{KIND} {watch.number} {watch.serial}",
                watch.flow,
                "SUBSCRIBE",
                target,
                NameAddr(f"sip:{upstream.username or WITHOUT_ACCOUNT}@{upstream.host}"),
                NameAddr(watch.resource),
                watch.call_id,
                watch.tag,
                watch.cseq,
                (
                    ("Event", DialogPackage.name),
                    *(OF_LIST if watch.is_list else (("Accept", DialogPackage.content_type),)),
                    ("Expires", f"{0 if watch.state is State.LEAVING else watch.expires}"),
                    *proofs.fields(account, "SUBSCRIBE", target, self._new_tag()),
                ),
                watch.route_set or upstream.route_set,
                ("", ""),
                watch.remote_tag,
            )
        ]
