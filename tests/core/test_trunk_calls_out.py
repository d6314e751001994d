"""Calls to numbers outside: as whom, by which server and trunk one after the other, and who answers there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, SDP, dials, invite, uri
from trunk_site import (
    ALWAYS,
    BACKUP,
    CARRIER,
    ONE_NUMBER,
    ROUTE,
    TRUNK,
    Story,
    answerer,
    forwarding,
    outside,
    site,
)

from blfd.core.calls.leg_effects import Accept, Answer, HangUp, Identify, Offer, Progress
from blfd.core.calls.leg_inputs import (
    LegAccepted,
    LegAnswered,
    LegEnded,
    LegIdentified,
    LegProgress,
    LegTrying,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.effects import Level, Log, SendRequest
from blfd.core.messages import ResponseReceived
from blfd.core.quoting import name_addr
from blfd.core.settings import Settings
from blfd.core.trunk import CallerIdIn, Mode, OutRoute, Trunk
from blfd.core.trunks.pings import MOST_FAILURES
from blfd.core.trunks.report import trunks as rows_of_trunks
from blfd.core.values import Address, Aor, DialogId, Flow, NameAddr, Redirect

CALLER_IDS: tuple[tuple[str, Trunk, str, dict[str, str]], ...] = (
    ("nothing is said", TRUNK, f'"Name 101" <sip:101@{CARRIER}>', {}),
    (
        "the trunk's",
        replace(TRUNK, caller_id="+49301234500"),
        f'"Name 101" <sip:+49301234500@{CARRIER}>',
        {},
    ),
    (
        "the extension's",
        replace(TRUNK, caller_id="+49301234500", caller_ids=("1xx=+4930123451xx", "102=+1")),
        f'"Name 101" <sip:+493012345101@{CARRIER}>',
        {},
    ),
    (
        "asserted",
        replace(TRUNK, caller_id="+4930", username="acct", caller_id_in=CallerIdIn.P_ASSERTED_IDENTITY),
        f"<sip:acct@{CARRIER}>",
        {"P-Asserted-Identity": f'"Name 101" <sip:+4930@{CARRIER}>'},
    ),
    (
        "remote party",
        replace(
            TRUNK,
            caller_id="+4930",
            username="acct",
            domain="c.example",
            caller_id_in=CallerIdIn.REMOTE_PARTY_ID,
        ),
        "<sip:acct@c.example>",
        {"Remote-Party-ID": '"Name 101" <sip:+4930@c.example>;party=calling;privacy=off;screen=no'},
    ),
)


@pytest.mark.parametrize(("what", "trunk", "from_", "headers"), CALLER_IDS, ids=[c[0] for c in CALLER_IDS])
def test_who_is_said_to_call(what: str, trunk: Trunk, from_: str, headers: dict[str, str]) -> None:
    (dial,) = Story(site(trunk)).call_out("0170")
    assert name_addr(dial.from_) == from_, what
    assert dict(dial.headers) == {"Max-Forwards": "69", **headers}


def test_a_route_strips_and_puts_before_and_the_one_that_says_most_counts() -> None:
    routes = (
        OutRoute("default", "0.", ("carrier",), strip=1, prefix="+49"),
        OutRoute("default", "00.", ("carrier",), strip=2, prefix="+"),
        OutRoute("default", "0800xxx", ("carrier",)),
        OutRoute("acme.example", "9.", ("carrier",)),
    )
    story = Story(site(routes=routes))
    for dialled, number in (
        ("0301", "+49301"),
        ("00431", "+431"),
        ("0800123", "0800123"),
        ("08001234", "+498001234"),
    ):
        assert story.call_out(dialled)[0].contact == f"sip:{number}@{CARRIER}"
    assert story.refused(invite("101", "9123")).status == 404
    assert story.refused(invite("101", "0abc")).status == 404
    assert story.call_out("102")[0].to == NameAddr(f"sip:102@{HOST}")  # extensions count before routes


TWO = (
    replace(TRUNK, servers=(CARRIER, f"{BACKUP}:5070")),
    Trunk("default", "other", servers=("203.0.113.9",)),
)
BY_BOTH = (OutRoute("default", "0.", ("carrier", "other")),)


@pytest.mark.parametrize("status", [503, 408, 500, 502, 504])
def test_the_next_server_and_then_the_next_trunk_is_tried(status: int) -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    hosts = [dial.flow.host]
    for _ in range(2):
        (dial,) = dials(story.give(LegEnded(dial.leg, status, "Sorry")))
        hosts.append(dial.flow.host)
    assert hosts == [CARRIER, BACKUP, "203.0.113.9"]
    (call,) = story.world.core.calls
    assert f"{call.callee}" == "0170 (trunk+other)"
    story.give(LegEnded(dial.leg, status, "Sorry"))
    assert [status for status, _ in story.told()]
    assert not story.world.core.calls


def test_a_trunk_that_is_down_is_asked_after_the_others_until_it_answers() -> None:
    """One call that had no response says so as well, until a ping has one."""
    first, second = (replace(one, ping=30, servers=one.servers[:1]) for one in TWO)
    story = Story(site(first, replace(second, ping=0), routes=BY_BOTH))

    def asked_first() -> str:
        (dial,) = story.call_out("0170")
        story.give(LegEnded(dial.leg, 486, "Busy Here"))
        return dial.flow.host

    def ping(status: int) -> None:
        until = story.world.now + 60
        sent: list[SendRequest] = []
        while not sent:
            assert story.world.now < until
            sent = [e for e in story.world.at(story.world.now + 1) if isinstance(e, SendRequest)]
        story.give(ResponseReceived(sent[0].token, status))

    ping(200)
    assert asked_first() == CARRIER
    for _ in range(MOST_FAILURES):
        ping(408)
    assert asked_first() == "203.0.113.9"
    ping(200)
    assert asked_first() == CARRIER
    (dial,) = story.call_out("0170")
    (other,) = dials(story.give(LegEnded(dial.leg, 408, "", silent=True)))
    story.give(LegEnded(other.leg, 486, "Busy Here"))
    assert (dial.flow.host, other.flow.host, asked_first()) == (CARRIER, "203.0.113.9", "203.0.113.9")
    ping(408)
    ping(200)
    assert asked_first() == CARRIER


@pytest.mark.parametrize("status", [486, 404, 603, 403, 401, 407, 480, 302])
def test_what_says_something_of_the_callee_is_final(status: int) -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    end = LegEnded(dial.leg, status, "No", redirect=Redirect((uri("102"),)) if status == 302 else None)
    assert not dials(story.give(end))
    assert len(story.told()) == 1


def test_no_second_call_once_it_rings() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    story.ring(dial.leg)
    assert not dials(story.give(LegEnded(dial.leg, 503, "Sorry")))
    assert len(story.told()) == 1


def test_silence_is_not_waited_out_but_a_server_that_has_it_may_take_its_time() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (first,) = story.call_out("0170")
    story.effects = story.world.at(story.world.now + 4)
    (second,) = dials(story.effects)
    assert (second.flow.host, HangUp(first.leg) in story.effects) == (BACKUP, True)
    story.give(LegTrying(second.leg))
    (third,) = story.call_out("0171", "103")
    assert third.flow.host == BACKUP, "the silent one comes last for a while"
    story.give(LegTrying(third.leg))
    assert not dials(story.world.at(story.world.now + 61))
    (fourth,) = story.call_out("0172", "102")
    assert fourth.flow.host == CARRIER


@pytest.mark.parametrize(
    ("status", "silent", "told", "log"),
    [
        (503, True, "Trunk carrier cannot be reached", "cannot be reached: no connection;"),
        (408, True, "Trunk carrier gives no answer (408)", "does not answer a call;"),
        (408, False, "Trunk carrier gives no answer (408)", "refuses a call: 408 PJ_EUNKNOWN;"),
        (481, False, "Trunk carrier does not take the call (481)", "refuses a call: 481 PJ_EUNKNOWN;"),
        (487, False, "Trunk carrier does not take the call (487)", "refuses a call: 487 PJ_EUNKNOWN;"),
        (491, False, "Trunk carrier does not take the call (491)", "refuses a call: 491 PJ_EUNKNOWN;"),
    ],
)
def test_why_a_trunk_does_not_take_a_call(status: int, silent: bool, told: str, log: str) -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    story.give(LegEnded(dial.leg, status, "PJ_EUNKNOWN", silent=silent))
    assert story.told() == [(480, told)]
    assert f"0170 (trunk+carrier) at sip:0170@{CARRIER} {log} the caller is told 480 {told}" in story.said()


def test_a_fault_of_a_trunk_is_no_phones() -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    story.answer(dial.leg)
    story.give(LegEnded(dial.leg, 408, "", fault="It is dead"))
    assert "-> 0170 (trunk+carrier): 0170 (trunk+carrier): It is dead" in story.said()


@pytest.mark.parametrize("emergency", [True, False])
@pytest.mark.parametrize("silent", [True, False])
def test_an_emergency_call_that_reaches_nobody_is_a_warning(emergency: bool, silent: bool) -> None:
    story = Story(site(routes=(ROUTE, OutRoute("default", "112", ("carrier",), emergency=emergency))))
    (dial,) = story.call_out("112")
    story.give(LegEnded(dial.leg, 408 if silent else 503, "", silent=silent))
    warnings = [e.text for e in story.effects if isinstance(e, Log) and e.level is Level.WARNING]
    found = [text for text in warnings if text.startswith("emergency call ")]
    assert len(found) == emergency
    assert all("101" in text and "'blfd doctor'" in text for text in found)


def test_no_more_calls_than_a_trunk_takes_but_for_help() -> None:
    emergency = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(replace(TRUNK, max_calls=1), routes=(ROUTE, emergency)), Settings(max_calls=1))
    assert story.call_in(outside())
    refused = story.refused(outside())
    assert (refused.status, refused.reason) == (486, ""), "our words are not for outside"
    assert "trunk carrier has 1 calls, one more is refused (max-calls)" in story.said()
    (accept,) = story.give(invite("103", "0170"))
    assert isinstance(accept, Accept)
    story.caller = accept.leg
    story.give(LegAccepted(accept.leg, "ours"))
    assert story.told() == [(486, "All lines are busy")]
    assert (
        "no trunk takes it: carrier has 1 calls, as many as it may: 'blfd trunk set carrier --max-calls'"
        in story.said()
    )
    assert story.call_out("112", "103")
    assert story.call_out("112", "103")


NO_WAYS: tuple[tuple[str, tuple[Trunk, ...], int, str], ...] = (
    ("off", (replace(TRUNK, enabled=False),), 480, "carrier is not in use"),
    (
        "its server is a name that nobody knows",
        (replace(TRUNK, servers=("sip.example",)),),
        480,
        "carrier has no server that can be reached",
    ),
    (
        "not registered",
        (replace(TRUNK, mode=Mode.PEER_REGISTERS, servers=(), username="pbx", password="x"),),
        480,
        "carrier has not registered here",
    ),
    (
        "full, and the other is off",
        (replace(TRUNK, max_calls=1), replace(TWO[1], enabled=False)),
        486,
        "other",
    ),
)


@pytest.mark.parametrize(("what", "trunks", "status", "said"), NO_WAYS, ids=[one[0] for one in NO_WAYS])
def test_where_no_trunk_takes_a_call_it_is_no_503(
    what: str, trunks: tuple[Trunk, ...], status: int, said: str
) -> None:
    """A phone that is told 503 would think that this server is out of order, and leave it."""
    story = Story(site(*trunks, routes=BY_BOTH))
    if status == 486:
        story.call_out("0170")
    assert story.call_out("0170", "102") == []
    words = "All lines are busy" if status == 486 else "All lines are out of order"
    assert story.told() == [(status, words)]
    assert "no trunk takes it:" in story.said()
    assert said in story.said()


def test_a_trunk_that_is_full_by_now_is_left_out() -> None:
    first, other = TWO[0], replace(TWO[1], max_calls=1)
    story = Story(site(replace(first, max_calls=1), other, routes=BY_BOTH))
    story.call_out("0170")
    caller = story.caller
    (second,) = story.call_out("0171", "102")
    assert second.flow.host == "203.0.113.9"
    (again,) = dials(story.world.at(story.world.now + 4))
    assert again.flow.host == BACKUP, "it is the one call that its own trunk has"
    story.caller = caller
    assert not dials(story.give(LegEnded(again.leg, 503, "Sorry"))), "the other one has its call"
    assert [status for status, _ in story.told()] == [500]


def test_the_lamp_of_the_trunk_that_takes_the_call_is_lit_and_nobody_picks_it_up() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    for _ in range(2):
        (dial,) = dials(story.give(LegEnded(dial.leg, 503, "")))
    story.ring(dial.leg)
    assert (story.world.lamp("trunk+other"), story.world.lamp("trunk+carrier")) == ("ringing", "idle")
    assert story.refused(invite("103", "*97trunk+other")).status == 404
    named = f"id{dial.leg};to-tag=ours;from-tag=far{dial.leg}"
    assert story.refused(invite("103", "x", replaces=(named,))).status == 403
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("0170", "")
    story.answer(dial.leg)
    story.give(LegEnded(dial.leg, 200, ""))
    assert "call 101 -> 0170 (trunk+other): ended" in story.said(), "as every line says"


CONNECTED = [
    (answerer("+49170999", "Bob"), "+49170999", '"Bob" <sip:+49170999@192.0.2.5>'),
    (answerer("0170", "Bob"), "0170", '"Bob" <sip:0170@192.0.2.5>'),
    (None, "0170", "<sip:0170@192.0.2.5>"),
    (answerer("bob"), "bob", "<sip:bob@192.0.2.5>"),
    (answerer("bob<x>"), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("9" * 70), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("anonymous"), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("0171", "a\r\nb"), "0171", None),
]


@pytest.mark.parametrize(("who", "number", "told"), CONNECTED)
def test_who_answers_outside_is_shown_as_the_trunk_says(
    who: Address | None, number: str, told: str | None
) -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    told = told and told.replace("192.0.2.5", HOST)
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    (ringing,) = story.give(LegProgress(dial.leg, 180, "", ids, None, who=who))
    assert isinstance(ringing, Progress)
    effects = story.give(LegAnswered(dial.leg, ids, SDP, who=who))
    answer = next(each for each in effects if isinstance(each, Answer))
    for headers in (ringing.headers, answer.headers):
        value = dict(headers)["P-Asserted-Identity"]
        assert value.isprintable()
        assert told in (value, None)
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other[0] == number
    (call,) = story.world.core.calls
    assert (call.callee.number, call.branches[dial.leg].party) == (number, call.callee)


def test_a_phone_inside_and_whoever_calls_from_outside_say_nothing_of_that_kind() -> None:
    """Phones are who they are; and nobody outside is told who has answered, inside or at another trunk."""
    story = Story()
    (dial,) = story.call_out("102")
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("0999", "Boss")))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("102", "Name 102")
    story = Story(forwarding(ONE_NUMBER, {"101": ALWAYS}))
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    effects = story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("0999", "Boss")))
    assert "0999" not in f"{[each for each in effects if isinstance(each, Answer | Progress)]}"


def test_who_is_there_changes_in_a_call() -> None:
    """As somebody transfers it behind the trunk: the caller is told by UPDATE, or by what it is asked."""
    story = Story()
    asked = invite("101", "0170")
    (accept,) = story.give(asked._replace(allows_update=True))
    assert isinstance(accept, Accept)
    story.caller = accept.leg
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    story.ring(dial.leg)
    story.answer(dial.leg)
    (told,) = story.give(LegIdentified(dial.leg, answerer("0171", "Eve")))
    assert told == Identify(accept.leg, (("P-Asserted-Identity", f'"Eve" <sip:0171@{HOST}>'),))
    assert not story.give(LegIdentified(dial.leg, answerer("0171", "Eve"))), "once"
    assert not story.give(LegIdentified(accept.leg, answerer("0666", "Mallory"))), "a phone says nothing"
    (offer,) = story.give(OfferReceived(dial.leg, SDP, who=answerer("0172")))
    assert offer == Offer(accept.leg, SDP, (("P-Asserted-Identity", f"<sip:0172@{HOST}>"),))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("0172", "")
    for number in range(100):
        assert not story.give(LegIdentified(dial.leg, answerer(f"018{number}"))), "the phone is being asked"
    decided = story.give(OfferAnswered(accept.leg, 200, SDP))
    assert [each.headers for each in decided if isinstance(each, Identify)] == [
        (("P-Asserted-Identity", f"<sip:01899@{HOST}>"),)
    ]
    story.give(LegEnded(dial.leg, 200, ""))
    assert not story.give(LegIdentified(dial.leg, answerer("0173")))


OFFER = (
    b"v=0\r\nm=audio 4000 RTP/AVP 0 8 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 x=1\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\nm=image 5000 udptl t38\r\n"
)
LESS = (
    b"v=0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    b"m=image 5000 udptl t38\r\n"
)


def test_codecs_that_a_trunk_does_not_take_are_left_out_both_ways_and_t38_passes() -> None:
    story = Story(site(replace(TRUNK, codecs=("pcma", "telephone-event"))))
    (dial,) = story.call_in(outside()._replace(offer=OFFER))
    assert dial.offer == LESS
    (accept,) = story.give(invite("101", "0170", OFFER))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    assert dial.offer == LESS
    story = Story(site(replace(TRUNK, codecs=("G729",))))
    (dial,) = story.call_in(outside()._replace(offer=OFFER))
    assert dial.offer == OFFER  # an offer of which nothing is left would end the call


@pytest.mark.parametrize(
    ("transport", "number", "rings"), [("udp", "0123", False), ("tls", "0123", True), ("udp", "112", True)]
)
def test_who_calls_outside_by_sips_is_led_there_over_tls(transport: str, number: str, rings: bool) -> None:
    """A call by sips: goes outside over TLS (RFC 5630, section 5.1); an emergency call goes as it can."""
    emergency = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(replace(TRUNK, transport=transport), routes=(ROUTE, emergency)))
    asked = invite("101", number)
    target = asked.request.target._replace(scheme="sips")
    source = Flow("tls", "198.51.100.7", 40_000)
    asked = asked._replace(request=asked.request._replace(target=target, flow=source))
    if rings:
        assert len(story.call_in(asked)) == 1
    else:
        refused = story.refused(asked)
        assert (refused.status, refused.headers[0][0]) == (480, "Warning")


@pytest.mark.parametrize(("servers", "is_here"), [((CARRIER,), True), ((CARRIER, BACKUP), False)])
def test_a_trunk_that_is_this_server_gets_no_calls(servers: tuple[str, ...], is_here: bool) -> None:
    story = Story(site(replace(TRUNK, servers=servers)))
    story.world.core.trunks.leads_here = lambda way: way.host == CARRIER
    dialled = story.call_out("0301234")
    assert [dial.flow.host for dial in dialled] == ([] if is_here else [BACKUP])
    assert ("has this very server as its own: 'blfd trunk set carrier --server'" in story.said()) is is_here
    (row,) = rows_of_trunks(story.world.core, "default", 0.0)
    assert (row["usable"], "is this server itself" in row["state"]) == (not is_here, is_here)
