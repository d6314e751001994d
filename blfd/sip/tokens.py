"""Tags and branches that nobody can guess, drawn many at once: to ask the kernel for each costs more."""

from __future__ import annotations

import secrets

DRAWN = 4096


class Tokens:
    """Draws tokens: each is `prefix` and so many random hexadecimal `digits`."""

    def __init__(self, prefix: str = "", digits: int = 16) -> None:
        self._prefix, self._digits = prefix, digits
        self._drawn: list[str] = []

    def new(self) -> str:
        if not self._drawn:
            prefix, digits = self._prefix, self._digits
            text = secrets.token_hex(DRAWN * digits // 2)
            self._drawn = [prefix + text[at : at + digits] for at in range(0, len(text), digits)]
        return self._drawn.pop()
