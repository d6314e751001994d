"""NOTIFYs on their way out: from values to octets, to a client transaction, and how long that took."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from blfd.core.effects import Notify
from blfd.sip.client_transactions import ClientTransactions
from blfd.sip.own_uris import OwnUris
from blfd.sip.writer import Writer

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Notifies:
    """Sends them by `clients`; `changed_at` is set to when what is told now began to be handled."""

    def __init__(self, clients: ClientTransactions, own_uris: OwnUris, writer: Writer) -> None:
        self._clients, self._own_uris, self._writer = clients, own_uris, writer
        self.changed_at = 0.0
        self._latencies = [0] * (len(BOUNDS) + 1)
        self._waited = 0.0

    def send(self, notify: Notify, now: float) -> bool:
        """False where there is no connection to send it by."""
        branch = self._clients.new_branch()
        flow, dialog = notify.flow, notify.dialog
        sent_by, contact = self._own_uris.sent_by(flow), self._own_uris.contact(flow)
        data = self._writer.notify(notify, f"{sent_by};rport;branch={branch}", contact)
        waited = now - self.changed_at
        self._latencies[bisect_left(BOUNDS, waited)] += 1
        self._waited += waited
        call_id, local_tag, _ = dialog.id
        return self._clients.send(
            branch, notify.subscription, call_id, local_tag, notify.cseq, data, flow, now
        )

    def latency(self) -> dict[str, Any]:
        """How many NOTIFYs left within each of `bounds` seconds, and past the last; `sum` of all."""
        return {"bounds": BOUNDS, "counts": self._latencies, "sum": self._waited}
