"""REGISTER on the wire: digest, bindings, NAT, and restarts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from sites import TLS6, UDP6, Site
from wire import digest


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
@pytest.mark.parametrize("transport", [UDP6, "tcp", TLS6])
def test_digest(site: Site, algorithm: str, transport: str) -> None:
    phone = site.agent("101", transport)
    uri = f"sip:{phone.server}"
    headers = phone.headers("REGISTER", "101", Expires="600")
    phone.send(f"REGISTER {uri} SIP/2.0", headers)
    challenge = phone.final(headers)
    assert challenge.status == 401
    offered = challenge.all("www-authenticate")
    assert ["SHA-256" in offered[0], "MD5" in offered[1]] == [True, True]
    headers = phone.authorized(headers, "REGISTER", uri, challenge, algorithm)
    phone.send(f"REGISTER {uri} SIP/2.0", headers)
    answer = phone.final(headers)
    assert answer.status == 200
    assert "expires=600" in answer["contact"]


def test_a_wrong_password_gets_a_new_challenge(site: Site) -> None:
    phone = site.agent("102")
    phone.password = "wrong"
    answer = phone.register()
    assert answer.status == 401
    first = re.search(r'nonce="(\w+)"', phone.sent["Authorization"])
    second = re.search(r'nonce="(\w+)"', answer["www-authenticate"])
    assert first
    assert second
    assert first[1] != second[1]
    assert "stale" not in answer["www-authenticate"]


def test_an_old_nonce_is_stale(own_site: Callable[..., Site]) -> None:
    phone = own_site(config="[sip]\nnonce_lifetime = 0\n").agent("101")
    uri = f"sip:{phone.server}"
    headers = phone.headers("REGISTER", "101")
    phone.send(f"REGISTER {uri} SIP/2.0", headers)
    challenge = phone.final(headers)
    deadline = time.monotonic() + 5
    while True:  # until the nonce is older than the 0 seconds that it may be
        headers = phone.authorized(headers, "REGISTER", uri, challenge)
        phone.send(f"REGISTER {uri} SIP/2.0", headers)
        answer = phone.final(headers)
        if answer.status == 401 or time.monotonic() > deadline:
            break
    assert answer.status == 401
    assert "stale=true" in answer["www-authenticate"]


def test_several_bindings_and_star(site: Site) -> None:
    phone = site.agent("103")
    phone.register(contact="<sip:a@192.0.2.1>;q=0.2")
    answer = phone.register(contact="<sip:b@192.0.2.2>;q=0.9")
    assert len(answer.all("contact")) == 2
    fetched = phone.request("REGISTER", "103", f"sip:{phone.server}", Contact="")
    assert len(fetched.all("contact")) == 2
    assert phone.register(expires=0, contact="*").all("contact") == []


def test_interval_too_brief(site: Site) -> None:
    answer = site.agent("104").register(expires=10)
    assert (answer.status, answer["min-expires"]) == (423, "60")


def test_too_many_contacts(site: Site) -> None:
    phone = site.agent("105")
    contacts = ", ".join(f"<sip:c{n}@192.0.2.1>" for n in range(11))
    assert phone.register(contact=contacts).status == 403
    fetched = phone.request("REGISTER", "105", f"sip:{phone.server}", Contact="")
    assert fetched.all("contact") == [], "all or nothing"


def test_register_for_somebody_else_is_forbidden(site: Site) -> None:
    phone = site.agent("101")
    to = f"<sip:102@{phone.server}>"
    answer = phone.request("REGISTER", "102", f"sip:{phone.server}", To=to, From=f"{to};tag=x")
    assert answer.status == 403


def test_bindings_survive_kill_9(own_site: Callable[..., Site]) -> None:
    site = own_site()
    phone = site.registered("101")
    site.kill()
    site.start()
    rows = site.shown("registrations")
    assert [(row["extension"], row["source"]) for row in rows] == [("101", f"udp:{phone.address}")]


def test_silence_after_repeated_failures(own_site: Callable[..., Site]) -> None:
    site = own_site(config="[sip]\nfailures_before_silence = 3\nsilence = 60\n")
    phone = site.agent("101")
    phone.password = "wrong"
    assert [phone.register().status for _ in range(2)] == [401, 401]
    headers = phone.headers("REGISTER", "101")
    uri = f"sip:{phone.server}"
    phone.send(f"REGISTER {uri} SIP/2.0", headers)
    challenge = phone.final(headers)
    phone.send(f"REGISTER {uri} SIP/2.0", phone.authorized(headers, "REGISTER", uri, challenge))
    assert phone.silent(lambda message: True)
    right = digest(challenge["www-authenticate"], "101", "secret-101", "REGISTER", uri)
    again = {**phone.headers("REGISTER", "101"), "Authorization": right}
    phone.send(f"REGISTER {uri} SIP/2.0", again)
    assert phone.silent(lambda message: True), "even the right password is not answered now"
    log = site.server.log.read_text()
    assert log.count("wrong passwords from 127.0.0.1") == 1
    assert log.count(" AUTH-FAILED 127.0.0.1 SIP REGISTER as 101") == 3, "a line for each failure"


def test_a_trusted_source_needs_no_password(own_site: Callable[..., Site]) -> None:
    site = own_site("--trust", "127.0.0.0/8")
    phone = site.agent("101")
    phone.password = ""
    assert phone.register().status == 200
    phone.user = "999"
    assert phone.register().status == 403


def test_a_change_by_the_command_line_takes_effect_at_once(site: Site) -> None:
    phone = site.agent("555")
    assert phone.register().status == 401
    site.cli("extension", "add", "555", "--password", "secret-555")
    assert phone.register().status == 200
    site.cli("extension", "remove", "555", "--yes")
    assert phone.register().status == 401
