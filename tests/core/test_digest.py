"""Digest authentication (RFC 7616, RFC 8760): proofs, nonces, silence after failures."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from builders import request
from proving import MARK, NOW, authenticator, credentials, refusal, sent_from

from blfd.core.access import nonces
from blfd.core.access.digest import ALGORITHMS, MAX_SOURCES, Authenticator, response
from blfd.core.access.nonces import Nonces
from blfd.core.challenges import MOST_ROUNDS, Rounds, foreign
from blfd.core.errors import Refusal, Silenced
from blfd.core.messages import Challenge, Credentials
from blfd.core.settings import Settings
from blfd.core.values import Aor


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vectors_of_rfc_7616(algorithm: str, expected: str) -> None:
    digest = ALGORITHMS[algorithm]
    given = Credentials(
        "Mufasa",
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "/dir/index.html",
        "",
        algorithm,
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "auth",
        "00000001",
    )
    key = digest("Mufasa:http-auth@example.org:Circle of Life")
    assert response(given, key, "GET", digest) == expected


def test_the_challenge() -> None:
    challenge = refusal(authenticator(), request("INVITE"))
    assert challenge.status == 401
    names, values = zip(*challenge.headers, strict=True)
    assert names == ("WWW-Authenticate", "WWW-Authenticate")
    assert ["algorithm=SHA-256" in values[0], "algorithm=MD5" in values[1]] == [True, True]
    assert all('realm="blfd"' in v and 'qop="auth"' in v and "stale" not in v for v in values)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE", "REGISTER"])
def test_the_right_password(algorithm: str, method: str) -> None:
    auth = authenticator()
    asked = request(method, "101", "101")
    again = credentials(refusal(auth, asked), asked, algorithm)
    assert auth.authenticate(again, NOW).account.aor == Aor("default", "101")


@pytest.mark.parametrize(
    ("over", "status", "stale"),
    [
        ({"password": "wrong"}, 401, False),
        ({"response": "0" * 64}, 401, False),
        ({"user": "999"}, 401, False),
        ({"realm": "acme.example"}, 401, False),
        ({"algorithm": "SHA-512-256"}, 401, False),
        ({"qop": "auth-int"}, 401, False),
        ({"nonce": "0" * 52}, 401, True),
        ({"nonce": "é"}, 401, True),
        ({"uri": "sip:102@elsewhere.example"}, 400, False),
    ],
)
def test_what_is_refused(over: dict[str, str], status: int, stale: bool) -> None:
    auth = authenticator()
    asked = request("INVITE")
    first = refusal(auth, asked)
    kind = over.pop("algorithm", "")
    again = credentials(first, asked, **over)
    if kind:
        again = again._replace(credentials=(again.credentials[0]._replace(algorithm=kind),))
    second = refusal(auth, again)
    assert second.status == status
    assert any("stale=true" in value for _, value in second.headers) == stale
    assert not second.headers or second.headers != first.headers, "a fresh nonce"


def test_an_unknown_user_is_answered_as_a_wrong_password() -> None:
    auth = authenticator()
    asked = request("INVITE")
    wrong, unknown = (
        refusal(auth, credentials(refusal(auth, asked), asked, **over))
        for over in ({"password": "wrong"}, {"user": "nobody"})
    )
    assert (wrong.status, wrong.reason) == (unknown.status, unknown.reason)


def test_a_nonce_that_is_yet_to_be_made_is_stale() -> None:
    """The clock was set back since; it would be good for as long otherwise."""
    auth, asked = authenticator(), request("SUBSCRIBE")
    given = credentials(refusal(auth, asked, NOW + 3600), asked)
    assert "stale=true" in refusal(auth, given, NOW).headers[0][1]


def test_an_old_nonce_is_stale_when_all_else_is_right() -> None:
    auth = authenticator(nonce_lifetime=300)
    asked = request("INVITE")
    challenge = refusal(auth, asked)
    assert auth.authenticate(credentials(challenge, asked), NOW + 300)
    late = refusal(auth, credentials(challenge, asked, nc="00000002"), NOW + 301)
    assert all("stale=true" in value for _, value in late.headers)


@pytest.mark.parametrize(("method", "served"), [("SUBSCRIBE", True), ("REGISTER", False), ("INVITE", False)])
def test_a_nonce_of_before_a_restart(method: str, served: bool) -> None:
    """An old nonce's counts are forgotten, so it serves only requests that may be replayed without harm."""
    asked = request(method, "101", "101")
    given = credentials(refusal(authenticator("aaaaaa"), asked), asked)
    auth = authenticator("bbbbbb")
    if served:
        assert auth.authenticate(given, NOW).account.aor == Aor("default", "101")
    assert all("stale=true" in value for _, value in refusal(auth, given).headers)
    stranger = Authenticator(b"another key", "aaaaaa", Settings()).challenge("blfd", asked.flow.host, NOW)
    forged = credentials(Refusal(401, "", stranger), asked)
    assert all("stale=true" in value for _, value in refusal(auth, forged).headers)


