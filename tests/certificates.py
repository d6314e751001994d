"""Authorities and certificates, which openssl makes when a test wants one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from programs import program

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
USAGE = "keyUsage=digitalSignature"
MAY_SIGN = f"{USAGE},keyCertSign"  # only authorities have it: Python is strict about that from 3.13
RSA = ("-newkey", "rsa:2048")


class Pair(NamedTuple):
    """The files of a certificate, with its chain if it has one, and of its key."""

    certificate: Path
    key: Path

    def options(self) -> tuple[str, ...]:
        """The options of `blfd run` that name them."""
        return "--certificate", str(self.certificate), "--certificate-key", str(self.key)

    def toml(self) -> str:
        return f'certificate = "{self.certificate}"\ncertificate_key = "{self.key}"\n'


def _openssl(*words: str) -> None:
    subprocess.run([program("openssl"), *words], check=True, capture_output=True)


def self_signed(
    folder: Path, name: str, names: str = "IP:127.0.0.1", *more: str, kind: tuple[str, ...] = EC
) -> Pair:
    """Make a self-signed certificate for `names`, written as in subjectAltName; openssl makes it a CA."""
    made = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    subject = (
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName={names}",
        "-days",
        "30",
        "-addext",
        MAY_SIGN,
    )
    files = ("-out", str(made.certificate), "-keyout", str(made.key))
    _openssl("req", "-x509", *kind, *subject, *files, *(more or ("-nodes",)))
    return made


def signed(
    folder: Path, name: str, by: Pair, names: str = "IP:127.0.0.1", *, days: int = 30, is_ca: bool = False
) -> Pair:
    """Make a certificate that an authority signs, without the authority's own in the file."""
    made = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    _openssl("req", *EC, "-nodes", "-subj", f"/CN={name}", "-out", str(request), "-keyout", str(made.key))
    constraints = f"basicConstraints=critical,CA:{'TRUE' if is_ca else 'FALSE'}"
    lines = (
        f"subjectAltName={names}",
        constraints,
        MAY_SIGN if is_ca else USAGE,
        "authorityKeyIdentifier=keyid",
        "subjectKeyIdentifier=hash",
    )
    extensions.write_text("\n".join(lines))
    authority = ("-CA", str(by.certificate), "-CAkey", str(by.key), "-CAcreateserial")
    files = ("-in", str(request), "-extfile", str(extensions), "-out", str(made.certificate))
    _openssl("x509", "-req", *authority, "-days", str(days), *files)
    return made
