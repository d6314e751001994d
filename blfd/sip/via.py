"""Via: read, and stamped for a response (RFC 3261, sections 18.2.1 and 20.42).

Values are taken as the message reader leaves them (see `grammar`); BadHeader is raised for what their grammar
does not allow. What phones plainly write goes a short way; the result is the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from blfd.core import hosts
from blfd.sip import uris
from blfd.sip.grammar import (
    HOST,
    TOKEN,
    BadHeader,
    Parameters,
    is_token,
    parameter_at,
    parameters,
    whole_number,
)


class Via(NamedTuple):
    """One via-parm; `port` is 0 where none is given, `rport` None where absent and 0 without a value.

    `text` is all of it, as it came.
    """

    transport: str
    host: str
    port: int
    branch: str
    rport: int | None
    received: str
    maddr: str
    ttl: int | None
    text: str


_plain_sent_by = re.compile(r"SIP/2\.0/([A-Z]+) ([A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?").fullmatch
_via = re.compile(
    rf" *SIP */ *2\.0 */ *({TOKEN}) +({HOST})(?: *: *([0-9]+))? *(?=[;,(]|$)", re.IGNORECASE
).match
_rport_first = re.compile(rf"(SIP/2\.0/[A-Z]+ [A-Za-z0-9.\-:]+);rport(;branch={TOKEN})").fullmatch
_comment = re.compile(r" *\((?:[^()\\]|\\.)*\) *").match


def via_parms(text: str) -> tuple[Via, ...]:
    """The values of one Via line."""
    sent, *rest = text.split(";")
    plain = _sent_by(sent) if len(sent) <= uris.LONGEST_KEPT else None
    branch = received = ""
    rport = None
    for part in rest:
        name, equals, value = part.partition("=")
        if name == "branch" and not branch and is_token(value):
            branch = value
        elif name == "rport" and rport is None and not equals:
            rport = 0
        elif name == "rport" and rport is None and value.isdigit():
            rport = whole_number(value, 65535)
        elif name == "received" and not received and is_token(value):
            received = value
        elif part != "alias" or rest.count(part) > 1:  # PJSIP writes it (RFC 5923), and nobody reads it
            return _any(text)
    if plain is None:
        return _any(text)
    transport, host, port = plain
    return (Via(transport, host, port, branch, rport, received, "", None, text),)


@lru_cache(uris.KEPT)
def _sent_by(text: str) -> tuple[str, str, int] | None:
    """The transport, host and port of a Via as they are plainly written; None of any other."""
    match = _plain_sent_by(text)
    if match is None or int(match[3] or 0) > 65535:
        return None
    return match[1], match[2].lower(), int(match[3] or 0)


def _any(text: str) -> tuple[Via, ...]:
    found = []
    start = 0
    while True:
        match = _via(text, start)
        if match is None:
            raise BadHeader("no via-parm")
        given, end = parameters(text, match.end(), twice="rport")
        if comment := _comment(text, end):
            end = comment.end()
        found.append(_via_of(match, given, text[start:end].strip(" ")))
        if end == len(text):
            return tuple(found)
        if text[end] != ",":
            raise BadHeader("what follows the parameters")
        start = end + 1


def _via_of(match: re.Match[str], given: Parameters, text: str) -> Via:
    rport, ttl = given.get("rport"), given.get("ttl")
    branch = given.get("branch", "")
    if branch and not is_token(branch):
        raise BadHeader("a branch that is no token")
    try:
        host = hosts.read(match[2])
    except ValueError:
        raise BadHeader("no IPv6 address in brackets") from None
    return Via(
        match[1].upper(),
        host,
        whole_number(match[3], 65535) if match[3] else 0,
        branch,
        None if rport is None else whole_number(rport or "0", 65535),
        given.get("received", ""),
        given.get("maddr", ""),
        None if ttl is None else whole_number(ttl, 255),
        text,
    )


def stamped(via: Via, host: str, port: int) -> str:
    """The topmost Via of a response: with `received`, and `rport` unless `port` is 0 (RFC 3581, 4)."""
    stamps = f"={port};received={host}"
    if via.rport == 0 and not via.received:  # as it is plainly asked for
        if via.text[-6:] == ";rport":
            return via.text + stamps
        if plain := _rport_first(via.text):
            return f"{plain[1]}{plain[2]};rport{stamps}"
    text, match = via.text, _via(via.text)
    assert match, "it was read"
    kept, start = [text[: match.end()].rstrip(" ")], match.end()
    while parameter := parameter_at(text, start):
        start = parameter.end()
        if parameter[1].lower() not in ("rport", "received"):
            kept.append(parameter[0].strip(" "))
    comment = f" {text[start:]}" if start < len(text) else ""
    return "".join((*kept, ";rport" + stamps if port else f";received={host}", comment))