def test_a_replayed_request_is_stale() -> None:
    auth = authenticator()
    asked = request("INVITE")
    again = credentials(refusal(auth, asked), asked)
    assert auth.authenticate(again, NOW)
    replayed = refusal(auth, again, NOW)
    assert replayed.status == 401
    assert all("stale=true" in value for _, value in replayed.headers)


def test_without_qop_each_request_needs_a_nonce_of_its_own() -> None:
    auth = authenticator()
    asked = request("INVITE")
    given = credentials(refusal(auth, asked), asked, qop="", nc="", cnonce="")
    assert auth.authenticate(given, NOW)
    assert all("stale=true" in value for _, value in refusal(auth, given).headers)


def test_a_nonce_is_for_the_source_that_it_was_given_to() -> None:
    auth = authenticator()
    asked = request("INVITE")
    overheard = sent_from(credentials(refusal(auth, asked), asked), "203.0.113.1")
    assert all("stale=true" in value for _, value in refusal(auth, overheard).headers)


@pytest.mark.parametrize(
    ("counts", "fresh"),
    [
        ("1 2 3", "111"),
        ("1 1", "10"),
        ("3 1 2 2 1", "11100"),
        ("ffffffff 1 fffffffe fffffffe", "1010"),
        ("1 40 20 21 22", "11011"),
        ("0 0", "10"),
    ],
)
def test_each_count_of_a_nonce_is_good_once(counts: str, fresh: str) -> None:
    """Counts may come in any order, as far as requests overtake each other."""
    table = Nonces(b"k", MARK)
    assert [table.use("n", f"{int(count, 16):08x}") for count in counts.split()] == [f == "1" for f in fresh]


@pytest.mark.parametrize("count", ["", "1", "000000001", "0000000g", "-0000001", "0x000001", "٠٠٠٠٠٠٠١"])
def test_an_unsound_count(count: str) -> None:
    assert not Nonces(b"k", MARK).use("n", count)


def test_the_table_of_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "MAX_USED", 3)
    table = Nonces(b"k", MARK)
    assert all(table.use(str(number), "00000001") for number in range(10))
    assert not table.use("9", "00000001")
    assert len(table._used) == 3


@pytest.mark.parametrize(
    "written", ["sip:102@192.0.2.5:5060", "sip:102@192.0.2.5;transport=udp", "sip:192.0.2.5"]
)
def test_the_uri_may_differ_in_port_and_parameters(written: str) -> None:
    auth = authenticator()
    asked = request("INVITE")
    assert auth.authenticate(credentials(refusal(auth, asked), asked, uri=written), NOW)


def test_user_at_domain_as_username() -> None:
    auth = authenticator()
    asked = request("INVITE")
    again = credentials(refusal(auth, asked), asked, "MD5", user="101@192.0.2.5")
    given = again.credentials[0]
    key = hashlib.md5(b"101:blfd:s3cret").hexdigest()
    right = given._replace(response=response(given, key, "INVITE", ALGORITHMS["MD5"]))
    assert auth.authenticate(again._replace(credentials=(right,)), NOW)


