"""Upstreams: what is asked of a PBX when, and what its NOTIFYs make of our lamps (RFC 6665, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from builders import (
    HOST,
    World,
    dials,
    directory,
    document,
    invite,
    notifies,
    reply,
    request,
    subscribe,
    uri,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegAccepted
from blfd.core.core import Core
from blfd.core.directory import Directory, Owner
from blfd.core.effects import Effect, Locate, Log, Reply, SendRequest
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import DirectoryChanged, FlowClosed, Located
from blfd.core.messages import Challenge, NotifyReceived, Part, RegisterContact, ResponseReceived
from blfd.core.settings import Settings
from blfd.core.trunk import Trunk
from blfd.core.upstreams.report import upstream_lamps
from blfd.core.upstreams.turns import MOST_OUT
from blfd.core.upstreams.upstream import Upstream, check
from blfd.core.upstreams.watching import OUT, TABLE, Event, State
from blfd.core.values import Address, Aor, DialogId, Flow, Location, Server, Target
from dialog_info import DialogInfo, DialogState, Direction, StateEvent, build

PBX = "203.0.113.1"
UPSTREAM = Upstream("default", "pbx", servers=(PBX,), extensions=("102",), ping=0)
ASKS = Challenge("pbx", "n1", "MD5", ("auth",))
TYPE = "application/dialog-info+xml"


def site(*upstreams: Upstream, extensions: Iterable[str] = ("101", "102", "103")) -> Directory:
    return replace(directory(extensions), upstreams=upstreams or (UPSTREAM,))


def body(*dialogs: str, version: int = 0, state: str = "full") -> bytes:
    head = f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="{state}"'
    return f'<?xml version="1.0"?>{head} entity="sip:102@{PBX}">{"".join(dialogs)}</dialog-info>'.encode()


def dialog(state: str, name: str = "102", more: str = "") -> str:
    return f'<dialog id="{name}" direction="recipient"{more}><state>{state}</state></dialog>'


class Pbx:
    """A world with an upstream, and the PBX at the other end."""

    def __init__(self, *upstreams: Upstream, extensions: Iterable[str] = ("101", "102", "103")) -> None:
        self.world = World(known=site(*upstreams, extensions=extensions), phones=("101", "103"))
        self.asked: list[SendRequest] = []
        self.logs: list[str] = []
        self.cseq = 0
        self.told: list[DialogInfo] = []

    def take(self, effects: list[Effect]) -> SendRequest | None:
        found = [effect for effect in effects if isinstance(effect, SendRequest)]
        self.asked += found
        self.logs += [effect.text for effect in effects if isinstance(effect, Log)]
        self.told += [document(notify) for notify in notifies(effects)]
        self.world.confirm(effects)
        return found[-1] if found else None

    def wait(self, seconds: float) -> SendRequest | None:
        return self.take(self.world.at(self.world.now + seconds))

    def first(self) -> SendRequest:
        """Wait for the SUBSCRIBE after a start, and return it."""
        sent = self.wait(1.0)
        assert sent
        return sent

    def answer(self, sent: SendRequest, status: int, reason: str = "", **over: object) -> SendRequest | None:
        return self.take(self.world.give(ResponseReceived(sent.token, status, reason, **over)))  # type: ignore[arg-type]

    def accept(self, sent: SendRequest, seconds: int = 600) -> SendRequest | None:
        contact = RegisterContact(f"sip:102@{PBX}:5080")
        return self.answer(sent, 200, expires=seconds, to_tag="pbx1", contacts=(contact,))

    def notify(
        self,
        sent: SendRequest,
        content: bytes = b"",
        state: str = "active",
        *,
        reason: str = "",
        expires: int | None = None,
        retry_after: int | None = None,
        source: Flow | None = None,
        tag: str = "pbx1",
        cseq: int = 0,
        kind: str = TYPE,
        event: str = "dialog",
        parts: tuple[Part, ...] = (),
    ) -> Reply:
        self.cseq += 1
        asked = request("NOTIFY", "102", "blfd", call_id=sent.call_id, cseq=cseq or self.cseq)
        asked = asked._replace(
            flow=source or Flow("udp", PBX, 5060),
            from_=Address(uri("102", PBX), "", tag),
            to=Address(uri("blfd", PBX), "", sent.local_tag),
        )
        kind = kind if content else ""
        contact = f"sip:102@{PBX}:5080"
        notify = NotifyReceived(
            asked, event, state, reason, expires, retry_after, contact, (), kind, content, parts
        )
        effects = self.world.give(notify)
        self.take(effects)
        return reply(effects)

    def subscribed(self, state: str = "terminated") -> SendRequest:
        sent = self.first()
        assert self.accept(sent) is None
        assert self.notify(sent, body(dialog(state))).status == 200
        return sent

    @property
    def state(self) -> State:
        watch = self.world.core.upstreams.of(Aor("default", "102"))
        assert watch
        return watch.state

    @property
    def is_known(self) -> bool:
        return self.world.core.upstreams.is_known(Aor("default", "102"))

    @property
    def lamp(self) -> str:
        return self.world.lamp("102")


ANSWERS = {Event.ACCEPTED, Event.CHALLENGED, Event.BRIEF, Event.UNKNOWN, Event.REFUSED, Event.FAILED}
TURN = {
    State.WAITING: {Event.DUE},
    State.SUBSCRIBED: {Event.DUE, Event.MOVED, Event.UNTOLD},
    State.LEAVING: {Event.DUE},
}


@pytest.mark.parametrize("state", [state for state in State if state is not State.OVER])
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_is_there_or_cannot_happen(state: State, event: Event) -> None:
    """Answers come only while a request is out, and turns only while none is; a subscription leaves once."""
    if event in ANSWERS:
        possible = state in OUT
    elif event in (Event.DUE, Event.MOVED, Event.UNTOLD):
        possible = event in TURN.get(state, ())
    else:
        possible = event is not Event.LEAVE or state is not State.LEAVING
    assert ((state, event) in TABLE) is possible


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


def test_a_notify_may_come_before_the_200() -> None:
    pbx = Pbx()
    sent = pbx.first()
    assert pbx.notify(sent, body(dialog("early"))).status == 200
    assert pbx.lamp == "ringing"
    pbx.accept(sent)
    again = pbx.wait(600 * 0.8 + 1)
    assert again
    assert again.remote_tag == "pbx1"


@pytest.mark.parametrize("way", ["200", "NOTIFY"])
@pytest.mark.parametrize("granted", [0, 1, 5, 20])
def test_a_pbx_that_grants_little_is_asked_in_time(way: str, granted: int) -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent, granted if way == "200" else 600)
    pbx.notify(sent, body(dialog("confirmed")), expires=granted if way == "NOTIFY" else None)
    assert pbx.wait(max(granted, 2) * 0.5) is None
    again = pbx.wait(max(granted, 2) * 0.4)
    assert again
    assert again.call_id == sent.call_id


def test_who_owns_an_extension() -> None:
    """The extension's own setting counts first, then the upstream with the closest pattern."""
    wide = replace(UPSTREAM, name="wide", extensions=("1xx",))
    known = site(UPSTREAM, wide)
    found = {aor.extension: known.upstream(aor) for aor in known.extensions if aor.tenant == "default"}
    assert {extension: found and found.name for extension, found in found.items()} == {
        "101": "wide",
        "102": "pbx",
        "103": "wide",
    }
    extension = known.extensions[Aor("default", "102")]
    assert known.owner(extension) is Owner.UPSTREAM
    assert known.owner(replace(extension, owner=Owner.LOCAL)) is Owner.LOCAL
    assert known.upstream(Aor("acme.example", "101")) is None


