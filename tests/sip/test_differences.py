"""The reader against itself and against PJSIP's parser, over the torture messages, the corpus, and mutations.

Every difference from PJSIP that is wanted is listed with its reason; any other fails.
"""

from __future__ import annotations

import multiprocessing
import random
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mutations import mutated
from pjsip_parser import parse_all
from tortures import TORTURES

from blfd.core.values import Address, Uri
from blfd.sip import fields, headers, uris
from blfd.sip.fields import Fields
from blfd.sip.message import Malformed, Message, Request, Response
from blfd.sip.reader import LEFT_OUT, plain_response, read, unread

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
MUTATIONS = 4000


def messages() -> dict[str, bytes]:
    """All messages by name; those of the corpus as they are, and again with CRLF as line ends."""
    found = {torture.name: torture.octets("127.0.0.1:5060", "127.0.0.1:5062") for torture in TORTURES}
    for file in sorted(CORPUS.glob("*.sip")):
        found[file.name] = file.read_bytes()
        found[f"{file.name} with CRLF"] = re.sub(rb"(?<!\r)\n", b"\r\n", file.read_bytes())
    return found


MESSAGES = messages()


def mutants(seed: int, count: int) -> list[bytes]:
    dice, seeds = random.Random(seed), list(MESSAGES.values())
    return [mutated(dice.choice(seeds), dice, seeds) for _ in range(count)]


def outcome(data: bytes) -> Message | str:
    try:
        return read(data)
    except Malformed as bad:
        return bad.fault


