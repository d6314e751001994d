"""Desks whose phones act by themselves, and know by themselves which calls they are in.

Phones wait for nothing, so that the server may be killed at any moment: each answers what comes, and what it
believes is compared with what the server shows.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import quote

from calls import Dialog, audio_port, direction, sdp
from sites import EXTENSIONS, Site
from wire import Message

SDP = "application/sdp"
FIRST_PORT = 4000
STEP = 0.005  # seconds between two looks at what has come
RATE = 25.0  # things that users do, or try to do, in a second
MOST_UP = 8  # calls that may be up at the same time, so that some phones are free
LOST = 0.7  # seconds of changes that may be lost: 0.2, and a margin
SETTLES = 60.0  # seconds
ENDS = 90.0  # seconds, with room for transactions that nobody answers (64*T1)
ANSWERS = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class Is(Enum):
    CALLING = auto()
    RINGING = auto()
    ANSWERED = auto()  # the phone's 200 is out, and no ACK has come
    UP = auto()


@dataclass
class Line:
    """A call as its phone knows it: its media goes to the port `told`, and its last event was at `since`."""

    dialog: Dialog
    state: Is
    invite: Message | None = None
    told: int = 0
    since: float = 0.0
    asked: bool = False  # whether the server has asked it since its last start
    sent: dict[str, str] = field(default_factory=dict)  # the headers of its INVITE


class Desk:
    """A phone of the office; its media is at `port`, and every other phone takes UPDATE."""

    def __init__(self, site: Site, user: str, transport: str) -> None:
        self.site, self.user, self.transport = site, user, transport
        self.port = FIRST_PORT + 2 * int(user)
        self.more = {"Allow": "INVITE, ACK, BYE, CANCEL, UPDATE"} if int(user) % 2 else {}
        self.lines: dict[str, Line] = {}
        self.agent = site.registered(user, transport)

    def has(self, *states: Is) -> list[Line]:
        return [line for line in self.lines.values() if line.state in states]

    # Messages that come

    def take(self) -> None:
        self.agent.take_all()
        self._handle()

    def take_last(self) -> None:
        """Take what the server said before it was killed; where that is a stream, its end comes after."""
        ends = (AssertionError, OSError) if self.transport.startswith("tcp") else ()
        with contextlib.suppress(*ends):
            self.agent.take_all()
        with contextlib.suppress(OSError):
            self._handle()

    def _handle(self) -> None:
        waiting, self.agent.received = self.agent.received, []
        for message in waiting:
            self._responded(message) if message.status else self._asked(message)

    def _responded(self, answer: Message) -> None:
        line = self.lines.get(answer["call-id"])
        if line is None or not answer["cseq"].endswith("INVITE"):
            return
        if line.state is Is.CALLING and answer.status >= 300:
            self.agent.ack(answer, line.dialog.target, line.sent)
            del self.lines[line.dialog.call_id]
        elif answer.status // 100 == 2:
            if line.state is Is.CALLING:
                line.dialog.remote, line.dialog.target = answer["to"], answer["contact"].strip("<>")
                line.state = Is.UP
            line.since = time.monotonic()
            line.dialog.ack(answer)
            if answer.body:
                line.told = audio_port(answer)
        elif answer.status >= 300:
            self.agent.ack(answer, line.dialog.target, self._last(line, answer))

    @staticmethod
    def _last(line: Line, answer: Message) -> dict[str, str]:
        """The headers of a re-INVITE, as far as its ACK needs them."""
        return {
            "Via": answer["via"],
            "From": line.dialog.local,
            "Call-ID": line.dialog.call_id,
            "CSeq": answer["cseq"],
        }

    def _asked(self, request: Message) -> None:
        line = self.lines.get(request["call-id"])
        match request.method:
            case "INVITE" if ";tag=" not in request["to"]:
                self._rings(request)
            case "ACK":
                if line and line.state is Is.ANSWERED:
                    line.state, line.since = Is.UP, time.monotonic()
            case "CANCEL":
                self.agent.reply(request, 200)
                if line and line.invite and line.state is Is.RINGING:
                    self.agent.reply(line.invite, 487, "Request Terminated")
                    del self.lines[line.dialog.call_id]
            case "BYE":
                self.agent.reply(request, 200 if self.lines.pop(request["call-id"], None) else 481)
            case "INVITE" | "UPDATE" if line:
                line.asked, line.since = True, time.monotonic()
                self._offered(line, request)
            case "INVITE" | "UPDATE" | "INFO":
                self.agent.reply(request, 481)

    def _offered(self, line: Line, request: Message) -> None:
        if request.body:
            line.told = audio_port(request)
            own = sdp(self.port, ANSWERS.get(direction(request), "sendrecv"))
            self.agent.reply(request, 200, "OK", own, Content_Type=SDP, **self.more)
        else:
            self.agent.reply(request, 200, body=b"", **self.more)

    def _rings(self, invite: Message) -> None:
        self.agent.reply(invite, 180, "Ringing")
        dialog = Dialog.of_invite(self.agent, invite)
        told = audio_port(invite) if invite.body else 0
        self.lines[dialog.call_id] = Line(dialog, Is.RINGING, invite, told)

    # Acts of its user

    def call(self, to: str, **more: str) -> None:
        headers = self.agent.headers("INVITE", to, Content_Type=SDP, **self.more, **more)
        uri = f"sip:{to}@{self.agent.server}"
        number = int(headers["CSeq"].split()[0])
        dialog = Dialog(self.agent, uri, headers["From"], headers["To"], headers["Call-ID"], number)
        self.lines[dialog.call_id] = Line(dialog, Is.CALLING, sent=headers)
        self.agent.send(f"INVITE {uri} SIP/2.0", headers, sdp(self.port))

    def answer(self, line: Line) -> None:
        assert line.invite
        line.state = Is.ANSWERED
        self.agent.reply(line.invite, 200, "OK", sdp(self.port), Content_Type=SDP, **self.more)

    def refuse(self, line: Line, status: int, reason: str, **more: str) -> None:
        assert line.invite
        self.agent.reply(line.invite, status, reason, b"", **more)
        del self.lines[line.dialog.call_id]

    def hold(self, line: Line, how: str) -> None:
        line.dialog.send("INVITE", sdp(self.port, how))

    def refer(self, line: Line, to: str, consultation: Line | None = None) -> None:
        target = f"sip:{to}@{self.agent.server}"
        if consultation:
            target += f"?Replaces={quote(names(consultation), safe='')}"
        line.dialog.send("REFER", Refer_To=f"<{target}>")

    def hang_up(self, line: Line) -> dict[str, str]:
        self.lines.pop(line.dialog.call_id, None)
        return line.dialog.send("BYE")

    # A restart

    def come_back(self) -> None:
        """Forget calls that were not up, as they are over; a phone that was connected connects anew."""
        self.lines = {call_id: line for call_id, line in self.lines.items() if line.state is Is.UP}
        for line in self.lines.values():
            line.asked = False
        if self.transport.startswith("tcp"):
            self.agent.close()
            self.site.agents.remove(self.agent)
            waiting = self.agent.received
            self.agent = self.site.registered(self.user, self.transport)
            self.agent.received = waiting + self.agent.received
            for line in self.lines.values():
                line.dialog.agent = self.agent


def names(line: Line) -> str:
    """The value of a Replaces that names the server's dialog with this phone."""
    local, remote = (value.partition(";tag=")[2] for value in (line.dialog.local, line.dialog.remote))
    return f"{line.dialog.call_id};to-tag={remote};from-tag={local}"


