"""Who asks: whose password is asked for, who is trusted without, and who calls anonymously."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from builders import HOST, request, uri
from proving import NOW, authenticator, credentials, refusal, sent_from

from blfd.core.messages import Request
from blfd.core.values import Address, Aor, Uri


def test_another_tenants_account_is_none_here() -> None:
    auth = authenticator()
    asked = request("INVITE", host="acme.example")
    challenge = refusal(auth, asked)
    assert 'realm="acme.example"' in challenge.headers[0][1]
    assert auth.authenticate(credentials(challenge, asked), NOW).account.aor == Aor("acme.example", "101")
    here = request("INVITE")
    assert refusal(auth, credentials(challenge, here)).status == 401


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        (IPv4Network("198.51.100.0/24"), "198.51.100.7", "203.0.113.1"),
        (IPv6Network("2001:db8::/48"), "2001:db8::ffff:0:0:7", "2001:db8:1::7"),
    ],
)
def test_trust(network: IPv4Network | IPv6Network, inside: str, outside: str) -> None:
    auth = authenticator(trust=(network,))
    assert auth.authenticate(sent_from(request("INVITE"), inside), NOW).account.aor.extension == "101"
    unknown = refusal(auth, sent_from(request("INVITE", "999"), inside))
    assert (unknown.status, "add it" in unknown.log) == (403, True)
    for host in (outside, "203.0.113.1", "2001:db9::1"):
        assert refusal(auth, sent_from(request("INVITE"), host)).status == 401


NOBODY = (
    "sip:anonymous@anonymous.invalid",
    "sip:Anonymous@192.0.2.5",
    "sip:anonymous@localhost",
    "sip:unavailable@unknown.invalid",
    "sip:anonymous.invalid",
)


def from_(asked: Request, text: str) -> Request:
    user, _, host = text.removeprefix("sip:").rpartition("@")
    return asked._replace(from_=asked.from_._replace(uri=Uri(text, "sip", user, host, 0)))


@pytest.mark.parametrize("nobody", NOBODY)
@pytest.mark.parametrize("domain", [HOST, "acme.example"])
def test_who_calls_anonymously_is_known_by_its_password(nobody: str, domain: str) -> None:
    auth = authenticator()
    asked = from_(request("INVITE", host=domain), nobody)
    challenge = refusal(auth, asked)
    realm = "blfd" if domain == HOST else domain
    assert (challenge.status, f'realm="{realm}"' in challenge.headers[0][1]) == (401, True)
    tenant = "default" if domain == HOST else domain
    assert auth.authenticate(credentials(challenge, asked), NOW).account.aor == Aor(tenant, "101")
    assert refusal(auth, credentials(refusal(auth, asked), asked, password="wrong")).status == 401


def test_the_realm_says_whose_an_anonymous_request_is() -> None:
    """A phone that calls by the server's address has answered its own tenant's challenge before."""
    auth = authenticator()
    challenge = refusal(auth, request("INVITE", host="acme.example"))
    asked = from_(request("INVITE"), NOBODY[0])
    assert auth.authenticate(credentials(challenge, asked), NOW).account.aor == Aor("acme.example", "101")


@pytest.mark.parametrize(
    ("user", "to_tag", "realm"),
    [
        ("acme.example", "ours", "acme.example"),
        ("102+acme.example", "ours", "acme.example"),
        ("+4930+ACME.example", "ours", "acme.example"),
        ("102+acme.example", "", "blfd"),
        ("", "ours", "blfd"),
        ("102", "ours", "blfd"),
        ("default", "ours", "blfd"),
        ("102+beta.example", "ours", "blfd"),
        ("acme.example+102", "ours", "blfd"),
        ("102+acme.example.", "ours", "blfd"),
        ("\x00\udcff+" + "x" * 70_000, "ours", "blfd"),
    ],
)
def test_our_contact_says_whose_an_anonymous_request_in_a_dialog_is(
    user: str, to_tag: str, realm: str
) -> None:
    """Anybody may write our Contact: it says whose password is asked for, and only if From does not."""
    auth = authenticator()
    asked = request("SUBSCRIBE", to_tag=to_tag)._replace(target=uri(user))
    challenge = refusal(auth, from_(asked, NOBODY[0]))
    assert f'realm="{realm}"' in challenge.headers[0][1]
    tenant = "default" if realm == "blfd" else realm
    assert (
        auth.authenticate(credentials(challenge, from_(asked, NOBODY[0])), NOW).account.aor.tenant == tenant
    )
    assert 'realm="blfd"' in refusal(auth, asked).headers[0][1]


@pytest.mark.parametrize(
    ("method", "text", "status"),
    [
        ("INVITE", "sip:999@192.0.2.5", 401),
        ("INVITE", "sip:101@elsewhere.example", 403),
        ("REGISTER", "sip:anonymous@anonymous.invalid", 403),
    ],
)
def test_what_is_not_anonymous(method: str, text: str, status: int) -> None:
    asked = from_(request(method), text)
    if method == "REGISTER":
        asked = asked._replace(to=asked.from_)
    assert refusal(authenticator(), asked).status == status


def test_a_phone_is_not_believed_when_it_asserts_an_identity() -> None:
    auth = authenticator()
    claims: tuple[dict[str, Any], ...] = ({"asserted": (uri("102"),)}, {"preferred": (uri("102"),)})
    for asserted in claims:
        for text in (NOBODY[0], f"sip:101@{HOST}"):
            asked = from_(request("INVITE"), text)._replace(**asserted)
            assert refusal(auth, asked).status == 401
            assert (
                auth.authenticate(credentials(refusal(auth, asked), asked), NOW).account.aor.extension
                == "101"
            )


ELSEWHERE = Uri("sip:+49301@carrier.example", "sip", "+49301", "carrier.example", 0)
TEL = Uri("tel:+49301", "tel", "", "", 0)


@pytest.mark.parametrize(
    ("said", "asserted", "preferred", "known"),
    [
        ("101", (), (), "101"),
        ("101", (uri("102"),), (), "102"),
        ("999", (uri("102"),), (), "102"),
        ("101", (TEL, ELSEWHERE), (), "101"),
        ("101", (TEL, uri("102")), (), "102"),
        ("101", (), (uri("102"),), "101"),
        ("", (uri("102"),), (uri("101"),), "102"),
        ("", (TEL, ELSEWHERE), (uri("101"),), "101"),
        ("", (), (uri("102"),), "102"),
        ("", (), (), ""),
        ("", (ELSEWHERE, TEL), (), ""),
        ("", (uri("999"),), (), ""),
    ],
)
def test_a_trusted_source_says_who_it_is(
    said: str, asserted: tuple[Uri, ...], preferred: tuple[Uri, ...], known: str
) -> None:
    """P-Asserted-Identity counts more than From, and P-Preferred-Identity is a hint (RFC 3325).

    An empty `said` is an anonymous From.
    """
    auth = authenticator(trust=(IPv4Network("198.51.100.0/24"),))
    asked = from_(request("INVITE"), f"sip:{said}@{HOST}" if said else NOBODY[0])
    asked = asked._replace(asserted=tuple(map(Address, asserted)), preferred=preferred)
    if known:
        assert auth.authenticate(asked, NOW).account.aor.extension == known
    else:
        refused = refusal(auth, asked)
        assert (refused.status, refused.reason) == (403, "Who calls is not known here")
        assert "P-Asserted-Identity" in refused.log
