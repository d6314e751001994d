"""Our registrations with trunks' servers, and pings of these: what is sent when, and what answers do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from asking import Asking
from builders import World, directory, invite, request
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.leg_effects import Accept
from blfd.core.directory import Directory
from blfd.core.effects import SendRequest
from blfd.core.inputs import DirectoryChanged, Drain, FlowClosed
from blfd.core.messages import Challenge, InviteReceived, RegisterContact, ResponseReceived
from blfd.core.trunk import Mode, OutRoute, Trunk
from blfd.core.trunks.registration import OUT, TABLE, Event, State
from blfd.core.trunks.report import trunks
from blfd.core.values import Flow, Uri

TRUNK = Trunk(
    "default",
    "carrier",
    password="s3cret",
    mode=Mode.REGISTER,
    servers=("203.0.113.1", "203.0.113.2"),
    domain="carrier.example",
    username="acct",
    ping=0,
    dids=("+4930=101",),
)
ASKS = Challenge("carrier", "n1", "MD5", ("auth",))


def site(*trunks: Trunk) -> Directory:
    routes = (OutRoute("default", "0.", ("carrier",)),)
    return replace(directory(), trunks=trunks or (TRUNK,), routes=routes)


class Line(Asking):
    """A world with a trunk, and what it has sent."""

    def __init__(self, *trunks: Trunk) -> None:
        super().__init__(World(known=site(*trunks)))

    def accepted(self, seconds: int = 600) -> SendRequest:
        sent = self.first()
        assert self.answer(sent, 200, expires=seconds) is None
        return sent

    @property
    def state(self) -> State:
        (one,) = self.world.core.registrations
        return one.state


def headers(sent: SendRequest) -> dict[str, str]:
    return dict(sent.headers)


@pytest.mark.parametrize("state", [state for state in State if state is not State.OVER])
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_is_there_or_cannot_happen(state: State, event: Event) -> None:
    answers = {Event.ACCEPTED, Event.CHALLENGED, Event.BRIEF, Event.REFUSED, Event.FAILED}
    assert ((state, event) in TABLE) is (state in OUT or event not in answers)


def test_it_registers_with_a_token_and_is_refreshed_before_its_time_is_over() -> None:
    line = Line()
    sent = line.first()
    assert (sent.method, sent.target, sent.to.uri) == (
        "REGISTER",
        "sip:carrier.example",
        "sip:acct@carrier.example",
    )
    assert (sent.flow.host, headers(sent)["Expires"]) == ("203.0.113.1", "3600")
    assert sent.contact
    assert re.fullmatch(r";line=[0-9a-f]{16}", sent.contact[1])
    uri = f"sip:acct@192.0.2.5{sent.contact[1]}"
    other = RegisterContact("sip:acct@198.51.100.9", expires=10)
    line.answer(sent, 200, contacts=(other, RegisterContact(uri, expires=600)), expires=5)
    assert line.wait(600 * 0.6 - 1) is None
    again = line.wait(600 * 0.2 + 2)
    assert again
    assert (again.call_id, again.cseq, headers(again)["Expires"]) == (sent.call_id, sent.cseq + 1, "3600")
    assert len([text for text in line.logs if "is registered" in text]) == 1
    line.answer(again, 200, expires=600)
    assert len([text for text in line.logs if "is registered" in text]) == 1


@pytest.mark.parametrize(
    ("granted", "seconds", "warns"), [(1, 5, True), (5, 5, True), (6, 6, False), (19, 19, False)]
)
def test_a_registration_of_a_few_seconds_is_kept_up_without_a_storm(
    granted: int, seconds: int, warns: bool
) -> None:
    line = Line()
    line.accepted(granted)
    assert f"for {seconds} s" in line.logs[-1]
    assert ("ask whose server it is for a longer time" in line.logs[-1]) is warns
    for _ in range(3):
        assert line.wait(seconds * 0.59) is None
        again = line.wait(seconds * 0.22)
        assert again
        line.answer(again, 200, expires=granted)
    assert len([text for text in line.logs if "is registered" in text]) == 1, "said once"


@pytest.mark.parametrize(
    ("contacts", "expires"), [((0,), None), ((0,), 600), ((None,), 0), ((), 0), ((600, 0), None)]
)
def test_what_is_granted_for_no_time_is_no_registration(
    contacts: tuple[int | None, ...], expires: int | None
) -> None:
    """The last of the Contacts is ours."""
    line = Line()
    sent = line.first()
    assert sent.contact
    *others, ours = [*contacts, None][: max(len(contacts), 1)]
    listed = [RegisterContact(f"sip:acct@198.51.100.{seconds}", expires=seconds) for seconds in others]
    if contacts:
        listed.append(RegisterContact(f"sip:acct@192.0.2.5{sent.contact[1]}", expires=ours))
    assert line.answer(sent, 200, "OK", contacts=tuple(listed), expires=expires) is None
    assert line.state is State.WAITING
    assert "carrier does not register with" in line.logs[-1]
    assert "200 OK: it registers us for 0 s" in line.logs[-1]
    again = line.wait(60)
    assert again, "tried again, as after any failure"
    assert line.answer(again, 200, expires=600) is None
    assert "is registered" in line.logs[-1]


@pytest.mark.parametrize(
    ("challenges", "names"),
    [
        ((ASKS,), {"Authorization": "MD5"}),
        ((ASKS._replace(algorithm="SHA-256"), ASKS), {"Authorization": "SHA-256"}),
        ((ASKS._replace(proxy=True),), {"Proxy-Authorization": "MD5"}),
        (
            (ASKS, ASKS._replace(realm="edge", proxy=True)),
            {"Authorization": "MD5", "Proxy-Authorization": "MD5"},
        ),
        ((ASKS._replace(qop=(), algorithm=""),), {"Authorization": "MD5"}),
    ],
)
def test_challenges_are_answered(challenges: tuple[Challenge, ...], names: dict[str, str]) -> None:
    line = Line()
    again = line.answer(line.first(), 401, challenges=challenges)
    assert again
    found = headers(again)
    assert {name for name in found if name.endswith("orization")} == names.keys()
    for name, algorithm in names.items():
        assert proves(found[name], algorithm)
    assert line.answer(again, 200, expires=60) is None
    assert line.state is State.REGISTERED


def proves(value: str, algorithm: str) -> bool:
    parts: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]+)"?', value))
    h = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def digest(text: str) -> str:
        return h(text.encode()).hexdigest()

    ha1 = digest(f"acct:{parts['realm']}:s3cret")
    ha2 = digest(f"REGISTER:{parts['uri']}")
    middle = f"{parts['nonce']}:"
    if "qop" in parts:
        middle += f"{parts['nc']}:{parts['cnonce']}:auth:"
    return parts["uri"] == "sip:carrier.example" and parts["response"] == digest(f"{ha1}:{middle}{ha2}")


def test_a_proxy_and_the_server_behind_it_each_want_a_proof() -> None:
    line = Line()
    again = line.answer(line.first(), 407, challenges=(ASKS._replace(proxy=True, realm="edge"),))
    assert again
    third = line.answer(again, 401, challenges=(ASKS,))
    assert third
    assert {"Authorization", "Proxy-Authorization"} < headers(third).keys()
    assert counts(again, third) == [["00000001"], ["00000001", "00000002"]]
    fresh = line.answer(third, 401, challenges=(ASKS._replace(nonce="n2", stale=True),))
    assert fresh
    assert 'nonce="n2"' in headers(fresh)["Authorization"]


def counts(*sent: SendRequest) -> list[list[str]]:
    """The counts in each request of how often its nonces were used."""
    return [
        sorted(found for value in headers(one).values() for found in re.findall(r"\bnc=(\w+)", value))
        for one in sent
    ]


def test_a_nonce_that_is_used_again_is_counted() -> None:
    line = Line()
    proof = line.answer(line.first(), 401, challenges=(ASKS,))
    assert proof
    longer = line.answer(proof, 423, min_expires=7200)
    assert longer
    fresh = line.answer(longer, 401, challenges=(ASKS._replace(nonce="n2", stale=True),))
    assert fresh
    assert counts(proof, longer, fresh) == [["00000001"], ["00000002"], ["00000001"]]
    assert proves(headers(longer)["Authorization"], "MD5")


def test_a_wrong_password_is_told_once_and_tried_slowly() -> None:
    line = Line()
    sent: SendRequest | None = line.first()
    for _ in range(3):
        assert sent
        again = line.answer(sent, 401, "Unauthorized", challenges=(ASKS,))
        assert again
        assert line.answer(again, 401, "Unauthorized", challenges=(ASKS._replace(nonce="other"),)) is None
        assert line.wait(600 * 0.8 - 5) is None
        sent = line.wait(600 * 0.4 + 10)
    warnings = [text for text in line.logs if "wrong user name or password" in text]
    assert len(warnings) == 1, line.logs
    assert "trunk carrier" in warnings[0]


def test_a_server_that_always_wants_a_fresher_proof_is_not_asked_for_ever() -> None:
    line = Line()
    sent: SendRequest | None = line.first()
    for number in range(10):
        if sent is None:
            break
        sent = line.answer(sent, 401, challenges=(ASKS._replace(nonce=f"n{number}", stale=True),))
    assert sent is None
    assert line.state is State.WAITING


def test_423_is_asked_for_longer_and_403_slowly() -> None:
    line = Line()
    again = line.answer(line.first(), 423, "Interval Too Brief", min_expires=7200)
    assert again
    assert headers(again)["Expires"] == "7200"
    assert line.answer(again, 403, "Forbidden") is None
    assert line.wait(400) is None
    assert line.wait(400)


@pytest.mark.parametrize(
    ("wanted", "asked_for"),
    [
        ((100_000, 100_000), ["3600", "86400"]),
        ((7200, 7200), ["3600", "7200"]),
        ((0,), ["3600"]),
        (range(4000, 5000), ["3600", "4000", "4001", "4002", "4003"]),
    ],
)
def test_a_server_that_takes_no_time_is_not_asked_for_ever(
    wanted: Iterable[int], asked_for: list[str]
) -> None:
    line = Line()
    sent: SendRequest | None = line.first()
    for seconds in wanted:
        if sent is None:
            break
        sent = line.answer(sent, 423, "Interval Too Brief", min_expires=seconds)
    assert (sent, line.state) == (None, State.WAITING)
    assert [headers(one)["Expires"] for one in line.asked] == asked_for
    assert line.wait(400) is None
    assert line.wait(400), "slowly"
    (warning,) = line.logs
    assert (
        f"423 Interval Too Brief: it takes no time that is asked for, the last was {asked_for[-1]}" in warning
    )


def test_a_trunk_that_is_off_does_not_register_and_one_without_a_line_has_no_token() -> None:
    off = Line(replace(TRUNK, enabled=False, ping=30))
    assert off.wait(10_000) is None
    line = Line(replace(TRUNK, line=False))
    sent = line.first()
    assert sent.contact == ("acct", "")
    line.answer(sent, 200, contacts=(RegisterContact("sip:acct@192.0.2.5", expires=600),))
    token = line.world.core.registrations.line(replace(TRUNK, line=False))
    assert line.world.core.registrations.by_line(token) is None
    assert line.wait(600), "what is granted to our only Contact counts"
    gone = line.take(line.world.give(DirectoryChanged(site(replace(TRUNK, enabled=False)))))
    assert gone
    assert headers(gone)["Expires"] == "0"


def test_silence_leads_to_the_next_server_and_pauses_that_get_longer() -> None:
    line = Line()
    sent = line.first()
    hosts, pauses = [sent.flow.host], []
    for _ in range(7):
        assert line.answer(sent, 408) is None
        began = line.world.now
        while (found := line.wait(1)) is None:
            assert line.world.now - began < 100
        sent = found
        hosts.append(sent.flow.host)
        pauses.append(line.world.now - began)
    assert hosts[:3] == ["203.0.113.1", "203.0.113.2", "203.0.113.1"]
    assert pauses[0] <= 4
    assert 40 < pauses[-1] <= 73
    assert len([text for text in line.logs if "no answer" in text]) == 1


def test_a_connection_that_breaks_is_made_anew_at_once() -> None:
    line = Line(replace(TRUNK, transport="tcp"))
    sent = line.accepted()
    again = line.take(line.world.give(FlowClosed(sent.flow)))
    assert again
    assert (again.method, again.flow) == ("REGISTER", sent.flow)
    assert line.take(line.world.give(FlowClosed(sent.flow))) is None  # the transaction tells of that
    assert line.answer(again, 503, "There is no connection") is None
    assert line.wait(10)


def test_the_end_of_a_trunk_and_of_the_server_unregisters() -> None:
    for end in (DirectoryChanged(replace(site(), trunks=(), routes=())), Drain(tell=False)):
        line = Line()
        line.accepted()
        gone = line.take(line.world.give(end))
        assert gone
        assert headers(gone)["Expires"] == "0"
        proof = line.answer(gone, 401, challenges=(ASKS,))
        assert proof
        assert headers(proof)["Expires"] == "0"
        assert len(line.world.core.registrations) == 1
        line.answer(proof, 200)
        assert len(line.world.core.registrations) == 0
        assert line.wait(10_000) is None


def test_how_a_trunk_is_in_words() -> None:
    line = Line()
    states = []
    for event in (None, DirectoryChanged(site(replace(TRUNK, enabled=False))), Drain(tell=False)):
        if event:
            line.world.give(event)
        else:
            line.accepted()
        (row,) = trunks(line.world.core, "default", line.world.now)
        states.append((row["state"], row["usable"]))
    assert states[:2] == [("registered", True), ("off", True)]
    line.world.give(DirectoryChanged(site()))
    (row,) = trunks(line.world.core, "default", line.world.now)
    assert (row["state"], row["usable"]) == ("no more calls: the server is stopping", False)


def in_state(state: State) -> Line:
    """A trunk by TCP whose registration has come to `state`; the server's stop leads to LEAVING and OVER."""
    line = Line(replace(TRUNK, transport="tcp"))
    if state is State.WAITING:
        return line
    if state is State.ASKING:
        line.first()
        return line
    assert line.accepted().flow == TCP
    if state is State.REFRESHING:
        assert line.wait(500)
    if state in (State.LEAVING, State.OVER):
        gone = line.take(line.world.give(Drain(tell=False)))
        assert gone
        if state is State.OVER:
            line.answer(gone, 200)
    return line


