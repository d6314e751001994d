"""Requests that prove a password by digest, and who looks at them."""

from __future__ import annotations

import hashlib
import re

import pytest
from builders import HOST, flow

from blfd.core.access.digest import ALGORITHMS, Authenticator, response
from blfd.core.access.domains import Domains
from blfd.core.directory import Directory, Extension, Tenant
from blfd.core.errors import Refusal
from blfd.core.messages import Credentials, PublishReceived, RegisterReceived, Request, SubscribeReceived
from blfd.core.settings import Settings
from blfd.core.values import Aor

Asking = RegisterReceived | SubscribeReceived | PublishReceived
PASSWORD = "s3cret"
NOW = 1_800_000_000.0
MARK = "0a1b2c"


def ha1(user: str, realm: str, password: str = PASSWORD) -> dict[str, str]:
    """What is stored of a password, by algorithm."""
    text = f"{user}:{realm}:{password}".encode()
    return {"MD5": hashlib.md5(text).hexdigest(), "SHA-256": hashlib.sha256(text).hexdigest()}


def authenticator(mark: str = MARK, **settings: object) -> Authenticator:
    found = Authenticator(b"key", mark, Settings(**settings))  # type: ignore[arg-type]
    tenants = {"default": Tenant("default"), "acme.example": Tenant("acme.example")}
    people = [Aor("default", "101"), Aor("default", "102"), Aor("acme.example", "101")]
    extensions = {aor: Extension(aor, "", ha1(aor.extension, tenants[aor.tenant].realm)) for aor in people}
    directory = Directory(tenants, extensions)
    found.directory_changed(directory, Domains(directory, [HOST]))
    return found


def refusal(auth: Authenticator, asked: Request, now: float = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        auth.authenticate(asked, now)
    return caught.value


def credentials(
    challenge: Refusal,
    asked: Request,
    algorithm: str = "SHA-256",
    *,
    user: str = "101",
    password: str = PASSWORD,
    **over: str,
) -> Request:
    """The request with an answer to the challenge; `over` changes fields of the credentials."""
    header = next(v for _, v in challenge.headers if f"algorithm={algorithm}" in v)
    parts = dict(re.findall(r'(\w+)="([^"]+)"', header))
    given = Credentials(
        user, parts["realm"], parts["nonce"], asked.target.text, "", algorithm, "c", "auth", "00000001"
    )._replace(**{k: v for k, v in over.items() if k != "response"})
    key = ha1(given.username.partition("@")[0], given.realm, password)[algorithm]
    answer = response(given, key, asked.method, ALGORITHMS[algorithm])
    return asked._replace(credentials=(given._replace(response=over.get("response", answer)),))


def sent_from(asked: Request, host: str) -> Request:
    """The request as it comes from another address."""
    return asked._replace(flow=flow()._replace(host=host))
