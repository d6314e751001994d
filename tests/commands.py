"""The command line as a person uses it, and what answers it instead of a server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Answering:
    """What is given to each call on the control socket, and which calls came."""

    answers: dict[str, Any] = field(default_factory=lambda: {"registrations": [], "reload": {}})
    calls: list[str] = field(default_factory=list)

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append(name)
        return self.answers[name]
