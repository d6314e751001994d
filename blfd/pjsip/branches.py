"""Branches of PJSIP's requests, sealed with what nobody else can make.

PJSIP draws tags and branches from one generator for all, with a seed of 32 bits: who has seen some may work
out others. Whoever may watch a phone knows the Call-ID and tags of a call that rings there, so with its
branch they could answer in the place of that phone. A request leaves with a MAC behind its branch; a response
without counts for nothing, and PJSIP gets the branch that it knows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

SEAL = 12  # hexadecimal digits

_branch = re.compile(rb";branch=([^;\r]+)").search


class Branches:
    """The branches of one process: what an earlier one has sent is waited for by no transaction."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def sealed(self, via: bytes) -> bytes:
        """What PJSIP has printed from the first Via on, with its branch sealed."""
        found = _branch(via)
        assert found, "each of its requests has a branch"
        return b"".join((via[: found.end()], self._seal(found[1]), via[found.end() :]))

    def opened(self, branch: str) -> str:
        """The branch of a response as PJSIP has made it, "" where we have not sent it."""
        made, seal = branch[:-SEAL], branch[-SEAL:]
        own = self._seal(made.encode("utf-8", "surrogateescape"))
        return made if hmac.compare_digest(seal.encode("utf-8", "surrogateescape"), own) else ""

    def _seal(self, branch: bytes) -> bytes:
        return hashlib.blake2b(branch, key=self._key, digest_size=SEAL // 2).hexdigest().encode()
