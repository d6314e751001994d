"""What the NOTIFYs of a PBX make of our lamps, in its own words, forged, out of order or senseless."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, dials, invite, subscribe
from hypothesis import given, settings
from hypothesis import strategies as st
from upstream_pbx import ASTERISK, FREESWITCH, KAMAILIO, PBX, TYPE, UPSTREAM, Pbx, body, dialog, site

from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegAccepted
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import DirectoryChanged
from blfd.core.trunk import Trunk
from blfd.core.upstreams.watching import State
from blfd.core.values import Aor, DialogId, Flow
from dialog_info import DialogState, Direction, StateEvent, build


def test_a_lamp_of_the_pbx_is_one_of_ours() -> None:
    pbx = Pbx()
    pbx.take(pbx.world.give(subscribe("103", "102")))
    sent = pbx.first()
    assert (sent.method, sent.target, sent.flow.host) == ("SUBSCRIBE", f"sip:102@{PBX}", PBX)
    assert dict(sent.headers) == {"Event": "dialog", "Accept": TYPE, "Expires": "600"}
    assert (sent.from_.uri, sent.to.uri, sent.remote_tag) == (f"sip:blfd@{PBX}", f"sip:102@{PBX}", "")
    assert pbx.accept(sent) is None
    assert not pbx.is_known
    for state, lamp in (("early", "ringing"), ("confirmed", "talking"), ("terminated", "idle")):
        assert pbx.notify(sent, body(dialog(state))).status == 200
        assert (pbx.lamp, pbx.is_known) == (lamp, True)
        assert pbx.told[-1].dialogs[0].state.value == state
    again = pbx.wait(600 * 0.8 + 1)
    assert again
    assert (again.call_id, again.cseq, again.remote_tag) == (sent.call_id, sent.cseq + 1, "pbx1")
    assert again.target == f"sip:102@{PBX}:5080"


@pytest.mark.parametrize(
    "forms", [ASTERISK, FREESWITCH, KAMAILIO], ids=("Asterisk", "FreeSWITCH", "Kamailio")
)
def test_what_pbxs_tell(forms: list[tuple[bytes, str, str]]) -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent)
    for content, lamp, remote in forms:
        assert pbx.notify(sent, content).status == 200
        assert pbx.lamp == lamp
        live = pbx.world.core.dialogs.of(Aor("default", "102"))
        assert [one.remote for one in live] == ([] if lamp == "idle" else [remote])
    assert len(pbx.asked) == 1, "no version was missed"


def test_a_missed_version_has_us_ask_for_what_is_full_but_not_again_and_again() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    assert pbx.notify(sent, body(dialog("early", "a"), version=5, state="partial")).status == 200
    assert pbx.lamp == "ringing", "what it says is true all the same"
    again = pbx.wait(0.1)
    assert again
    assert (again.call_id, again.cseq, pbx.state) == (sent.call_id, sent.cseq + 1, State.REFRESHING)
    pbx.accept(again)
    assert pbx.notify(sent, body(dialog("confirmed", "a"), version=6)).status == 200
    assert pbx.lamp == "talking"
    count = len(pbx.asked)
    assert pbx.notify(sent, body(dialog("early", "b"), version=9, state="partial")).status == 200
    assert (pbx.wait(1.0), len(pbx.asked)) == (None, count)
    assert pbx.notify(sent, body(dialog("terminated", "a"), version=10, state="partial")).status == 200
    assert pbx.lamp == "ringing"


def test_a_partial_document_first() -> None:
    """A partial document comes before the 200; a full one is asked for after that."""
    pbx = Pbx()
    sent = pbx.first()
    pbx.notify(sent, body(dialog("early"), version=7, state="partial"))
    pbx.accept(sent)
    again = pbx.wait(1.0)
    assert again
    assert again.call_id == sent.call_id


def test_versions_that_begin_anew_and_cseqs_that_do_not() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    pbx.notify(sent, body(dialog("early"), version=40), cseq=40)
    pbx.notify(sent, body(dialog("confirmed"), version=0), cseq=41)
    assert pbx.lamp == "talking"
    assert pbx.notify(sent, body(dialog("early"), version=60), cseq=40).status == 500
    assert pbx.lamp == "talking"


ELSEWHERE = Flow("udp", "198.51.100.66", 5060)


@pytest.mark.parametrize(
    "forged",
    [
        {"source": ELSEWHERE},
        {"tag": "other"},
    ],
)
def test_forged_notifies(forged: dict[str, object]) -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    for _ in range(3):
        assert pbx.notify(sent, body(dialog("early")), **forged).status == 481  # type: ignore[arg-type]
    assert pbx.notify(sent._replace(call_id="other"), body(dialog("early"))).status == 481
    assert pbx.notify(sent._replace(local_tag="other"), body(dialog("early"))).status == 481
    assert (pbx.lamp, pbx.world.core.upstreams.hearing.strays) == ("idle", 5)
    assert len([text for text in pbx.logs if "none of its servers" in text]) == ("source" in forged)


def test_a_pbx_that_tells_from_another_address_of_its_own() -> None:
    pbx = Pbx(replace(UPSTREAM, sources=("198.51.100.0/24",)))
    sent = pbx.subscribed()
    assert pbx.notify(sent, body(dialog("early")), source=ELSEWHERE).status == 200
    assert pbx.lamp == "ringing"


@pytest.mark.parametrize(
    ("content", "more", "status"),
    [
        (b"<dialog-info", {}, 400),
        (b"\x00" * 70_000, {}, 400),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + body(dialog("early")), {}, 400),
        (body(*[dialog("early", f"d{n}") for n in range(51)]), {}, 400),
        (body(dialog("early")), {"kind": "application/pidf+xml"}, 415),
        (body(dialog("early")), {"event": "presence"}, 489),
    ],
    ids=("no XML", "too long", "entities", "too many dialogs", "another type", "another package"),
)
def test_what_cannot_be_used(content: bytes, more: dict[str, str], status: int) -> None:
    """A document that cannot be read may have said anything: the lamp is unknown, and asked for once."""
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    for _ in range(3):
        assert pbx.notify(sent, content, **more).status == status  # type: ignore[arg-type]
    assert (pbx.lamp, pbx.is_known) == (("idle", False) if status == 400 else ("talking", True))
    pbx.wait(1.0)
    assert len(pbx.asked) == (2 if status == 400 else 1)
    assert len([text for text in pbx.logs if "cannot be read" in text]) == (status == 400)


def test_a_dialog_that_cannot_be_read_is_left_out() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    good = dialog("confirmed", "good")
    for _ in range(2):
        assert pbx.notify(sent, body(dialog("dancing", "bad"), good)).status == 200
    assert pbx.lamp == "talking"
    assert any("left out" in text for text in pbx.logs)


def test_a_call_there_is_picked_up_by_the_trunk_of_the_same_name() -> None:
    pbx = Pbx()
    trunk = Trunk("default", "pbx", servers=(PBX,), pickup_code="**{extension}", ping=0)
    other = replace(trunk, name="another", pickup_code="*8{extension}")
    pbx.take(pbx.world.give(DirectoryChanged(replace(site(), trunks=(other, trunk)))))
    sent = pbx.subscribed("early")
    assert pbx.lamp == "ringing"
    (accept,) = pbx.world.give(invite("103", "*97102"))
    assert isinstance(accept, Accept)
    (dial,) = dials(pbx.world.give(LegAccepted(accept.leg, "ours")))
    assert (dial.contact, dial.flow.host) == (f"sip:**102@{PBX}", sent.flow.host)


def test_the_same_call_here_and_there_counts_once() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    who = Aor("default", "102")
    twice = dialog("confirmed", "a", ' call-id="c1"') + dialog("confirmed", "b", ' call-id="c2"')
    pbx.notify(sent, body(twice))
    assert {one.published_id for one in pbx.world.core.dialogs.of(who)} == {"a", "b"}
    here = WatchedDialog(DialogId("c1", "t", "u"), None, DialogState.EARLY, 0.0, "103", leg=9)
    pbx.world.core.dialogs.put(who, here)
    assert {one.published_id for one in pbx.world.core.dialogs.of(who)} == {"", "b"}


def test_an_entity_of_another_host_and_our_own_domain() -> None:
    """The subscription says whose state a document has; watchers see their own domain."""
    pbx = Pbx()
    pbx.take(pbx.world.give(subscribe("103", "102")))
    sent = pbx.subscribed()
    pbx.notify(sent, body(dialog("early")).replace(b"sip:102@", b"sip:9999@"))
    assert pbx.told[-1].entity == f"sip:102@{HOST}"
    assert pbx.told[-1].dialogs[0].state is DialogState.EARLY


# Servers that watch one another


RELAYED = st.lists(
    st.sampled_from(("call", "ring", "answer", "hang up", "tell", "tell", "tell")), max_size=20
)


class Ring:
    """Servers that each have the next one as the upstream of 102, whose calls the first one carries."""

    def __init__(self, servers: int, code: str) -> None:
        self.code = code
        self.servers = [Pbx() for _ in range(servers)]
        self.asked = [server.first() for server in self.servers]
        for server, asked in zip(self.servers, self.asked, strict=True):
            server.accept(asked)
        self.world = self.servers[0].world
        self.calls = 0

    def tell(self, index: int) -> None:
        """Have a server tell the one before it how its lamp is."""
        dialogs = self.servers[index].world.core.dialogs
        content = build(dialogs.document(Aor("default", "102"), f"sip:102@{PBX}", pickup_code=self.code))
        assert self.servers[index - 1].notify(self.asked[index - 1], content).status == 200

    def settle(self) -> None:
        for index in (*range(len(self.servers)), *range(len(self.servers))):
            for number in range(len(self.servers)):
                self.tell((index - number) % len(self.servers))

    @property
    def lamps(self) -> set[str]:
        return {server.lamp for server in self.servers}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from((2, 3)), st.sampled_from(("*97", "")), RELAYED, st.data())
def test_servers_that_watch_one_another(
    servers: int, code: str, steps: list[str], data: st.DataObject
) -> None:
    """However their NOTIFYs fall, all show the call while it lasts, and nothing when it is over."""
    ring = Ring(servers, code)
    dialogs, aor = ring.world.core.dialogs, Aor("default", "102")
    leg = 0

    def put(state: DialogState) -> None:
        ids = DialogId(f"call{leg}", f"ours{leg}", "phone")
        dialogs.put(aor, WatchedDialog(ids, Direction.RECIPIENT, state, 1.0, "103", leg=leg, call=leg))

    is_up, words = False, {"ring": DialogState.EARLY, "answer": DialogState.CONFIRMED}
    for step in steps:
        if step == "tell":
            ring.tell(data.draw(st.integers(0, servers - 1)))
        elif step == "call" and not is_up:
            leg, is_up = leg + 1, True
            put(DialogState.TRYING)
        elif step in words and is_up:
            put(words[step])
        elif step == "hang up" and is_up:
            dialogs.end(aor, leg, 2.0, StateEvent.LOCAL_BYE)
            is_up = False
        assert (ring.servers[0].lamp != "idle") is is_up
    ring.settle()
    assert len(ring.lamps) == 1, ring.lamps
    if is_up:
        dialogs.end(aor, leg, 2.0, StateEvent.LOCAL_BYE)
        ring.settle()
    assert ring.lamps == {"idle"}
