"""What one phone says in a call's messages and the other hears: a decision for each header field.

blfd is a user agent to either side (RFC 3261, section 6), so nothing of a message passes by itself. What is
not in `TABLE` is not passed on; what is in it with no message is there to say why not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Flag, auto
from typing import NamedTuple

from blfd.core.values import Headers

LONGEST_VALUE = 1024  # octets; what is longer is left out, as a part of a value means something else
MOST_OF_ALL = 2048  # octets of all values in one message
MOST_VALUES = 16


class In(Flag):
    """The messages of a call in which something can be said to the other side."""

    INVITE = auto()
    PROGRESS = auto()  # 18x
    ANSWER = auto()  # 200 to INVITE
    REFUSAL = auto()  # any final response above 299 that is relayed: to INVITE, re-INVITE, UPDATE
    CANCEL = auto()
    BYE = auto()
    INFO = auto()
    INFO_RESPONSE = auto()  # any final response to INFO


NEVER = In(0)
SET_UP = In.INVITE | In.PROGRESS | In.ANSWER
ANY = SET_UP | In.REFUSAL | In.CANCEL | In.BYE | In.INFO | In.INFO_RESPONSE
REFUSALS = In.REFUSAL | In.INFO_RESPONSE


class Rule(NamedTuple):
    """A header field, and in which messages of `phones`, and of `edges`, which are trusted, it is passed on.

    `harmless` looks at a value that a phone says, and `sound` is what of any value passes, None for nothing.
    `tells_who`: it may name the caller, and is left out where
    that one does not want to be known. `has_privacy`: each value may say that it is to be withheld.
    """

    name: str
    phones: In
    edges: In
    why: str
    harmless: Callable[[str], bool] = lambda value: True
    tells_who: bool = False
    has_privacy: bool = False
    sound: Callable[[str], str | None] = lambda value: value


_HOST = re.compile(r"//(?:[^\s<>/?#\"]*@)?([^\s<>/?#:;,\"]*)")
_SCHEME = re.compile(r"<\s*([a-z][a-z0-9+.-]*):", re.I)
_WITHOUT_HOST = re.compile(r"https?:(?!//)", re.I)
_NOWHERE = re.compile(r"127\.\d+\.\d+\.\d+|localhost|(?:www\.)?notused\.com|(?:.*\.)?invalid", re.I)
_SCHEMES = frozenset(("sip", "sips", "tel", "urn", "http", "https"))
_PRIORITIES = frozenset(("emergency", "urgent", "normal", "non-urgent"))
_PRIVATE = re.compile(r"privacy *(?:=|%3D) *+\"?+(?!off|none)", re.I)


def _fetches_nothing(value: str) -> bool:
    """Whether a value makes no phone fetch something at its colleague's word.

    For distinctive rings makers write URLs that lead nowhere, as in <http://127.0.0.1/Bellcore-dr3>.
    """
    if "\\" in value or _WITHOUT_HOST.search(value):  # a backslash is read in more ways than one
        return False
    nowhere = all(_NOWHERE.fullmatch(host[1]) for host in _HOST.finditer(value))
    return nowhere and {scheme[1].lower() for scheme in _SCHEME.finditer(value)} <= _SCHEMES


_SECONDS = re.compile(r"\s*(\d{1,10})\s*(?:[;(]|$)").match


def _seconds(value: str) -> str | None:
    """Seconds alone, of Retry-After: who gets them needs no more, and the comment may have any words."""
    found = _SECONDS(value)
    return found[1] if found else None


def _is_a_priority(value: str) -> bool:
    return value.lower() in _PRIORITIES  # psap-callback (RFC 7090) rings whatever a person has set


TABLE = (
    Rule(
        "Alert-Info",
        In.INVITE | In.PROGRESS,
        In.INVITE | In.PROGRESS,
        "the ring, and intercom with many makers; of a phone without a place to fetch a tone from",
        _fetches_nothing,
    ),
    Rule(
        "Call-Info",
        SET_UP,
        SET_UP,
        "answer-after of intercom, pictures; of a phone without a place to fetch them from",
        _fetches_nothing,
        tells_who=True,
    ),
    Rule(
        "Answer-Mode", In.INVITE | In.ANSWER, In.INVITE | In.ANSWER, "intercom (RFC 5373); the phone decides"
    ),
    Rule(
        "Priv-Answer-Mode",
        NEVER,
        In.INVITE | In.ANSWER,
        "overrides what the callee has set (RFC 5373), which is not for every phone",
    ),
    Rule("Subject", In.INVITE, In.INVITE, "shown; goes with the caller's identity", tells_who=True),
    Rule("Priority", In.INVITE, In.INVITE, "shown, rings louder", _is_a_priority),
    Rule("User-to-User", ANY, ANY, "between the applications at either end (RFC 7433)"),
    Rule(
        "Diversion",
        NEVER,
        In.INVITE | In.PROGRESS,
        "forwarded by whom: a phone could name anybody (RFC 5806)",
        has_privacy=True,
    ),
    Rule(
        "History-Info",
        NEVER,
        SET_UP,
        "forwarded by whom: a phone could name anybody (RFC 7044)",
        tells_who=True,
        has_privacy=True,
    ),
    Rule("Referred-By", NEVER, In.INVITE, "transferred by whom: a phone could name anybody (RFC 3892)"),
    Rule("Organization", NEVER, SET_UP, "an identity, so from a trusted source only", tells_who=True),
    Rule("Reply-To", NEVER, In.INVITE, "where to call back: a phone could name any place", tells_who=True),
    Rule(
        "P-Early-Media", NEVER, In.INVITE | In.PROGRESS, "between networks that trust each other (RFC 5009)"
    ),
    Rule(
        "Reason",
        In.REFUSAL | In.BYE,
        In.PROGRESS | In.REFUSAL | In.BYE | In.CANCEL,
        "why (RFC 3326, 6432); a calling phone could hide that it has called with 'completed elsewhere'",
    ),
    Rule("Warning", REFUSALS, REFUSALS, "what did not fit, in words (RFC 3261, section 20.43)"),
    Rule("Retry-After", REFUSALS, REFUSALS, "when to try again, in seconds alone", sound=_seconds),
    Rule("Error-Info", NEVER, In.REFUSAL, "a place to fetch an announcement from"),
    Rule("Accept", REFUSALS, REFUSALS, "goes with 415 and 406"),
    Rule("Accept-Encoding", REFUSALS, REFUSALS, "goes with 415"),
    Rule("Accept-Language", REFUSALS, REFUSALS, "goes with 415"),
    Rule("Allow", REFUSALS, REFUSALS, "goes with 405; else it is what blfd allows"),
    Rule("Unsupported", REFUSALS, REFUSALS, "goes with 420"),
    Rule(
        "Require", REFUSALS, REFUSALS, "goes with 421; else each side of a call agrees on its own extensions"
    ),
    Rule("Geolocation-Error", REFUSALS, REFUSALS, "goes with 424 (RFC 6442)"),
    Rule(
        "Recv-Info",
        SET_UP | In.INFO_RESPONSE,
        SET_UP | In.INFO_RESPONSE,
        "which INFO packages pass (RFC 6086)",
    ),
    Rule("Info-Package", In.INFO, In.INFO, "what an INFO is about (RFC 6086)"),
    Rule("Record", In.INFO, In.INFO, "the record key of Yealink, Snom and Grandstream"),
    Rule(
        "Content-Disposition", In.INFO | In.INFO_RESPONSE, In.INFO | In.INFO_RESPONSE, "belongs to the body"
    ),
    Rule("Content-Encoding", In.INFO | In.INFO_RESPONSE, In.INFO | In.INFO_RESPONSE, "belongs to the body"),
    Rule("Content-Language", In.INFO | In.INFO_RESPONSE, In.INFO | In.INFO_RESPONSE, "belongs to the body"),
    Rule("MIME-Version", In.INFO | In.INFO_RESPONSE, In.INFO | In.INFO_RESPONSE, "belongs to the body"),
    # Fields that say who it is, which blfd says itself
    Rule("Privacy", NEVER, NEVER, "done, not passed on (RFC 3323)"),
    Rule("P-Asserted-Identity", NEVER, NEVER, "written by blfd, of whom it knows or a trunk says (RFC 3325)"),
    Rule("P-Preferred-Identity", NEVER, NEVER, "a wish to blfd (RFC 3325)"),
    # Fields that are never passed on
    Rule(
        "Max-Forwards",
        NEVER,
        NEVER,
        "one less in the INVITE, so that a loop ends (RFC 3261, section 8.1.1.6)",
    ),
    Rule("Supported", NEVER, NEVER, "each side of a call agrees on its own extensions with blfd"),
    Rule("Session-Expires", NEVER, NEVER, "each side of a call has its own timer (RFC 4028)"),
    Rule("Min-SE", NEVER, NEVER, "each side of a call has its own timer; a 422 is taken care of"),
    Rule("Authorization", NEVER, NEVER, "proofs of passwords are for blfd"),
    Rule("Proxy-Authorization", NEVER, NEVER, "proofs of passwords are for blfd"),
    Rule("WWW-Authenticate", NEVER, NEVER, "a phone could ask its callers for proofs of their passwords"),
    Rule("Proxy-Authenticate", NEVER, NEVER, "a phone could ask its callers for proofs of their passwords"),
    Rule("Security-Server", NEVER, NEVER, "for the next hop alone (RFC 3329)"),
    Rule("Remote-Party-ID", NEVER, NEVER, "P-Asserted-Identity says it"),
    Rule("Identity", NEVER, NEVER, "signs a From, Date and SDP that are no longer those (RFC 8224)"),
    Rule("In-Reply-To", NEVER, NEVER, "Call-IDs differ on the two sides"),
    Rule("Accept-Contact", NEVER, NEVER, "all phones of an extension ring (RFC 3841)"),
    Rule("Reject-Contact", NEVER, NEVER, "all phones of an extension ring (RFC 3841)"),
    Rule("Request-Disposition", NEVER, NEVER, "for proxies (RFC 3841)"),
    Rule("Geolocation", NEVER, NEVER, "where a person is, is nobody else's business (RFC 6442)"),
    Rule("P-Access-Network-Info", NEVER, NEVER, "where a person is, is nobody else's business"),
    Rule("P-Charging-Vector", NEVER, NEVER, "between networks"),
    Rule("User-Agent", NEVER, NEVER, "blfd's own"),
    Rule("Server", NEVER, NEVER, "blfd's own"),
    Rule("Date", NEVER, NEVER, "the clocks of phones are wrong"),
)
RULES = {rule.name.lower(): rule for rule in TABLE}
TELL_WHO = frozenset(rule.name for rule in TABLE if rule.tells_who)
NOT_FROM_OUTSIDE = frozenset(
    ("Alert-Info", "Answer-Mode", "Call-Info", "Error-Info", "Priv-Answer-Mode", "Referred-By", "Reply-To")
)
"""What nobody outside may say to a phone: it makes one answer by itself, or fetch something."""

HEARD = tuple(rule.name for rule in TABLE if rule.phones | rule.edges)
"""What has to be read of a call's messages, for the core to decide."""


