"""Commands as log lines, errors and findings advise them: they are pasted into a shell, by root."""

from __future__ import annotations

import re

from blfd.core.values import DEFAULT_TENANT

_PLAIN = re.compile(r"[A-Za-z0-9+*#.,_:=@/-]+").fullmatch
_NOT_FOR_THE_SHELL = re.compile(r"\*|^#")  # file names, and a comment


def command(tenant: str, *words: str) -> str:
    """A command of blfd's, between quotation marks, for what is of a tenant.

    The tenant stands before the command, as it is an option of all. A word that a shell could take for more
    than a word is not written: "..." stands in its place.
    """
    of = () if tenant == DEFAULT_TENANT else ("--tenant", tenant)
    return f"'{' '.join(map(_word, ('blfd', *of, *words)))}'"


def where_missing(tenant: str, *kind: str) -> str:
    """What to do where something of a kind is named that there is not."""
    return f"{command(tenant, *kind, 'list')} shows them, {command(tenant, *kind, 'add')} adds one"


def _word(word: str) -> str:
    return _NOT_FOR_THE_SHELL.sub(r"\\\g<0>", word) if _PLAIN(word) else "..."
