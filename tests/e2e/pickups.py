"""Phones of an office, and a ringing call that one of them picks up."""

from __future__ import annotations

from dataclasses import dataclass

from calls import Calling, Dialog, sdp
from sites import Site
from wire import Agent, Message

from blfd.core.calls.attempts import Attempt
from blfd.store import Store
from dialog_info import Dialog as DialogElement

SDP = "application/sdp"
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


@dataclass
class Ringing:
    """A call of `caller` to `phone`, which rings; `calling` is the caller's side, `invite` the phone's."""

    caller: Agent
    phone: Agent
    calling: Calling
    invite: Message

    @classmethod
    def begin(cls, caller: Agent, phone: Agent, offer: bytes | None = None, **over: str) -> Ringing:
        calling = Calling.start(caller, phone.user, sdp(4000) if offer is None else offer, **over)
        invite = phone.wait_request("INVITE")
        phone.reply(invite, 180, "Ringing")
        calling.provisional(180)
        return cls(caller, phone, calling, invite)

    def rings_on(self) -> None:
        """Check that the call is as before: the phone answers, the caller is told, and they hang up."""
        assert self.phone.silent(lambda m: m.method == "CANCEL", 0.05)
        assert self.answers().request("BYE").status == 200

    def stops(self) -> None:
        """Check that the phone is told that somebody else has answered, and have it end its INVITE."""
        cancel = self.phone.wait_request("CANCEL")
        assert cancel["reason"] == ELSEWHERE
        assert cancel["call-id"] == self.invite["call-id"]
        self.phone.reply(cancel, 200)
        self.phone.reply(self.invite, 487, "Request Terminated")
        self.phone.wait(lambda m: m.method == "ACK" and m["call-id"] == self.invite["call-id"])

    def answers(self) -> Dialog:
        """Have the phone answer after all, and return the caller's side."""
        self.phone.reply(self.invite, 200, "OK", sdp(5000), Content_Type=SDP)
        dialog = self.calling.acknowledge(self.ok())
        self.phone.wait_request("ACK")
        return dialog

    def ok(self) -> Message:
        """Wait for the caller's 200, and return it."""
        answer = self.calling.answer or self.calling.final()
        assert answer.status == 200, answer.start
        return answer

    def picked_up(self, picking: Calling) -> tuple[Dialog, Dialog]:
        """Wait until both have their 200, and return the caller's side of the call, then the picker's."""
        answer, to_caller = picking.final(), self.ok()
        assert answer.status == 200, f"{answer.start} {answer.headers}"
        identity = f'"Name {self.caller.user}" <sip:{self.caller.user}@'
        assert answer["p-asserted-identity"].startswith(identity)
        assert to_caller["p-asserted-identity"].startswith(
            f'"Name {picking.agent.user}" <sip:{picking.agent.user}@'
        )
        self.stops()
        return self.calling.acknowledge(to_caller), picking.acknowledge(answer)

    def give_up(self) -> None:
        """Have the caller hang up."""
        self.calling.cancel()
        self.phone.reply(self.phone.wait_request("CANCEL"), 200)
        self.phone.reply(self.invite, 487, "Request Terminated")
        assert self.calling.refused().status == 487


@dataclass
class Office:
    """Phones over one transport: 101 calls, 102 rings, 103 and 104 pick up, 105 watches 102."""

    site: Site
    transport: str

    def __post_init__(self) -> None:
        self.caller, self.phone, self.picker, self.other, self.watcher = (
            self.site.registered(user, self.transport) for user in ("101", "102", "103", "104", "105")
        )

    def ring(self, offer: bytes | None = None, **over: str) -> Ringing:
        """Have 101 call 102, which rings."""
        return Ringing.begin(self.caller, self.phone, offer, **over)

    def ring_watched(self) -> tuple[Ringing, DialogElement]:
        """Have 101 call 102, which rings; return the call, and what 105's key knows of it."""
        self.watcher.subscribe("102")
        ringing = self.ring()
        return ringing, element(self.watcher.notify("early"), "early")

    def pick(self, to: str = "*97102", offer: bytes | None = None, uri: str = "", **over: str) -> Calling:
        """Send the INVITE by which 103 picks up."""
        return Calling.start(self.picker, to, sdp(6000) if offer is None else offer, uri, **over)

    def leave(self) -> None:
        """End every call, so that the next test finds the office idle."""
        for agent in self.site.agents:
            for end in agent.leave_by:
                end()
        for extension in ("101", "102", "103", "104"):
            self.site.wait_idle(extension)


def hang_up(one: Dialog, other: Dialog) -> None:
    headers = one.send("BYE")
    other.agent.reply(other.agent.wait(lambda m: m.method == "BYE" and m["call-id"] == other.call_id), 200)
    assert one.agent.final(headers).status == 200


def replaces(element: DialogElement, more: str = "") -> str:
    """The value of the Replaces that a key makes of a NOTIFY's <dialog>."""
    return f"{element.call_id};to-tag={element.remote_tag};from-tag={element.local_tag}{more}"


def element(notify: Message, state: str) -> DialogElement:
    return next(d for d in notify.document.dialogs if d.state.value == state)


def attempts(site: Site) -> list[Attempt]:
    """The attempts to pick up that are on disk, the newest first."""
    return [attempt for _, attempt in Store(site.database).records.attempts("default")]


def wait_attempt(site: Site, picker: str, before: int) -> Attempt:
    """Wait until there are more attempts than `before`, and return the newest, which is of `picker`."""

    def is_kept() -> bool:
        kept = attempts(site)
        return len(kept) > before and kept[0].picker.extension == picker

    site.wait(is_kept, lambda: f"no attempt of {picker} is kept")
    return attempts(site)[0]
