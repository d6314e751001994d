"""All that can be set, as the server takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from blfd.config.values import Web
from blfd.core.settings import Settings
from blfd.transport.addresses import ListenAddress
from blfd.transport.certificate import TlsSettings

DEFAULT_DATABASE = Path("blfd.db")
PREFIX = "BLFD_"  # of variables of the environment


class ConfigError(Exception):
    """Raised with one line that says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that `blfd run` needs to know."""

    database: Path = DEFAULT_DATABASE
    listen: tuple[ListenAddress, ...] = (
        ListenAddress("udp", "0.0.0.0", 5060),
        ListenAddress("tcp", "0.0.0.0", 5060),
    )
    sip: Settings = field(default_factory=Settings)
    metrics: Web | None = None
    provision: Web | None = None
    web: Web | None = None
    pnp: ListenAddress | None = None  # the multicast group where new phones ask
    address: str = ""  # where phones reach this machine; "": as its routes say
    dns_servers: tuple[tuple[str, int], ...] = ()  # addresses and ports; none: those of the system
    tls: TlsSettings = field(default_factory=TlsSettings)
    log_format: str = "text"
    hang_up_on_stop: bool = False
    drain: bool = False
    verbose: bool = False
