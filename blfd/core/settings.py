"""What the core may be told to do otherwise, as one plain value."""

from __future__ import annotations

from dataclasses import dataclass

from blfd.core import hosts


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core may be told to do otherwise. Times are seconds; a TOML file overrides the defaults.

    Every field is a key of the section [sip] in the configuration file.
    """

    register_min_expires: int = 60
    register_default_expires: int = 3600
    register_max_expires: int = 7200
    max_bindings: int = 10
    subscribe_min_expires: int = 60
    subscribe_default_expires: int = 3600
    subscribe_max_expires: int = 7200
    publish_min_expires: int = 1  # what ends is published for some seconds more
    publish_default_expires: int = 3600
    publish_max_expires: int = 7200
    digest_algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    nonce_lifetime: int = 300
    failures_before_silence: int = 20
    silence: int = 60
    no_answer_timeout: int = 120
    session_expires: int = 1800
    max_waiting: int = 20_000
    max_subscriptions: int = 500
    max_calls: int = 50
    max_forwarded: int = 10
    tenant_subscriptions: int = 100_000
    tenant_publications: int = 100_000
    source_publications: int = 100_000
    tenant_calls: int = 5000
    tenant_bindings: int = 50_000
    tenant_requests: int = 10_000
    extension_requests: int = 100
    source_subscriptions: int = 50_000
    source_bindings: int = 10_000
    source_calls: int = 2000
    source_requests: int = 5000
    stranger_refusals: int = 20
    source_connections: int = 500
    source_handshakes: int = 100
    slowest_message: int = 30
    trust: tuple[hosts.Network, ...] = ()
    trust_names: tuple[str, ...] = ()  # names in certificates; [tls] has them
