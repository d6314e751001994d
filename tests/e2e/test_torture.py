"""The torture messages of RFC 4475 and the corpus, over UDP and TCP."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sites import Site
from tortures import NOTHING, TORTURES, Torture
from wire import Agent

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that asks nobody for a password, so that messages get past the challenge."""
    site = Site(tmp_path_factory.mktemp("site"), "--trust", "127.0.0.1/32")
    phone = site.agent("104")
    assert phone.register().status == 200
    site.agents.remove(phone)  # the phone outlives each test
    yield site
    phone.close()
    site.stop()


def finals(agent: Agent, count: int) -> list[int]:
    """The statuses of `count` final responses, after which a round trip shows that no more has come."""
    found = [agent.wait(lambda m: m.status >= 200).status for _ in range(count)]
    if agent.transport == "udp":
        assert agent.request("OPTIONS", "101").status == 200
        found += [m.status for m in agent.received if m.status >= 200]
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("torture", TORTURES, ids=lambda torture: torture.name)
def test_rfc_4475(site: Site, torture: Torture, transport: str) -> None:
    agent = site.agent("101", transport)
    agent.send_raw(torture.octets(agent.server, agent.address, transport, next(numbers)))
    expected = torture.answers if torture.tcp is None or transport == "udp" else torture.tcp
    if torture.name == "dblreq":
        found = finals(agent, 1 if transport == "udp" else 2)
    elif expected == NOTHING:
        other = site.agent("101")
        assert other.request("OPTIONS", "101").status == 200
        assert not agent.receive(0.1)
        return
    else:
        found = finals(agent, 1)
    assert set(found) <= set(expected), found


# The answers that the index of the corpus asks for, once the addresses are ours

ANSWERS = {
    "ast-subscribe-below-min-expiry": (489,),  # for presence
    "ast-subscribe-dialog": (200,),
    "ast-subscribe-eventlist": (489,),  # for presence; lists are not served
    "ast-subscribe-mwi": (489,),
    "ast-subscribe-nat": (489,),  # for presence, too
    "ast-subscribe-no-accept": (489,),
    "ast-subscribe-no-event": (489,),
    "ast-subscribe-presence": (489,),
    "asterisk-chansip-notify-pickup-truncated": (400, 481),
    "cisco-cp8865-subscribe-presence": (489,),
    "msrtc-subscribe-presence": (481, 489),
    "opensips-publish-no-body": (412,),
    "polycom-invite-fac-pickup": (404,),  # *78 is no code here
    "polycom-invite-replaces-pickup-1": (481,),
    "polycom-invite-replaces-pickup-2": (481,),
    "polycom-notify-early-recipient": (481,),
    "sipsorcery-notify-header-only-1": (400,),
    "sipsorcery-notify-header-only-2": (400,),
    "sipsorcery-notify-header-only-3": (400,),
    "sipsorcery-notify-header-only-4": (400,),
    "sipsorcery-subscribe-dialog-with-body": (200, 415),
    "sipx-invite-replaces-attended": (481,),
    "sipx-notify-sipfrag-attended": (481,),
    "sipx-notify-sipfrag-park": (481,),
    "sipx-refer-attended": (405, 481, 603),
    "sipxecs-cancel-ringing": (481,),
    "sipxecs-subscribe-pickup-agent": (423,),
    "snom-publish-vqrtcpxr": (489,),
    "snom-subscribe-pnp-captured": (489,),
    "tb30-notify-idle-missing-semicolon": (400,),
    "yealink-notify-confirmed-full-two-dialogs": (481,),
    "yealink-notify-confirmed-partial": (481,),
    "yealink-notify-terminated-partial": (481,),
    "yealink-register-t27g": (200,),
    "yealink-subscribe-pnp-ua-profile": (489,),
    "yealink-subscribe-refresh": (481,),
}
_URI = rb"(sips?:)(?:([^@\s>]+)@)?[\w.-]+(?::\d+)?"


def ours(data: bytes, agent: Agent) -> bytes:
    """The message as 101 would send it from here, with our domain in Request-URI, From and To."""
    server = agent.server.encode()
    start, _, rest = data.partition(b"\r\n")
    user = b"101" if start.startswith(b"REGISTER") else b"102"
    wanted = rb"\1\2@" + server if b"sip:*" in start else rb"\g<1>" + user + b"@" + server
    start = re.sub(_URI, wanted, start, count=1)
    via = rb"\g<1>" + agent.transport.upper().encode() + b" " + agent.address.encode() + b";rport"
    rest = re.sub(rb"(?im)^((?:v|via)\s*:\s*SIP/2.0/)\w+\s+[^;,\r\n]+", via, rest, count=1)
    rest = re.sub(rb"(?im)^((?:f|from)\s*:[^\r\n]*?)" + _URI, rb"\g<1>\g<2>101@" + server, rest, count=1)
    rest = re.sub(
        rb"(?im)^((?:t|to)\s*:[^\r\n]*?)" + _URI, rb"\g<1>\g<2>" + user + b"@" + server, rest, count=1
    )
    rest = re.sub(rb"(?im)^((?:i|call-id)\s*:\s*)", rb"\g<1>" + agent.transport.encode(), rest, count=1)
    return start + b"\r\n" + rest


@pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus beside the project")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", ANSWERS)
def test_the_corpus_gets_the_answers_of_its_index(site: Site, name: str, transport: str) -> None:
    agent = site.agent("101", transport)
    agent.send_raw(ours((CORPUS / f"{name}.sip").read_bytes(), agent))
    if transport == "tcp" and ("header-only" in name or "truncated" in name):
        assert agent.silent(lambda m: True, 0.1), "the rest of it is waited for"
    else:
        assert agent.wait(lambda m: m.status >= 200).status in ANSWERS[name]
