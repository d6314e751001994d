"""What was made by a password, or by a right, ends with it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import publishers
import pytest
from builders import HOST, flow, notifies, reply, request, state
from proving import NOW, PASSWORD, Asking, credentials, ha1
from publishers import kamailio

from blfd.core.core import Core
from blfd.core.directory import Directory, Extension, Owner, Tenant
from blfd.core.effects import Effect, Log, Reply, SaveBindings, SavePublication, SaveSubscription, TellSaved
from blfd.core.errors import Refusal
from blfd.core.inputs import (
    BindingsRestored,
    DirectoryChanged,
    Input,
    PublicationsRestored,
    Saved,
    SubscriptionsRestored,
)
from blfd.core.messages import NotifyResponseReceived, RegisterContact, RegisterReceived, SubscribeReceived
from blfd.core.saved import SavedPublication, SavedSubscription
from blfd.core.settings import Settings
from blfd.core.trunk import Mode, Trunk
from blfd.core.values import REALM, Aor, Flow

OLD, NEW, DEVICE = (ha1("101", REALM, password) for password in (PASSWORD, "n3w", "d3vice"))
PHONE = Extension(Aor("default", "101"), "", OLD, device_ha1s=(DEVICE,), owner=Owner.PUBLISHED)
PEER = Trunk("default", "pbx", PASSWORD, mode=Mode.PEER_REGISTERS, username="gate")
MANUAL, DESK, AT_WORD, PBX = ("manual", "desk", "proxied", "pbx")
CHANGES: tuple[tuple[str, dict[str, Any], dict[str, Any], set[str]], ...] = (
    ("the same anew", {"ha1": ha1("101", REALM)}, {"password": PASSWORD}, {MANUAL, DESK, AT_WORD, PBX}),
    ("another name", {"name": "Alice"}, {"ping": 60}, {MANUAL, DESK, AT_WORD, PBX}),
    ("one phone more", {"device_ha1s": (DEVICE, NEW)}, {}, {MANUAL, DESK, AT_WORD, PBX}),
    ("another password", {"ha1": NEW}, {}, {DESK, AT_WORD, PBX}),
    ("the phone is gone", {"device_ha1s": ()}, {}, {MANUAL, AT_WORD, PBX}),
    ("not in use for a while", {}, {"enabled": False}, {MANUAL, DESK, AT_WORD, PBX}),
    ("a trunk's password", {}, {"password": "n3w"}, {MANUAL, DESK, AT_WORD}),
    ("a trunk's name", {}, {"username": "another"}, {MANUAL, DESK, AT_WORD}),
)
WAYS = ((MANUAL, PASSWORD, None), (DESK, "d3vice", None), (AT_WORD, "", Flow("udp", "192.0.2.99", 5060)))


class Process:
    """A core, with what it has asked to be stored of whom, until the next process."""

    def __init__(self, known: Directory) -> None:
        tags = iter(f"tag{number}" for number in itertools.count())
        settings = Settings(trust=(IPv4Network("192.0.2.99"),))
        self.core = Core(settings, [HOST], secret=b"s", mark="000000", new_tag=tags.__next__)
        self.logged: list[str] = []
        self.watched: dict[str, SavedSubscription] = {}
        self.published: dict[str, SavedPublication] = {}
        self.give(DirectoryChanged(known))

    def give(self, event: Input) -> list[Effect]:
        """What is done about an input; NOTIFYs are confirmed, and what is to be stored is."""
        effects = self.core.handle(event, NOW)
        for effect in list(effects):
            match effect:
                case Log():
                    self.logged.append(effect.text)
                case SaveSubscription() if effect.saved:
                    self.watched[effect.key] = effect.saved
                case SaveSubscription():
                    self.watched.pop(effect.key, None)
                case SavePublication() if effect.saved:
                    self.published[effect.etag] = effect.saved
                case SavePublication():
                    self.published.pop(effect.etag, None)
                case TellSaved():
                    effects += self.give(Saved((effect.number,)))
        for notify in notifies(effects):
            self.core.handle(NotifyResponseReceived(notify.subscription, 200), NOW)
        return effects

    def ask(self, event: Asking, user: str, password: str) -> Reply:
        """The last response to a request, a challenge having been met."""
        answer = reply(self.give(event))
        if answer.status != 401:
            return answer
        proved = credentials(Refusal(401, "", answer.headers), event.request, user=user, password=password)
        return reply(self.give(event._replace(request=proved)))


def settled(phone: Extension, trunk: Trunk) -> Directory:
    return Directory({"default": Tenant("default")}, {phone.aor: phone}, trunks=(trunk,))


@pytest.mark.parametrize(("what", "of_phone", "of_trunk", "left"), CHANGES, ids=[c[0] for c in CHANGES])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_made_by_a_password_ends_with_it(
    what: str, of_phone: dict[str, Any], of_trunk: dict[str, Any], left: set[str], restarted: bool
) -> None:
    """Calls go no more to who has registered by it, lamps are to be asked for anew, at once, and what it has
    published is over."""
    here = Process(settled(PHONE, PEER))
    for name, password, source in (*WAYS, (PBX, PASSWORD, None)):
        user = "gate" if name == PBX else "101"
        asked = request("REGISTER", user, user, call_id=name, source=source or flow(name))
        contact = RegisterContact(f"sip:{name}@198.51.100.7")
        assert here.ask(RegisterReceived(asked, (contact,)), user, password).status == 200
    for name, password, source in WAYS:
        asked = request("SUBSCRIBE", "101", "101", call_id=name, source=source or flow(name))
        watch = SubscribeReceived(asked, "dialog", "", None, 600, f"sip:{name}@198.51.100.7", (), "", b"")
        assert here.ask(watch, "101", password).status == 200
        said = kamailio("confirmed", name).replace(b"sip:102@", b"sip:101@")
        publish = publishers.publish(said, user="101", source=source or flow(name))
        assert here.ask(publish, "101", password).status == 200
    bindings = tuple(here.core.registrar.all_bindings(NOW))
    assert (len(bindings), len(here.watched), len(here.published)) == (4, 3, 3)
    next_known = settled(replace(PHONE, **of_phone), replace(PEER, **of_trunk))
    effects: list[Effect] = []
    if restarted:
        watched, published = dict(here.watched), dict(here.published)
        here = Process(next_known)
        here.watched, here.published = watched, published
        effects += here.give(BindingsRestored(bindings))
        effects += here.give(PublicationsRestored(tuple(published.values())))
        effects += here.give(SubscriptionsRestored(tuple(watched.values())))
    else:
        effects = here.give(DirectoryChanged(next_known))
    over = sum(state(notify) == "terminated;reason=deactivated" for notify in notifies(effects))
    assert over == 3 - len(left - {PBX}), what
    assert {binding.call_id for binding in here.core.registrar.all_bindings(NOW)} == left, what
    assert {one.dialog.id.call_id for one in here.watched.values()} == left - {PBX}, what
    shown = {dialog.id.call_id for dialog in here.core.dialogs.of(PHONE.aor)}
    assert shown == left - {PBX}, what
    assert len(here.published) == len(shown)
    saved = [effect for effect in effects if isinstance(effect, SaveBindings)]
    assert bool(saved) == any("password holds no more" in text for text in here.logged) == (len(left) < 4)


def test_what_renews_it_counts() -> None:
    """A phone that has the new password already loses nothing with the old one."""
    both = replace(PHONE, ha1=OLD, device_ha1s=(NEW,))
    here = Process(settled(both, PEER))
    asked = request("SUBSCRIBE", "101", "101", call_id="watch")
    watch = SubscribeReceived(asked, "dialog", "", None, 600, "sip:101@198.51.100.7", (), "", b"")
    here.ask(watch, "101", PASSWORD)
    (tag,) = here.watched
    again = asked._replace(to=asked.to._replace(tag=tag), cseq=2)
    assert here.ask(watch._replace(request=again), "101", "n3w").status == 200
    said = kamailio("confirmed").replace(b"sip:102@", b"sip:101@")
    here.ask(publishers.publish(said, user="101"), "101", PASSWORD)
    (etag,) = here.published
    assert here.ask(publishers.publish(b"", etag, user="101"), "101", "n3w").status == 200
    here.give(DirectoryChanged(settled(replace(both, ha1=NEW), PEER)))
    assert (len(here.watched), len(here.published)) == (1, 1)
    here.give(DirectoryChanged(settled(replace(PHONE, device_ha1s=()), PEER)))
    assert (len(here.watched), len(here.published)) == (0, 0)


SERVER = Extension(Aor("default", "pbx"), "", ha1("pbx", REALM), publishes=True)


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (replace(SERVER, name="Asterisk"), ""),
        (replace(SERVER, publishes=False), "may not publish"),
        (replace(SERVER, ha1=ha1("pbx", REALM, "n3w")), "password"),
        (None, "no such account"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_what_an_account_has_published_ends_with_its_right(
    account: Extension | None, why: str, restarted: bool
) -> None:
    def known(server: Extension | None) -> Directory:
        people = {one.aor: one for one in (PHONE, server) if one}
        return Directory({"default": Tenant("default")}, people)

    here = Process(known(SERVER))
    said = kamailio("confirmed").replace(b"sip:102@", b"sip:101@")
    assert here.ask(publishers.publish(said, user="101"), "pbx", PASSWORD).status == 200
    if restarted:
        published = dict(here.published)
        here = Process(known(account))
        here.published = published
        here.give(PublicationsRestored(tuple(published.values())))
    else:
        here.give(DirectoryChanged(known(account)))
        assert any(why in text for text in here.logged if "published of" in text) == bool(why)
    assert bool(here.core.dialogs.of(PHONE.aor)) == bool(here.published) == (not why)
