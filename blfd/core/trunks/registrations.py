"""Our registrations with trunks' servers: refreshed, tried again, moved to another server.

Each goes by the table in `registration`. Who is refused, or whose password is wrong, asks again slowly, so
that no server shuts us out; who gets no response asks the next server, and again after longer and longer
pauses.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from blfd.core.advice import command
from blfd.core.challenges import Proofs, foreign
from blfd.core.effects import Effect, Level, Log, SendRequest
from blfd.core.messages import ResponseReceived
from blfd.core.timers import Timers, chance
from blfd.core.trunk import Mode, Trunk
from blfd.core.trunks.registration import OUT, TABLE, Action, Event, State
from blfd.core.trunks.remote import HostPort, Remote
from blfd.core.values import Account, Flow, NameAddr
from blfd.core.visible import visible

KIND = "register"
FIRST_PAUSE = 2.0  # seconds; doubled with each failure up to the trunk's `retry`
EARLIEST, LATEST = 0.6, 0.8  # parts of the time granted, after which it is refreshed
SHORTEST, LONGEST = 5, 86_400  # seconds that a grant counts for, whatever a server says
MATTERS = (
    "password",
    "servers",
    "transport",
    "domain",
    "outbound_proxy",
    "username",
    "auth_name",
    "realm",
    "expires",
    "line",
)
"""What of a trunk a registration depends on."""

GONE = frozenset((408, 500, 502, 503, 504))


@dataclass(slots=True, eq=False)
class Registration:
    """A registration of ours; `serial` is that of the request that is out; `since` and `until` are when it
    was accepted, and ends."""

    number: int
    trunk: Trunk
    call_id: str
    tag: str
    expires: int
    state: State = State.WAITING
    server: int = 0  # index of the server that is asked
    flow: Flow | None = None
    serial: int = 0
    cseq: int = 0
    failures: int = 0
    proofs: Proofs = field(default_factory=Proofs)
    since: float = 0.0
    until: float = 0.0
    said: str = ""  # the last error in words, "" while all is well

    @property
    def is_registered(self) -> bool:
        return self.state in (State.REGISTERED, State.REFRESHING)


class Registrations:
    """Registers trunks at their servers. `ways` are the servers of a trunk and their flows; `secret` keys the
    tokens of lines."""

    def __init__(
        self,
        ways: Callable[[Trunk], list[tuple[HostPort, Flow]]],
        secret: bytes,
        new_tag: Callable[[], str],
    ) -> None:
        self._ways, self._secret, self._new_tag = ways, secret, new_tag
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Registration] = {}
        self._of_trunk: dict[tuple[str, str], Registration] = {}
        self._by_line: dict[str, tuple[str, str]] = {}
        self._has_left = False
        self.timers: Timers[int] = Timers(self._due)

    def __iter__(self) -> Iterator[Registration]:
        """The registrations that are not about to end."""
        return iter(self._of_trunk.values())

    def __len__(self) -> int:
        """How many registrations there are, or wait for a response."""
        return sum(one.state in OUT or one.is_registered for one in self._by_number.values())

    def of(self, trunk: Trunk) -> Registration | None:
        return self._of_trunk.get(trunk.key)

    def next_at(self, trunk: Trunk) -> float | None:
        """When a trunk registers again; None where that is not set."""
        one = self.of(trunk)
        return self.timers.at(one.number) if one else None

    def line(self, trunk: Trunk) -> str:
        """The token in our Contact, by which a call finds its trunk from whatever address it comes."""
        return hmac.digest(self._secret, f"line {trunk.tenant} {trunk.name}".encode(), "sha256").hex()[:16]

    def by_line(self, token: str) -> tuple[str, str] | None:
        """The key of the trunk whose token it is; None for nobody's."""
        return self._by_line.get(token)

    def directory_changed(self, trunks: tuple[Trunk, ...], now: float) -> list[Effect]:
        """Register `trunks`: what is as before goes on; what is set otherwise ends, and begins anew."""
        wanted = {trunk.key: trunk for trunk in trunks if trunk.enabled and trunk.mode is Mode.REGISTER}
        self._by_line = {self.line(trunk): trunk.key for trunk in wanted.values() if trunk.line}
        effects: list[Effect] = []
        for key, known in list(self._of_trunk.items()):
            trunk = wanted.get(key)
            if trunk is not None and _same(known.trunk, trunk):
                known.trunk = trunk
                continue
            del self._of_trunk[key]
            effects += self._step(known, Event.LEAVE, now)
        for key, trunk in wanted.items():
            if key not in self._of_trunk and not self._has_left:
                self._begin(trunk, now)
        return effects

    def _begin(self, trunk: Trunk, now: float) -> None:
        number = next(self._numbers)
        one = Registration(number, trunk, self._new_tag(), self._new_tag(), trunk.expires)
        self._of_trunk[trunk.key] = self._by_number[number] = one
        self.timers.set(number, now + chance(self._new_tag()))  # not all at once after a start

    def leave(self, now: float) -> list[Effect]:
        """End all registrations, as the server stops; nothing begins any more."""
        self._has_left = True
        return [effect for one in list(self) for effect in self._step(one, Event.LEAVE, now)]

    # What happens

    def responded(self, response: ResponseReceived, now: float) -> list[Effect]:
        """Take what a REGISTER has led to; `status` is 408 without a response, 503 where it was not sent."""
        _, number, serial = response.token.split(" ")
        one = self._by_number.get(int(number))
        if one is None or one.serial != int(serial) or one.state not in OUT:
            return []
        return self._take(one, response, now)

    def _take(self, one: Registration, response: ResponseReceived, now: float) -> list[Effect]:
        said = f"{response.status} {visible(response.reason)}".strip()
        if response.status // 100 == 2:
            granted = self._granted(one, response)
            if not granted and one.state is not State.LEAVING:
                return self._failed(one, Event.FAILED, f"{said}: it registers us for 0 s", now)
            one.until = now + granted
            return self._step(one, Event.ACCEPTED, now)
        if response.status in (401, 407):
            if one.proofs.meets(response.challenges, one.trunk.realm):
                return self._step(one, Event.CHALLENGED, now)
            reason = "wrong user name or password" if one.proofs.any else "no challenge that can be answered"
            if other := foreign(response.challenges, one.trunk.realm):
                reason = f"it asks in the realm {visible(other)}, and the password is for {one.trunk.realm}"
            return self._failed(one, Event.REFUSED, f"{said}: {reason}", now)
        if response.status == 423:
            if self._to_lengthen(one, response.min_expires or 0):
                return self._step(one, Event.BRIEF, now)
            reason = f"it takes no time that is asked for, the last was {one.expires} s"
            return self._failed(one, Event.REFUSED, f"{said}: {reason}", now)
        if response.status in GONE or response.status >= 600:
            words = "no answer" if response.status == 408 and not response.reason else said
            return self._failed(one, Event.FAILED, words, now, response.retry_after or 0)
        return self._failed(one, Event.REFUSED, said, now)

    def _to_lengthen(self, one: Registration, wanted: int) -> bool:
        """Whether there is a longer time to ask for, which is kept."""
        longer = min(wanted, LONGEST)
        if not one.proofs.may_go_again() or longer <= one.expires:
            return False
        one.expires = longer
        return True

    def _granted(self, one: Registration, response: ResponseReceived) -> float:
        """The seconds that a registrar has granted, 0 for none; of several Contacts ours counts."""
        line = self.line(one.trunk)
        is_alone = len(response.contacts) == 1
        ours = [c.expires for c in response.contacts if is_alone or f"line={line}" in c.uri]
        said = (seconds for seconds in (*ours, response.expires) if seconds is not None)
        found = next(said, one.expires)
        return float(min(max(found, SHORTEST), LONGEST)) if found else 0.0

    def flow_closed(self, flow: Flow, now: float) -> list[Effect]:
        """Register at once by a new connection, as that is gone by which calls would come."""
        broken = [one for one in self if one.flow == flow and flow.is_connected]
        return [effect for one in broken for effect in self._step(one, Event.BROKEN, now)]

    def server_changed(self, trunk: Remote, now: float) -> None:
        """Register a trunk soon: a server is down, or is back, perhaps without what it knew of us."""
        one = self._of_trunk.get(trunk.key)
        if one and one.state is State.REGISTERED:
            self.timers.set(one.number, now + FIRST_PAUSE * chance(self._new_tag()))

    def _due(self, number: int, now: float) -> list[Effect]:
        return self._step(self._by_number[number], Event.DUE, now)

    def _failed(
        self, one: Registration, event: Event, words: str, now: float, after: int = 0
    ) -> list[Effect]:
        """Take a failure; the operator reads of it once. `after` are seconds until it may be asked again."""
        logs: list[Effect] = []
        if one.said != words and one.state is not State.LEAVING:
            one.said = words
            where = f"trunk {one.trunk.name} does not register with {one.flow or one.trunk.servers[0]}"
            logs.append(Log(Level.WARNING, f"{where}: {words}; {_advice(event, one.trunk)}"))
        effects = self._step(one, event, now)
        if after and one.state is State.WAITING:
            self.timers.set(one.number, now + min(max(after, 1), one.trunk.retry_forbidden))
        return [*logs, *effects]

    # What is done

    def _step(self, one: Registration, event: Event, now: float) -> list[Effect]:
        one.state, action = TABLE[one.state, event]
        match action:
            case Action.REGISTER:
                one.proofs = Proofs()
                return self._send(one, one.expires, now)
            case Action.UNREGISTER:
                one.proofs = Proofs()
                return self._send(one, 0, now)
            case Action.PROVE:
                return self._send(one, 0 if one.state is State.LEAVING else one.expires, now)
            case Action.LENGTHEN:
                return self._send(one, one.expires, now)
            case Action.KEEP:
                return self._keep(one, now)
            case Action.RETRY:
                one.failures += 1
                one.server += 1
                pause = min(FIRST_PAUSE * 2 ** min(one.failures - 1, 10), one.trunk.retry)
                self._set(one, pause, now)
            case Action.RETRY_SLOWLY:
                one.failures += 1
                self._set(one, one.trunk.retry_forbidden, now)
            case Action.FORGET:
                self._by_number.pop(one.number, None)
                if self._of_trunk.get(one.trunk.key) is one:
                    del self._of_trunk[one.trunk.key]
                self.timers.cancel(one.number)
            case Action.NOTHING:
                pass
        return []

    def _set(self, one: Registration, pause: float, now: float) -> None:
        self.timers.set(one.number, now + pause * (0.8 + 0.4 * chance(self._new_tag())))

    def _keep(self, one: Registration, now: float) -> list[Effect]:
        granted = one.until - now
        self.timers.set(
            one.number, now + granted * (EARLIEST + (LATEST - EARLIEST) * chance(self._new_tag()))
        )
        is_new = bool(one.said) or not one.since or bool(one.failures)
        one.failures, one.said = 0, ""
        if not is_new:
            return []
        one.since = now
        text = f"trunk {one.trunk.name} is registered with {one.flow} for {granted:.0f} s"
        if granted > SHORTEST:
            return [Log(Level.INFO, text)]
        advice = "or for less, and may miss calls in between: ask whose server it is for a longer time"
        return [Log(Level.WARNING, f"{text}, {advice}")]

    def _send(self, one: Registration, expires: int, now: float) -> list[Effect]:
        ways = self._ways(one.trunk)
        if not ways:
            one.flow = None
            if one.state is State.LEAVING:
                return self._step(one, Event.FAILED, now)
            return self._failed(one, Event.FAILED, f"no listener for {one.trunk.transport}", now)
        trunk = one.trunk
        if one.flow is None or one.state is State.ASKING:
            _, one.flow = ways[one.server % len(ways)]
        one.serial += 1
        one.cseq += 1
        uri = f"sip:{trunk.username}@{trunk.host}"
        account = trunk.credentials or Account(trunk.username, "")
        proofs = one.proofs.fields(account, "REGISTER", trunk.target, self._new_tag())
        return [
            SendRequest(
                f"{KIND} {one.number} {one.serial}",
                one.flow,
                "REGISTER",
                trunk.target,
                NameAddr(uri),
                NameAddr(uri),
                one.call_id,
                one.tag,
                one.cseq,
                (("Expires", f"{expires}"), *proofs),
                trunk.route_set,
                (trunk.username, f";line={self.line(trunk)}" if trunk.line else ""),
            )
        ]


def _advice(event: Event, trunk: Trunk) -> str:
    if event is Event.REFUSED:
        show = command(trunk.tenant, "trunk", "show", trunk.name)
        return f"tried again slowly; look at {show}, and ask whose server it is"
    return "tried again"


def _same(one: Trunk, other: Trunk) -> bool:
    """Whether both register the same account in the same way."""
    return all(getattr(one, name) == getattr(other, name) for name in MATTERS)