def passed_on(said: Headers, message: In, *, trusted: bool, without: frozenset[str] = frozenset()) -> Headers:
    """What of `said` the other side hears; `without` are names that it does not, for privacy.

    Values that cannot stand in a header, or are too long, are left out.
    """
    found: list[tuple[str, str]] = []
    room = MOST_OF_ALL
    for name, value in said:
        rule = RULES.get(name.lower())
        if rule is None or rule.name in without or not _may_say(rule, message, value, trusted):
            continue
        told = rule.sound(value)
        if told is None:
            continue
        room -= size(told)
        if room < 0 or len(found) == MOST_VALUES:
            break
        found.append((rule.name, told))
    return tuple(found)


def _may_say(rule: Rule, message: In, value: str, trusted: bool) -> bool:
    if message not in (rule.edges if trusted else rule.phones) or not fits(value):
        return False
    if rule.has_privacy and _PRIVATE.search(value):
        return False
    return trusted or rule.harmless(value)


def fits(value: str) -> bool:
    """Whether a value is one line of bounded length; octets that are no UTF-8 pass as they came."""
    return size(value) <= LONGEST_VALUE and all(" " <= character != "\x7f" for character in value)


def size(value: str) -> int:
    """Octets of a value on the wire."""
    return len(value.encode("utf-8", "surrogateescape"))