ASTERISK = [  # res_pjsip_dialog_info_body_generator: full, one dialog, whose id is the extension
    (body('<dialog id="102"><state>terminated</state></dialog>', version=0), "idle", ""),
    (
        body(
            '<dialog id="102" direction="recipient"><remote><identity display="Ann">sip:103@pbx</identity>'
            '<target uri="sip:103@pbx"/></remote><local><identity>sip:102@pbx</identity><target '
            'uri="sip:102@pbx"/></local><state>early</state></dialog>',
            version=1,
        ),
        "ringing",
        "103",
    ),
    (body('<dialog id="102"><state>confirmed</state></dialog>', version=2), "talking", ""),
    (body('<dialog id="102"><state>terminated</state></dialog>', version=3), "idle", ""),
]
UUID = "9f0c4c1e-5d0a-4e0b-8d0e-0c9d8a7b6c5d"
FREESWITCH = [  # sofia_presence: full with ids after the SUBSCRIBE, then partial without a Call-ID
    (body(f'<dialog id="{UUID}" call-id="{UUID}"><state>terminated</state></dialog>', version=4), "idle", ""),
    (
        body(
            f'<dialog id="{UUID}" direction="recipient"><state>early</state><local><identity display="102">'
            '102@pbx</identity><target uri="sip:102@pbx"><param pname="+sip.rendering" pvalue="yes"/>'
            '</target></local><remote><identity display="Ann">sip:103@pbx</identity>'
            '<target uri="sip:**102@pbx"/></remote></dialog>',
            version=5,
            state="partial",
        ),
        "ringing",
        "103",
    ),
    (
        body(
            f'<dialog id="{UUID}" direction="recipient"><state>confirmed</state></dialog>',
            version=6,
            state="partial",
        ),
        "talking",
        "103",
    ),
    (
        body(f'<dialog id="{UUID}"><state>terminated</state></dialog>', version=7, state="partial"),
        "idle",
        "",
    ),
]
KAMAILIO = [  # presence_dialoginfo: no body where nothing is known, else full documents, rising versions
    (b"", "idle", ""),
    (
        body(
            '<dialog id="a84b4c76e66710" call-id="a84b4c76e66710" local-tag="ph1" remote-tag="31" '
            'direction="recipient"><state>early</state><remote><identity>sip:103@pbx</identity><target '
            'uri="sip:103@192.0.2.9" display="103"/></remote></dialog>',
            version=1,
        ),
        "ringing",
        "103",
    ),
    (
        body(
            '<dialog id="a84b4c76e66710" call-id="a84b4c76e66710" direction="recipient"><state>confirmed'
            "</state><remote><identity>sip:103@pbx</identity></remote></dialog>",
            version=2,
        ),
        "talking",
        "103",
    ),
    (b"", "idle", ""),
]


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


