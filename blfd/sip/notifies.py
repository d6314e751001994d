"""NOTIFYs on their way out: from values to octets, to a client transaction, and how long that took."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from blfd.core.effects import Notify
from blfd.sip.client_transactions import ClientTransactions
from blfd.sip.own_uris import OwnUris
from blfd.sip.writer import Writer

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Notifies:
    """Sends them by `clients`; `changed_at` is set to when what is told now began to be handled."""

    def __init__(
        self,
        clients: ClientTransactions,
        own_uris: OwnUris,
        writer: Writer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients, self._own_uris, self._writer, self._clock = clients, own_uris, writer, clock
        self.changed_at = 0.0
        self._latencies = [0] * (len(BOUNDS) + 1)
        self._waited = 0.0

    def send(self, notifies: Iterable[Notify]) -> list[Notify]:
        """All of them, which may be thousands; returns those that there is no connection to send by."""
        clients, own_uris, write = self._clients, self._own_uris.of, self._writer.notify
        changed_at, latencies = self.changed_at, self._latencies
        lost = []
        for notify in notifies:
            branch, flow, ids = clients.new_branch(), notify.flow, notify.dialog.id
            sent_by, contact = own_uris(flow)
            if notify.contact_user:
                contact = self._own_uris.contact(flow, notify.contact_user)
            data = write(notify, f"{sent_by};rport;branch={branch}", contact)
            now = self._clock()
            waited = now - changed_at
            latencies[bisect_left(BOUNDS, waited)] += 1
            self._waited += waited
            if not clients.send(branch, notify.subscription, ids[0], ids[1], notify.cseq, data, flow, now):
                lost.append(notify)
        return lost

    def latency(self) -> dict[str, Any]:
        """How many NOTIFYs left within each of `bounds` seconds, and past the last; `sum` of all."""
        return {"bounds": BOUNDS, "counts": self._latencies, "sum": self._waited}
