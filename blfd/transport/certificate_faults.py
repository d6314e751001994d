"""Whether phones will take a certificate: its dates, its names and its chain."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blfd.transport.certificate import NO_CHECK_TIME, Certificate, day, shake_hands

SOON = 14 * 86400  # seconds in which a certificate should have been renewed

_SELF_SIGNED, _ROOT_UNKNOWN, _ISSUER_UNKNOWN = 18, 19, (2, 20, 21)  # X509_V_ERR_*


class Fault(NamedTuple):
    """Why phones will refuse a certificate, and what to do."""

    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


def faults(certificate: Certificate, host: str, ca: Path | None, now: float) -> Iterator[Fault]:
    """All faults of a certificate; `host` is where phones are sent, "" if unknown, `ca` as in TlsSettings."""
    whole = f"certificate {certificate.files.certificate}"
    if now < certificate.begins:
        advice = "set this machine's clock, or get another certificate"
        yield Fault(f"{whole} holds from {day(certificate.begins)}", advice)
    if now >= certificate.ends:
        yield Fault(f"{whole} has ended on {day(certificate.ends)}", "renew it")
    elif now > certificate.ends - SOON:
        yield Fault(f"{whole} ends on {day(certificate.ends)}", "renew it")
    if host and not certificate.fits(host):
        names = ", ".join(certificate.names) or "no name"
        what = f"{whole} is for {names}, not for {host}, where phones are sent"
        yield Fault(what, "make `address` one of its names, or get another certificate")
    yield from _chain_faults(certificate, whole, ca)


def _chain_faults(certificate: Certificate, whole: str, ca: Path | None) -> Iterator[Fault]:
    client = ssl.create_default_context(cafile=ca)
    if ca:
        client.load_default_certs()
    client.check_hostname = False
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT  # no phone is as strict as Python is since 3.13
    client.verify_flags |= NO_CHECK_TIME
    try:
        shake_hands(certificate.files, client)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _SELF_SIGNED:
            advice = "have phones trust it, or get one of an authority that they know"
            yield Fault(f"{whole} is self-signed", advice)
        elif error.verify_code == _ROOT_UNKNOWN:
            advice = "name its certificate as `ca` in [tls], and have phones trust it"
            yield Fault(f"{whole} comes from an authority that nobody knows", advice)
        elif error.verify_code in _ISSUER_UNKNOWN:
            advice = f"put the certificate of {certificate.issuer} behind it, or name it as `ca` in [tls]"
            yield Fault(f"{whole} lacks a part of its chain", advice)
        else:
            yield Fault(f"{whole} is refused: {error.verify_message}", "get another")
