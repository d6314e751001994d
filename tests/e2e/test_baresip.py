"""baresip as a phone: it registers, calls and is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from baresip import DEADLINE, MD5, Baresip, a_day
from sites import LOSSY, TLS6, UDP6, Site


@pytest.fixture
def md5_site(own_site: Callable[..., Site]) -> Site:
    return own_site(config=MD5)


@pytest.fixture
def baresip(md5_site: Site) -> Iterator[Callable[[str, str], Baresip]]:
    running: list[Baresip] = []

    def start(user: str, transport: str) -> Baresip:
        host = "::1" if transport.endswith("6") else "127.0.0.1"
        running.append(Baresip(md5_site.folder, user, *md5_site.reach(transport), host))
        md5_site.wait_registered(user)
        return running[-1]

    yield start
    for phone in running:
        phone.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", LOSSY])
def test_baresip_calls_and_is_called(
    md5_site: Site, baresip: Callable[[str, str], Baresip], transport: str
) -> None:
    site = md5_site
    phone = baresip("101", transport)
    other = site.phone("102", transport=transport)
    watcher = site.agent("103")
    watcher.subscribe("101")

    server, protocol = site.reach(transport)
    phone.do("dial", f"sip:102@{server};transport={protocol}")
    assert "Name 101" in other.wait("incoming")["remote"]
    phone.wait("CALL_RINGING")
    watcher.notify("trying", DEADLINE)
    other.do("answer")
    phone.wait("CALL_ESTABLISHED")
    other.wait_call("confirmed")
    watcher.notify("confirmed", DEADLINE)
    phone.do("hangup")
    other.wait_call("disconnected")
    watcher.notify("terminated", DEADLINE)

    other.do("call", to="101")
    phone.wait("CALL_INCOMING")
    watcher.notify("early", DEADLINE)
    phone.do("accept")
    other.wait_call("confirmed")
    watcher.notify("confirmed", DEADLINE)
    other.do("hangup")
    phone.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)


@pytest.mark.parametrize("transport", [UDP6, TLS6])
def test_a_day_of_baresip_alone(
    md5_site: Site, baresip: Callable[[str, str], Baresip], transport: str
) -> None:
    """baresip does so over IPv6, which PJSUA2 of the wheel does not speak."""
    caller, callee, picker = (baresip(user, transport) for user in ("101", "102", "104"))
    a_day(caller, callee, picker, md5_site.agent("103", transport))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_transfers_and_is_transferred(
    md5_site: Site, baresip: Callable[[str, str], Baresip], transport: str
) -> None:
    """baresip writes Refer-To without brackets, and does not say who refers."""
    site = md5_site
    first, last = baresip("101", transport), baresip("103", transport)
    other, watcher = site.phone("102", transport=transport), site.agent("104")
    watcher.subscribe("101")
    server, protocol = site.reach(transport)
    first.do("dial", f"sip:102@{server};transport={protocol}")
    other.wait("incoming")
    other.do("answer")
    first.wait("CALL_ESTABLISHED")
    watcher.notify("confirmed", DEADLINE)
    first.do("transfer", f"sip:103@{server}")
    last.wait("CALL_INCOMING")
    last.do("accept")
    last.wait("CALL_ESTABLISHED")
    first.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)
    other.do("transfer", to="101")
    first.wait("CALL_INCOMING")
    first.do("accept")
    assert other.wait("transfer", lambda event: event["final"])["code"] == 200
    other.wait_call("disconnected")
    watcher.notify("confirmed", DEADLINE)
    first.do("hangup")
    last.wait("CALL_CLOSED")


def test_phones_dial_codes_for_their_own_rules(
    md5_site: Site, baresip: Callable[[str, str], Baresip]
) -> None:
    """To two SIP stacks a code is a call that is answered, and ended by the other side."""
    site = md5_site
    phone, other, watcher = baresip("101", "udp"), site.phone("102"), site.agent("103")
    watcher.subscribe("101")
    server, _ = site.reach("udp")
    for code, state in (("*78", "confirmed"), ("*79", "terminated")):
        phone.do("dial", f"sip:{code}@{server}")
        phone.wait("CALL_ESTABLISHED")
        watcher.notify(state, DEADLINE)
        phone.wait("CALL_CLOSED")
    for code, lamp in (("*78", "do not disturb"), ("*79", "idle")):
        other.do("call", to=code)
        other.wait_call("confirmed")
        site.wait_lamp("102", lamp)
        assert other.wait_call("disconnected")["code"] == 200
    site.wait_no_call()
