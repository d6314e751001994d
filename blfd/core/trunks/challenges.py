"""Digest as its client: what a server's challenges are answered with (RFC 7616; RFC 8760)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from blfd.core.access.digest import ALGORITHMS, response
from blfd.core.messages import Challenge, Credentials
from blfd.core.quoting import quoted
from blfd.core.values import Headers

COUNT = "00000001"  # a nonce is used once


def text(one: Challenge) -> str:
    """As a header field has it."""
    opaque = f", opaque={quoted(one.opaque)}" if one.opaque else ""
    qop = ', qop="auth"' if "auth" in one.qop else ""
    stale = ", stale=true" if one.stale else ""
    realm, nonce = quoted(one.realm), quoted(one.nonce)
    return f"Digest realm={realm}, nonce={nonce}, algorithm={one.digest}{qop}{opaque}{stale}"


def best(challenges: Iterable[Challenge]) -> list[Challenge]:
    """Of each realm the strongest that can be answered."""
    names = list(ALGORITHMS)
    found: dict[tuple[str, bool], Challenge] = {}
    for one in challenges:
        if one.digest not in names or (one.qop and "auth" not in one.qop):
            continue
        known = found.get((one.realm, one.proxy))
        if known is None or names.index(one.digest) < names.index(known.digest):
            found[one.realm, one.proxy] = one
    return list(found.values())


def answers(
    challenges: Sequence[Challenge], username: str, password: str, method: str, uri: str, cnonce: str
) -> Headers:
    """Authorization and Proxy-Authorization for what `best` has found."""
    return tuple(
        (
            "Proxy-Authorization" if one.proxy else "Authorization",
            _answer(one, username, password, method, uri, cnonce),
        )
        for one in challenges
    )


def _answer(one: Challenge, username: str, password: str, method: str, uri: str, cnonce: str) -> str:
    digest = ALGORITHMS[one.digest]
    qop = "auth" if one.qop else ""
    given = Credentials(username, one.realm, one.nonce, uri, "", one.digest, cnonce, qop, COUNT)
    proof = response(given, digest(f"{username}:{one.realm}:{password}"), method, digest)
    more = f', qop=auth, cnonce="{cnonce}", nc={COUNT}' if qop else ""
    opaque = f", opaque={quoted(one.opaque)}" if one.opaque else ""
    who = f"username={quoted(username)}, realm={quoted(one.realm)}, nonce={quoted(one.nonce)}"
    return f'Digest {who}, uri="{uri}", response="{proof}", algorithm={one.digest}{more}{opaque}'
