"""The certificates that are served, and which of them a phone gets.

Files are read again when they have changed (`Certificates.renew`): what is served is replaced as a whole, or
it stays. Connections that are up keep what they began with.
"""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path

from blfd.transport.certificate import (
    Certificate,
    CertificateError,
    TlsSettings,
    context_of,
    context_to_servers,
    load,
)

log = logging.getLogger("blfd.tls")


class Certificates:
    """What is served now, by server name; `served` has it. Raises CertificateError.

    `what` is what log lines say is served with it. A context that `context` has given shows new certificates
    too, once they are read.
    """

    def __init__(self, settings: TlsSettings, what: str = "TLS") -> None:
        self._settings, self._what = settings, what
        self._seen = self._kept = self._stamps()
        self.served, self._to_peers, self._to_servers = self._load()

    def _load(self) -> tuple[tuple[Certificate, ...], ssl.SSLContext, ssl.SSLContext]:
        served = tuple(load(files, self._settings) for files in self._settings.certificates)
        ours = context_of(ssl.PROTOCOL_TLS_CLIENT, self._settings), context_to_servers(self._settings)
        for context in ours:
            context.load_cert_chain(*served[0].files, password=lambda: "")
        served[0].context.sni_callback = self._choose
        return served, *ours

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Choose the certificate for a phone that names whom it wants to talk to (RFC 6066, section 3)."""
        found = (one for one in self.served if name and one.fits(name))
        connection.context = next(found, self.served[0]).context

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for a connection that comes now."""
        return self.served[0].context

    def context_to(self, name: str) -> ssl.SSLContext:
        """The TLS context for a connection that we make to whom DNS has found by a name, or to an address."""
        return self._to_servers if name else self._to_peers

    def renew(self) -> None:
        """Read files that have changed and are no more being written; may be called from any thread."""
        stamps = self._stamps()
        is_settled, self._seen = stamps == self._seen, stamps
        if stamps == self._kept or not is_settled:
            return
        self._kept = stamps
        try:
            served, *ours = self._load()
            now = time.time()
            for old, new in zip(self.served, served, strict=True):
                if not new.begins <= now < new.ends and old.begins <= now < old.ends:
                    raise CertificateError(f"{new}: it does not hold today")
        except (CertificateError, OSError) as error:
            text = "%s: the certificates have changed, and those of before are served on: %s"
            log.warning(text, self._what, error)
            return
        self.served, (self._to_peers, self._to_servers) = served, ours
        for one in served:
            log.info("%s: new connections get %s", self._what, one)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """A mark of each file, which differs once it is written or replaced."""
        settings = self._settings
        paths = {path for files in settings.certificates for path in files} | {
            settings.client_ca,
            settings.server_ca,
        }
        return [_stamp(path) for path in sorted(path for path in paths if path)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
