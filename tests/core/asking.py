"""What a core asks of servers of others, and how tests answer."""

from __future__ import annotations

from builders import World

from blfd.core.effects import Effect, Log, SendRequest
from blfd.core.messages import ResponseReceived


class Asking:
    """A world, the requests that it has sent, and its log lines."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[SendRequest] = []
        self.logs: list[str] = []

    def take(self, effects: list[Effect]) -> SendRequest | None:
        """Take what came of an input, and return the last request of it."""
        found = [effect for effect in effects if isinstance(effect, SendRequest)]
        self.asked += found
        self.logs += [effect.text for effect in effects if isinstance(effect, Log)]
        return found[-1] if found else None

    def wait(self, seconds: float) -> SendRequest | None:
        return self.take(self.world.at(self.world.now + seconds))

    def first(self) -> SendRequest:
        """Wait for the request after a start, and return it."""
        sent = self.wait(1.0)
        assert sent
        return sent

    def answer(self, sent: SendRequest, status: int, reason: str = "", **over: object) -> SendRequest | None:
        return self.take(self.world.give(ResponseReceived(sent.token, status, reason, **over)))  # type: ignore[arg-type]