# The short way and the longer one


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader without its short ways."""
    monkeypatch.setattr(fields, "plain_fields", lambda head, text, lines: None)
    monkeypatch.setattr("blfd.sip.via._sent_by", lambda text: None)
    monkeypatch.setattr(headers, "address", headers._address)
    monkeypatch.setattr(headers, "contacts", headers._contacts)
    monkeypatch.setattr(headers, "_plain", lambda text: None)
    monkeypatch.setattr(headers, "METHODS", frozenset())
    monkeypatch.setattr(uris, "plain", lambda text: None)
    monkeypatch.setattr(headers, "_plain_auth_params", lambda text: None)


TRIED = [*MESSAGES.values(), *mutants(4475, MUTATIONS)]
QUICK = [outcome(data) for data in TRIED]


def test_both_ways_lead_to_the_same(slow: None) -> None:
    for data, quick in zip(TRIED, QUICK, strict=True):
        assert outcome(data) == quick, data


def test_the_short_way_is_taken() -> None:
    """Without this, the test above could compare the longer way with itself."""

    def is_plain(data: bytes) -> bool:
        head = data[: data.find(b"\r\n\r\n")]
        text = head.decode("utf-8", "surrogateescape")
        return fields.plain_fields(head, text, text.split("\r\n")) is not None

    sound = [data for data, quick in zip(TRIED, QUICK, strict=True) if not isinstance(quick, str)]
    assert sum(map(is_plain, sound)) > len(sound) / 2


HEAD = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.5:5060;rport=5060;branch=z9hG4bKn00ff\r\n"
    b'From: <sip:102@192.0.2.5>;tag=a1\r\nTo: "Alice Ng" <sip:101@192.0.2.5:50600>;tag=b2\r\n'
    b"Call-ID: 0_1@10.0.0.5\r\nCSeq: 7 NOTIFY\r\n"
)
ANSWERS = [
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"User-Agent: Yealink SIP-T54W 96.86.0.70\r\nContent-Length: 0\r\n\r\n",
    HEAD.replace(b"rport=5060;branch=z9hG4bKn00ff", b"branch=z9hG4bKn00ff;rport=5060;received=192.0.2.5")
    + b"Contact: <sip:101@10.0.0.5:5060;transport=udp>\r\nEvent: dialog\r\n"
    + b"User-Agent: PolyEdge/8.0\r\nAccept-Language: en\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"Contact: <sip:101@10.0.0.5>\r\nSupported: replaces\r\nAllow: INVITE, ACK, NOTIFY\r\n"
    b"Server: x\r\nContent-Length: 0\r\n\r\n",
]


IDS = HEAD[HEAD.index(b"From: ") :]
NOTIFY = (
    b"NOTIFY sip:101@192.0.2.5 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.5:5060;rport;branch=z9hG4bKn00ff\r\n"
    b"Max-Forwards: 70\r\n"
    + IDS
    + b"Contact: <sip:192.0.2.5:5060>\r\nEvent: dialog\r\nContent-Length: 0\r\n\r\n"
)


def test_the_shortest_way_of_all() -> None:
    """A phone's 2xx to a NOTIFY is looked at as a whole, and means what the reader finds in it.

    Its ids are those of the NOTIFY.
    """
    dice = random.Random(6665)
    seeds = [*ANSWERS, *MESSAGES.values()]
    sent = read(NOTIFY)
    taken = 0
    for number in range(MUTATIONS):
        data = ANSWERS[number] if number < len(ANSWERS) else dice.choice(ANSWERS)
        before, _, after = data.partition(IDS)
        if number >= len(ANSWERS):
            match number % 4:
                case 0:
                    data = mutated(data, dice, seeds)
                case 1:
                    data = mutated(before, dice, seeds) + IDS + after
                case _:
                    data = before + IDS + mutated(after, dice, seeds)
        found = plain_response(data, lambda branch: NOTIFY if branch == "z9hG4bKn00ff" else b"")
        assert found or number >= len(ANSWERS), data
        if found:
            taken += 1
            read_ = read(data)
            assert isinstance(read_, Response)
            assert (read_.via.branch, read_.status, read_.method) == (*found, "NOTIFY"), data
            same = ("call_id", "from_", "to", "cseq")
            assert [getattr(read_, name) for name in same] == [getattr(sent, name) for name in same], data
    assert taken > MUTATIONS / 20, taken  # mutations with the corpus differ from those without


@pytest.mark.parametrize("cut", [b"CSeq: 7", b"Call-ID: 0_1", b"tag=a1", b"tag=b2", b"00ff", b"\r\nTo: "])
def test_another_ones_answer_is_not_taken(cut: bytes) -> None:
    other = ANSWERS[0].replace(cut, cut[:-1] + b"9")
    assert other != ANSWERS[0]
    assert plain_response(other, lambda branch: NOTIFY if branch == "z9hG4bKn00ff" else b"") is None


def test_nothing_else_is_raised() -> None:
    """Reading raises nothing else, and neither do the values that are read only when they are asked for."""
    for data, message in zip(TRIED, QUICK, strict=True):
        unread(data)
        if isinstance(message, str):
            continue
        for name in message.fields:
            message.number(name)
            message.tokens(name)
        for name in ("route", "record-route", "path"):
            message.routes(name)
        assert message.content_type.count("/") == ("content-type" in message.fields)
        assert all(headers.register_contact(each).q <= 1 for each in message.contacts)
        assert not any(re.search("[\x00-\x1f\x7f]", "".join(each)) for each in message.fields.values())


# What PJSIP reads of the same messages

TAKEN_BY_PJSIP_ALONE = {
    r"more than one .*": "which of two that differ is meant nobody can know (RFC 4475, 3.3.8)",
    r"Content-Length says \d+, \d+ octets came": "the message is cut off (RFC 3261, 18.3)",
    r"bad Content-Length": "it is beyond 32 bits",
    r"a control character in .*": "it would come out again in what is copied, logged and shown",
    r"a line that does not end with CRLF": "PJSIP would see other lines than everybody else",
    r"no empty line after the header": "the message is cut off",
    r"a line that is no header": "a line of a header that goes on, after one that is empty but for blanks",
    r"a start line that goes on in the next one": "RFC 3261, 7.1 has no folding there",
    r"bad spaces in the request line": "RFC 3261, 7.1: one SP, no more (RFC 4475, 3.1.2.9)",
    r"bad status line": "no SP after the status",
    r"the Request-URI has headers": "RFC 3261, 19.1.1 (RFC 4475, 3.1.2.11)",
    r"bad Request-URI": "a scheme that does not begin with a letter",
    r"CSeq names another method": "RFC 3261, 8.1.1.5 (RFC 4475, 3.1.2.17)",
    r"bad CSeq": "no blank between number and method",
    r"bad Max-Forwards": "it is beyond 255 (RFC 4475, 3.1.2.4)",
    r"more than 256 header lines": "a bound",
    r"empty Call-ID": "it names nothing",
    r"bad Path": "PJSIP does not read it, but requests will follow it",
    r"bad Content-Type": "PJSIP takes anything for the slash",
}


NO_SCHEME = r"(?:^|[<, ])(?![A-Za-z][A-Za-z0-9+.-]*:)[^:<>\" ]*:"
BAD_VALUES = (
    ("From|To", r"; *tag *=? *(?:;|$)", "after an empty tag no response can put its own"),
    ("From|To", r'; *tag *= *"', "a tag is a token"),
    ("From|To|Contact|Route|Record-Route", r"^[^\"<]*>", "a display name with > is quoted"),
    ("Via", r"; *(?:ttl|rport) *=? *(?:[^;]*[^0-9; ]|;|$)", "they are numbers"),
    ("Via", r"; *branch *= *[^ ;]*[^\w.!%*+`'~ ;-]|; *[^=; ]*[:\[\]]", "names and branches are tokens"),
    ("From|To|Contact|Route|Record-Route", NO_SCHEME, "a scheme begins with a letter (RFC 3986, 3.1)"),
    (
        "From|To|Contact",
        r"^[^<\"]*:[^<@]*[;,?][^<]*@|^[^<\"]*\?",
        "an addr-spec has no ; , ? (RFC 3261, 20.10)",
    ),
    ("Contact", r"^[^<\"]*,.*<", "a comma ends a Contact, unless it is quoted"),
    ("Via", r"^SIP/2.0/\w+ [^ ;:]*[^\w.;: \[\]-]", "no host has such characters"),
    ("Contact", r"; *q *=", "a q that is no qvalue"),
    ("Authorization", r"(?:^(?i:digest) |,) *[^=,]*(?:,|$)", "no auth-param"),
)


def has_twice(value: str) -> bool:
    """Whether a parameter is given twice, so that nobody can know which one is meant."""
    names = re.findall(r"[;,] *([\w.!%*+`'~-]+)", value.lower())
    return len(names) > len(set(names))


LOOSE = r"=[^;,>\"]*[=/:@()&$#^{}|\[\]]"  # a parameter's value that should have been quoted
TAKEN = r":@|:[^@<>]*:@|\btel:|; *ttl=|\[::"
REFUSED_BY_PJSIP_ALONE = (
    ("accept|allow|supported|require|unsupported", r"", "it counts to 32, and no empty elements"),
    (
        "(?:proxy-)?authorization",
        r"(?i)^(?!digest )|^digest *$|= *(?:$|[^\" ,]*[^\" ,\w-])| |, *,",
        "of no use to us",
    ),
    ("(?:proxy-|www-)authenticate|retry-after", r"", "of a response only what is wanted is read"),
    ("session-expires|min-se|min-expires", r"", "only PJSIP wants them, and refuses the call"),
    ("content-type|contact|from|to|via|route|record-route", LOOSE, "phones quote less than they should"),
    ("contact|from|to|route|record-route", TAKEN, "passwords may be empty, other parameters are not read"),
    ("call-id|contact|from|to|route", r" ", "it goes on in the next line"),
    ("", r"\n[ \t]+\r\n", "it goes on after a line of blanks"),
    ("via", r"", "not the topmost, of a response"),
    ("expires|max-forwards", r"", "of a response"),
    ("request line", rf"=[^; ]*=|\?[^@]*\?|{TAKEN}", "likewise, and phones write = in parameters"),
)


def told(uri: Uri) -> tuple[Any, ...]:
    return (uri.scheme, uri.user, uri.host, uri.port) if uri.scheme in ("sip", "sips") else (uri.scheme,)


def said(address: Address) -> tuple[Any, ...]:
    return (*told(address.uri), address.display, address.tag)


def values(message: Message) -> dict[str, Any]:
    """The values of a message in the form in which `pjsip_parser` gives them."""
    via = message.via
    found = {
        "from": said(message.from_),
        "to": said(message.to),
        "call_id": message.call_id,
        "cseq": (message.cseq, message.method),
        "via": (via.transport, via.host, via.port),
        "via parameters": (
            via.branch,
            via.received,
            via.maddr,
            -1 if via.rport is None else via.rport,
            -1 if via.ttl is None else via.ttl,
        ),
        "contacts": [("*",) if each.uri is headers.STAR else told(each.uri) for each in message.contacts],
    }
    if isinstance(message, Response):
        return {**found, "status": message.status}
    assert isinstance(message, Request)
    given = [headers.credentials(value) for value in message.fields.get("authorization", ())]
    return {
        **found,
        "method": message.method,
        "target": told(message.target),
        "max_forwards": message.max_forwards,
        "credentials": [(one.username, one.response, one.nc) for one in given if one],
    }


def unfolded(data: bytes) -> Fields:
    text = data.partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape")
    start, *lines = re.sub(r"[ \t]*\r?\n[ \t]+", " ", text.lstrip("\r\n")).split("\r\n")
    found: Fields = {"request line": [start], "": [text]}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        found.setdefault(fields.COMPACT.get(key, key), []).append(value.strip())
    return found


FIELD_OF = {"contacts": "contact", "credentials": "authorization", "max_forwards": "max-forwards"}
"""The header field that a value is of, which we may leave out where nothing depends on it."""


def is_left_out(field: str, found: Fields, ours: Message) -> bool:
    return field in LEFT_OUT and field in found and field not in ours.fields


def is_wanted(data: bytes, ours: Message | str, theirs: dict[str, Any]) -> bool:
    """Whether a listed reason explains that only one of the two parsers refuses the message."""
    found = unfolded(data)
    if not isinstance(ours, str):
        name = fields.COMPACT.get(theirs["bad"].lower(), theirs["bad"].lower())
        return is_left_out(name, found, ours) or any(
            re.fullmatch(names, name) and any(re.search(pattern, value) for value in found.get(name, ()))
            for names, pattern, _ in REFUSED_BY_PJSIP_ALONE
        )
    if any(re.fullmatch(fault, ours) for fault in TAKEN_BY_PJSIP_ALONE):
        return True
    found["authorization"] = [*found.get("authorization", ()), *found.get("proxy-authorization", ())]
    of_this = found.get(ours.removeprefix("bad ").lower(), ())
    patterns = [pattern for names, pattern, _ in BAD_VALUES if ours.removeprefix("bad ") in names.split("|")]
    return any(has_twice(value) or any(re.search(each, value) for each in patterns) for value in of_this)


def same(name: str, ours: Any, theirs: Any) -> bool:
    if name in ("from", "to") and ours[:1] == theirs[:1] and len(ours) == 3:
        return True  # PJSIP takes the parameters of a header for those of a scheme that it does not know
    if name in ("from", "to", "credentials"):  # PJSIP leaves quoted pairs
        return str(ours) == str(theirs) or "\\" in str(theirs)
    if name == "call_id":
        return str(ours) == str(theirs).replace("\t", " ").strip()
    if name == "cseq":
        return str(ours).upper() == str(theirs).upper()  # to PJSIP, "iNVITE" is INVITE
    return bool(ours == theirs)


@pytest.fixture(scope="module")
def parsed() -> list[dict[str, Any]]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(parse_all, TRIED).result(60)


def test_pjsip_reads_the_same(parsed: list[dict[str, Any]]) -> None:
    unexplained: list[tuple[object, ...]] = []
    for data, ours, theirs in zip(TRIED, QUICK, parsed, strict=True):
        if isinstance(ours, str) and "bad" in theirs:
            continue
        if isinstance(ours, str) or "bad" in theirs:
            if not is_wanted(data, ours, theirs):
                unexplained.append((ours if isinstance(ours, str) else "read", theirs.get("bad"), data))
            continue
        read_as = values(ours)
        unexplained += [
            (name, read_as[name], theirs[name], data)
            for name in theirs
            if not same(name, read_as.get(name), theirs[name])
            and not is_left_out(FIELD_OF.get(name, ""), unfolded(data), ours)
        ]
    assert not unexplained, unexplained[:3]
    assert sum("bad" not in one for one in parsed) > len(parsed) / 5
