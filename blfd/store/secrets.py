"""Passwords that are made here, at random."""

from __future__ import annotations

import hmac
import re
import secrets

SECRET_OCTETS = 16  # in a phone's address for its files, and in its SIP password
TYPED_LENGTH = 12
TYPED = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"  # without those that look alike


def of_phone() -> dict[str, str]:
    """All secrets that a phone gets, by column of its row."""
    return {"password": token(), "secret": token(), **of_web_page()}


def of_web_page() -> dict[str, str]:
    """The passwords of a phone's web page, by column of its row."""
    return {"admin_password": typed(), "user_password": typed()}


def of_book(secret: str) -> str:
    """The secret of a phone's phonebook, which is made from that of its files and does not reveal it."""
    return hmac.new(secret.encode(), b"phonebook", "sha256").hexdigest()[: 2 * SECRET_OCTETS]


def token() -> str:
    return secrets.token_hex(SECRET_OCTETS)


def typed() -> str:
    """A password for people who type it, and for phones that want a capital, a small letter and a digit."""
    while True:
        made = "".join(secrets.choice(TYPED) for _ in range(TYPED_LENGTH))
        if all(re.search(kind, made) for kind in ("[A-Z]", "[a-z]", "[0-9]")):
            return made
