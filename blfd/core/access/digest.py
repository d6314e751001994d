"""Who sends a request: digest authentication, or a trusted source (RFC 3261, section 22; RFC 8760)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

from blfd.core import hosts
from blfd.core.access.domains import Domains
from blfd.core.access.nonces import Nonces
from blfd.core.directory import Directory, Extension, Tenant, proof
from blfd.core.effects import Effect, Level, Log
from blfd.core.errors import Refusal, Silenced, auth_failed
from blfd.core.inputs import CertificateShown
from blfd.core.messages import Credentials, Request
from blfd.core.privacy import is_anonymous
from blfd.core.settings import Settings
from blfd.core.trunk import Trunk
from blfd.core.values import Aor, Flow, Headers, Uri
from blfd.core.visible import visible

Hash = Callable[[str], str]

ONLY_ONCE = (
    "00000001"  # the count of a phone without qop, which counts nothing: it needs a nonce for each request
)
MAX_SOURCES = 10_000
MAY_COME_AGAIN = frozenset(("SUBSCRIBE",))
"""What a nonce of before a restart is good for. A phone may ask for all its lamps at once then, and who sends
again what was overheard takes nothing from anybody; by REGISTER or INVITE it would."""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


ALGORITHMS: dict[str, Hash] = {"SHA-256": _sha256, "MD5": _md5}
"""Those that can be offered; the default is both, the strongest first (RFC 8760, section 2.4)."""


def response(credentials: Credentials, ha1: str, method: str, digest: Hash) -> str:
    """The response that proves knowledge of `ha1` (RFC 7616, section 3.4.1); without qop, RFC 2069's."""
    ha2 = digest(f"{method}:{credentials.uri}")
    if not credentials.qop:
        return digest(f"{ha1}:{credentials.nonce}:{ha2}")
    c = credentials
    return digest(f"{ha1}:{c.nonce}:{c.nc}:{c.cnonce}:{c.qop}:{ha2}")


class Sender(NamedTuple):
    """The account that a request comes from, and the password that has proved it (`directory.proof`).

    That is "" where the source is taken at its word.
    """

    account: Extension
    proof: str = ""


