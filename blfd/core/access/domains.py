"""Which tenant a SIP domain belongs to."""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core import hosts, own_contact
from blfd.core.directory import Directory, Tenant
from blfd.core.values import DEFAULT_TENANT, Aor, Uri


class Domains:
    """Looks tenants up by host; `addresses` are the hosts that the server listens on.

    The default tenant has those addresses and its aliases. Listening on 0.0.0.0 it has every IPv4 address,
    and listening on [::] every address, since the server cannot know by which of them, or of a NAT's, a phone
    reaches it.
    """

    def __init__(self, directory: Directory, addresses: Iterable[str]) -> None:
        default = directory.tenants.get(DEFAULT_TENANT, Tenant(DEFAULT_TENANT))
        own = set(addresses)
        self._every, self._every_ipv4 = hosts.EVERY in own, hosts.EVERY_IPV4 in own
        self._default = default
        self._named = {
            tenant.domain: tenant for tenant in directory.tenants.values() if tenant is not default
        }
        self._by_host = dict.fromkeys(own | {"localhost"}, default)
        for tenant in directory.tenants.values():
            for host in (tenant.domain, *tenant.aliases):
                self._by_host[host.lower()] = tenant

    def tenant_of(self, host: str) -> Tenant | None:
        """The tenant of a domain, given without its port; None if it is not served here."""
        tenant = self._by_host.get(host) or self._by_host.get(host.lower().rstrip("."))
        return self._default if tenant is None and self._is_own_address(host) else tenant

    def tenant_of_contact(self, user: str) -> Tenant | None:
        """The tenant that the user part of our Contact names; None where it names none, or is another's."""
        return self._named.get(own_contact.tenant(user))

    def _is_own_address(self, host: str) -> bool:
        serves = self._every or (self._every_ipv4 and not hosts.is_ipv6(host))
        return serves and hosts.is_address(host)

    def aor_of(self, uri: Uri) -> Aor | None:
        """The address of record that a URI names; None if its domain is not served here."""
        tenant = self.tenant_of(uri.host)
        return Aor(tenant.domain, uri.user) if tenant else None
