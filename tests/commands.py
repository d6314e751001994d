"""What tests of the command line share: its types, a terminal, and something that answers as a server."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]
Blfd = Callable[..., tuple[int, str, str]]  # exit code, output, errors


class Terminal(io.StringIO):
    """A terminal at which a line is typed; if `typed` is a function, it is called when the line is read."""

    def __init__(self, typed: str | Callable[[], str]) -> None:
        super().__init__()
        self._typed = typed

    def isatty(self) -> bool:
        return True

    # typeshed gives the class that StringIO derives from a readline of octets.
    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        return self._typed if isinstance(self._typed, str) else self._typed()


@dataclass
class Answering:
    """The answers to calls on the control socket, and the calls that came."""

    answers: dict[str, Any] = field(default_factory=lambda: {"registrations": [], "reload": {}})
    calls: list[str] = field(default_factory=list)

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append(name)
        return self.answers[name]
