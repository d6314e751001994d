"""Where the server listens, with which certificates, and by which names it is called."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from blfd.config import Config
from blfd.core.values import TRANSPORTS, UDP
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.selfcheck import SelfCheckFailed, check_layouts
from blfd.sip.stack import Stack
from blfd.transport.addresses import ListenAddress, advice
from blfd.transport.certificate import CertificateError
from blfd.transport.certificate_faults import faults
from blfd.transport.certificates import Certificates

log = logging.getLogger("blfd")


class ServerError(Exception):
    """The server cannot start; the text says what to do."""


def certificates_of(config: Config) -> Certificates | None:
    """The certificates that TLS is served with, if it is; what phones will not like of it is told. Raises
    ServerError."""
    if not any(TRANSPORTS[listen.transport].secure for listen in config.listen):
        return None
    try:
        certificates = Certificates(config.tls)
    except CertificateError as error:
        raise ServerError(f"cannot serve with TLS: {error}") from None
    for number, one in enumerate(certificates.served):
        log.info("TLS: %s", one)
        for fault in faults(one, "" if number else config.address, config.tls.ca, time.time()):
            log.warning("TLS: %s", fault)
    if config.tls.oldest < "1.2":
        log.warning("TLS %s is let in for old phones: it protects from nobody who is able", config.tls.oldest)
    return certificates


def own_hosts(
    listening: Iterable[ListenAddress], config: Config, certificates: Certificates | None
) -> list[str]:
    """What phones may call this server: where it listens, `address`, and the names in certificates."""
    served = certificates.served if certificates else ()
    names = [name for one in served for name in one.names if "*" not in name]
    hearing = [address.host for address in listening]
    return [host for host in dict.fromkeys((*hearing, config.address, *names)) if host]


def listen(stack: Stack, endpoint: Endpoint, config: Config) -> list[ListenAddress]:
    """Open all listeners: the addresses that they listen on. Raises ServerError."""
    try:
        check_layouts(endpoint)
    except SelfCheckFailed as error:
        raise ServerError(str(error)) from error
    opened = []
    for wanted in config.listen:
        try:
            opened.append(stack.listen(wanted))
        except OSError as error:
            raise ServerError(f"cannot listen on {wanted}: {error.strerror}; {advice(error)}") from error
    if config.pnp:
        _listen_for_new_phones(stack, config.pnp, config)
    return opened


def _listen_for_new_phones(stack: Stack, group: ListenAddress, config: Config) -> None:
    if not config.provision:
        raise ServerError("--pnp tells phones where their files are: give --provision as well")
    if not any(one.transport == UDP.name and one.reaches(group.host) for one in config.listen):
        raise ServerError("--pnp answers over UDP and IPv4: give --listen udp:0.0.0.0:5060 as well")
    try:
        stack.listen_multicast((group.host, group.port))
    except OSError as error:
        text = f"cannot listen on {group} for new phones: {error.strerror}"
        raise ServerError(f"{text}; stop what uses it, or leave --pnp out") from error
