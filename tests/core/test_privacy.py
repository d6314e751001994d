"""A caller that does not want to be known is named to administrators, and to no phone, watcher or board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from builders import HOST, World, dials, document, invite, notifies, reply, subscribe, uri
from office import Office, answers, replaces

from blfd.core import privacy, report
from blfd.core.calls.leg_effects import Accept, Answer, AnswerOffer, Dial, HangUp, Offer, Progress
from blfd.core.calls.leg_inputs import (
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.media import unnamed
from blfd.core.effects import Effect, Notify
from blfd.core.messages import InviteReceived
from blfd.core.quoting import name_addr
from blfd.core.values import Address, Aor, DialogId, Uri

ANONYMOUS = Address(Uri(privacy.URI, "sip", "anonymous", "anonymous.invalid", 0), "Anonymous", "tag101")
TOLD = '"Anonymous" <sip:anonymous@anonymous.invalid>'
SDP = (
    b"v=0\r\no=101 1 1 IN IP4 192.0.2.9\r\ns=Name 101\r\ni=101\r\n"
    b"c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n"
)


def asked(
    *wish: str, anonymous: bool = False, user: str = "101", to: str = "102", offer: bytes = SDP
) -> InviteReceived:
    """An INVITE with Privacy of a trusted source, which says who calls; if `anonymous`, From does not."""
    event = invite(user, to, offer)
    request = event.request._replace(privacy=frozenset(wish), asserted=(Address(uri(user)),))
    if anonymous:
        request = request._replace(from_=ANONYMOUS)
    subject = (("Subject", "from 101"), ("Call-Info", "<sip:101@x>;answer-after=0"), ("Answer-Mode", "Auto"))
    return event._replace(request=request, headers=(*subject, ("History-Info", "<sip:101@x>;index=1")))


WISHES = [
    ((), False, False),
    ((), True, True),
    (("id",), False, True),
    (("user",), False, True),
    (("header",), False, True),
    (("id", "critical"), True, True),
    (("none",), False, False),
    (("none",), True, False),
    (("history",), False, False),
    (("session",), False, False),
    (("critical",), False, False),
]


def outward(effects: list[Effect], caller: int) -> Iterator[Effect]:
    """What watchers and all phones but the caller's get."""
    yield from (e for e in effects if isinstance(e, Notify))
    legs = (e for e in effects if isinstance(e, Dial | Progress | Answer | Offer | AnswerOffer | HangUp))
    yield from (e for e in legs if e.leg != caller)


@pytest.mark.parametrize(("wish", "anonymous", "withheld"), WISHES)
def test_nobody_is_told_who_calls(wish: tuple[str, ...], anonymous: bool, withheld: bool) -> None:
    world = World()
    for watcher, watched in (("103", "102"), ("103", "101")):
        world.confirm(world.give(subscribe(watcher, watched)))
    (accept,) = world.give(asked(*wish, anonymous=anonymous))
    assert isinstance(accept, Accept)
    told: list[Effect] = []

    def give(event: object) -> list[Effect]:
        effects = world.give(event)  # type: ignore[arg-type]
        told.extend(outward(effects, accept.leg))
        world.confirm(effects)
        return effects

    (dial,) = dials(give(LegAccepted(accept.leg, "ours")))
    ids = "id", "ours", "theirs"
    give(LegProgress(dial.leg, 180, "", DialogId(*ids), None))
    (ringing,) = (row for row in report.lamps(world.core, world.now) if row["extension"] == "102")
    give(LegAnswered(dial.leg, DialogId(*ids), b"v=0\r\n"))
    give(LegAcknowledged(accept.leg, None))
    give(OfferReceived(accept.leg, SDP))
    give(OfferAnswered(dial.leg, 200, b"v=0\r\n"))
    give(OfferReceived(dial.leg, b"v=0\r\n"))
    give(OfferAnswered(accept.leg, 200, SDP))
    calls = report.calls(world.core, "default", world.now)
    give(LegEnded(accept.leg, 200, ""))
    assert len([e for e in told if isinstance(e, Notify)]) >= 6
    named = [effect for effect in told if names(effect)]
    assert bool(named) is not withheld
    assert name_addr(dial.from_) == (TOLD if withheld else f'"Name 101" <sip:101@{HOST}>')
    assert ("P-Asserted-Identity" in dict(dial.headers)) is not withheld
    assert ("Answer-Mode", "Auto") in dial.headers
    assert ("Subject" in dict(dial.headers)) is not withheld
    assert ("History-Info" in dict(dial.headers)) is not (withheld or "history" in wish)
    (dialog,) = ringing["dialogs"]
    assert dialog["remote"] == ("anonymous" if withheld else "101")
    assert [call["caller"] for call in calls] == ["101"], "administrators see it"


def names(effect: Effect) -> bool:
    """Whether an effect says who calls; the caller's own lamp does so by telling whom it calls."""
    its_own = isinstance(effect, Notify) and document(effect).entity == f"sip:101@{HOST}"
    words = ("sip:102@", "Name 102") if its_own else ("sip:101@", "Name 101", "o=101")
    return any(word in repr(effect) for word in words)


