"""Which tenant a domain belongs to."""

from __future__ import annotations

import pytest
from builders import uri

from blfd.core.access.domains import Domains
from blfd.core.directory import Directory, Tenant
from blfd.core.values import Aor

TENANTS = {
    "default": Tenant("default", ("pbx.example",)),
    "acme.example": Tenant("acme.example", ("phones.acme.example",)),
}


@pytest.mark.parametrize(
    ("addresses", "host", "tenant"),
    [
        (["192.0.2.1"], "192.0.2.1", "default"),
        (["192.0.2.1"], "192.0.2.2", None),
        (["192.0.2.1"], "localhost", "default"),
        (["192.0.2.1"], "pbx.example", "default"),
        (["192.0.2.1"], "PBX.Example.", "default"),
        (["192.0.2.1"], "acme.example", "acme.example"),
        (["192.0.2.1"], "phones.acme.example", "acme.example"),
        (["192.0.2.1"], "other.example", None),
        (["0.0.0.0"], "203.0.113.9", "default"),
        (["0.0.0.0"], "other.example", None),
        (["0.0.0.0"], "999.1.1.1", None),
        (["0.0.0.0"], "2001:db8::1", None),
        (["2001:db8::1"], "2001:db8::1", "default"),
        (["2001:db8::1"], "2001:db8::2", None),
        (["::"], "2001:db8::1", "default"),
        (["::"], "203.0.113.9", "default"),
        (["::"], "other.example", None),
        (["::"], "1" * 5000, None),
    ],
)
def test_tenant_of(addresses: list[str], host: str, tenant: str | None) -> None:
    found = Domains(Directory(TENANTS), addresses).tenant_of(host)
    assert (found.domain if found else None) == tenant


def test_aor_of() -> None:
    domains = Domains(Directory(TENANTS), ["192.0.2.1"])
    assert domains.aor_of(uri("Bob", "acme.example", 5070)) == Aor("acme.example", "Bob")
    assert domains.aor_of(uri("Bob", "other.example")) is None