def test_challenges_are_answered_and_a_wrong_password_is_told_once() -> None:
    pbx = Pbx(
        replace(UPSTREAM, username="acct", password="s3cret", extensions=("1xx",)),
        extensions=["101", "102", "103"],
    )
    pbx.wait(1.0)
    first, *others = pbx.asked
    assert len(others) == 2
    again = pbx.answer(first, 407, challenges=(ASKS._replace(proxy=True),))
    assert again
    assert (again.call_id, again.cseq, again.from_.uri) == (first.call_id, 2, f"sip:acct@{PBX}")
    assert "Proxy-Authorization" in dict(again.headers)
    pbx.accept(again)
    for sent in others:
        again = pbx.answer(sent, 401, challenges=(ASKS,))
        assert again
        assert pbx.answer(again, 401, "Unauthorized", challenges=(ASKS._replace(nonce="n2"),)) is None
    assert len([text for text in pbx.logs if "wrong user name or password" in text]) == 1
    assert pbx.wait(600 * 0.8 - 40) is None, "tried again slowly, and not the one without a NOTIFY"


def test_a_server_that_always_wants_a_fresher_proof_is_not_asked_for_ever() -> None:
    pbx = Pbx(replace(UPSTREAM, username="acct", password="s3cret"))
    sent: SendRequest | None = pbx.first()
    rounds = 0
    while sent:
        rounds += 1
        sent = pbx.answer(sent, 401, challenges=(ASKS._replace(nonce=f"n{rounds}", stale=True),))
    assert 1 < rounds < 10
    assert pbx.state is State.WAITING


def test_a_password_that_is_not_set() -> None:
    pbx = Pbx()
    assert pbx.answer(pbx.first(), 401, "Unauthorized", challenges=(ASKS,)) is None
    assert any("asks for a password, and none is set" in text for text in pbx.logs)


def test_423_is_asked_for_longer() -> None:
    pbx = Pbx()
    again = pbx.answer(pbx.first(), 423, "Interval Too Brief", min_expires=3600)
    assert again
    assert dict(again.headers)["Expires"] == "3600"
    for wanted in range(3601, 3700):
        again = pbx.answer(again, 423, "Interval Too Brief", min_expires=wanted)
        if again is None:
            break
    assert again is None


@pytest.mark.parametrize("status", [403, 404, 489])
def test_what_is_refused_is_asked_for_slowly(status: int) -> None:
    pbx = Pbx()
    pbx.answer(pbx.first(), status, "No")
    assert pbx.wait(600 * 0.8 - 1) is None
    assert pbx.wait(600 * 0.4 + 2)
    assert any(f"{status} No; tried again slowly" in text for text in pbx.logs)


def test_481_to_a_refresh_is_a_new_subscription_at_once_and_the_lamp_stays() -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    again = pbx.wait(600 * 0.8 + 1)
    assert again
    pbx.answer(again, 481, "Gone")
    anew = pbx.wait(0.5)
    assert anew
    assert (anew.call_id != sent.call_id, anew.cseq, anew.remote_tag) == (True, 1, "")
    assert pbx.lamp == "talking"
    assert pbx.notify(sent, body(dialog("early"))).status == 481, "the old dialog is over"
    pbx.accept(anew)
    pbx.notify(anew, body())
    assert pbx.lamp == "idle"


def test_a_pbx_that_has_started_anew_is_asked_for_all_lamps() -> None:
    """One refresh shows that the PBX has started anew; the other subscriptions do not wait for theirs."""
    names = [f"1{n:02}" for n in range(10, 30)]
    pbx = Pbx(replace(UPSTREAM, extensions=("1xx",)), extensions=names)
    pbx.wait(5.0)
    assert len(pbx.asked) == len(names)
    for sent in list(pbx.asked):
        pbx.accept(sent)
        pbx.notify(sent, body(dialog("confirmed")))
    pbx.asked.clear()
    for _ in range(600):
        if pbx.wait(1.0):
            break
    refresh = pbx.asked[0]
    pbx.asked.clear()
    pbx.answer(refresh, 481, "Gone")
    pbx.wait(1.0)
    assert len(pbx.asked) >= len(names) - 1