class Office:
    """Twelve desks at work; `done` counts their acts, `survived` and `lost` the calls at kills."""

    def __init__(
        self,
        site: Site,
        dice: random.Random,
        transports: tuple[str, ...] = ("udp",),
        *,
        rate: float = RATE,
        may_lose: float = LOST,
    ) -> None:
        self.site, self.dice, self._rate, self._may_lose = site, dice, rate, may_lose
        self.desks = {
            user: Desk(site, user, transports[number % len(transports)])
            for number, user in enumerate(EXTENSIONS)
        }
        self.done: Counter[str] = Counter()
        self.survived = self.lost = self.ended = 0
        self.settled_after: list[float] = []
        self.last = ""
        self._killed_at = 0.0

    def take(self) -> None:
        for desk in self.desks.values():
            desk.take()

    def work(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.dice.random() < self._rate * STEP:
                self.act()
            time.sleep(STEP)
            self.take()

    def act(self) -> None:
        """Have one of the desks do something, if it can."""
        acts = {
            self.calls: 5,
            self.answers: 8,
            self.forwards: 1,
            self.picks_up: 2,
            self.takes_over: 1,
            self.holds: 2,
            self.transfers: 2,
            self.joins: 2,
            self.leaves: 2,
        }
        chosen = self.dice.choices(list(acts), list(acts.values()))[0]
        if chosen():
            self.done[chosen.__name__] += 1

    def _some(self, *states: Is) -> tuple[Desk, Line] | None:
        found = [(desk, line) for desk in self.desks.values() for line in desk.has(*states)]
        return self.dice.choice(found) if found else None

    def _free(self) -> Desk | None:
        free = [desk for desk in self.desks.values() if not desk.lines]
        return self.dice.choice(free) if free else None

    def _up(self) -> int:
        return sum(len(desk.has(Is.UP)) for desk in self.desks.values())

    def calls(self) -> bool:
        """Have a desk call; some do so from a second line, which a transfer needs."""
        some = self._some(Is.UP)
        caller = some[0] if some and len(some[0].lines) == 1 and self.dice.random() < 0.3 else self._free()
        callee = self._free()
        if caller is None or callee is None or caller is callee or self._up() >= 2 * MOST_UP:
            return False
        caller.call(callee.user)
        return True

    def answers(self) -> bool:
        some = self._some(Is.RINGING)
        if some:
            some[0].answer(some[1])
        return bool(some)

    def forwards(self) -> bool:
        some, free = self._some(Is.RINGING), self._free()
        if some and free:
            contact = f"<sip:{free.user}@{some[0].agent.server}>"
            some[0].refuse(some[1], 302, "Moved Temporarily", Contact=contact)
        return bool(some and free)

    def picks_up(self) -> bool:
        some, free = self._some(Is.RINGING), self._free()
        if some and free:
            free.call(f"*97{some[0].user}")
        return bool(some and free)

    def takes_over(self) -> bool:
        some, free = self._some(Is.UP), self._free()
        if some and free:
            free.call(some[0].user, Replaces=names(some[1]))
        return bool(some and free)

    def holds(self) -> bool:
        some = self._some(Is.UP)
        if some:
            some[0].hold(some[1], self.dice.choice(("sendonly", "sendrecv")))
        return bool(some)

    def transfers(self) -> bool:
        some, free = self._some(Is.UP), self._free()
        if some and free:
            some[0].refer(some[1], free.user)
        return bool(some and free)

    def joins(self) -> bool:
        """Have a desk with two calls make one of them, by an attended transfer."""
        for desk in self.dice.sample(list(self.desks.values()), len(self.desks)):
            lines = desk.has(Is.UP)
            if len(lines) > 1:
                desk.refer(lines[0], desk.user, lines[1])
                return True
        return False

    def leaves(self) -> bool:
        some = self._some(Is.UP)
        if some and self._up() > MOST_UP:
            some[0].hang_up(some[1])
            return True
        return False

    # Kills

    def kill(self) -> None:
        self._killed_at = time.monotonic()
        self.site.kill(at_once=True)

    def start(self) -> None:
        for desk in self.desks.values():
            desk.take_last()
        self.site.start()
        for desk in self.desks.values():
            desk.come_back()

    def settle(self) -> None:
        """Wait until the server shows what the phones know, and has asked each; then count what is left."""
        began = time.monotonic()
        while faults := self.faults():
            assert time.monotonic() < began + SETTLES, faults
            self.take()
            time.sleep(STEP)
        self.settled_after.append(time.monotonic() - began)
        assert not (old := self._lost_too_old()), old
        survived, lost = self.survived, self.lost
        self._count()
        self.last = f"{self.survived - survived} ends go on, {self.lost - lost} are lost"

    def shown(self) -> dict[tuple[str, str], str]:
        """The other end of each dialog that lamps show, by extension and Call-ID."""
        return {
            (row["extension"], dialog["call_id"]): dialog["remote"]
            for row in self.site.ask("lamps")
            for dialog in row["dialogs"]
        }

    def faults(self) -> list[str]:
        """Where lamps are wrong: they show calls that are over, were not asked, or send media elsewhere."""
        found = []
        for (user, call_id), remote in self.shown().items():
            line = self.desks[user].lines.get(call_id)
            if line is None or line.state is not Is.UP:
                found.append(f"the lamp of {user} shows {call_id} with {remote}: it is over")
            elif not line.asked:
                found.append(f"{user} has not been asked of its call with {remote}")
            elif line.told != self.desks[remote].port:
                found.append(f"{user} is shown with {remote} and its media goes to {line.told}")
        return found

    def _count(self) -> None:
        shown = self.shown()
        for desk in self.desks.values():
            for line in desk.has(Is.UP):
                if (desk.user, line.dialog.call_id) in shown:
                    self.survived += 1
                    continue
                status = desk.agent.final(desk.hang_up(line)).status
                assert status in (481, 200), status  # 200: the end of the other side is on its way to it
                self.lost += status == 481

    def _lost_too_old(self) -> list[str]:
        """Calls that no lamp shows, although nothing had happened to them for long before the kill."""
        shown = self.shown()
        return [
            f"{desk.user}: {line.dialog.call_id}"
            for desk in self.desks.values()
            for line in desk.has(Is.UP)
            if (desk.user, line.dialog.call_id) not in shown and line.since < self._killed_at - self._may_lose
        ]

    def hang_up(self, share: float) -> None:
        """Have one side of some calls hang up: it gets 200, and the other side gets BYE."""
        pairs = {frozenset(ends) for ends in self._pairs()}
        for pair in sorted(pairs, key=sorted):
            if self.dice.random() >= share:
                continue
            (near, near_id), (far, far_id) = self.dice.sample(sorted(pair), 2)
            desk, other = self.desks[near], self.desks[far]
            headers = desk.hang_up(desk.lines[near_id])
            until = time.monotonic() + SETTLES
            while far_id in other.lines:
                assert time.monotonic() < until, f"{far} is not told that {near} has hung up"
                self.take_but(desk)
                time.sleep(STEP)
            assert desk.agent.final(headers).status == 200
            self.ended += 1

    def rest(self) -> None:
        """Wait until no call is left, and no leg of one."""
        until = time.monotonic() + ENDS
        while (status := self.site.ask("status"))["calls"] or status["legs"]:
            assert time.monotonic() < until, self.site.ask("calls")
            self.take()
            time.sleep(STEP)

    def take_but(self, desk: Desk) -> None:
        for one in self.desks.values():
            if one is not desk:
                one.take()

    def _pairs(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Both ends of each call that is up, by extension and Call-ID."""
        found = []
        for call in self.site.ask("calls"):
            if call["state"] == "talking":
                caller, callee = (
                    (leg["extension"], leg["call_id"]) for leg in call["legs"] if leg["state"] != "ringing"
                )
                found.append((caller, callee))
        return found
