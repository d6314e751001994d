"""An office at work for long, with calls, pickups, new subscriptions and dying phones: memory stays flat.

SOAK_SECONDS makes the test run longer (`make soak`: ten minutes).
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from calls import Calling, Dialog, sdp
from keys import MANY, Keys
from sites import EXTENSIONS, Site
from wire import Agent, Message

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
RATE = 25  # calls a second
KEYS = 400
LIVES = 32.0  # seconds that a transaction lives: until then memory has to grow with the calls
GROWTH = 1.05  # of memory, from the first part after LIVES to the last; 1.2 if every call leaks
TRUSTED = "127.0.0.2"
SDP = "application/sdp"


@dataclass
class Working:
    """Twelve phones at work, of which 102, 103 and 104 are a group."""

    site: Site
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.phones = {user: self._phone(user, "tcp" if int(user) % 4 == 0 else "udp") for user in EXTENSIONS}
        self.forgotten: list[Agent] = []

    def _phone(self, user: str, transport: str) -> Agent:
        agent = Agent(self.site.server.address(transport), user, transport=transport, host=TRUSTED)
        self.site.agents.append(agent)
        assert agent.register().status == 200
        return agent

    def act(self) -> None:
        chosen = self.dice.choices(
            (self.answered, self.given_up, self.busy, self.code, self.key, self.anew, self.dies),
            (6, 3, 2, 3, 3, 4, 1),
        )[0]
        chosen()
        self.done[chosen.__name__] += 1
        for phone in self.phones.values():
            phone.take_all()
            phone.received.clear()

    def ring(self, to: str = "") -> tuple[Calling, Agent, Message]:
        to = to or self.dice.choice(EXTENSIONS)
        caller = self.phones[
            self.dice.choice([user for user in EXTENSIONS if user not in ("102", "103", "104", to)])
        ]
        calling = Calling.trusted(caller, to, sdp(4000))
        caller.leave_by.clear()
        phone = self.phones[to]
        invite = phone.wait_request("INVITE")
        phone.reply(invite, 180, "Ringing")
        calling.provisional(180)
        return calling, phone, invite

    @staticmethod
    def stop_ringing(phone: Agent, invite: Message) -> None:
        phone.reply(phone.wait_request("CANCEL"), 200)
        phone.reply(invite, 487, "Request Terminated")
        phone.wait_request("ACK")

    def answered(self) -> None:
        calling, phone, invite = self.ring()
        phone.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
        dialog = calling.acknowledge(calling.final())
        phone.wait_request("ACK")
        near, far = (
            (dialog, phone) if self.dice.random() < 0.5 else (Dialog.of_invite(phone, invite), calling.agent)
        )
        self.hang_up(near, far)

    @staticmethod
    def hang_up(near: Dialog, far: Agent) -> None:
        headers = near.send("BYE")
        far.reply(far.wait_request("BYE"), 200)
        assert near.agent.final(headers).status == 200

    def given_up(self) -> None:
        calling, phone, invite = self.ring()
        calling.cancel()
        self.stop_ringing(phone, invite)
        assert calling.refused().status == 487

    def busy(self) -> None:
        calling, phone, invite = self.ring()
        phone.reply(invite, 486, "Busy Here")
        assert calling.refused().status == 486

    def code(self) -> None:
        self.picked(
            lambda picker, to, invite: Calling.trusted(
                picker, self.dice.choice((f"*97{to}", "*98")), sdp(6000)
            )
        )

    def key(self) -> None:
        def press(picker: Agent, to: str, invite: Message) -> Calling:
            (dialog,) = next(row["dialogs"] for row in self.site.ask("lamps") if row["extension"] == to)
            ids = f"{dialog['call_id']};to-tag={dialog['remote_tag']};from-tag={dialog['local_tag']}"
            return Calling.trusted(picker, to, sdp(6000), Replaces=ids)

        self.picked(press)

    def picked(self, press: Callable[[Agent, str, Message], Calling]) -> None:
        calling, phone, invite = self.ring("102")
        picker = self.phones[self.dice.choice(("103", "104"))]
        picking = press(picker, "102", invite)
        picker.leave_by.clear()
        answer = picking.final()
        assert answer.status == 200, answer.start
        self.stop_ringing(phone, invite)
        calling.acknowledge(calling.final())
        self.hang_up(picking.acknowledge(answer), calling.agent)

    def anew(self) -> None:
        """Have a key subscribe, and either end that or never be heard of again."""
        agent = Agent(self.site.server.address(), self.dice.choice(EXTENSIONS), host=TRUSTED)
        answer, _ = agent.subscribe(self.dice.choice(EXTENSIONS), expires=60)
        if self.dice.random() < 0.8:
            dialog = Dialog(
                agent,
                answer["contact"].strip("<>"),
                answer["from"],
                answer["to"],
                answer["call-id"],
                agent.cseq,
            )
            dialog.send("SUBSCRIBE")
        agent.close()

    def dies(self) -> None:
        """Have a phone over TCP switched off while it rings, and come back."""
        calling, phone, _ = self.ring("108")
        phone.close()
        self.site.agents.remove(phone)
        assert calling.refused().status >= 400
        self.phones["108"] = self._phone("108", "tcp")


def test_soak(own_site: Callable[..., Site], capsys: pytest.CaptureFixture[str]) -> None:
    site = own_site("--trust", "127.0.0.0/8", config=f"[sip]\n{MANY}no_answer_timeout = 10\n")
    working = Working(site, random.Random(98))
    keys = Keys(site.server.address(), "112", EXTENSIONS, KEYS)
    keys.subscribe()
    start = time.monotonic()
    samples: list[tuple[float, float]] = []
    while (passed := time.monotonic() - start) < SECONDS:
        working.act()
        keys.pump()
        if not samples or passed > samples[-1][0] + SECONDS / 60:
            samples.append((passed, site.memory()))
        time.sleep(max(0.0, start + sum(working.done.values()) / RATE - time.monotonic()))
    site.wait_no_call()
    keys.wait(lambda: {key.state for key in keys.all} <= {"", "terminated"})
    keys.close()
    assert keys.faults() == []
    status = site.ask("status")
    zero = ("stuck", "overdue", "restarts", "dropped")
    assert {name: status[name] for name in zero} == dict.fromkeys(zero, 0)
    settled = [mebibytes for passed, mebibytes in samples if passed > min(LIVES + 8, SECONDS / 5 + 60)]
    part = max(3, len(settled) // 4)
    first, last = statistics.median(settled[:part]), statistics.median(settled[-part:])
    with capsys.disabled():
        print(
            f"\n{SECONDS:.0f} s: {dict(working.done)}; MiB after {samples[0][0]:.0f} s {samples[0][1]:.1f}",
            end="",
        )
        print(f", settled {first:.1f}, at the end {last:.1f}; NOTIFYs {status['notifies']['sent']}")
    assert last < first * GROWTH, [round(mebibytes, 1) for _, mebibytes in samples]
