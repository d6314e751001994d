"""A certificate: what it says, and the contexts in which it is served and others are verified."""

from __future__ import annotations

import contextlib
import re
import ssl
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

OLDEST = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
ASKED = {"no": ssl.CERT_NONE, "asked": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
OLD_CIPHERS = "DEFAULT:!aNULL:!eNULL:@SECLEVEL=0"  # what signs with SHA-1 is below all other levels
CURVE = "prime256v1"  # all phones have it; where there is a choice, a stranger may choose what costs us most

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
NO_CHECK_TIME = 0x200000  # X509_V_FLAGNO_CHECK_TIME


class CertificateError(Exception):
    """Raised with one line that says which file is wrong, and what to do."""


class PemFiles(NamedTuple):
    """A certificate with its chain, and its key; both may be one file."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The settings of TLS. `certificates`: the first is for whoever names no server, or one that none is for.

    `oldest` is one of OLDEST and `client_certificates` of ASKED; `client_ca` signs those. `ca` has signed
    ours, where that is no public one. A connection whose certificate has one of the names in `trust` is an
    edge's. `verify_servers`: those that we connect to by their name have to show a certificate for it, signed
    by an authority that the system knows, by `server_ca` or by `client_ca`.
    """

    certificates: tuple[PemFiles, ...] = ()
    oldest: str = "1.2"
    client_certificates: str = "no"
    client_ca: Path | None = None
    verify_servers: bool = True
    server_ca: Path | None = None
    ca: Path | None = None
    trust: tuple[str, ...] = ()


class Certificate(NamedTuple):
    """A certificate that can be served: by `context`, for `names` (DNS names and addresses).

    It holds from `begins` to `ends`, in seconds since the epoch.
    """

    files: PemFiles
    context: ssl.SSLContext
    names: tuple[str, ...]
    begins: float
    ends: float
    issuer: str

    def fits(self, name: str) -> bool:
        """Whether it is for a host (RFC 6125: a star stands for one whole label)."""
        name = _plain(name)
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names

    def __str__(self) -> str:
        names = ", ".join(self.names) or "no name"
        return f"certificate {self.files.certificate} for {names}, until {day(self.ends)}"


def load(files: PemFiles, settings: TlsSettings) -> Certificate:
    """The certificate in files. Raises CertificateError for what cannot be served at all."""
    for name, path in (("certificate", files.certificate), ("certificate_key", files.key)):
        try:
            path.read_bytes()
        except OSError as error:
            text = f"{name} {path}: {error.strerror}; give one that the server may read"
            raise CertificateError(text) from None
    context = context_of(ssl.PROTOCOL_TLS_SERVER, settings)
    try:
        # A password would be asked for on the terminal otherwise.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except ssl.SSLError as error:
        raise CertificateError(_explained(error, files)) from None
    said = _said(files)
    begins, ends = (ssl.cert_time_to_seconds(said[key]) for key in ("notBefore", "notAfter"))
    return Certificate(files, context, names_in(said), begins, ends, _name(said["issuer"]))


def context_of(protocol: int, settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.options |= ssl.OP_NO_RENEGOTIATION
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # who wants an old version is warned by us
        context.minimum_version = OLDEST[settings.oldest]
    context.set_ciphers(CIPHERS if settings.oldest >= "1.2" else OLD_CIPHERS)
    context.check_hostname = False
    context.verify_mode = ASKED[settings.client_certificates]
    _trust(context, "client_ca", settings.client_ca)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.set_ecdh_curve(CURVE)
        context.num_tickets = 1
    return context


def _trust(context: ssl.SSLContext, setting: str, authorities: Path | None) -> None:
    """Trust the authorities of a setting, if it has a file. Raises CertificateError."""
    if authorities is None:
        return
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise CertificateError(f"{setting} {authorities}: {why}; give a PEM file of CAs") from None


def context_to_servers(settings: TlsSettings) -> ssl.SSLContext:
    """The TLS context for connections to servers by their names."""
    context = context_of(ssl.PROTOCOL_TLS_CLIENT, settings)
    if settings.verify_servers:
        context.load_default_certs()
        _trust(context, "server_ca", settings.server_ca)
        context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
    return context


def _explained(error: ssl.SSLError, files: PemFiles) -> str:
    certificate, key = files
    found = _PEM.findall(certificate.read_text(encoding="latin-1"))
    if error.reason == "KEY_VALUES_MISMATCH":
        order = ", or put the server's certificate before those of its chain" if len(found) > 1 else ""
        return f"certificate_key {key} is not the key of certificate {certificate}; give its own{order}"
    if b"ENCRYPTED" in key.read_bytes():
        return f"certificate_key {key} is encrypted: 'openssl pkey -in {key} -out FILE' makes one that is not"
    if (error.reason or "").startswith("EE_KEY"):
        return f"certificate {certificate} has too weak a key; get one of RSA with 2048 bits, or of P-256"
    if not found or not _are_readable(found):
        return f"certificate {certificate} is no PEM file of a certificate and its chain; give one that is"
    why = error.reason or "no key in it"
    return f"certificate_key {key} cannot be used ({why}); give the PEM file of the key of {certificate}"


def _are_readable(certificates: list[str]) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="\n".join(certificates))
    except ssl.SSLError:
        return False
    return True


def _said(files: PemFiles) -> dict[str, Any]:
    """What the certificate says. `ssl` takes one apart for who has verified it, so it is shown to itself."""
    first = _PEM.search(files.certificate.read_text(encoding="latin-1"))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    client.set_ciphers(OLD_CIPHERS)  # whatever is served is looked at
    try:
        client.load_verify_locations(cadata=first[0] if first else "")
        return shake_hands(files, client)
    except ssl.SSLCertVerificationError as error:
        text = f"certificate {files.certificate} is none of a server: {error.verify_message}; get one that is"
        raise CertificateError(text) from None
    except ssl.SSLError as error:
        text = f"certificate {files.certificate} is of no use to phones ({error.reason or error})"
        raise CertificateError(f"{text}; get one with a key of RSA or P-256") from None


def shake_hands(files: PemFiles, client: ssl.SSLContext) -> dict[str, Any]:
    """What a client verifies of whom it talks to, in memory. Raises SSLError where it does not."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.set_ciphers(OLD_CIPHERS)
    serving.load_cert_chain(files.certificate, files.key, password=lambda: "")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server)
    other = serving.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, other, one, other):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return one.getpeercert() or {}


def names_in(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What a certificate is for: its alternative names, or else its common name (RFC 6125)."""
    known = ("DNS", "IP Address")
    names = tuple(_plain(value) for kind, value in said.get("subjectAltName", ()) if kind in known)
    return names or tuple(name for name in [_plain(_name(said["subject"]))] if name)


def _name(fields: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """The common name of a subject or issuer, or what there is."""
    known = {kind: value for part in fields for kind, value in part}
    return known.get("commonName") or ", ".join(known.values())


def _plain(name: str) -> str:
    """A host as it is compared: in lower case, addresses in their one form."""
    try:
        return str(ip_address(name.strip("[]")))
    except ValueError:
        return name.lower().rstrip(".")


def authority(settings: TlsSettings) -> str:
    """The certificate (PEM) that phones have to trust, "" where they do. Raises CertificateError."""
    if settings.ca is None:
        return ""
    try:
        first = _PEM.search(settings.ca.read_text(encoding="latin-1"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=first[0] if first else "")
    except (OSError, ValueError) as error:
        text = f"ca {settings.ca}: {error}; give a PEM file with the authority's certificate first"
        raise CertificateError(text) from None
    return f"{first[0]}\n" if first else ""


def day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))
