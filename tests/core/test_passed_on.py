"""What of a call's messages reaches the other side: every name, from whom, in which message."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from builders import SDP, dials, flow, invite
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.calls import Calls
from blfd.core.calls.leg_effects import Accept, Answer, Dial, HangUp, Progress, RespondToInfo, SendInfo
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegInput,
    LegProgress,
)
from blfd.core.calls.passed_on import (
    HEARD,
    LONGEST_VALUE,
    MOST_OF_ALL,
    RULES,
    TABLE,
    TELL_WHO,
    In,
    Rule,
    passed_on,
    size,
)
from blfd.core.directory import Extension
from blfd.core.effects import Effect
from blfd.core.events.dialog_state import Dialogs
from blfd.core.locations import Locations
from blfd.core.next_hop import NextHops
from blfd.core.party import Party
from blfd.core.registrar import Registrar
from blfd.core.settings import Settings
from blfd.core.values import DEFAULT_TENANT, Aor, Binding, DialogId, Headers

VALUES = {
    "Retry-After": "5",
    "Priority": "urgent",
    "Alert-Info": "<urn:alert:source:internal>",
    "Call-Info": "<sip:x@y>;answer-after=0",
}


def value_of(name: str) -> str:
    return VALUES.get(name, "a value")


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.name)
def test_each_passes_where_the_table_says(rule: Rule) -> None:
    value = value_of(rule.name)
    for message, trusted in itertools.product(In, (False, True)):
        passes = message in (rule.edges if trusted else rule.phones)
        passed = passed_on(((rule.name.upper(), value),), message, trusted=trusted)
        assert passed == (((rule.name, value),) if passes else ()), (message, trusted)


def test_each_name_is_once_in_the_table() -> None:
    assert len(RULES) == len(TABLE)
    assert all(rule.why for rule in TABLE)
    assert all(rule.phones in rule.edges for rule in TABLE), "an edge may say what a phone may"
    for name in ("Authorization", "WWW-Authenticate", "Via", "Route", "Contact", "From", "X-Anything"):
        assert not passed_on(((name, "x"),), In.INVITE, trusted=True)


URLS = (
    "http://10.0.0.1/x",
    "https://evil.example",
    "ftp://a/b",
    "//a/b",
    "file:///etc/passwd",
    "http:a",
    "data:,x",
)
CONFUSING = (
    "http://127.0.0.1@a/",
    "http://a\\@127.0.0.1/",
    "http://127.0.0.1.a/",
    "http://[::1]/",
    "http://",
)
NOWHERE = (
    "http://127.0.0.1/Bellcore-dr3",
    "http://www.notused.com",
    "http://x.invalid:80/y",
    "sip:102@acme.example",
    "urn:alert:tone:internal",
)


@pytest.mark.parametrize("name", ["Alert-Info", "Call-Info"])
def test_no_phone_makes_another_fetch_something(name: str) -> None:
    for url in (*URLS, *CONFUSING):
        for written in (f"<{url}>;info=x", f"<sip:x@y>, <{url}>"):
            assert not passed_on(((name, written),), In.INVITE, trusted=False), written
            assert passed_on(((name, written),), In.INVITE, trusted=True), written
    for url in NOWHERE:
        for written in (f"<{url}>;info=alert-autoanswer;delay=0", f"<sip:x@y>, <{url}>"):
            assert passed_on(((name, written),), In.INVITE, trusted=False), written
    for written in ("Auto Answer", "<Bellcore-dr3>", "info=intercom", "ring-answer"):
        assert passed_on(((name, written),), In.INVITE, trusted=False), written


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [
        ("Diversion", '"Bob" <sip:102@x>;reason=no-answer', True),
        ("Diversion", "<sip:102@x>;reason=no-answer;privacy=off", True),
        ("Diversion", "<sip:102@x>;privacy=full;reason=no-answer", False),
        ("Diversion", '<sip:102@x>;privacy="name"', False),
        ("Diversion", '<sip:102@x>;privacy="off"', True),
        ("History-Info", "<sip:102@x?Privacy=history>;index=1", False),
        ("History-Info", "<sip:102@x?Privacy=none>;index=1", True),
        ("History-Info", "<sip:102@x?Reason=SIP%3Bcause%3D302>;index=1.1", True),
        ("Priority", "psap-callback", True),
    ],
)
def test_what_says_that_it_is_private(name: str, value: str, passes: bool) -> None:
    assert bool(passed_on(((name, value),), In.INVITE, trusted=True)) is passes
    assert not passed_on(((name, value),), In.INVITE, trusted=False)


def test_who_does_not_want_to_be_known_is_not_named_elsewhere() -> None:
    said = tuple((name, value_of(name)) for name in HEARD)
    names = {name for name, _ in passed_on(said, In.INVITE, trusted=True, without=TELL_WHO)}
    assert {"Alert-Info", "Answer-Mode", "Priority"} < names
    assert not names & {"Call-Info", "Subject", "Organization", "Reply-To", "History-Info"}


@given(
    st.lists(st.tuples(st.sampled_from(HEARD), st.text() | st.text("xé", max_size=3000)), max_size=60),
    st.sampled_from(list(In)),
    st.booleans(),
)
def test_what_passes_can_stand_in_a_header(said: list[tuple[str, str]], message: In, trusted: bool) -> None:
    passed = passed_on(tuple(said), message, trusted=trusted)
    assert set(passed) <= set(said), "nothing is cut or changed"
    assert sum(size(value) for _, value in passed) <= MOST_OF_ALL
    for _, value in passed:
        assert size(value) <= LONGEST_VALUE
        assert not any(ord(character) < 0x20 or character == "\x7f" for character in value)


# In a call

NOW = 1000.0
EVERYTHING: Headers = tuple((name, VALUES.get(name, f"<{name}>")) for name in HEARD)


class Story:
    """101 calls 102; both are phones, or behind a trusted edge, and each of their messages has all fields."""

    def __init__(self, trusted: bool) -> None:
        registrar = Registrar(Settings(), NextHops(lambda host: trusted, lambda way: False, Locations()))
        callee = Aor(DEFAULT_TENANT, "102")
        registrar.restore((Binding(callee, "sip:102@phone", flow("102"), "id", 1, 2000.0),), NOW)
        self.trusted = trusted
        self.calls = Calls(Dialogs(), registrar, Settings(), lambda host: trusted)
        asked = invite(hops=17)._replace(headers=EVERYTHING)
        caller = Extension(Aor(DEFAULT_TENANT, "101"), "Alice")
        (accept,) = self.calls.invite(asked, Party.of(asked.request, caller), Extension(callee, "Bob"), NOW)
        assert isinstance(accept, Accept)
        self.caller = accept.leg
        (self.dial,) = dials(self.give(LegAccepted(self.caller, "ours")))

    def give(self, event: LegInput) -> list[Effect]:
        return self.calls.handle(event, NOW)

    def answer(self) -> list[Effect]:
        return self.give(LegAnswered(self.dial.leg, DialogId("id", "ours", "theirs"), SDP, EVERYTHING))

    def talk(self) -> Story:
        self.answer()
        self.give(LegAcknowledged(self.caller, None))
        return self


def ring(story: Story) -> list[Effect]:
    return story.give(
        LegProgress(story.dial.leg, 180, "", DialogId("id", "ours", "theirs"), None, EVERYTHING)
    )


def end(story: Story, leg: int, status: int = 200) -> list[Effect]:
    return story.give(LegEnded(leg, status, "", EVERYTHING))


def inform(story: Story) -> list[Effect]:
    return story.give(InfoReceived(story.caller, 1, "", b"", EVERYTHING))


def informed(story: Story) -> list[Effect]:
    story.give(InfoReceived(story.dial.leg, 1, "", b""))
    return story.give(InfoResponseReceived(story.caller, 1, 200, "OK", "", b"", EVERYTHING))


Telling = Dial | Progress | Answer | HangUp | SendInfo | RespondToInfo


@pytest.mark.parametrize("trusted", [False, True], ids=["phones", "edges"])
@pytest.mark.parametrize(
    ("happens", "effect", "message"),
    [
        (lambda story: [story.dial], Dial, In.INVITE),
        (ring, Progress, In.PROGRESS),
        (Story.answer, Answer, In.ANSWER),
        (lambda story: end(story, story.caller), HangUp, In.CANCEL),
        (lambda story: end(story.talk(), story.caller), HangUp, In.BYE),
        (lambda story: end(story.talk(), story.dial.leg), HangUp, In.BYE),
        (lambda story: inform(story.talk()), SendInfo, In.INFO),
        (lambda story: informed(story.talk()), RespondToInfo, In.INFO_RESPONSE),
    ],
    ids=["INVITE", "180", "200", "CANCEL", "BYE of the caller", "BYE of the callee", "INFO", "its answer"],
)
def test_each_message_of_a_call(
    happens: Callable[[Story], list[Effect]], effect: type[Telling], message: In, trusted: bool
) -> None:
    found = [done for done in happens(Story(trusted)) if isinstance(done, effect)]
    (headers,) = [done.headers for done in found]
    passed = tuple(field for field in headers if field[0] not in ("P-Asserted-Identity", "Max-Forwards"))
    assert passed == passed_on(EVERYTHING, message, trusted=trusted)
    assert passed or message is In.CANCEL, "a phone has nothing to say in it"


def test_a_call_has_one_hop_less() -> None:
    assert ("Max-Forwards", "16") in Story(False).dial.headers


def test_what_is_answered_elsewhere_is_told_so_whatever_is_said() -> None:
    """The Reason has our own cause in the place of what a phone says."""
    story = Story(True)
    (drop,) = [done for done in end(story, story.caller, 487) if isinstance(done, HangUp)]
    assert drop.cause is None
    assert ("Reason", "<Reason>") in drop.headers


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("5", "5"),
        (" 120 (I'm in a meeting)", "120"),
        ("18000;duration=3600", "18000"),
        ("-5", None),
        ("5x", None),
        ("", None),
        ("949302838503028349304023988", None),
        ("(5)", None),
    ],
)
def test_when_to_try_again_is_told_in_seconds(said: str, told: str | None, trusted: bool) -> None:
    found = passed_on((("Retry-After", said),), In.REFUSAL, trusted=trusted)
    assert found == ((("Retry-After", told),) if told else ())


@pytest.mark.parametrize("trusted", [False, True])
def test_a_refusal(trusted: bool) -> None:
    story = Story(trusted)
    (last,) = [done for done in end(story, story.dial.leg, 486) if isinstance(done, HangUp)]
    names = [name for name, _ in last.headers]
    assert names == ["User-to-User", "Reason", "Warning", "Retry-After", *["Error-Info"] * trusted]
