"""The command line as a person uses it, and what answers it instead of a server."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]
Blfd = Callable[..., tuple[int, str, str]]  # exit code, output, errors


class Terminal(io.StringIO):
    """Where a line is typed; a function is called when it is asked for."""

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
    """What is given to each call on the control socket, and which calls came."""

    answers: dict[str, Any] = field(default_factory=lambda: {"registrations": [], "reload": {}})
    calls: list[str] = field(default_factory=list)

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append(name)
        return self.answers[name]