def test_silence_keeps_the_lamp_until_its_time_is_over() -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.take(pbx.world.give(subscribe("103", "102", 7000)))
    now, until = 0.0, 600.0 + 32.0
    while now < until - 4:
        again = pbx.wait(2.0)
        now += 2.0
        if again:
            pbx.wait(0.1)
            now += 0.1
            pbx.answer(again, 408)
        assert (pbx.lamp, pbx.is_known) == ("talking", True)
    pbx.wait(10.0)
    assert (pbx.lamp, pbx.is_known) == ("idle", False)
    assert pbx.told[-1].dialogs[0].state is DialogState.TERMINATED
    assert len([text for text in pbx.logs if "no answer" in text]) >= 1
    asked = [sent for sent in pbx.asked if sent.call_id != pbx.asked[0].call_id]
    assert len({sent.call_id for sent in asked}) == len(asked), "each in a dialog of its own"
    assert pbx.notify(sent, body(dialog("early"))).status == 481


def test_a_silent_pbx_is_asked_by_one_at_a_time_and_by_all_when_it_answers() -> None:
    names = [f"{n}" for n in range(200, 300)]
    pbx = Pbx(replace(UPSTREAM, extensions=("2xx",)), extensions=names)
    pbx.wait(5.0)
    assert len(pbx.asked) == MOST_OUT
    for sent in list(pbx.asked):
        pbx.answer(sent, 408)
    pbx.asked.clear()
    for _ in range(5):
        pbx.wait(1.0)
    (probe,) = pbx.asked
    pbx.accept(probe)
    pbx.notify(probe, body())
    pbx.wait(5.0)
    assert len(pbx.asked) == 1 + MOST_OUT
    assert len([text for text in pbx.logs if "no answer" in text]) == 1


def test_so_many_a_second() -> None:
    names = [f"{n}" for n in range(200, 300)]
    pbx = Pbx(replace(UPSTREAM, extensions=("2xx",), rate=5), extensions=names)
    counts = []
    for _ in range(6):
        before = len(pbx.asked)
        pbx.wait(1.0)
        for sent in pbx.asked[before:]:
            pbx.accept(sent)
        counts.append(len(pbx.asked) - before)
    assert max(counts) <= 6
    assert sum(counts) >= 25


@pytest.mark.parametrize(("granted", "least"), [(0, 1.0), (1, 1.0), (2**31, 50_000.0)])
def test_a_grant_that_is_too_short_or_too_long_to_count(granted: int, least: float) -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent, granted)
    pbx.notify(sent, body(), expires=granted)
    assert pbx.wait(least) is None
    assert pbx.wait(86_400.0)


def test_no_notify_after_the_200() -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent)
    pbx.wait(32.1)
    assert any("sends no NOTIFY" in text for text in pbx.logs)
    anew = pbx.wait(4.0)
    assert anew
    assert anew.call_id != sent.call_id
    assert not pbx.is_known


@pytest.mark.parametrize(
    ("reason", "retry_after", "least", "most", "lamp"),
    [
        ("deactivated", None, 0.0, 0.5, "talking"),
        ("timeout", None, 0.0, 0.5, "talking"),
        ("", None, 0.0, 0.5, "talking"),
        ("probation", 30, 29.0, 31.0, "talking"),
        ("giveup", None, 1.0, 3.0, "talking"),
        ("rejected", None, 479.0, 721.0, "idle"),
        ("noresource", None, 479.0, 721.0, "idle"),
        ("whatever", None, 479.0, 721.0, "idle"),
    ],
)
def test_a_subscription_that_the_pbx_ends(
    reason: str, retry_after: int | None, least: float, most: float, lamp: str
) -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.notify(sent, b"", "terminated", reason=reason, retry_after=retry_after)
    assert pbx.lamp == lamp
    assert pbx.notify(sent, body(dialog("early"))).status == 481
    if least:
        assert pbx.wait(least) is None
    anew = pbx.wait(most - least)
    assert anew
    assert anew.call_id != sent.call_id


def test_a_pbx_that_ends_each_subscription_has_us_ask_ever_more_slowly() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    for _ in range(120):
        pbx.accept(sent)
        pbx.notify(sent, b"", "terminated", reason="deactivated")
        anew = pbx.wait(1.0)
        sent = anew or sent
    assert len(pbx.asked) < 12


def test_a_broken_connection_has_all_its_lamps_asked_for() -> None:
    pbx = Pbx(replace(UPSTREAM, transport="tcp"))
    sent = pbx.first()
    assert sent.target == f"sip:102@{PBX};transport=tcp"
    pbx.accept(sent)
    pbx.notify(sent, body(), source=sent.flow)
    pbx.take(pbx.world.give(FlowClosed(sent.flow)))
    again = pbx.wait(0.1)
    assert again
    assert again.call_id == sent.call_id


