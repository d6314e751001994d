"""Digest as its client: what a server's challenges are answered with (RFC 7616; RFC 8760)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from blfd.core.access.digest import ALGORITHMS, response
from blfd.core.messages import Challenge, Credentials
from blfd.core.quoting import quoted
from blfd.core.values import Account, Headers

KNOWN = 64  # requests inside a call that were answered by others, whose challenges may come twice
MOST_ROUNDS = 4  # in a row: two servers may want a proof each, and each a fresher one


def text(one: Challenge) -> str:
    """The challenge as a header field has it."""
    opaque = f", opaque={quoted(one.opaque)}" if one.opaque else ""
    qop = ', qop="auth"' if "auth" in one.qop else ""
    stale = ", stale=true" if one.stale else ""
    realm, nonce = quoted(one.realm), quoted(one.nonce)
    return f"Digest realm={realm}, nonce={nonce}, algorithm={one.digest}{qop}{opaque}{stale}"


def best(challenges: Iterable[Challenge], realm: str = "") -> list[Challenge]:
    """The strongest challenge of each realm, or of one alone, of those that can be answered."""
    names = list(ALGORITHMS)
    found: dict[tuple[str, bool], Challenge] = {}
    for one in challenges:
        if one.digest not in names or (one.qop and "auth" not in one.qop):
            continue
        if realm and one.realm != realm:
            continue
        known = found.get((one.realm, one.proxy))
        if known is None or names.index(one.digest) < names.index(known.digest):
            found[one.realm, one.proxy] = one
    return list(found.values())


def foreign(challenges: Iterable[Challenge], realm: str) -> str:
    """The realm of challenges of which none is of the realm that is set; "" where there is no such."""
    realms = [one.realm for one in challenges]
    return "" if not realm or realm in realms or not realms else realms[0]


class Rounds:
    """The challenges inside a call: each request, known by its CSeq, goes again by another one.

    A challenge that comes again has found the password wrong, unless it says that only the nonce was old.
    """

    def __init__(self) -> None:
        self._met: dict[int, tuple[int, frozenset[tuple[str, bool]]]] = {}
        self._gone: deque[int] = deque(maxlen=KNOWN)  # by another CSeq since

    def finished(self, cseq: int) -> None:
        """Forget a request that has its final response."""
        self._met.pop(cseq, None)

    def asked(
        self, cseq: int, again: int, challenges: Iterable[Challenge], realm: str = ""
    ) -> list[Challenge]:
        """The challenges to answer by the request `again`; none past `MOST_ROUNDS`, as somebody may want
        another proof each time, and none where the same has come before."""
        if cseq in self._gone:
            return []
        rounds, met = self._met.pop(cseq, (0, frozenset()))
        found = best(challenges, realm)
        asked = [one for one in found if one.stale or (one.realm, one.proxy) not in met]
        if rounds == MOST_ROUNDS or not asked:
            return []
        self._gone.append(cseq)
        self._met[again] = rounds + 1, met | {(one.realm, one.proxy) for one in asked}
        return asked


class Proofs:
    """The challenges that a request of ours has met, and what it says to them each time it goes again.

    One that comes again has found the password wrong, unless it says that only the nonce was old.
    """

    def __init__(self) -> None:
        self._met: dict[tuple[str, bool], Challenge] = {}
        self._sent: dict[tuple[str, bool], int] = {}  # how often the nonce of each was answered
        self._rounds = 0

    @property
    def any(self) -> bool:
        """Whether a password was proved, or was found wrong."""
        return bool(self._met)

    def may_go_again(self) -> bool:
        """Counts the request, whyever it goes again: nobody can have it go for ever."""
        self._rounds += 1
        return self._rounds <= MOST_ROUNDS

    def meets(self, challenges: Iterable[Challenge], realm: str = "") -> bool:
        """Whether there is something to answer, with what was met before; of one `realm` if that is given."""
        asked = [c for c in best(challenges, realm) if c.stale or (c.realm, c.proxy) not in self._met]
        if not self.may_go_again() or not asked:
            return False
        for one in asked:
            self._met[one.realm, one.proxy] = one
            self._sent[one.realm, one.proxy] = 0
        return True

    def fields(self, account: Account, method: str, uri: str, cnonce: str) -> Headers:
        """Authorization and Proxy-Authorization of a request that is sent now."""
        found = []
        for key, one in self._met.items():
            self._sent[key] += 1
            name = "Proxy-Authorization" if one.proxy else "Authorization"
            found.append((name, _answer(one, self._sent[key], account, method, uri, cnonce)))
        return tuple(found)


def _answer(one: Challenge, times: int, account: Account, method: str, uri: str, cnonce: str) -> str:
    digest, count = ALGORITHMS[one.digest], f"{times:08x}"
    qop = "auth" if one.qop else ""
    username = account.username
    given = Credentials(username, one.realm, one.nonce, uri, "", one.digest, cnonce, qop, count)
    proof = response(given, digest(f"{username}:{one.realm}:{account.password}"), method, digest)
    more = f', qop=auth, cnonce="{cnonce}", nc={count}' if qop else ""
    opaque = f", opaque={quoted(one.opaque)}" if one.opaque else ""
    who = f"username={quoted(username)}, realm={quoted(one.realm)}, nonce={quoted(one.nonce)}"
    return f'Digest {who}, uri="{uri}", response="{proof}", algorithm={one.digest}{more}{opaque}'
