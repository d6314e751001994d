"""Who has sent a request, and whether it is served now."""

from __future__ import annotations

from blfd.core.access.digest import Authenticator, Sender
from blfd.core.access.limits import Rates
from blfd.core.errors import ONLY_TLS, Refusal
from blfd.core.messages import Request
from blfd.core.settings import Settings
from blfd.core.trunk import Trunk
from blfd.core.values import Aor
from blfd.core.visible import visible

RETRY_AFTER = "5"  # seconds


class Senders:
    """Extensions by their passwords, or at their word, and how often they and their tenants may ask."""

    def __init__(self, authenticator: Authenticator, settings: Settings) -> None:
        self._authenticator = authenticator
        self.takes_at_its_word = authenticator.takes_at_its_word
        self._extension_rates = Rates(settings.extension_requests)
        self._tenant_rates = Rates(settings.tenant_requests)

    def sender(self, request: Request, now: float) -> Sender:
        """Who has sent a request; Refusal where that is not proved, or not served now."""
        if request.target.scheme not in ("sip", "sips"):
            raise Refusal(416, f"Scheme {visible(request.target.scheme)}, only sip is served")
        if request.target.scheme == "sips" and not request.flow.is_secure:
            raise Refusal(403, ONLY_TLS)
        return self.authenticated(request, now)

    def prove(self, request: Request, trunk: Trunk, now: float) -> None:
        """Check that a trunk that registers here has sent a request. Raises as above where it has not."""
        self._authenticator.prove(request, trunk, now)

    def authenticated(self, request: Request, now: float) -> Sender:
        """Who has sent a request, whatever its Request-URI is. Raises as above."""
        sender = self._authenticator.authenticate(request, now)
        if sender.proof:  # an edge looks after its own
            self._check_rates(sender.account.aor, now)
        return sender

    def _check_rates(self, aor: Aor, now: float) -> None:
        """A phone gone mad may not take what is there for all."""
        if not self._extension_rates.take(f"{aor}", now) or not self._tenant_rates.take(aor.tenant, now):
            raise Refusal(503, "Too many requests", (("Retry-After", RETRY_AFTER),))

    @property
    def sent_away(self) -> int:
        """How many requests were refused of extensions and tenants that send too many."""
        return self._extension_rates.refused + self._tenant_rates.refused

    def check_tenant_rate(self, tenant: str, now: float) -> None:
        """Count a request of who is outside, and no extension. Raises Refusal for a tenant's too many."""
        if not self._tenant_rates.take(tenant, now):
            raise Refusal(503, "Too many requests", (("Retry-After", RETRY_AFTER),))