class Authenticator:
    """Makes and checks nonces, and counts failures by sender (see `hosts`)."""

    def __init__(self, secret: bytes, mark: str, settings: Settings) -> None:
        self._nonces, self._settings = Nonces(secret, mark), settings
        self._directory = Directory()
        self._domains = Domains(self._directory, ())
        self._peers: dict[Aor, Extension] = {}
        self._trusted: dict[str, bool] = {}
        self.edges: set[Flow] = set()  # connections of whom a certificate has made an edge
        self._failures: dict[str, int] = {}
        self._silent_until: dict[str, float] = {}

    def directory_changed(self, directory: Directory, domains: Domains) -> None:
        self._directory, self._domains = directory, domains
        self._peers = dict(_peer(trunk, directory) for trunk in directory.trunks if _registers_here(trunk))

    def authenticate(self, request: Request, now: float) -> Sender:
        """The extension that `request` comes from, or the trunk that registers here, as if it were one.
        Raises Refusal or Silenced.

        The From (of REGISTER the To, RFC 3261, section 10.3) must be the authenticated extension's, or
        anonymous (RFC 3323, section 4.1.1.3). That of PUBLISH is the extension whose state is published, in
        the name of which others may publish: the compositor decides about that.
        """
        registers = request.method == "REGISTER"
        claimed = request.to if registers else request.from_
        anonymous = not registers and is_anonymous(claimed.uri)
        if self.takes_at_its_word(request.flow):
            return Sender(self._at_its_word(request, claimed.uri, anonymous))
        self._check_silence(request.flow, now)
        host = request.target.host if anonymous else claimed.uri.host
        tenant = (anonymous and self._tenant_of_anonymous(request)) or self._domains.tenant_of(host)
        if tenant is None:
            raise Refusal(403, f"Domain {visible(host)} is not served here")
        sender = self._verify(request, tenant, now)
        extension = sender.account
        may_differ = anonymous or request.method == "PUBLISH"
        if self._is_peer(extension) and not registers:
            raise Refusal(403, f"{visible(claimed.uri.user)} is a trunk, which calls and does nothing else")
        if not may_differ and extension is not self._account(Aor(tenant.domain, claimed.uri.user)):
            other = visible(claimed.uri.user)
            text = f"{extension.aor} at {request.flow} sent a request as {other}: refused"
            raise Refusal(403, f"You are {extension.aor.extension}, not {other}", (), text)
        return sender

    def prove(self, request: Request, trunk: Trunk, now: float) -> None:
        """Check that a request is of a trunk that registers here, whoever is in From. Raises as above."""
        if self.takes_at_its_word(request.flow):
            return
        self._check_silence(request.flow, now)
        account = self._verify(request, self._directory.tenants[trunk.tenant], now).account
        if account.aor != (trunk.tenant, trunk.resource):
            raise Refusal(403, f"{visible(account.aor.extension)} is no trunk")

    def proofs(self, aor: Aor) -> frozenset[str]:
        """The passwords that hold for an extension, or for a trunk that registers here."""
        if found := self._directory.extensions.get(aor):
            return found.proofs
        trunks = (one for one in self._directory.trunks if one.is_peer and (one.tenant, one.resource) == aor)
        return frozenset().union(*(_peer(trunk, self._directory)[1].proofs for trunk in trunks))

    def _account(self, aor: Aor) -> Extension | None:
        return self._directory.extensions.get(aor) or self._peers.get(aor)

    def _is_peer(self, account: Extension) -> bool:
        return account.aor not in self._directory.extensions

    def takes_at_its_word(self, flow: Flow) -> bool:
        """Whether what comes by `flow` is an edge's: it has the address of one, or a certificate."""
        return self.trusts(flow.host) or (bool(self.edges) and flow in self.edges)

    def shown(self, shown: CertificateShown) -> list[Effect]:
        """The peer of a connection has proved that a certificate is its own."""
        known = [name for name in shown.names if name in self._settings.trust_names]
        if not known:
            return []
        self.edges.add(shown.flow)
        return [Log(Level.INFO, f"{shown.flow} has the certificate of {known[0]}: a trusted edge")]

    def trusts(self, host: str) -> bool:
        """Whether requests from `host` are taken at their From (--trust)."""
        known = self._trusted.get(host)
        if known is None:
            if len(self._trusted) >= MAX_SOURCES:
                self._trusted.clear()
            address = hosts.address(host)
            networks = self._settings.trust if address else ()
            known = self._trusted[host] = any(address in network for network in networks)
        return known

    def _at_its_word(self, request: Request, claimed: Uri, anonymous: bool) -> Extension:
        """The first extension that is named: P-Asserted-Identity counts more than From (RFC 3325)."""
        registers = request.method == "REGISTER"
        asserted = () if registers else tuple(one.uri for one in request.asserted)
        for uri in (*asserted, claimed, *(request.preferred if anonymous else ())):
            aor = self._domains.aor_of(uri)
            extension = self._account(aor) if aor else None
            if extension and (registers or not self._is_peer(extension)):
                return extension
        if anonymous:
            text = "a trusted source sent an anonymous request without P-Asserted-Identity of an extension"
            raise Refusal(403, "Who calls is not known here", (), f"{text}: have the proxy add it")
        text = f"a trusted source sent {visible(claimed.text)}, no extension here: add it, or fix the proxy"
        named = f"{visible(claimed.user)}@{visible(claimed.host)}"
        raise Refusal(403, f"{named} is no extension here", (), text)

    def _tenant_of_anonymous(self, request: Request) -> Tenant | None:
        """The tenant whose realm an anonymous request has credentials for, or which our Contact has named in
        whose dialog it is: whether it is that tenant's is seen by the password, and by the dialog."""
        realms = {credentials.realm for credentials in request.credentials}
        found = next((tenant for tenant in self._directory.tenants.values() if tenant.realm in realms), None)
        in_dialog = found is None and request.to.tag
        return self._domains.tenant_of_contact(request.target.user) if in_dialog else found

    # Digest

    def challenge(self, realm: str, host: str, now: float, *, stale: bool = False) -> Headers:
        """WWW-Authenticate for each algorithm, with a fresh nonce for requests from `host`.

        A phone has to ignore an algorithm that it does not know (RFC 8760, section 2.4); for those that
        give up at SHA-256 instead (libre before 3.0) a site offers MD5 alone.
        """
        nonce = self._nonces.make(host, now)
        suffix = ", stale=true" if stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{realm}", nonce="{nonce}", algorithm={name}, qop="auth"{suffix}',
            )
            for name in self._settings.digest_algorithms
        )

    def _verify(self, request: Request, tenant: Tenant, now: float) -> Sender:
        realm, host = tenant.realm, request.flow.host
        offered = self._settings.digest_algorithms
        given = [c for c in request.credentials if c.realm == realm and _algorithm(c) in offered]
        if not given:
            raise Refusal(401, "Unauthorized", self.challenge(realm, host, now))
        credentials = given[0]
        age = self._nonces.age(credentials.nonce, host, now)
        if age is None:  # a stranger's nonce, or for another source: no wrong password
            raise Refusal(401, "Unauthorized", self.challenge(realm, host, now, stale=True))
        if not _same_resource(credentials.uri, request.target):
            raise Refusal(400, "The digest is for another Request-URI")
        sender = self._right(credentials, request.method, tenant)
        if sender is None:
            said = auth_failed(host, f"SIP {request.method} as {visible(credentials.username)}")
            if too_many := self.failed(host, said, now):
                raise Silenced(too_many)
            raise Refusal(
                401,
                "Unauthorized: wrong user or password",
                self.challenge(realm, host, now),
                f"{said}: wrong user or password",
            )
        if not 0.0 <= age <= self._settings.nonce_lifetime:  # the clock may have been set back since
            stale = self.challenge(realm, host, now, stale=True)
            raise Refusal(401, "Unauthorized: the nonce is old", stale)
        if not self._nonces.is_own(credentials.nonce) and request.method not in MAY_COME_AGAIN:
            stale = self.challenge(realm, host, now, stale=True)
            raise Refusal(401, "Unauthorized: the nonce is of before a restart", stale)
        count = credentials.nc if credentials.qop else ONLY_ONCE
        if not self._nonces.use(credentials.nonce, count):
            stale = self.challenge(realm, host, now, stale=True)
            raise Refusal(401, "Unauthorized: the nonce count is not new", stale)
        self._failures.pop(hosts.sender(host), None)
        return sender

    def _right(self, credentials: Credentials, method: str, tenant: Tenant) -> Sender | None:
        """Whose password was used, and which; an unknown user takes the same time as a wrong password."""
        name = _algorithm(credentials)
        user = credentials.username.partition("@")[0]
        extension = self._account(Aor(tenant.domain, user))
        ha1s = [ha1 for ha1 in extension.ha1s if name in ha1] if extension else []
        digest = ALGORITHMS[name]
        # All are compared, so that none takes longer than another.
        compared = [_fits(credentials, ha1[name], method, digest) for ha1 in ha1s or [{name: "0" * 32}]]
        if extension is None or not ha1s or not any(compared) or credentials.qop not in ("auth", ""):
            return None
        return Sender(extension, proof(ha1s[compared.index(True)]))

    # Silence

    def _check_silence(self, flow: Flow, now: float) -> None:
        sender = hosts.sender(flow.host)
        until = self._silent_until.get(sender)
        if until is None:
            return
        if now < until:
            raise Silenced
        del self._silent_until[sender]

    def failed(self, host: str, said: str, now: float) -> str:
        """One more failure of a sender; "" or, once there were too many, what is told before the silence."""
        host = hosts.sender(host)
        failures = self._failures.pop(host, 0) + 1
        if failures < self._settings.failures_before_silence:
            self._failures[host] = failures  # at the end: the oldest goes first
            if len(self._failures) > MAX_SOURCES:
                del self._failures[next(iter(self._failures))]
            return ""
        if len(self._silent_until) >= MAX_SOURCES:
            del self._silent_until[next(iter(self._silent_until))]
        self._silent_until[host] = now + self._settings.silence
        return (
            f"{said}: {failures} wrong passwords from {host}, not answered for {self._settings.silence} s; "
            "check the password in that phone, or block the address"
        )


