"""What depends on a connection, found when it ends."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from blfd.core.values import TRANSPORTS, Flow

CONNECTED = frozenset(name for name, transport in TRANSPORTS.items() if transport.connected)

K = TypeVar("K", bound=Hashable)


class ByFlow(Generic[K]):
    """Keys by the flow of a connection; other flows do not end, so they are left out.

    What was added twice has to be removed twice.
    """

    def __init__(self) -> None:
        self._keys: dict[Flow, dict[K, int]] = {}

    def add(self, flow: Flow, key: K) -> None:
        if flow.transport in CONNECTED:
            keys = self._keys.setdefault(flow, {})
            keys[key] = keys.get(key, 0) + 1

    def remove(self, flow: Flow, key: K) -> None:
        keys = self._keys.get(flow) if flow.transport in CONNECTED else None
        if keys is None:
            return
        keys[key] -= 1
        if not keys[key]:
            del keys[key]
        if not keys:
            del self._keys[flow]

    def of(self, flow: Flow) -> list[K]:
        return list(self._keys.get(flow, ()))
