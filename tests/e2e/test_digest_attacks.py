"""Credentials that are overheard, altered or somebody else's let nobody in, over UDP and TCP."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from calls import sdp
from sites import Site, password
from wire import Agent, Message, digest

METHODS = ["REGISTER", "SUBSCRIBE", "INVITE"]
CALLED = "112"  # an extension without a phone: a call to it that is let in ends at once


def target(method: str) -> str:
    return "101" if method == "REGISTER" else CALLED


@pytest.fixture(params=["udp", "tcp"])
def phone(request: pytest.FixtureRequest, site: Site) -> Iterator[Agent]:
    """The phone of 101, whose password has been shown to work."""
    agent = site.agent("101", request.param)
    agent.password = password("101")
    assert agent.register().status == 200
    yield agent
    agent.register(expires=0)


def send(agent: Agent, method: str, to: str, authorization: str = "", **over: str) -> Message:
    """Send one request, and return its final response."""
    headers = agent.headers(method, to, Event="dialog", Content_Type="application/sdp", **over)
    if authorization:
        headers["Authorization"] = authorization
    agent.send(
        f"{method} {uri_of(agent, method, to)} SIP/2.0", headers, sdp(4000) if method == "INVITE" else b""
    )
    answer = agent.final(headers)
    if method == "INVITE":
        agent.ack(answer, uri_of(agent, method, to), headers)
    return answer


def uri_of(agent: Agent, method: str, to: str) -> str:
    return f"sip:{agent.server}" if method == "REGISTER" else f"sip:{to}@{agent.server}"


def credentials(agent: Agent, method: str, to: str, key: str = "", **over: str) -> str:
    """The credentials of 101 for a fresh nonce, made with the password `key` if there is one."""
    challenge = send(agent, method, to, **over)
    assert challenge.status == 401
    uri = uri_of(agent, method, to)
    return digest(challenge["www-authenticate"], "101", key or password("101"), method, uri)


@pytest.mark.parametrize("method", METHODS)
def test_overheard_credentials_are_good_for_nothing(site: Site, phone: Agent, method: str) -> None:
    overheard = credentials(phone, method, target(method))
    assert send(phone, method, target(method), overheard).status in (200, 480), "once they are right"
    elsewhere = Agent(site.server.address(), "101", host="127.0.0.5")
    site.agents.append(elsewhere)
    for thief in (phone, site.agent("101", phone.transport), elsewhere):
        answer = send(thief, method, target(method), overheard)
        assert answer.status == 401
        assert "stale=true" in answer["www-authenticate"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("realm", "acme.example"),
        ("realm", ""),
        ("nonce", "0" * 64),
        ("nonce", ""),
        ("username", "102"),
        ("username", "nobody"),
        ("response", "0" * 64),
        ("response", ""),
        ("response", "é"),
        ("uri", "sip:102@elsewhere"),
        ("nc", "ffffffff"),
        ("nc", "00000002"),
        ("nc", "9" * 400),
        ("nc", "-1"),
        ("qop", "auth-int"),
        ("qop", "none"),
        ("algorithm", "MD5-sess"),
        ("algorithm", "SHA-512"),
        ("cnonce", ""),
    ],
)
def test_altered_credentials(phone: Agent, method: str, field: str, value: str) -> None:
    right = credentials(phone, method, target(method))
    bent = re.sub(
        rf'\b{field}=("?)[^",]*("?)', lambda found: f"{field}={found[1]}{value}{found[2]}", right, count=1
    )
    assert bent != right
    assert send(phone, method, target(method), bent).status in (400, 401)
    fresh = credentials(phone, method, target(method))
    assert send(phone, method, target(method), fresh).status in (200, 480)


def test_nobody_is_somebody_else(phone: Agent) -> None:
    """The password of 101 does not open 102."""
    as_102 = {"From": f"<sip:102@{phone.server}>;tag=x", "To": f"<sip:102@{phone.server}>"}
    for method in METHODS:
        given = credentials(phone, method, CALLED, **as_102)
        assert send(phone, method, CALLED, given, **as_102).status == 403


def test_an_extension_of_another_tenant_with_the_same_number(site: Site, phone: Agent) -> None:
    """101 of acme.example cannot be 101 here, nor the other way round."""
    there = {"From": "<sip:101@acme.example>;tag=x", "To": "<sip:101@acme.example>"}
    for method in METHODS:
        from_there = credentials(phone, method, target(method), "acme")
        assert send(phone, method, target(method), from_there).status == 401
        assert send(phone, method, "101", credentials(phone, method, "101", **there), **there).status == 401
    assert [row["extension"] for row in site.ask("registrations")] == ["101"]