def test_a_pbx_that_answers_pings_again_is_asked_for_all_lamps() -> None:
    pbx = Pbx(replace(UPSTREAM, ping=30))
    pbx.wait(2.0)
    sent, ping = sorted(pbx.asked, key=lambda one: one.method != "SUBSCRIBE")
    pbx.accept(sent, 3600)
    pbx.notify(sent, body(dialog("confirmed")))
    pbx.answer(ping, 408)
    again = pbx.wait(40.0)
    assert again
    assert again.method == "OPTIONS"
    pbx.answer(again, 200)
    refresh = pbx.wait(0.1)
    assert refresh
    assert (refresh.method, refresh.call_id, pbx.lamp) == ("SUBSCRIBE", sent.call_id, "talking")


def test_servers_that_dns_names_in_another_order_move_nobody() -> None:
    """Subscriptions move from a server that is silent, or that DNS names no more."""
    name, other = Server("pbx.example", 0, ("udp",)), "203.0.113.2"
    pbx = Pbx(replace(UPSTREAM, servers=("pbx.example",)))

    def named(*found: str) -> None:
        targets = tuple(Target("udp", host, 5060) for host in found)
        pbx.take(pbx.world.give(Located(name, Location(targets, 3600.0))))

    pbx.wait(0.1)
    named(PBX, other)
    sent = pbx.wait(0.6)
    assert sent
    for servers, host, is_same in (
        ((PBX, other), PBX, True),
        ((other, PBX), PBX, True),
        ((other,), other, False),
        ((other, PBX), other, True),
    ):
        before = sent.call_id
        pbx.accept(sent)
        assert pbx.notify(sent, body(), source=sent.flow).status == 200
        named(*servers)
        sent = pbx.wait(600 * 0.8 + 1)
        assert sent
        assert (sent.flow.host, sent.call_id == before) == (host, is_same)


def test_a_pbx_that_has_a_name() -> None:
    """The name is looked up first, which is no failure; a name that is not found is one."""
    pbx = Pbx(replace(UPSTREAM, servers=("pbx.example",)))
    effects = pbx.world.at(pbx.world.now + 0.1)
    assert effects == [Locate(Server("pbx.example", 0, ("udp",)))]
    found = Location((Target("udp", PBX, 5066),), 60.0)
    pbx.take(pbx.world.give(Located(Server("pbx.example", 0, ("udp",)), found)))
    sent = pbx.wait(0.6)
    assert sent
    assert (sent.flow.port, sent.target, pbx.logs) == (5066, "sip:102@pbx.example", [])
    pbx.accept(sent)
    assert pbx.notify(sent, body()).status == 200

    lost = Pbx(replace(UPSTREAM, servers=("nowhere.example",)))
    for _ in range(20):
        lost.wait(0.6)
    assert any("its name is not found" in text for text in lost.logs)


def test_an_upstream_that_is_this_server_is_not_asked() -> None:
    here = Flow("udp", PBX, 5060)
    core = Core(Settings(), [HOST], secret=b"s", mark="m", new_tag=lambda: "t", leads_here=here.__eq__)
    core.handle(DirectoryChanged(site()), 0.0)
    effects = core.handle_timer(1.0)
    assert not any(isinstance(effect, SendRequest) for effect in effects)
    assert any(
        "address is that of this server" in effect.text for effect in effects if isinstance(effect, Log)
    )


def test_an_error_of_one_is_told_once_although_the_others_are_well() -> None:
    pbx = Pbx(replace(UPSTREAM, extensions=("1xx",)), extensions=("101", "102"))
    pbx.wait(1.0)
    good, bad = pbx.asked
    pbx.accept(good)
    for _ in range(3):
        pbx.answer(bad, 404, "No hint")
        pbx.notify(good, body())
        before = len(pbx.asked)
        pbx.wait(800.0)
        for sent in pbx.asked[before:]:
            if sent.to.uri == bad.to.uri:
                bad = sent
            else:
                good = sent
                pbx.accept(good)
    assert len([text for text in pbx.logs if "404 No hint" in text]) == 1


def test_another_server_when_the_first_is_silent() -> None:
    pbx = Pbx(replace(UPSTREAM, servers=(PBX, "203.0.113.2")))
    pbx.answer(pbx.first(), 408)
    other = pbx.wait(3.0)
    assert other
    assert other.flow.host == "203.0.113.2"
    pbx.accept(other)
    assert pbx.notify(other, body(), source=other.flow).status == 200


