"""Digest authentication, trust and silence (RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import publishers
import pytest
from builders import HOST, flow, notifies, reply, request, state, uri
from publishers import kamailio

from blfd.core.access import nonces
from blfd.core.access.digest import ALGORITHMS, MAX_SOURCES, Authenticator, response
from blfd.core.access.domains import Domains
from blfd.core.access.nonces import Nonces
from blfd.core.challenges import MOST_ROUNDS, Rounds, foreign
from blfd.core.core import Core
from blfd.core.directory import Directory, Extension, Owner, Tenant
from blfd.core.effects import (
    Effect,
    Log,
    Reply,
    SaveBindings,
    SavePublication,
    SaveSubscription,
    TellSaved,
)
from blfd.core.errors import Refusal, Silenced
from blfd.core.inputs import (
    BindingsRestored,
    DirectoryChanged,
    Input,
    PublicationsRestored,
    Saved,
    SubscriptionsRestored,
)
from blfd.core.messages import (
    Challenge,
    Credentials,
    NotifyResponseReceived,
    PublishReceived,
    RegisterContact,
    RegisterReceived,
    Request,
    SubscribeReceived,
)
from blfd.core.saved import SavedPublication, SavedSubscription
from blfd.core.settings import Settings
from blfd.core.trunk import Mode, Trunk
from blfd.core.values import REALM, Address, Aor, Flow, Uri

Asking = RegisterReceived | SubscribeReceived | PublishReceived
PASSWORD = "s3cret"
NOW = 1_800_000_000.0
MARK = "0a1b2c"


def ha1(user: str, realm: str, password: str = PASSWORD) -> dict[str, str]:
    text = f"{user}:{realm}:{password}".encode()
    return {"MD5": hashlib.md5(text).hexdigest(), "SHA-256": hashlib.sha256(text).hexdigest()}


def authenticator(mark: str = MARK, **settings: object) -> Authenticator:
    found = Authenticator(b"key", mark, Settings(**settings))  # type: ignore[arg-type]
    tenants = {"default": Tenant("default"), "acme.example": Tenant("acme.example")}
    people = [Aor("default", "101"), Aor("default", "102"), Aor("acme.example", "101")]
    extensions = {aor: Extension(aor, "", ha1(aor.extension, tenants[aor.tenant].realm)) for aor in people}
    directory = Directory(tenants, extensions)
    found.directory_changed(directory, Domains(directory, [HOST]))
    return found


def refusal(auth: Authenticator, asked: Request, now: float = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        auth.authenticate(asked, now)
    return caught.value


def credentials(
    challenge: Refusal,
    asked: Request,
    algorithm: str = "SHA-256",
    *,
    user: str = "101",
    password: str = PASSWORD,
    **over: str,
) -> Request:
    """The request with an answer to the challenge; `over` changes fields of the credentials."""
    header = next(v for _, v in challenge.headers if f"algorithm={algorithm}" in v)
    parts = dict(re.findall(r'(\w+)="([^"]+)"', header))
    given = Credentials(
        user, parts["realm"], parts["nonce"], asked.target.text, "", algorithm, "c", "auth", "00000001"
    )._replace(**{k: v for k, v in over.items() if k != "response"})
    key = ha1(given.username.partition("@")[0], given.realm, password)[algorithm]
    answer = response(given, key, asked.method, ALGORITHMS[algorithm])
    return asked._replace(credentials=(given._replace(response=over.get("response", answer)),))


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
    overheard = replace_source(credentials(refusal(auth, asked), asked), "203.0.113.1")
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
    assert auth.authenticate(replace_source(request("INVITE"), inside), NOW).account.aor.extension == "101"
    unknown = refusal(auth, replace_source(request("INVITE", "999"), inside))
    assert (unknown.status, "add it" in unknown.log) == (403, True)
    for host in (outside, "203.0.113.1", "2001:db9::1"):
        assert refusal(auth, replace_source(request("INVITE"), host)).status == 401


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


def replace_source(asked: Request, host: str) -> Request:
    return asked._replace(flow=flow()._replace(host=host))


def fail(auth: Authenticator, host: str, now: float = NOW) -> None:
    asked = replace_source(request("REGISTER", "101", "101"), host)
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
    asked = replace_source(request("REGISTER", "101", "101"), same)
    with pytest.raises(Silenced) as again:
        auth.authenticate(asked, NOW + 59)
    assert not again.value.log, "one line"
    assert refusal(auth, asked, NOW + 61).status == 401
    assert refusal(auth, replace_source(asked, other)).status == 401, "others are served"


def test_a_success_clears_the_count() -> None:
    auth = authenticator(failures_before_silence=2)
    for _ in range(5):
        with pytest.raises(Refusal):
            fail(auth, "203.0.113.1")
        asked = replace_source(request("REGISTER", "101", "101"), "203.0.113.1")
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


OLD, NEW, DEVICE = (ha1("101", REALM, password) for password in (PASSWORD, "n3w", "d3vice"))
PHONE = Extension(Aor("default", "101"), "", OLD, device_ha1s=(DEVICE,), owner=Owner.PUBLISHED)
PEER = Trunk("default", "pbx", PASSWORD, mode=Mode.PEER_REGISTERS, username="gate")
MANUAL, DESK, AT_WORD, PBX = ("manual", "desk", "proxied", "pbx")
CHANGES: tuple[tuple[str, dict[str, Any], dict[str, Any], set[str]], ...] = (
    ("the same anew", {"ha1": ha1("101", REALM)}, {"password": PASSWORD}, {MANUAL, DESK, AT_WORD, PBX}),
    ("another name", {"name": "Alice"}, {"ping": 60}, {MANUAL, DESK, AT_WORD, PBX}),
    ("one phone more", {"device_ha1s": (DEVICE, NEW)}, {}, {MANUAL, DESK, AT_WORD, PBX}),
    ("another password", {"ha1": NEW}, {}, {DESK, AT_WORD, PBX}),
    ("the phone is gone", {"device_ha1s": ()}, {}, {MANUAL, AT_WORD, PBX}),
    ("not in use for a while", {}, {"enabled": False}, {MANUAL, DESK, AT_WORD, PBX}),
    ("a trunk's password", {}, {"password": "n3w"}, {MANUAL, DESK, AT_WORD}),
    ("a trunk's name", {}, {"username": "another"}, {MANUAL, DESK, AT_WORD}),
)
WAYS = ((MANUAL, PASSWORD, None), (DESK, "d3vice", None), (AT_WORD, "", Flow("udp", "192.0.2.99", 5060)))


class Process:
    """A core, with what it has asked to be stored of whom, until the next process."""

    def __init__(self, known: Directory) -> None:
        tags = iter(f"tag{number}" for number in itertools.count())
        settings = Settings(trust=(IPv4Network("192.0.2.99"),))
        self.core = Core(settings, [HOST], secret=b"s", mark="000000", new_tag=tags.__next__)
        self.logged: list[str] = []
        self.watched: dict[str, SavedSubscription] = {}
        self.published: dict[str, SavedPublication] = {}
        self.give(DirectoryChanged(known))

    def give(self, event: Input) -> list[Effect]:
        """What is done about an input; NOTIFYs are confirmed, and what is to be stored is."""
        effects = self.core.handle(event, NOW)
        for effect in list(effects):
            match effect:
                case Log():
                    self.logged.append(effect.text)
                case SaveSubscription() if effect.saved:
                    self.watched[effect.key] = effect.saved
                case SaveSubscription():
                    self.watched.pop(effect.key, None)
                case SavePublication() if effect.saved:
                    self.published[effect.etag] = effect.saved
                case SavePublication():
                    self.published.pop(effect.etag, None)
                case TellSaved():
                    effects += self.give(Saved((effect.number,)))
        for notify in notifies(effects):
            self.core.handle(NotifyResponseReceived(notify.subscription, 200), NOW)
        return effects

    def ask(self, event: Asking, user: str, password: str) -> Reply:
        """The last response to a request, a challenge having been met."""
        answer = reply(self.give(event))
        if answer.status != 401:
            return answer
        proved = credentials(Refusal(401, "", answer.headers), event.request, user=user, password=password)
        return reply(self.give(event._replace(request=proved)))


def settled(phone: Extension, trunk: Trunk) -> Directory:
    return Directory({"default": Tenant("default")}, {phone.aor: phone}, trunks=(trunk,))


@pytest.mark.parametrize(("what", "of_phone", "of_trunk", "left"), CHANGES, ids=[c[0] for c in CHANGES])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_made_by_a_password_ends_with_it(
    what: str, of_phone: dict[str, Any], of_trunk: dict[str, Any], left: set[str], restarted: bool
) -> None:
    """Calls go no more to who has registered by it, lamps are to be asked for anew, at once, and what it has
    published is over."""
    here = Process(settled(PHONE, PEER))
    for name, password, source in (*WAYS, (PBX, PASSWORD, None)):
        user = "gate" if name == PBX else "101"
        asked = request("REGISTER", user, user, call_id=name, source=source or flow(name))
        contact = RegisterContact(f"sip:{name}@198.51.100.7")
        assert here.ask(RegisterReceived(asked, (contact,)), user, password).status == 200
    for name, password, source in WAYS:
        asked = request("SUBSCRIBE", "101", "101", call_id=name, source=source or flow(name))
        watch = SubscribeReceived(asked, "dialog", "", None, 600, f"sip:{name}@198.51.100.7", (), "", b"")
        assert here.ask(watch, "101", password).status == 200
        said = kamailio("confirmed", name).replace(b"sip:102@", b"sip:101@")
        publish = publishers.publish(said, user="101", source=source or flow(name))
        assert here.ask(publish, "101", password).status == 200
    bindings = tuple(here.core.registrar.all_bindings(NOW))
    assert (len(bindings), len(here.watched), len(here.published)) == (4, 3, 3)
    next_known = settled(replace(PHONE, **of_phone), replace(PEER, **of_trunk))
    effects: list[Effect] = []
    if restarted:
        watched, published = dict(here.watched), dict(here.published)
        here = Process(next_known)
        here.watched, here.published = watched, published
        effects += here.give(BindingsRestored(bindings))
        effects += here.give(PublicationsRestored(tuple(published.values())))
        effects += here.give(SubscriptionsRestored(tuple(watched.values())))
    else:
        effects = here.give(DirectoryChanged(next_known))
    over = sum(state(notify) == "terminated;reason=deactivated" for notify in notifies(effects))
    assert over == 3 - len(left - {PBX}), what
    assert {binding.call_id for binding in here.core.registrar.all_bindings(NOW)} == left, what
    assert {one.dialog.id.call_id for one in here.watched.values()} == left - {PBX}, what
    shown = {dialog.id.call_id for dialog in here.core.dialogs.of(PHONE.aor)}
    assert shown == left - {PBX}, what
    assert len(here.published) == len(shown)
    saved = [effect for effect in effects if isinstance(effect, SaveBindings)]
    assert bool(saved) == any("password holds no more" in text for text in here.logged) == (len(left) < 4)


def test_what_renews_it_counts() -> None:
    """A phone that has the new password already loses nothing with the old one."""
    both = replace(PHONE, ha1=OLD, device_ha1s=(NEW,))
    here = Process(settled(both, PEER))
    asked = request("SUBSCRIBE", "101", "101", call_id="watch")
    watch = SubscribeReceived(asked, "dialog", "", None, 600, "sip:101@198.51.100.7", (), "", b"")
    here.ask(watch, "101", PASSWORD)
    (tag,) = here.watched
    again = asked._replace(to=asked.to._replace(tag=tag), cseq=2)
    assert here.ask(watch._replace(request=again), "101", "n3w").status == 200
    said = kamailio("confirmed").replace(b"sip:102@", b"sip:101@")
    here.ask(publishers.publish(said, user="101"), "101", PASSWORD)
    (etag,) = here.published
    assert here.ask(publishers.publish(b"", etag, user="101"), "101", "n3w").status == 200
    here.give(DirectoryChanged(settled(replace(both, ha1=NEW), PEER)))
    assert (len(here.watched), len(here.published)) == (1, 1)
    here.give(DirectoryChanged(settled(replace(PHONE, device_ha1s=()), PEER)))
    assert (len(here.watched), len(here.published)) == (0, 0)


SERVER = Extension(Aor("default", "pbx"), "", ha1("pbx", REALM), publishes=True)


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (replace(SERVER, name="Asterisk"), ""),
        (replace(SERVER, publishes=False), "may not publish"),
        (replace(SERVER, ha1=ha1("pbx", REALM, "n3w")), "password"),
        (None, "no such account"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_what_an_account_has_published_ends_with_its_right(
    account: Extension | None, why: str, restarted: bool
) -> None:
    def known(server: Extension | None) -> Directory:
        people = {one.aor: one for one in (PHONE, server) if one}
        return Directory({"default": Tenant("default")}, people)

    here = Process(known(SERVER))
    said = kamailio("confirmed").replace(b"sip:102@", b"sip:101@")
    assert here.ask(publishers.publish(said, user="101"), "pbx", PASSWORD).status == 200
    if restarted:
        published = dict(here.published)
        here = Process(known(account))
        here.published = published
        here.give(PublicationsRestored(tuple(published.values())))
    else:
        here.give(DirectoryChanged(known(account)))
        assert any(why in text for text in here.logged if "published of" in text) == bool(why)
    assert bool(here.core.dialogs.of(PHONE.aor)) == bool(here.published) == (not why)
