"""Where servers that have a name are (RFC 3263): what DNS has said, and which of them are silent.

Nobody waits who need not: what is too old is used until it is known anew, and where DNS does not answer, for
as long as that lasts (RFC 8767). Whoever asks for a server of which nothing is known may leave an input here,
which comes back with the answer. All of it is bounded.
"""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.effects import Effect, Locate
from blfd.core.inputs import Input, Located
from blfd.core.timers import Timers
from blfd.core.values import Flow, Server, Target

SHORTEST, LONGEST = 5.0, 3600.0  # seconds for which something found holds, whatever DNS says
UNFOUND = 10.0  # seconds until what was not found is looked up again
SILENT = 60.0  # seconds for which a target that gave no response comes last
MOST_KNOWN = 2000  # servers
MOST_ASKED = 200  # servers that are being looked up
MOST_HELD = 1000  # inputs that wait


class Known(NamedTuple):
    """What is known of a server; `fault` is as in Location, `is_old`: to be looked up when it is used."""

    targets: tuple[Target, ...]
    fault: str
    is_old: bool = False


class Locations:
    """Where named servers are, for who chooses ways; `take_wanted` and `located` are the core's."""

    def __init__(self) -> None:
        self._known: dict[Server, Known] = {}  # what was learnt last is at the end
        self._asked: dict[Server, list[Input]] = {}
        self._held = 0
        self._wanted: list[Server] = []
        self._silent: set[Flow] = set()
        self.timers: Timers[tuple[str, Server | Flow]] = Timers(self._due)

    def __len__(self) -> int:
        """How many servers are known."""
        return len(self._known)

    def targets(self, server: Server) -> tuple[Target, ...]:
        """The targets that are known of a server; it is looked up where nothing is, or nothing new."""
        known = self._known.get(server)
        if known is None or known.is_old:
            self._ask(server)
        return known.targets if known else ()

    def fault(self, server: Server) -> str:
        """Why a server has no targets."""
        known = self._known.get(server)
        return known.fault if known else "it has not been looked up: too many names are waited for"

    def hold(self, server: Server, event: Input) -> bool:
        """Keep an input until a server is looked up; False where nobody has to wait, or too many do."""
        if server in self._known or not self._ask(server) or self._held >= MOST_HELD:
            return False
        self._held += 1
        self._asked[server].append(event)
        return True

    def _ask(self, server: Server) -> bool:
        if server not in self._asked:
            if len(self._asked) >= MOST_ASKED:
                return False
            self._asked[server] = []
            self._wanted.append(server)
        return True

    def take_wanted(self) -> list[Effect]:
        """Ask for what has to be looked up since the last call."""
        if not self._wanted:
            return []
        wanted, self._wanted = self._wanted, []
        return [Locate(server) for server in wanted]

    def located(self, found: Located, now: float) -> list[Input]:
        """Take an answer: the inputs that have waited for it."""
        server, (targets, seconds, fault, unsure) = found
        before = self._known.pop(server, None)
        if unsure and before and before.targets:
            targets = before.targets
        self._known[server] = Known(targets, fault)
        lasts = min(max(seconds, SHORTEST), LONGEST) if not fault else UNFOUND
        self.timers.set(("name", server), now + lasts)
        while len(self._known) > MOST_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self.timers.cancel(("name", oldest))
        held = self._asked.pop(server, [])
        self._held -= len(held)
        return held

    def _due(self, key: tuple[str, Server | Flow], now: float) -> list[Effect]:
        """Note that what is known is not new any more, or that a silent target may be tried again."""
        _, one = key
        if isinstance(one, Flow):
            self._silent.discard(one)
        elif one in self._known:
            self._known[one] = self._known[one]._replace(is_old=True)
        return []

    # Targets that are silent

    def gave_no_response(self, way: Flow, now: float) -> None:
        """Note that a request that was sent there had no response."""
        self._silent.add(way)
        self.timers.set(("way", way), now + SILENT)

    def answers_again(self, way: Flow) -> None:
        """Note that who had given no response is there."""
        self._silent.discard(way)
        self.timers.cancel(("way", way))

    def is_silent(self, way: Flow) -> bool:
        return way in self._silent