def test_all_go_to_the_other_server_when_the_first_falls_silent() -> None:
    second = "203.0.113.2"
    pbx = Pbx(replace(UPSTREAM, servers=(PBX, second), extensions=("102", "103")))
    pbx.wait(1.0)
    old = {sent.call_id for sent in pbx.asked}
    for sent in list(pbx.asked):
        pbx.accept(sent)
        pbx.notify(sent, body(dialog("confirmed")))
    pbx.asked.clear()
    while not pbx.asked:
        pbx.wait(1.0)
    for sent in list(pbx.asked):
        pbx.answer(sent, 408)
    pbx.asked.clear()
    for _ in range(4):
        pbx.wait(1.0)
        for sent in pbx.asked:
            pbx.accept(sent)
    assert {(sent.flow.host, sent.call_id in old) for sent in pbx.asked} == {(second, False)}
    assert {sent.to.uri for sent in pbx.asked} == {f"sip:102@{PBX}", f"sip:103@{PBX}"}
    assert pbx.lamp == "talking"


def test_what_is_set_otherwise() -> None:
    """Another password begins a new subscription, another rate does not; a removed upstream's ends."""
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.take(pbx.world.give(DirectoryChanged(site(replace(UPSTREAM, rate=9)))))
    assert pbx.wait(1.0) is None
    pbx.take(pbx.world.give(DirectoryChanged(site(replace(UPSTREAM, password="x")))))
    assert not pbx.is_known
    pbx.wait(1.0)
    bye, anew = sorted(pbx.asked[1:], key=lambda one: one.call_id != sent.call_id)
    assert (bye.call_id, dict(bye.headers)["Expires"]) == (sent.call_id, "0")
    assert dict(anew.headers)["Expires"] == "600"
    pbx.answer(bye, 200)
    pbx.accept(anew)
    pbx.notify(anew, body(dialog("confirmed")))
    assert pbx.lamp == "talking"
    pbx.take(pbx.world.give(DirectoryChanged(directory())))
    assert pbx.lamp == "idle"
    last = pbx.wait(1.0)
    assert last
    assert dict(last.headers)["Expires"] == "0"
    pbx.answer(last, 408)
    assert pbx.notify(anew, body(dialog("early"))).status == 481
    assert pbx.wait(10_000) is None


