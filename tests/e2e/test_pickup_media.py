"""What picker and caller learn of each other's media: each offer is answered from the other (RFC 3264)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from calls import Calling, Dialog, audio_port, connect, sdp
from pickups import SDP, Office, Ringing, element, hang_up, replaces
from wire import Message

OPUS, EVENTS, SPEEX = "opus/48000/2", "telephone-event/8000", "speex/16000"
LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
CALLERS_KEY, PICKERS_KEY = "inline:" + "A" * 40, "inline:" + "B" * 40
FMTP = "a=fmtp:{} 0-16"


def session(port: int, *media: str) -> bytes:
    lines = ["v=0", f"o=- {port} 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", *media, ""]
    return "\r\n".join(lines).encode()


def audio(port: int, codecs: dict[int, str], *more: str, profile: str = "RTP/AVP") -> bytes:
    """An SDP with one stream, and `codecs` by payload number, in the order of preference."""
    numbers = " ".join(str(number) for number in codecs)
    maps = [f"a=rtpmap:{number} {codec}" for number, codec in codecs.items()]
    events = [FMTP.format(number) for number, codec in codecs.items() if codec == EVENTS]
    return session(port, f"m=audio {port} {profile} {numbers}", *maps, *events, *more)


def payloads(message: Message) -> dict[int, str]:
    """The codecs of the m=audio line by their numbers, in its order."""
    text = message.body.decode()
    line = next(line for line in text.splitlines() if line.startswith("m=audio"))
    maps = dict(re.findall(r"a=rtpmap:(\d+) (\S+)", text))
    return {int(number): maps.get(number, "") for number in line.split()[3:]}


def lines(message: Message, start: str) -> list[str]:
    return [line for line in message.body.decode().splitlines() if line.startswith(start)]


@dataclass
class Picked:
    """The caller's and the picker's 200, both acknowledged."""

    to_caller: Message
    to_picker: Message
    caller: Dialog
    picker: Dialog


def pick_up(office: Office, offered: bytes, wanted: bytes) -> Picked:
    ringing = office.ring(offered)
    picking = office.pick(offer=wanted)
    to_picker, to_caller = picking.final(), ringing.ok()
    assert to_picker.status == 200, to_picker.start
    return Picked(
        to_caller, to_picker, ringing.calling.acknowledge(to_caller), picking.acknowledge(to_picker)
    )


def moved(dialog: Dialog, answer: bytes) -> Message:
    """Wait for the re-INVITE that a phone gets, have it answered, and return it."""
    invite = dialog.agent.wait(lambda m: m.method == "INVITE" and m["call-id"] == dialog.call_id)
    dialog.agent.reply(invite, 200, "OK", answer, Content_Type=SDP)
    dialog.agent.wait_request("ACK")
    return invite


def unmoved(dialog: Dialog) -> bool:
    return dialog.agent.silent(lambda m: m.method in ("INVITE", "UPDATE"), 0.1)


PCMU, PCMA = {0: "PCMU/8000"}, {8: "PCMA/8000"}
CODECS: list[tuple[str, dict[int, str], dict[int, str], dict[int, str], dict[int, str], bool]] = [
    # The caller's offer, the picker's, the answers to both, and whether the picker is asked for other numbers
    ("the same", {0: "PCMU/8000"}, {0: "PCMU/8000"}, PCMU, PCMU, False),
    ("the caller's first choice", PCMU | PCMA, PCMA | PCMU, PCMU, PCMU, False),
    ("what both have", PCMU | PCMA, PCMA, PCMA, PCMA, False),
    (
        "equal dynamic numbers",
        {111: OPUS, 101: EVENTS},
        {111: OPUS, 101: EVENTS},
        {111: OPUS, 101: EVENTS},
        {111: OPUS, 101: EVENTS},
        False,
    ),
    (
        "different dynamic numbers",
        {111: OPUS, 101: EVENTS},
        {96: OPUS, 97: EVENTS},
        {111: OPUS, 101: EVENTS},
        {96: OPUS, 97: EVENTS},
        True,
    ),
    (
        "crossed dynamic numbers",
        {96: OPUS, 97: EVENTS},
        {97: OPUS, 96: EVENTS},
        {96: OPUS, 97: EVENTS},
        {97: OPUS, 96: EVENTS},
        True,
    ),
    (
        "telephone-event on another number",
        PCMA | {101: EVENTS},
        PCMA | {96: EVENTS},
        PCMA | {101: EVENTS},
        PCMA | {96: EVENTS},
        True,
    ),
    ("telephone-event at one only", PCMA | {101: EVENTS}, PCMA, PCMA, PCMA, False),
]


@pytest.mark.parametrize(
    ("offered", "wanted", "for_caller", "for_picker", "renumbered"),
    [row[1:] for row in CODECS],
    ids=[row[0] for row in CODECS],
)
def test_codecs(
    office: Office,
    offered: dict[int, str],
    wanted: dict[int, str],
    for_caller: dict[int, str],
    for_picker: dict[int, str],
    renumbered: bool,
) -> None:
    """Each answer has the numbers of its offer; where they differ, the picker goes over to the caller's."""
    both = pick_up(office, audio(4000, offered), audio(6000, wanted))
    assert payloads(both.to_caller) == for_caller
    assert payloads(both.to_picker) == for_picker
    assert (audio_port(both.to_caller), audio_port(both.to_picker)) == (6000, 4000)
    if renumbered:
        again = moved(both.picker, audio(6000, for_caller))
        assert payloads(again) == for_caller
        events = [FMTP.format(number) for number, codec in for_caller.items() if codec == EVENTS]
        assert lines(again, "a=fmtp:") == events
        assert audio_port(again) == 4000
    assert unmoved(both.picker)
    assert unmoved(both.caller)


