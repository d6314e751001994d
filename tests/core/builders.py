"""Inputs and a core to give them to, in a few words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from blfd.core.calls.leg_effects import Accept, Adopt, Dial, HangUp, ListLegs
from blfd.core.calls.leg_inputs import LegEnded, LegsListed
from blfd.core.core import Core
from blfd.core.directory import Directory, Extension, Group, Tenant
from blfd.core.effects import Effect, Notify, NotifyAll, Reply, TellSaved
from blfd.core.inputs import DirectoryChanged, Input, Saved
from blfd.core.messages import (
    Credentials,
    InviteReceived,
    NotifyResponseReceived,
    RegisterContact,
    RegisterReceived,
    Request,
    SubscribeReceived,
)
from blfd.core.settings import Settings
from blfd.core.values import DEFAULT_TENANT, Address, Aor, Flow, Uri
from dialog_info import DialogInfo, parse

HOST = "192.0.2.5"
EVERYBODY = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
SDP = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
IPV4, IPV6 = (b"v=0\r\nc=IN " + at + b"\r\nm=audio 4 RTP/AVP 0\r\n" for at in (b"IP4 1.2.3.4", b"IP6 ::1"))
_numbers = itertools.count(1)


def number_anew() -> None:
    """Number requests from 1 again: what is done in one order has the same names each time."""
    global _numbers
    _numbers = itertools.count(1)


Asked = TypeVar("Asked", RegisterReceived, InviteReceived)


def uri(user: str, host: str = HOST, port: int = 0) -> Uri:
    text = f"sip:{user}@{host}" + (f":{port}" if port else "")
    return Uri(text, "sip", user, host, port)


def flow(user: str = "101", transport: str = "udp") -> Flow:
    """The flow of a user's phone: each has a port of its own."""
    return Flow(transport, "198.51.100.7", 10_000 + sum(map(ord, user)))


def request(
    method: str,
    user: str = "101",
    to: str = "102",
    *,
    host: str = HOST,
    to_tag: str = "",
    call_id: str = "",
    cseq: int = 1,
    source: Flow | None = None,
    credentials: tuple[Credentials, ...] = (),
) -> Request:
    number = next(_numbers)
    return Request(
        number,
        source or flow(user),
        method,
        uri(to, host),
        Address(uri(user, host), "", f"tag{user}"),
        Address(uri(to, host), "", to_tag),
        call_id or f"call{number}",
        cseq,
        credentials,
    )


def register(user: str, contact: str = "", expires: int | None = 3600, *, cseq: int = 1) -> RegisterReceived:
    contacts = (RegisterContact(contact or f"sip:{user}@198.51.100.7"),)
    return RegisterReceived(
        request("REGISTER", user, user, call_id=f"reg{user}", cseq=cseq), contacts, expires=expires
    )


def subscribe(
    user: str = "103",
    to: str = "102",
    expires: int | None = 600,
    *,
    event: str = "dialog",
    accept: tuple[str, ...] | None = None,
    contact: str | None = None,
    host: str = HOST,
    to_tag: str = "",
    call_id: str = "",
    cseq: int = 1,
    content_type: str = "",
    body: bytes = b"",
) -> SubscribeReceived:
    asked = request("SUBSCRIBE", user, to, host=host, to_tag=to_tag, call_id=call_id, cseq=cseq)
    where = f"sip:{user}@198.51.100.7" if contact is None else contact
    return SubscribeReceived(asked, event, "", accept, expires, where, (), content_type, body)


def over_tls(asked: Asked, *, sips: bool = False) -> Asked:
    """A request as its sender's phone sends it over TLS; with `sips`, to a sips: URI."""
    request = asked.request
    target = request.target._replace(scheme="sips") if sips else request.target
    user = request.from_.uri.user
    return asked._replace(request=request._replace(flow=flow(user, "tls"), target=target))


def invite(
    user: str = "101",
    to: str = "102",
    offer: bytes | None = SDP,
    hops: int = 70,
    *,
    host: str = HOST,
    replaces: tuple[str, ...] = (),
    allows_update: bool = False,
    call_id: str = "",
) -> InviteReceived:
    asked = request("INVITE", user, to, host=host, call_id=call_id)
    return InviteReceived(asked, offer, hops, f"sip:{user}@198.51.100.7", replaces, allows_update)


