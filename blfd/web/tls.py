"""Whether a certificate and its key are fit to serve https, before anybody asks for a file."""

from __future__ import annotations

import ssl
from pathlib import Path


class TlsError(Exception):
    """One line that says which file is wrong, and what to do."""


def check(certificate: str, key: str | None) -> None:
    """Raises TlsError. Without `key`, it is in the certificate's file."""
    for name, path in (("certificate", certificate), ("certificate_key", key or certificate)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise TlsError(f"{name} {path}: {error.strerror}; give one that the server may read") from None
    try:
        # A password would be asked for on the terminal otherwise.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise TlsError(_explained(error, certificate, key or certificate)) from None


def _explained(error: ssl.SSLError, certificate: str, key: str) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"certificate_key {key} is not the key of certificate {certificate}; give its own"
    if b"ENCRYPTED" in Path(key).read_bytes():
        return f"certificate_key {key} is encrypted: 'openssl pkey -in {key} -out FILE' makes one that is not"
    return (
        f"certificate {certificate} and certificate_key {key} cannot be used ({error.reason or error}): "
        "both have to be PEM files, the certificate's chain in one"
    )
