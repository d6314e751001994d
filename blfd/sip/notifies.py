"""NOTIFYs on their way out: from values to octets, to a client transaction, and how long that took."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from blfd.core.effects import Notify
from blfd.core.values import Flow, SubscriptionDialog
from blfd.sip.client_transactions import ClientTransactions
from blfd.sip.own_uris import OwnUris
from blfd.sip.writer import NotifyHead, Writer, notify_head

MANY = 50  # watchers that are told at once, from where what their NOTIFYs have in common is kept
MAX_HEADS = 20_000  # some 550 octets each; past it, all are made anew
LONGEST_HEAD = 1500  # characters of what is kept, as attackers would fill memory with longer ones
TIMED = 16  # NOTIFYs between looks at the clock: some 0.2 ms
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Notifies:
    """Sends NOTIFYs by `clients`; `changed_at` is set to when what is told now began to be handled."""

    def __init__(self, clients: ClientTransactions, own_uris: OwnUris, writer: Writer) -> None:
        self._clients, self._own_uris, self._writer = clients, own_uris, writer
        self.changed_at = 0.0
        self._heads: dict[str, tuple[SubscriptionDialog, Flow, NotifyHead]] = {}
        self._latencies = [0] * (len(BOUNDS) + 1)
        self._waited = 0.0

    def send(self, notifies: Sequence[Notify]) -> list[Notify]:
        """Send all of them, which may be thousands; returns those that there is no connection to send by."""
        clients, write = self._clients, self._writer.notify
        heads = self._heads if len(notifies) >= MANY else None
        lost = []
        now = time.monotonic()
        for number, notify in enumerate(notifies, 1):
            key, flow, dialog, cseq = notify[:4]
            known = heads.get(key) if heads is not None else None
            if known is None or known[0] is not dialog or known[1] is not flow:
                head = self._head(notify)
                if heads is not None and sum(map(len, head)) <= LONGEST_HEAD:
                    head = head._replace(after=sys.intern(head.after))  # nearly always the same
                    heads[key] = dialog, flow, head
                known = dialog, flow, head
            branch = clients.new_branch()
            data = write(notify, known[2], branch)
            if not clients.send(branch, key, dialog.id, cseq, data, flow, now):
                lost.append(notify)
            if not number % TIMED:
                now = self._timed(TIMED)
        self._timed(len(notifies) % TIMED)
        if len(self._heads) > MAX_HEADS:
            self._heads.clear()
        return lost

    def _head(self, notify: Notify) -> NotifyHead:
        sent_by, contact = self._own_uris.of(notify.flow)
        if notify.contact_user:
            contact = self._own_uris.contact(notify.flow, notify.contact_user)
        return notify_head(notify.dialog, sent_by, contact)

    def _timed(self, count: int) -> float:
        """Count that so many NOTIFYs have left by now; returns the time."""
        now = time.monotonic()
        waited = now - self.changed_at
        self._latencies[bisect_left(BOUNDS, waited)] += count
        self._waited += count * waited
        return now

    def latency(self) -> dict[str, Any]:
        """How many NOTIFYs left within each of `bounds` seconds, and past the last; `sum` of all."""
        return {"bounds": BOUNDS, "counts": self._latencies, "sum": self._waited}