def test_an_extension_that_is_taken_from_its_upstream() -> None:
    """An owner takes it, or a closer pattern, or the upstream is turned off, or the extension goes."""
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    known = site()
    mine = replace(known.extensions[Aor("default", "102")], owner=Owner.LOCAL)
    away = replace(known, extensions={**known.extensions, mine.aor: mine})
    closer = replace(UPSTREAM, name="closer", extensions=("102",))
    wide = replace(UPSTREAM, extensions=("10x",))
    for other in (away, site(closer), site(replace(UPSTREAM, enabled=False)), site(extensions=("101",))):
        pbx.take(pbx.world.give(DirectoryChanged(other)))
        assert (pbx.lamp, pbx.is_known) == ("idle", False)
        before = len(pbx.asked)
        pbx.wait(1.0)
        ends = {one.call_id for one in pbx.asked[before:] if dict(one.headers)["Expires"] == "0"}
        assert ends == {sent.call_id}
        pbx.take(pbx.world.give(DirectoryChanged(site(wide))))
        pbx.wait(1.0)
        sent = next(one for one in pbx.asked[::-1] if one.to.uri == f"sip:102@{PBX}")
        assert dict(sent.headers)["Expires"] == "600"
        pbx.accept(sent)
        assert pbx.notify(sent, body(dialog("confirmed"))).status == 200
        assert pbx.lamp == "talking"


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


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"servers": ()}, "needs a server"),
        ({"extensions": ()}, "needs extensions"),
        ({"extensions": ("1yy",)}, "neither an extension here nor a pattern"),
        ({"interval": 10}, "interval is from 60"),
        ({"rate": 0}, "rate is from 1"),
        ({"list_uri": "a b"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:@"}, "list is a name or a SIP URI"),
        ({"list_uri": "http://x"}, "list is a name or a SIP URI"),
        ({"list_uri": "front@pbx"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:front@pbx:99999"}, "list is a name or a SIP URI"),
        ({"domain": "::::"}, "domain cannot be"),
        ({"sources": ("nowhere",)}, "nowhere"),
        ({"sources": ("0.0.0.0/0",)}, "source 0.0.0.0/0 is too wide"),
        ({"sources": ("::/0",)}, "source ::/0 is too wide"),
        ({"extensions": ("1xx", "1xx")}, "extensions has 1xx twice"),
        ({"servers": ("192.0.2.7", "192.0.2.7")}, "server has 192.0.2.7 twice"),
        ({"name": "A b"}, "small letters"),
        ({"transport": "ws"}, "transport is udp, tcp, tls"),
    ],
)
def test_what_is_unsound(wrong: dict[str, object], words: str) -> None:
    stored = replace(UPSTREAM, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        check(stored, {"102"})
    check(replace(stored, enabled=False), {"102"}, before=stored)
    check(UPSTREAM, {"102"})
    for list_uri in (
        "",
        "front",
        "%23all",
        "sip:front@pbx",
        "sips:front@[::1]:5061;transport=tcp",
        "sip:pbx",
    ):
        check(replace(UPSTREAM, list_uri=list_uri), {"102"})


LIST = replace(UPSTREAM, extensions=("10x",), list_uri="front")
RLMI = "application/rlmi+xml"


def rlmi(*resources: str, version: int = 0, full: bool = True) -> Part:
    head = f'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:front@{PBX}" version="{version}"'
    text = f'{head} fullState="{str(full).lower()}">{"".join(resources)}</list>'
    return Part(f"l{version}@pbx", RLMI, text.encode())


def resource(name: str, *instances: str) -> str:
    return f'<resource uri="sip:{name}@{PBX}"><name>N</name>{"".join(instances)}</resource>'


def instance(cid: str, state: str = "active", more: str = "", name: str = "i1") -> str:
    return f'<instance id="{name}" state="{state}" cid="{cid}"{more}/>'


def part(cid: str, *dialogs: str, version: int = 0, state: str = "full") -> Part:
    return Part(cid, TYPE, body(*dialogs, version=version, state=state))


class OfList(Pbx):
    """A PBX with a list of 101, 102 and 103."""

    def __init__(self) -> None:
        super().__init__(LIST)
        self.sent = self.first()

    def tell(self, *parts: Part) -> int:
        kind = "multipart/related"
        return self.notify(self.sent, b"--x--", kind=kind, parts=parts).status

    @property
    def lamps(self) -> dict[str, str]:
        """The lamps that are known, by extension."""
        known = self.world.core.upstreams.is_known
        return {name: self.world.lamp(name) for name in ("101", "102", "103") if known(Aor("default", name))}


def test_a_list_is_one_subscription() -> None:
    pbx = OfList()
    assert len(pbx.asked) == 1
    headers = dict(pbx.sent.headers)
    assert (pbx.sent.target, headers["Supported"]) == (f"sip:front@{PBX}", "eventlist")
    assert RLMI in headers["Accept"]
    pbx.accept(pbx.sent)
    whole = [resource("101", instance("a")), resource("102", instance("b")), resource("999", instance("c"))]
    documents = [part("a"), part("b", dialog("early", "x")), part("c", dialog("early", "y"))]
    assert pbx.tell(rlmi(*whole), *documents) == 200
    assert pbx.lamps == {"101": "idle", "102": "ringing"}
    again = instance("d", name="another")
    assert pbx.tell(rlmi(resource("102", again), version=1, full=False), part("d", dialog("confirmed", "x")))
    assert pbx.lamps == {"101": "idle", "102": "talking"}, "Asterisk gives instances another id each time"
    assert len(pbx.asked) == 1


def test_what_a_list_may_say() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    everybody = [resource(name, instance(name)) for name in ("101", "102", "103")]
    busy = [part(name, dialog("confirmed", name)) for name in ("101", "102", "103")]
    pbx.tell(rlmi(*everybody), *busy)
    assert set(pbx.lamps.values()) == {"talking"}
    ended = resource("101", instance("", "terminated", ' reason="noresource"'))
    pbx.tell(rlmi(ended, version=1, full=False))
    assert pbx.lamps.keys() == {"102", "103"}
    pbx.tell(rlmi(resource("102", instance("bad")), version=2, full=False), Part("bad", TYPE, b"<x"))
    assert pbx.lamps == {"103": "talking"}
    count = len(pbx.asked)
    pbx.tell(rlmi(resource("103", instance("103")), version=9, full=False), part("103"))
    pbx.wait(0.1)
    assert (pbx.lamps, len(pbx.asked)) == ({"103": "idle"}, count + 1), "what is full is asked for"
    pbx.accept(pbx.asked[-1])
    pbx.tell(rlmi(resource("103", instance("p"), instance("q", name="i2")), version=10), *busy)
    two = [part("p", dialog("early", "p")), part("q", dialog("confirmed", "q"))]
    pbx.tell(rlmi(resource("103", instance("p"), instance("q", name="i2")), version=11), *two)
    assert pbx.lamps == {"103": "ringing"}
    pbx.tell(rlmi(resource("103", instance("q", name="i2")), version=12), two[1])
    assert pbx.lamps == {"103": "talking"}
    rows = {row["extension"]: row["error"] for row in upstream_lamps(pbx.world.core, "default", 1.0)}
    assert rows == {"101": "its list has no such extension", "102": rows["101"], "103": ""}


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (part("a"),),
        (Part("l", RLMI, b"<list/>"),),
        (Part("l", RLMI, b"<list"), part("a")),
        (Part("l", RLMI, rlmi().content.replace(b'version="0"', b'version="-1"')),),
        (Part("l", RLMI, rlmi("<resource/>").content),),
    ],
)
def test_a_list_that_cannot_be_read(parts: tuple[Part, ...]) -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("confirmed")))
    assert pbx.tell(*parts) == 400
    assert pbx.lamps == {}


