"""Which phone asks: by the secret in its address, or by Basic or Digest credentials (RFC 7617, RFC 7616)."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time

from blfd.core.access.digest import ALGORITHMS, response
from blfd.core.access.nonces import MARK_OCTETS, Nonces
from blfd.core.messages import Credentials
from blfd.store.devices import DeviceRow, Devices
from blfd.store.secrets import of_book
from provisioning import ProvisioningError, normal_mac

REALM = "blfd provisioning"
NONCE_LIFETIME = 300  # seconds
NOBODY = DeviceRow(
    "", "", "", (), secret=secrets.token_hex(16)
)  # where there is no such phone, this row is compared with

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class Stale(Exception):
    """The credentials are right, and their nonce is not fresh: the client is to use a new one."""


class Access:
    """Finds phones by the secret that they show; an unknown phone and a wrong secret get the same answer."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._nonces = Nonces(secrets.token_bytes(32), secrets.token_hex(MARK_OCTETS))

    def by_secret(self, secret: str) -> DeviceRow | None:
        """The phone of a secret, found by an index; how long that takes tells nothing over a network."""
        row = self._devices.by_secret(secret) or NOBODY
        return row if hmac.compare_digest(secret.encode(), row.secret.encode()) else None

    def by_book(self, mac: str, secret: str) -> DeviceRow | None:
        """The phone whose phonebook has this secret."""
        row = self._named(mac)
        return row if hmac.compare_digest(secret.encode(), of_book(row.secret).encode()) else None

    def by_credentials(self, authorization: str, method: str, source: str) -> DeviceRow | None:
        """The phone of an Authorization value; None where it is missing or wrong. Raises Stale."""
        scheme, _, rest = authorization.partition(" ")
        match scheme.lower():
            case "basic":
                return self._basic(rest)
            case "digest":
                return self._digest(rest, method, source)
        return None

    def challenges(self, source: str, stale: bool = False) -> list[str]:
        """The challenges: Digest first, as it shows no password; of its algorithms MD5 first.

        A client takes the first that it knows (RFC 7616, section 3.7), but many phones look at the first
        alone, and have to find MD5 there. It costs nothing: the password is 128 random bits. SHA-256 is for
        those that are built without MD5.
        """
        nonce = self._nonces.make(source, time.time())
        again = ", stale=true" if stale else ""
        return [
            *(
                f'Digest realm="{REALM}", nonce="{nonce}", algorithm={name}, qop="auth"{again}'
                for name in ("MD5", "SHA-256")
            ),
            f'Basic realm="{REALM}"',
        ]

    def _basic(self, text: str) -> DeviceRow | None:
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().rpartition(":")
        except ValueError:  # errors of Base64 or of UTF-8
            return None
        row = self._named(user)
        return row if hmac.compare_digest(password.encode(), row.secret.encode()) else None

    def _digest(self, text: str, method: str, source: str) -> DeviceRow | None:
        given = {name: quoted or plain for name, quoted, plain in _PARAMETER.findall(text)}
        names = ("username", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "qop", "nc")
        credentials = Credentials(*(given.get(name, "") for name in names))
        row = self._named(credentials.username)
        hashed = ALGORITHMS.get(credentials.algorithm.upper() or "MD5")
        if hashed is None:
            return None
        ha1 = hashed(f"{credentials.username}:{REALM}:{row.secret}")
        wanted, answered = response(credentials, ha1, method, hashed), credentials.response.lower()
        right = hmac.compare_digest(wanted.encode(), answered.encode())
        age = self._nonces.age(credentials.nonce, source, time.time())
        if not right or row is NOBODY or credentials.qop != "auth":
            return None
        if age is None or age > NONCE_LIFETIME or not self._nonces.use(credentials.nonce, credentials.nc):
            raise Stale
        return row

    def _named(self, user: str) -> DeviceRow:
        try:
            return self._devices.get(normal_mac(user)) or NOBODY
        except ProvisioningError:
            return NOBODY