def test_a_forged_from_is_refused() -> None:
    auth = authenticator()
    asked = request("INVITE", "102", "101")
    forged = refusal(auth, credentials(refusal(auth, asked), asked, user="101"))
    assert forged.status == 403
    assert "101" in forged.log
    assert "102" in forged.log


def fail(auth: Authenticator, host: str, now: float = NOW) -> None:
    asked = sent_from(request("REGISTER", "101", "101"), host)
    auth.authenticate(credentials(refusal(auth, asked, now), asked, password="wrong"), now)


@pytest.mark.parametrize(
    ("tried", "same", "other"),
    [
        (("203.0.113.1",) * 3, "203.0.113.1", "203.0.113.2"),
        (("2001:db8::1", "2001:db8::2", "2001:db8::ff:0:3"), "2001:db8::4", "2001:db8:0:1::1"),
    ],
    ids=["IPv4", "a /64 of IPv6"],
)
def test_silence_after_repeated_failures(tried: tuple[str, ...], same: str, other: str) -> None:
    auth = authenticator(failures_before_silence=3, silence=60)
    for host in tried[:2]:
        with pytest.raises(Refusal):
            fail(auth, host)
    with pytest.raises(Silenced) as last:
        fail(auth, tried[2])
    assert tried[2] in last.value.log
    assert "101" in last.value.log
    asked = sent_from(request("REGISTER", "101", "101"), same)
    with pytest.raises(Silenced) as again:
        auth.authenticate(asked, NOW + 59)
    assert not again.value.log, "one line"
    assert refusal(auth, asked, NOW + 61).status == 401
    assert refusal(auth, sent_from(asked, other)).status == 401, "others are served"


def test_a_success_clears_the_count() -> None:
    auth = authenticator(failures_before_silence=2)
    for _ in range(5):
        with pytest.raises(Refusal):
            fail(auth, "203.0.113.1")
        asked = sent_from(request("REGISTER", "101", "101"), "203.0.113.1")
        assert auth.authenticate(credentials(refusal(auth, asked), asked), NOW)


def test_memory_of_failures_is_bounded() -> None:
    auth = authenticator()
    for number in range(MAX_SOURCES + 50):
        with pytest.raises(Refusal):
            fail(auth, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(auth._failures) == MAX_SOURCES


def test_md5_alone() -> None:
    settings = replace(Settings(), digest_algorithms=("MD5",))
    auth = Authenticator(b"k", MARK, settings)
    assert [v for _, v in auth.challenge("r", "192.0.2.1", NOW) if "SHA" in v] == []


def test_each_request_inside_a_call_has_rounds_of_its_own() -> None:
    """A realm is proved once to each, a fresher nonce a few times; what comes twice is answered once."""
    rounds, plain = Rounds(), Challenge("r", "n", "MD5", ("auth",), "", False, True)
    stale = plain._replace(stale=True)
    assert rounds.asked(1, 2, [plain]) == [plain]
    assert rounds.asked(1, 3, [plain]) == [], "a copy"
    assert rounds.asked(2, 3, [plain]) == [], "the password is wrong"
    assert rounds.asked(5, 6, [plain]) == [plain], "as if nothing had been"
    other = plain._replace(realm="other")
    assert rounds.asked(6, 7, [plain, other]) == [other]
    for cseq in range(10, 10 + MOST_ROUNDS):
        assert rounds.asked(cseq, cseq + 1, [stale]) == [stale]
    assert rounds.asked(10 + MOST_ROUNDS, 20, [stale]) == []
    assert rounds.asked(20, 21, [stale]) == [stale]
    assert rounds.asked(30, 31, [plain, other], "other") == [other], "the password is for that realm"
    assert rounds.asked(32, 33, [plain], "other") == []
    assert (foreign([plain], "other"), foreign([plain, other], "other"), foreign([plain], "")) == (
        "r",
        "",
        "",
    )
    rounds.finished(21)
    assert rounds.asked(21, 22, [plain]) == [plain]
