"""All upstreams: whose lamps are asked for, and what comes of that.

A PBX that starts anew forgets us and cannot say so: where a refresh finds that out, or the PBX answers after
silence, all its subscriptions are looked after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from blfd.core.directory import Directory, Owner
from blfd.core.effects import Effect
from blfd.core.messages import ResponseReceived
from blfd.core.publications.composition import Composition
from blfd.core.trunks.registrations import GONE
from blfd.core.trunks.remote import HostPort, Remote
from blfd.core.upstreams.hearing import SHORTEST, Hearing
from blfd.core.upstreams.turns import Turns
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watch import Watch
from blfd.core.upstreams.watches import ONCE_IN, Pbx, Watches
from blfd.core.upstreams.watching import OUT, Event, State
from blfd.core.values import Aor, Flow
from blfd.core.visible import visible

LONGEST = 86_400  # seconds that a grant counts for at the most, whatever a PBX says


class Upstreams:
    """All upstreams. `ways` are the servers of one and their flows; `hearing` takes NOTIFYs."""

    def __init__(
        self,
        composition: Composition,
        ways: Callable[[Remote], list[tuple[HostPort, Flow]]],
        new_tag: Callable[[], str],
        leads_here: Callable[[Flow], bool] = lambda way: False,
    ) -> None:
        self._watches = Watches(composition, ways, new_tag, leads_here)
        self.timers, self.changed = self._watches.timers, self._watches.changed
        self.hearing = Hearing(self._watches, composition)
        self._upstreams: tuple[Upstream, ...] = ()
        self._of: dict[Aor, Watch] = {}

    def __len__(self) -> int:
        """How many extensions have a lamp that is asked for."""
        return len(self._of)

    @property
    def unknown(self) -> int:
        """How many of these lamps are not known."""
        return sum(not watch.lamps[aor].is_known for aor, watch in self._of.items())

    def of(self, aor: Aor) -> Watch | None:
        return self._of.get(aor)

    def next_at(self, watch: Watch) -> float | None:
        """When a lamp is asked for again; None where that is not set."""
        return self._watches.timers.at(("due", watch.upstream.key, watch.number))

    def watches(self, upstream: Upstream) -> list[tuple[Aor, Watch]]:
        """The subscriptions of an upstream, by extension: those of a list have the same."""
        pbx = self._watches.pbxs.get(upstream.key)
        return list(pbx.watches.items()) if pbx else []

    def is_known(self, aor: Aor) -> bool:
        watch = self._of.get(aor)
        return watch is not None and watch.lamps[aor].is_known

    def is_silent(self, upstream: Upstream) -> bool:
        pbx = self._watches.pbxs.get(upstream.key)
        return pbx is not None and pbx.turns.is_silent

    # What is set

    def directory_changed(self, directory: Directory, altered: Iterable[Aor], now: float) -> list[Effect]:
        """Watch what is to be watched now: what is as before goes on; what is set otherwise ends, and begins
        anew. `altered` are the extensions that have come, gone or changed."""
        pbxs = self._watches.pbxs
        wanted = {upstream.key: upstream for upstream in directory.upstreams if upstream.enabled}
        effects: list[Effect] = []
        if self._upstreams != directory.upstreams:
            self._upstreams, altered = directory.upstreams, {*directory.extensions, *self._of}
            for key, pbx in pbxs.items():
                if key not in wanted or _asks_otherwise(wanted[key], pbx.upstream):
                    for aor in list(pbx.watches):
                        effects += self._leave(pbx, aor, now)
                    pbx.said.clear()
            for key, upstream in wanted.items():
                pbxs.setdefault(key, Pbx(upstream, Turns(upstream.rate))).take(upstream)
        for aor in sorted(altered) if wanted or self._of else ():
            effects += self._look_at(aor, directory, now)
        for key in wanted:
            self._watches.set_turn(pbxs[key], now)
        return effects

    def _look_at(self, aor: Aor, directory: Directory, now: float) -> list[Effect]:
        """Watch an extension at its upstream, and nowhere else."""
        extension, known = directory.extensions.get(aor), self._of.get(aor)
        upstream = None
        if extension and extension.owner in (None, Owner.UPSTREAM):
            upstream = directory.upstream(aor)
        if known and upstream and known.upstream.key == upstream.key:
            return []
        effects = self._leave(self._watches.pbx(known), aor, now) if known else []
        if upstream:
            self._of[aor] = self._watches.begin(self._watches.pbxs[upstream.key], aor)
        return effects

    def _leave(self, pbx: Pbx, aor: Aor, now: float) -> list[Effect]:
        watch = pbx.watches.pop(aor)
        del self._of[aor]
        self._watches.forget_lamp(watch, aor, now)
        if len(watch.lamps) > 1:
            del watch.lamps[aor]
            return []
        self._watches.forget(watch, now)
        return self._watches.step(watch, Event.LEAVE, now)

    def leave(self) -> None:
        """Ask nothing any more, as the server stops. The next one has dialogs of its own."""
        self._watches.has_left = True

    def flow_closed(self, flow: Flow, now: float) -> None:
        """Have subscriptions refreshed whose NOTIFYs would come by a connection that is gone."""
        for pbx in self._watches.pbxs.values() if flow.is_connected else ():
            for watch in pbx.watches.values():
                if watch.flow == flow and watch.state is State.SUBSCRIBED:
                    pbx.turns.want(watch.number)
            self._watches.set_turn(pbx, now)

    def came_back(self, upstream: Remote, now: float) -> None:
        """Note that an upstream answers what else it is asked, after it did not."""
        pbx = self._watches.pbxs.get(upstream.key)
        if pbx:
            self._watches.responds(pbx, now, after_silence=True)

    # What comes of a SUBSCRIBE

    def responded(self, response: ResponseReceived, now: float) -> list[Effect]:
        """Take what a SUBSCRIBE has led to; `status` is 408 without a response, 503 where it was not sent."""
        _, number, serial = response.token.split(" ")
        watch = self._watches.by_number.get(int(number))
        if watch is None or watch.serial != int(serial) or watch.state not in OUT:
            return []
        pbx = self._watches.pbx(watch)
        effects = self._goes_again(watch, response, now)
        if effects is None:
            pbx.turns.done(watch.number)
            effects = self._take(pbx, watch, response, now)
        if response.status not in GONE:
            self._watches.responds(pbx, now)
        self._watches.set_turn(pbx, now)
        return effects

    def _goes_again(self, watch: Watch, response: ResponseReceived, now: float) -> list[Effect] | None:
        """The SUBSCRIBE once more, with a proof or for a longer time; None where it does not go again."""
        if response.status == 423 and watch.state is not State.LEAVING:
            longer = min(response.min_expires or 0, LONGEST)
            if watch.proofs.may_go_again() and longer > watch.expires:
                watch.expires = longer
                return self._watches.step(watch, Event.BRIEF, now)
        may_prove = response.status in (401, 407) and watch.upstream.credentials
        if may_prove and watch.proofs.meets(response.challenges, watch.upstream.realm):
            return self._watches.step(watch, Event.CHALLENGED, now)
        return None

    def _take(self, pbx: Pbx, watch: Watch, response: ResponseReceived, now: float) -> list[Effect]:
        failed = self._watches.failed
        said = f"{response.status} {visible(response.reason)}".strip()
        if response.status // 100 == 2:
            return self._accepted(watch, response, now)
        if response.status == 481:
            effects = failed(watch, Event.UNKNOWN, said, now)
            if watch.state is State.WAITING and now - pbx.checked_at > ONCE_IN:
                self._watches.hurry(pbx, now)  # it has started anew, as it seems
            return effects
        if response.status in GONE or response.status >= 600:
            words = "no answer" if response.status == 408 and not response.reason else said
            if response.status == 408 or (response.status == 503 and not response.retry_after):
                pbx.turns.is_silent = True
                pbx.server += 1
            return failed(watch, Event.FAILED, words, now, response.retry_after or 0)
        if response.status == 423:
            said += f": it takes no time that is asked for, the last was {watch.expires} s"
        elif response.status in (401, 407):
            said += f": {_why_not(watch)}"
        return failed(watch, Event.REFUSED, said, now)

    def _accepted(self, watch: Watch, response: ResponseReceived, now: float) -> list[Effect]:
        watch.remote_tag = watch.remote_tag or response.to_tag
        if response.contacts:
            watch.set_target(response.contacts[0].uri, response.record_route[::-1])
        granted = watch.expires if response.expires is None else response.expires
        watch.until = now + min(max(granted, SHORTEST), LONGEST)
        return self._watches.step(watch, Event.ACCEPTED, now)


def _asks_otherwise(one: Upstream, other: Upstream) -> bool:
    """Whether what is asked of one is not what is asked of the other."""
    return (one.account, one.resource_list) != (other.account, other.resource_list)


def _why_not(watch: Watch) -> str:
    """Why a challenge is not answered."""
    if watch.upstream.credentials is None:
        return "it asks for a password, and none is set"
    return "wrong user name or password" if watch.proofs.any else "no challenge that can be answered"