@pytest.mark.parametrize(
    ("offered", "wanted"), [("00", "0"), ("0", "000"), ("0x", "0"), ("9" * 5000 + " 0", "0"), ("0 00", "0 0")]
)
def test_payload_types_as_nobody_writes_them(office: Office, offered: str, wanted: str) -> None:
    """PJSIP reads one number from both texts, and would end the process as these differ."""
    offers = (
        session(port, f"m=audio {port} RTP/AVP {one}") for port, one in ((4000, offered), (6000, wanted))
    )
    both = pick_up(office, *offers)
    assert (audio_port(both.to_caller), audio_port(both.to_picker)) == (6000, 4000)


SUITES = [f"a=crypto:1 {LONG} {CALLERS_KEY}", f"a=crypto:2 {SHORT} {CALLERS_KEY}"]
OTHER_ORDER = [f"a=crypto:1 {SHORT} {PICKERS_KEY}", f"a=crypto:2 {LONG} {PICKERS_KEY}"]
NO_CODEC = "The phones have no codec in common"
REFUSED = [
    ("no common codec", audio(4000, PCMU), audio(6000, {97: SPEEX}), NO_CODEC),
    (
        "nothing but telephone-event",
        audio(4000, PCMU | {101: EVENTS}),
        audio(6000, PCMA | {101: EVENTS}),
        NO_CODEC,
    ),
    (
        "no common suite",
        audio(4000, PCMU, SUITES[0], profile="RTP/SAVP"),
        audio(6000, PCMU, OTHER_ORDER[0], profile="RTP/SAVP"),
        "Both phones encrypt media by SDES, and have no suite in common",
    ),
    (
        "encrypted and not",
        audio(4000, PCMU, SUITES[0], profile="RTP/SAVP"),
        audio(6000, PCMU),
        "One phone has RTP without encryption alone, the other SRTP by SDES",
    ),
    (
        "audio and video",
        audio(4000, PCMU),
        session(6000, "m=video 6000 RTP/AVP 97", "a=rtpmap:97 H264/90000"),
        "The phones have no kind of media in common: audio, video, ...",
    ),
]


