"""Commands as log lines advise them: they are pasted into a shell, by root."""

from __future__ import annotations

import re

from blfd.core.values import DEFAULT_TENANT

_PLAIN = re.compile(r"[A-Za-z0-9+*#._:=@/-]+").fullmatch


def command(tenant: str, *words: str) -> str:
    """A command of blfd's, between quotation marks, for what is of a tenant.

    The tenant stands before the command, as it is an option of all. A word that a shell could take for more
    than a word is not written: "..." stands in its place.
    """
    of = () if tenant == DEFAULT_TENANT else ("--tenant", tenant)
    return f"'{' '.join(word if _PLAIN(word) else '...' for word in ('blfd', *of, *words))}'"