def directory(extensions: Iterable[str] = ("101", "102", "103"), groups: tuple[Group, ...] = ()) -> Directory:
    """The directory of the default tenant with these extensions and groups, and of acme.example with 101."""
    aors = [Aor(DEFAULT_TENANT, name) for name in extensions] + [Aor("acme.example", "101")]
    tenants = {name: Tenant(name) for name in (DEFAULT_TENANT, "acme.example")}
    return Directory(tenants, {aor: Extension(aor, f"Name {aor.extension}") for aor in aors}, groups)


def group(members: str, targets: str = "", name: str = "sales") -> Group:
    """A group of the default tenant; `members` and `targets` are extensions with spaces between."""
    pickers = frozenset(members.split())
    return Group(DEFAULT_TENANT, name, pickers, frozenset(targets.split()) if targets else pickers)


class World:
    """A core, its clock, and what it has asked for.

    `stack` plays as much of the SIP stack as no test is about: legs that are hung up have ended when the
    clock goes on, and which legs there are is said when it is asked.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        phones: Iterable[str] = ("101", "102", "103"),
        known: Directory | None = None,
        *,
        stack: bool = True,
        tags: str = "sub",
    ) -> None:
        self._legs: set[int] = set()
        self._hung_up: set[int] = set()
        self._stack = stack
        numbers = itertools.count(1)
        settings = replace(settings or Settings(), trust=EVERYBODY)
        self.core = Core(
            settings, [HOST], secret=b"s", mark="000000", new_tag=lambda: f"{tags}{next(numbers)}"
        )
        self.now = 1000.0
        self.give(DirectoryChanged(known or directory()))
        for phone in phones:
            self.give(register(phone))

    def give(self, event: Input) -> list[Effect]:
        if isinstance(event, LegEnded):
            self._legs.discard(event.leg)
            self._hung_up.discard(event.leg)
        return self._played(self.core.handle(event, self.now))

    def at(self, now: float) -> list[Effect]:
        """Let time pass until `now`, and return the effects."""
        while self._stack and self._hung_up:
            assert self.give(LegEnded(min(self._hung_up), 200, "")) == []
        self.now = now
        return self._played(self.core.handle_timer(now))

    def _played(self, effects: list[Effect]) -> list[Effect]:
        effects = each(effects)
        for effect in effects:
            if isinstance(effect, Accept | Adopt | Dial):
                self._legs.add(effect.leg)
            elif isinstance(effect, HangUp):
                self._hung_up |= {effect.leg} & self._legs
            elif isinstance(effect, TellSaved) and self._stack:
                effects = [*effects, *self.core.handle(Saved((effect.number,)), self.now)]
        if not self._stack or ListLegs() not in effects:
            return effects
        listed = self._played(self.core.handle(LegsListed(frozenset(self._legs)), self.now))
        return [effect for effect in (*effects, *listed) if not isinstance(effect, ListLegs)]

    def lamp(self, extension: str) -> str:
        return self.core.dialogs.lamp(Aor(DEFAULT_TENANT, extension)).value

    def confirm(self, effects: Sequence[Effect]) -> list[Effect]:
        """Answer every NOTIFY among the effects with 200, and return what comes of that."""
        found = notifies(effects)
        return [e for n in found for e in self.give(NotifyResponseReceived(n.subscription, 200))]


def each(effects: Sequence[Effect]) -> list[Effect]:
    """The effects, with what all watchers are told at once as NOTIFYs one by one."""
    return [one for e in effects for one in (e.notifies if isinstance(e, NotifyAll) else (e,))]


def notifies(effects: Sequence[Effect]) -> list[Notify]:
    return [effect for effect in each(effects) if isinstance(effect, Notify)]


def dials(effects: list[Effect]) -> list[Dial]:
    return [effect for effect in effects if isinstance(effect, Dial)]


def reply(effects: list[Effect]) -> Reply:
    (found,) = [effect for effect in effects if isinstance(effect, Reply)]
    return found


def document(notify: Notify) -> DialogInfo:
    return parse(notify.body)


def state(notify: Notify) -> str:
    """A NOTIFY's Subscription-State."""
    if notify.expires is not None:
        return f"active;expires={notify.expires}"
    return f"terminated;reason={notify.reason}" if notify.reason else "terminated"
