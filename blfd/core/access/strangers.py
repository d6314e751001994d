"""Who calls and proves nothing: how often that is refused, and when it is told.

A phone is asked for its password and gives it at once; a scanner is asked and gives none. So who was asked
has failed when nothing has come for a while, and that is one line. A refusal is sent once, and not again
until it is acknowledged (RFC 3261, section 26.3.2.4), as what comes by UDP may be sent in another's name.

For that reason nobody is shut out over UDP: of a source (IPv6: a /64) so many are refused a second, and the
rest get no response. Over a connection the sender is who it is: each failure counts as a wrong password does.
Addresses of trunks and of registered phones are no strangers'.
"""

from __future__ import annotations

from collections.abc import Callable

from blfd.core import hosts
from blfd.core.access.limits import Rates
from blfd.core.effects import Effect, Level, Log
from blfd.core.errors import Refusal, Silenced, auth_failed
from blfd.core.messages import Request
from blfd.core.timers import Timers
from blfd.core.visible import visible

PATIENCE = 10.0  # seconds for a phone to give its password
MOST = 10_000  # that are waited for; past it, who is asked is told of at once

Key = tuple[str, str]
"""A sender and a Call-ID."""


class Strangers:
    """Who calls and has proved nothing yet. `knows` says whether an address is a trunk's or a phone's, and
    `failed` counts a failure of a sender, and says what is told once there were too many."""

    def __init__(
        self, per_second: int, knows: Callable[[str], bool], failed: Callable[[str, str, float], str]
    ) -> None:
        self._knows, self._failed = knows, failed
        self._rates = Rates(per_second)
        self._asked: dict[Key, tuple[str, bool]] = {}
        self.timers: Timers[Key] = Timers(self._due)

    @property
    def ignored(self) -> int:
        """INVITEs that were dropped."""
        return self._rates.refused

    def proved(self, request: Request) -> None:
        """Forget a request whose sender is no stranger."""
        self._forget(_key(request))

    def refused(self, request: Request, refusal: Refusal, now: float) -> list[Effect]:
        """What is told of an INVITE that is refused. Raises Silenced where there is not even a response."""
        flow, key = request.flow, _key(request)
        if refusal.log:  # the line is of a wrong password
            self._forget(key)
            return []
        if self._knows(flow.host) or refusal.status == 503:
            return []
        if not flow.is_connected and not self._rates.take(hosts.sender(flow.host), now):
            raise Silenced
        who = visible(f"{request.from_.uri.user}@{request.from_.uri.host}")
        said = auth_failed(flow.host, f"SIP INVITE as {who} to {visible(request.target.user)}")
        if refusal.status == 401 and len(self._asked) < MOST:
            self._asked[key] = said, flow.is_connected
            self.timers.set(key, now + PATIENCE)
            return []
        self._forget(key)
        return self._tell(key, f"{said}: {refusal.reason}", flow.is_connected, now)

    def _due(self, key: Key, now: float) -> list[Effect]:
        said, is_connected = self._asked.pop(key)
        return self._tell(key, f"{said}: no password came", is_connected, now)

    def _tell(self, key: Key, said: str, is_connected: bool, now: float) -> list[Effect]:
        too_many = self._failed(key[0], said, now) if is_connected else ""
        return [Log(Level.WARNING, too_many) if too_many else Log(Level.INFO, said)]

    def _forget(self, key: Key) -> None:
        self._asked.pop(key, None)
        self.timers.cancel(key)


def _key(request: Request) -> Key:
    return request.flow.host, request.call_id