@pytest.mark.parametrize("wish", [("id",), ()])
def test_what_a_watcher_reads(wish: tuple[str, ...]) -> None:
    office = Office()
    world = office.world
    world.confirm(world.give(subscribe("103", "102")))
    (accept,) = world.give(asked(*wish))
    assert isinstance(accept, Accept)
    (dial,) = dials(world.give(LegAccepted(accept.leg, "ours")))
    (notify,) = notifies(world.give(LegProgress(dial.leg, 180, "", DialogId("id", "ours", "theirs"), None)))
    (dialog,) = document(notify).dialogs
    assert dialog.remote
    assert dialog.remote.identity
    assert dialog.remote.target
    identity = (dialog.remote.identity.uri, dialog.remote.identity.display)
    assert identity == ((privacy.URI, "Anonymous") if wish else (f"sip:101@{HOST}", "Name 101"))
    assert dialog.remote.target.uri == f"sip:*97102@{HOST}", "it can be picked up"
    world.confirm([notify])
    (notify,) = notifies(world.give(LegAnswered(dial.leg, DialogId("id", "ours", "theirs"), b"v=0")))
    (dialog,) = document(notify).dialogs
    assert dialog.remote
    assert dialog.remote.target
    assert dialog.remote.target.uri == (privacy.URI if wish else f"sip:101@{HOST}")


@pytest.mark.parametrize("way", ["*97102", "*98", "102"])
def test_who_picks_up_an_anonymous_call(way: str) -> None:
    office = Office()
    (accept,) = office.give(asked("id"))
    assert isinstance(accept, Accept)
    (dial,) = dials(office.give(LegAccepted(accept.leg, "ours")))
    office.ring(dial.leg)
    named = replaces(dial.leg) if way == "102" else ""
    leg, effects = office.pick_up("103", way, replaces=named, to_picker=SDP)
    sdp, headers = answers(effects)[leg]
    assert (sdp, headers) == (unnamed(SDP), (("P-Asserted-Identity", TOLD),))
    assert answers(effects)[accept.leg][1] == (("P-Asserted-Identity", f'"Name 103" <sip:103@{HOST}>'),)
    (dialog,) = office.world.core.dialogs.of(Aor("default", "103"))
    assert (dialog.other, dialog.remote) == (("anonymous", ""), "101")
    assert [attempt.caller for attempt in office.attempts] == ["101"], (
        "the history keeps it for administrators"
    )


def test_a_picker_that_does_not_want_to_be_known() -> None:
    office = Office()
    caller = office.call("101", "102")
    (accept,) = office.give(asked("id", user="103", to="*97102"))
    assert isinstance(accept, Accept)
    office.give(LegAccepted(accept.leg, "mine"))
    effects = office.give(MediaMatched(accept.leg, True, SDP, b"v=0", None))
    assert answers(effects)[caller] == (unnamed(SDP), (("P-Asserted-Identity", TOLD),))
    (dialog,) = office.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("anonymous", "")
    assert office.refused("104", "*97102").reason == "Somebody has answered the call already"


def test_privacy_that_is_not_to_be_had() -> None:
    world = World()
    assert isinstance(world.give(asked("session"))[0], Accept)
    refused = reply(world.give(asked("session", "critical")))
    assert (refused.status, refused.reason) == (500, "Privacy is not to be had: session")
    assert isinstance(world.give(asked("id", "critical"))[0], Accept)


NAMING: tuple[tuple[bytes, bytes], ...] = (
    (b"a=tool:Yealink T58 of Alice\r\n", b""),
    (b"a=cat:acme.sales\r\na=keywds:Alice\r\na=lang:de\r\n", b"a=lang:de\r\n"),
    (b"a=identity:eyJpZHAiOi\r\n", b""),
    (b"k=clear:s3cret\r\nk=prompt\r\n", b""),
    (b"a=label:1\r\na=toolbox:x\r\na=msid:a b\r\n", b"a=label:1\r\na=toolbox:x\r\na=msid:a b\r\n"),
    (
        b"a=ssrc:7 cname:alice@pc\r\na=ssrc:7 msid:a b\r\na=ssrc:8 cname:x\na=ssrc:9 cname:alice@pc\r\n",
        b"a=ssrc:7 cname:1\r\na=ssrc:7 msid:a b\r\na=ssrc:8 cname:2\na=ssrc:9 cname:1\r\n",
    ),
)
"""Lines of SDP, and what is left of them. What is synchronised by one cname is so by its number (RFC 5576);
a label is what other lines call a stream by (RFC 4574)."""


def test_sdp_without_a_name() -> None:
    assert unnamed(SDP + b"i=101\r\n") == SDP.replace(b"i=101\r\n", b"").replace(b"o=101", b"o=-").replace(
        b"s=Name 101", b"s=-"
    )
    for was, now in NAMING:
        assert unnamed(b"v=0\r\n" + was + b"m=audio 4 RTP/AVP 0\r\n") == (
            b"v=0\r\n" + now + b"m=audio 4 RTP/AVP 0\r\n"
        ), was
    for user in (b"Alice Ng", b"Alice van der Ng", b" Alice\tNg ", b"1 1 IN IP4 Alice"):
        assert unnamed(b"o=" + user + b" 1 1 IN IP4 x\r\n").split() == b"o=- 1 1 IN IP4 x".split(), user
    assert unnamed(b"v=0\ne=101@x\no=- 1 1 IN IP4 x\ns=\na=e=x\n") == b"v=0\no=- 1 1 IN IP4 x\ns=-\na=e=x\n"
