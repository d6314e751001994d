"""Who asks, and what they may: the same rules for the portal's pages and the API."""

from __future__ import annotations

from dataclasses import dataclass

from blfd.operations.admins import SCOPES_OF, SYSTEM_SCOPE
from blfd.store import NotFound
from blfd.store.admins import Session, Token


class Forbidden(Exception):
    """Whoever asks may see that it exists, and may not do it."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks; `tenant` is None for who looks after the system; `csrf` is "" where there is no session."""

    name: str
    tenant: str | None
    scopes: frozenset[str]
    csrf: str = ""

    @property
    def is_system(self) -> bool:
        return self.tenant is None and SYSTEM_SCOPE in self.scopes

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def check_tenant(self, tenant: str) -> None:
        """Raises NotFound for a tenant that is not theirs, in the words for one that does not exist."""
        if self.tenant is not None and self.tenant != tenant:
            raise NotFound(f"no tenant {tenant}")

    def check(self, scope: str) -> None:
        """Raises Forbidden for a right that they do not have."""
        if not self.may(scope):
            raise Forbidden(f"{self.name} may not do this: it needs the right to {scope!r}")


def of_session(session: Session) -> Visitor:
    admin = session.admin
    scopes = frozenset(SCOPES_OF[admin.role])
    if admin.tenant is None:
        scopes |= {SYSTEM_SCOPE}
    return Visitor(admin.name, admin.tenant, scopes, session.csrf)


def of_token(token: Token) -> Visitor:
    return Visitor(f"{token.name} (token)", token.tenant, frozenset(token.scopes))