def test_the_uri_of_a_list() -> None:
    for said, uri_of in (
        ("front", f"sip:front@{PBX}"),
        ("sip:all@rls.example", "sip:all@rls.example"),
        ("", ""),
    ):
        assert replace(LIST, list_uri=said).resource_list == uri_of


def test_a_pbx_that_has_no_such_list() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    assert pbx.notify(pbx.sent, body()).status == 415
    assert pbx.lamps == {}


def test_a_resource_that_has_several_instances_by_now() -> None:
    """Its single document is one of theirs, whose id nobody has said: it does not stay beside them."""
    for full in (True, False):
        pbx = OfList()
        pbx.accept(pbx.sent)
        pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("early", "x")))
        assert pbx.lamps == {"101": "ringing"}
        two = resource("101", instance("a", name="i1"), instance("b", name="i2"))
        said = [part("a", dialog("confirmed", "y")), part("b", dialog("confirmed", "z"))]
        pbx.tell(rlmi(two, version=1, full=full), *said)
        live = pbx.world.core.dialogs.of(Aor("default", "101"))
        assert [one.published_id for one in live] == ["y", "z"]
        pbx.tell(rlmi(resource("101", instance("c", name="i3")), version=2, full=False), part("c"))
        assert pbx.lamps == {"101": "idle"}


def test_extensions_come_and_go_while_a_list_is_subscribed_to() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("confirmed")))
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("101", "102", "103", "104")))))
    again = pbx.wait(0.1)
    assert again
    assert (again.call_id, dict(again.headers)["Expires"]) == (pbx.sent.call_id, "600")
    pbx.accept(again)
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("102", "103", "104")))))
    assert (pbx.lamps, pbx.world.lamp("101")) == ({}, "idle")
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("201",)))))
    last = pbx.wait(0.1)
    assert last
    assert (last.call_id, dict(last.headers)["Expires"]) == (pbx.sent.call_id, "0")
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST))))
    anew = pbx.wait(0.5)
    assert anew
    assert anew.call_id != pbx.sent.call_id


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 20.0, 40.0, 500.0, 700.0])),
        st.tuples(st.just("answer"), st.sampled_from([200, 401, 403, 408, 423, 481, 503])),
        st.tuples(st.just("notify"), st.sampled_from(["terminated", "early", "confirmed", "bad", ""])),
        st.tuples(st.just("end"), st.sampled_from(["deactivated", "probation", "noresource"])),
        st.tuples(st.just("set"), st.sampled_from(["on", "off", "other"])),
    ),
    max_size=25,
)


@given(MOVES)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_it_goes_on_and_lamps_are_what_was_told_last(
    moves: list[tuple[str, object]],
) -> None:
    pbx = Pbx(replace(UPSTREAM, username="acct", password="s3cret"))
    pbx.wait(1.0)
    open_ones = list(pbx.asked)
    for what, how in moves:
        before = len(pbx.asked)
        sent = open_ones[-1] if open_ones else pbx.asked[0]
        match what:
            case "wait":
                pbx.wait(float(how))  # type: ignore[arg-type]
            case "answer":
                pbx.answer(sent, how, challenges=(ASKS,), min_expires=900, to_tag="pbx1", expires=600)  # type: ignore[arg-type]
                open_ones = [one for one in open_ones if one is not sent]
            case "notify":
                content = b"<bad" if how == "bad" else body(*([dialog(str(how))] if how else []))
                status = pbx.notify(sent, content).status
                assert status in (200, 400, 481)
                if status == 200 and pbx.is_known:
                    expected = {"early": "ringing", "confirmed": "talking"}.get(str(how), "idle")
                    assert pbx.lamp == expected
            case "end":
                pbx.notify(sent, b"", "terminated", reason=str(how))
            case "set":
                names = {"on": "102", "off": "101", "other": "102"}
                known = replace(UPSTREAM, extensions=(names[str(how)],), username=str(how), password="x")
                pbx.take(pbx.world.give(DirectoryChanged(site(known))))
        open_ones += pbx.asked[before:]
        if not pbx.is_known:
            assert pbx.lamp == "idle"
    known = replace(UPSTREAM, username="acct", password="s3cret")
    pbx.take(pbx.world.give(DirectoryChanged(site(known))))
    for _ in range(12):  # from here on the PBX answers well, and tells within the longest pause
        before = len(pbx.asked)
        pbx.wait(100.0)
        for sent in pbx.asked[before:] + open_ones:
            pbx.accept(sent)
            pbx.notify(sent, body(dialog("confirmed")))
        open_ones = []
    assert (pbx.lamp, pbx.is_known) == ("talking", True)


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