TCP = Flow("tcp", "203.0.113.1", 5060)
HAPPENS: dict[str, FlowClosed | Drain | DirectoryChanged] = {
    "its connection is closed": FlowClosed(TCP),
    "the server stops": Drain(tell=False),
    "it is as before": DirectoryChanged(site(replace(TRUNK, transport="tcp"))),
    "it is set otherwise": DirectoryChanged(site(replace(TRUNK, transport="tcp", username="other"))),
    "it is removed": DirectoryChanged(replace(site(), trunks=(), routes=())),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("first", list(HAPPENS))
@pytest.mark.parametrize("then", list(HAPPENS))
def test_whatever_happens_twice_a_stop_ends_it(state: State, first: str, then: str) -> None:
    """Each event from without in each state, and each in the state to which that has led."""
    line = in_state(state)
    assert {one.state for one in line.world.core.registrations} == ({state} - {State.OVER})
    for name in (first, then, "the server stops", *HAPPENS):
        line.take(line.world.give(HAPPENS[name]))
    before = len(line.asked)
    for sent in list(line.asked):
        line.answer(sent, 200)
    assert list(line.world.core.registrations) == []
    assert len(line.world.core.registrations) == 0
    line.wait(10_000)
    assert len(line.asked) == before, "nothing begins after a stop"


def test_what_matters_begins_anew_and_what_does_not_goes_on() -> None:
    line = Line()
    line.accepted()
    assert line.take(line.world.give(DirectoryChanged(site(replace(TRUNK, dids=("+49=101",)))))) is None
    gone = line.take(line.world.give(DirectoryChanged(site(replace(TRUNK, username="other")))))
    assert gone
    assert headers(gone)["Expires"] == "0"
    again = line.wait(1.0)
    assert again
    assert again.to.uri == "sip:other@carrier.example"
    assert line.world.give(ResponseReceived("register 99 1", 200)) == []


def test_a_call_finds_its_trunk_by_the_token_from_whatever_address() -> None:
    line = Line()
    sent = line.accepted()
    assert sent.contact
    token = sent.contact[1]
    for text, found in ((f"sip:acct@192.0.2.5{token}", True), ("sip:acct@192.0.2.5;line=0123", False)):
        parameters = (("line", text.rpartition("=")[2]),)
        asked = request("INVITE", "x", "y", source=Flow("udp", "198.18.0.1", 5060))
        target = Uri(text, "sip", "acct", "192.0.2.5", 0, parameters)
        to = asked.to._replace(uri=asked.to.uri._replace(user="+4930"))
        effects = line.world.give(
            InviteReceived(asked._replace(target=target, to=to), invite().offer, 70, "sip:a@198.18.0.1")
        )
        assert any(isinstance(effect, Accept) for effect in effects) is found


def test_pings_find_a_server_down_after_two_and_up_after_one() -> None:
    line = Line(replace(TRUNK, mode=Mode.IP, ping=30))
    sent = {one.flow.host: one for one in _all(line, 2.0)}
    assert sent.keys() == {"203.0.113.1", "203.0.113.2"}
    assert {one.method for one in sent.values()} == {"OPTIONS"}
    (trunk,) = line.world.core.directory.trunks
    for host, status in (("203.0.113.1", 408), ("203.0.113.2", 404)):
        line.answer(sent[host], status)
    sent = {one.flow.host: one for one in _all(line, 36.0)}
    line.answer(sent["203.0.113.1"], 503, "Busy")
    ways = [flow.host for _, flow in line.world.core.trunks.ways(trunk)]
    assert ways == ["203.0.113.2", "203.0.113.1"]
    assert line.world.core.pings.is_up(trunk) is True
    for _ in range(2):
        line.answer(sent["203.0.113.2"], 408)
        sent = {one.flow.host: one for one in _all(line, 36.0)}
    assert line.world.core.pings.is_up(trunk) is False
    line.answer(sent["203.0.113.1"], 200, "OK")
    assert line.world.core.pings.is_up(trunk) is True
    assert len([text for text in line.logs if "is down" in text]) == 2
    assert len([text for text in line.logs if "up again" in text]) == 1


@pytest.mark.parametrize("ping", [5, 30])
def test_a_ping_is_missed_when_the_next_one_is_due(ping: int) -> None:
    """A ping's transaction may take longer than the time between two pings to give up."""
    line = Line(replace(TRUNK, mode=Mode.IP, ping=ping))
    (trunk,) = line.world.core.directory.trunks
    first, *_ = _all(line, 2.0)
    for _ in range(3 * ping):
        line.wait(1.0)
    assert line.world.core.pings.is_up(trunk) is False
    assert len([text for text in line.logs if "is down" in text]) == 2
    line.answer(first, 200, "OK")
    assert line.world.core.pings.is_up(trunk) is False, "an answer to one of before"
    line.answer(line.asked[-1], 200, "OK")
    assert line.world.core.pings.is_up(trunk) is True
    line.answer(line.asked[-1], 408)
    assert line.world.core.pings.is_up(trunk) is True, "a ping has one answer"


@pytest.mark.parametrize(("seconds", "registers"), [(0.4, 0), (1.6, 0), (3.5, 1), (20.0, 1)])
def test_a_carrier_that_answers_late_was_away_for_a_moment(seconds: float, registers: int) -> None:
    """The carrier may have started anew between two pings, and have lost its registrations."""
    line = Line(replace(TRUNK, servers=TRUNK.servers[:1], ping=30))
    for one in _all(line, 2.1):
        line.answer(one, 200, expires=3600)
    ping = None
    while not ping:
        ping = line.wait(0.1)
    line.wait(seconds)
    line.answer(ping, 200)
    assert len([one for one in _all(line, 2.1) if one.method == "REGISTER"]) == registers


def test_a_carrier_that_was_away_is_asked_again_and_while_it_is_down_the_next_one() -> None:
    """A carrier without its registrations rings nobody here until the next REGISTER."""
    line = Line(replace(TRUNK, ping=30))

    def pinged(host: str, status: int) -> list[SendRequest]:
        """Answer the next ping of `host` by `status`, others by 200, and return the REGISTERs that follow."""
        is_asked = False
        while not is_asked:
            for one in _all(line, 0.5):
                line.answer(one, status if one.flow.host == host else 200)
                is_asked |= one.flow.host == host
        found = _all(line, 2.0)
        for one in found:
            if one.method == "OPTIONS":
                line.answer(one, 200)
        return [one for one in found if one.method == "REGISTER"]

    for one in _all(line, 2.1):
        line.answer(one, 200, expires=3600)
    assert line.state is State.REGISTERED
    assert not pinged("203.0.113.1", 200)
    assert not pinged("203.0.113.1", 408)
    (again,) = pinged("203.0.113.1", 200)
    line.answer(again, 200, expires=3600)
    assert not pinged("203.0.113.1", 408)
    (again,) = pinged("203.0.113.1", 408)
    line.answer(again, 408)
    (other,) = [one for one in _all(line, 3.0) if one.method == "REGISTER"]
    assert (again.flow.host, other.flow.host) == ("203.0.113.1", "203.0.113.2")


def _all(line: Line, seconds: float) -> list[SendRequest]:
    before = len(line.asked)
    line.wait(seconds)
    return line.asked[before:]


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from((200, 401, 403, 408, 423, 503, 600)),
        st.integers(0, 100_000),
        st.booleans(),
        st.floats(0, 1000),
    ),
    max_size=12,
)


@given(ANSWERS)
def test_whatever_is_answered_one_request_is_out_or_one_is_due(
    answers: list[tuple[int, int, bool, float]],
) -> None:
    line = Line()
    sent: SendRequest | None = line.first()
    for number, (status, seconds, stale, pause) in enumerate(answers):
        if sent is None:
            sent = line.wait(100_000)
        assert sent
        challenge = ASKS._replace(nonce=f"{number}", stale=stale)
        sent = line.answer(
            sent, status, challenges=(challenge,), expires=seconds, min_expires=seconds, retry_after=seconds
        )
        (one,) = line.world.core.registrations
        assert (sent is not None) is (one.state in OUT)
        if sent is None:
            assert one.number in line.world.core.registrations.timers
            sent = line.wait(pause)