def _registers_here(trunk: Trunk) -> bool:
    return trunk.enabled and trunk.is_peer and bool(trunk.password)


def _peer(trunk: Trunk, directory: Directory) -> tuple[Aor, Extension]:
    """What a trunk registers as, and the account that it has: its lamp, as if that were an extension."""
    text = f"{trunk.username}:{directory.tenants[trunk.tenant].realm}:{trunk.password}"
    ha1 = {name: digest(text) for name, digest in ALGORITHMS.items()}
    return Aor(trunk.tenant, trunk.username), Extension(Aor(trunk.tenant, trunk.resource), trunk.name, ha1)


def _fits(credentials: Credentials, ha1: str, method: str, digest: Hash) -> bool:
    """Whether a response was made with this HA1."""
    answered = credentials.response.lower().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(response(credentials, ha1, method, digest).encode(), answered)


def _algorithm(credentials: Credentials) -> str:
    return credentials.algorithm.upper() or "MD5"


def _same_resource(uri: str, target: Uri) -> bool:
    """Whether the digest's uri is the Request-URI: same user and host (RFC 7616, section 3.4.6).

    Phones and proxies differ in port and parameters, so these are not compared.
    """
    if uri == target.text:
        return True
    rest = uri.partition(":")[2].partition(";")[0].partition("?")[0]
    try:
        return hosts.before_port(rest.rpartition("@")[2]) == target.host
    except ValueError:
        return False