@pytest.mark.parametrize(
    ("offered", "wanted", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_nothing_in_common(office: Office, offered: bytes, wanted: bytes, told: str) -> None:
    ringing = office.ring(offered)
    answer = office.pick(offer=wanted).refused()
    assert answer.start == f"SIP/2.0 488 {told}"
    assert told in answer["warning"]
    ringing.rings_on()


def test_keys_are_handed_over(office: Office) -> None:
    """Both directions use the caller's favourite suite of SDES, by each offer's own tag (RFC 4568)."""
    both = pick_up(
        office,
        audio(4000, PCMU, *SUITES, profile="RTP/SAVP"),
        audio(6000, PCMU, *OTHER_ORDER, profile="RTP/SAVP"),
    )
    assert lines(both.to_caller, "a=crypto:") == [f"a=crypto:1 {LONG} {PICKERS_KEY}"]
    assert lines(both.to_picker, "a=crypto:") == [f"a=crypto:2 {LONG} {CALLERS_KEY}"]


def test_keys_are_not_needed_where_the_profile_is_clear(office: Office) -> None:
    """Phones that encrypt where they can offer RTP/AVP with a=crypto."""
    both = pick_up(office, audio(4000, PCMU, *SUITES), audio(6000, PCMU))
    assert not lines(both.to_caller, "a=crypto:")
    assert not lines(both.to_picker, "a=crypto:")


HOLD = [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")]


@pytest.mark.parametrize(("offered", "answered"), HOLD)
def test_a_picker_that_holds(office: Office, offered: str, answered: str) -> None:
    """The caller hears that the picker holds, and the lamp shows that."""
    both = pick_up(office, sdp(4000), sdp(6000, offered))
    assert lines(both.to_caller, f"a={offered}")
    assert lines(both.to_picker, f"a={answered}")


@pytest.mark.parametrize(("offered", "answered"), HOLD)
def test_a_caller_that_holds(office: Office, offered: str, answered: str) -> None:
    """The caller is answered within its offer (RFC 3264, section 6.1), and asked at once to talk."""
    both = pick_up(office, sdp(4000, offered), sdp(6000))
    assert lines(both.to_caller, f"a={answered}")
    assert lines(both.to_picker, "a=sendrecv")
    again = moved(both.caller, sdp(4000))
    assert audio_port(again) == 6000
    assert lines(again, "a=sendrecv")
    assert unmoved(both.picker)


NOWHERE = b"c=IN IP4 0.0.0.0"


@pytest.mark.parametrize("holds", ["who leaves", "who stays"])
@pytest.mark.parametrize(("offered", "answered"), [*HOLD, ("0.0.0.0", "sendrecv")])
def test_a_held_call_that_is_taken_over_is_held_no_more(
    office: Office, offered: str, answered: str, holds: str
) -> None:
    """Whoever held, in whatever way, is held no more; in Asterisk the music went on (58e88dec90)."""
    office.watcher.subscribe("102")
    mine, old = connect(office.caller, office.phone)
    known = element(office.watcher.notify("confirmed"), "confirmed")
    holder, other, ports = (old, mine, (5000, 4000)) if holds == "who leaves" else (mine, old, (4000, 5000))
    hold = sdp(ports[0], "sendrecv" if "." in offered else offered)
    if "." in offered:
        hold = hold.replace(b"c=IN IP4 127.0.0.1", NOWHERE)
    headers = holder.send("INVITE", hold)
    moved(other, sdp(ports[1], answered))
    holder.ack(holder.agent.final(headers))
    site = office.site
    if offered != "recvonly":
        site.wait_lamp(holder.agent.user, "held")
    picking = office.pick("102", Replaces=replaces(known))
    to_picker = picking.final()
    picker = picking.acknowledge(to_picker)
    office.phone.reply(office.phone.wait_request("BYE"), 200)
    assert lines(to_picker, "a=sendrecv")
    to_caller = moved(mine, sdp(4000))
    assert (audio_port(to_caller), lines(to_caller, "a=sendrecv")) == (6000, ["a=sendrecv"])
    if NOWHERE.decode() in to_picker.body.decode():
        assert NOWHERE not in moved(picker, sdp(6000)).body, "now that it is known where"
    for who, lamp in (("101", "talking"), ("102", "idle"), ("103", "talking")):
        site.wait_lamp(who, lamp)
    hang_up(picker, mine)


VIDEO = ("m=video {} RTP/AVP 97", "a=rtpmap:97 H264/90000")


def with_video(port: int) -> bytes:
    return session(port, f"m=audio {port} RTP/AVP 0", VIDEO[0].format(port + 2), VIDEO[1])


@pytest.mark.parametrize(
    ("offered", "wanted", "for_caller", "for_picker"),
    [
        (with_video(4000), sdp(6000), ["6000", "0"], ["4000"]),
        (sdp(4000), with_video(6000), ["6000"], ["4000", "0"]),
        (with_video(4000), with_video(6000), ["6000", "6002"], ["4000", "4002"]),
    ],
    ids=["caller has video", "picker has video", "both have video"],
)
def test_two_streams(
    office: Office, offered: bytes, wanted: bytes, for_caller: list[str], for_picker: list[str]
) -> None:
    """An answer has the streams of its offer, with port 0 for those that the other phone lacks."""
    both = pick_up(office, offered, wanted)
    assert [line.split()[1] for line in lines(both.to_caller, "m=")] == for_caller
    assert [line.split()[1] for line in lines(both.to_picker, "m=")] == for_picker


def test_a_picker_without_an_offer(office: Office) -> None:
    """The picker gets the caller's offer, and its answer goes to the caller unchanged."""
    ringing = office.ring()
    picking = Calling.start(office.picker, "*97102")
    to_picker = picking.final()
    assert audio_port(to_picker) == 4000
    assert office.caller.silent(lambda m: m.status == 200, 0.1), "not before the picker has answered"
    picking.acknowledge(to_picker, sdp(6000, codecs="0"))
    to_caller = ringing.ok()
    unchanged = [line for line in sdp(6000, codecs="0").split(b"\r\n") if not line.startswith(b"o=")]
    assert [line for line in to_caller.body.split(b"\r\n") if not line.startswith(b"o=")] == unchanged
    assert '"Name 103"' in to_caller["p-asserted-identity"]
    ringing.calling.acknowledge(to_caller)


def test_a_caller_without_an_offer(office: Office) -> None:
    """The caller gets the picker's offer, and answers in its ACK."""
    ringing = Ringing.begin(office.caller, office.phone, b"")
    picking = office.pick()
    to_caller = ringing.ok()
    assert audio_port(to_caller) == 6000
    ringing.calling.acknowledge(to_caller, sdp(4000, codecs="0"))
    to_picker = picking.final()
    assert audio_port(to_picker) == 4000
    assert '"Name 101"' in to_picker["p-asserted-identity"]
    picking.acknowledge(to_picker)


def test_nobody_offers(office: Office) -> None:
    ringing = Ringing.begin(office.caller, office.phone, b"")
    assert Calling.start(office.picker, "*97102").refused().status == 488
    office.phone.reply(ringing.invite, 486)
    assert ringing.calling.refused().status == 486


@pytest.mark.parametrize("with_offer", [True, False])
def test_a_caller_that_has_heard_early_media(office: Office, with_offer: bool) -> None:
    """The SDP of the phone's 183 was the answer (RFC 3261, 13.2.1), so the picker's comes in a re-INVITE."""
    calling = Calling.start(office.caller, "102", sdp(4000))
    invite = office.phone.wait_request("INVITE")
    office.phone.reply(invite, 183, "Session Progress", sdp(5000), Content_Type=SDP)
    assert audio_port(calling.provisional(183)) == 5000
    ringing = Ringing(office.caller, office.phone, calling, invite)
    picking = office.pick() if with_offer else Calling.start(office.picker, "*97102")
    to_picker, to_caller = picking.final(), ringing.ok()
    assert audio_port(to_picker) == 4000
    assert not to_caller.body or audio_port(to_caller) == 5000
    caller = calling.acknowledge(to_caller)
    picking.acknowledge(to_picker, b"" if with_offer else sdp(6000))
    again = moved(caller, sdp(4000))
    assert audio_port(again) == 6000
    assert again["p-asserted-identity"].startswith('"Name 103" <sip:103@')
    assert unmoved(caller)


def test_a_caller_that_knows_update_is_told_who_has_answered(office: Office) -> None:
    """An UPDATE with the identity and without media tells it (RFC 3311)."""
    ringing = office.ring(Allow="INVITE, ACK, BYE, CANCEL, UPDATE")
    picking = office.pick()
    picking.acknowledge(picking.final())
    ringing.calling.acknowledge(ringing.ok())
    update = office.caller.wait_request("UPDATE")
    assert update["p-asserted-identity"].startswith('"Name 103" <sip:103@')
    assert not update.body
    office.caller.reply(update, 200)
