"""A 2xx to our INVITE that comes after another, or after its leg is gone (RFC 3261, section 13.2.2.4).

A proxy that has forked an INVITE passes every 2xx on. The first is the call's; who has sent one of the others
is told that it is heard (ACK), and that the call is over (BYE), or would wait in it alone. So is a phone that
answers what an earlier process has sent.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable

from blfd.core.values import DialogId, Flow
from blfd.sip.client_transactions import ClientTransactions
from blfd.sip.message import Response
from blfd.sip.own_uris import OwnUris
from blfd.sip.timers import LIFETIME
from blfd.sip.writer import Writer

log = logging.getLogger("blfd.sip")

MOST = 10_000
OF_ONE = 20  # dialogs of one INVITE: a proxy forks to no more, and whoever watches a lamp is told a Call-ID
NOBODY = ""
"""The token of a request whose response changes nothing."""


class FurtherResponses:
    """The dialogs that such responses began in the last half minute, `MOST` at most."""

    def __init__(
        self,
        send: Callable[[bytes, Flow], bool],
        clients: ClientTransactions,
        own_uris: OwnUris,
        writer: Writer,
    ) -> None:
        self._send, self._clients, self._own_uris, self._writer = send, clients, own_uris, writer
        self._ended: set[tuple[str, str]] = set()  # Call-ID and To tag
        self._ends: deque[tuple[float, tuple[str, str]]] = deque()
        self._of_one: Counter[str] = Counter()  # dialogs of a Call-ID

    def hang_up(self, response: Response, flow: Flow, now: float) -> None:
        """Acknowledge a 2xx, as often as it comes, and end its dialog once.

        Without a Contact that requests can be sent to nothing can.
        """
        if not response.contacts or response.contacts[0].uri.scheme not in ("sip", "sips"):
            return
        branch, cseq = self._clients.new_branch(), response.cseq
        self._send(self._request("ACK", response, flow, branch, cseq), flow)
        self._forget(now)
        dialog = response.call_id, response.to.tag
        if dialog in self._ended or len(self._ended) >= MOST or self._of_one[response.call_id] >= OF_ONE:
            return
        self._ended.add(dialog)
        self._of_one[response.call_id] += 1
        self._ends.append((now + LIFETIME, dialog))
        log.info("%s answers a call that it cannot have any more, and is hung up", flow)
        branch = self._clients.new_branch()
        data = self._request("BYE", response, flow, branch, cseq + 1)
        ended = DialogId(response.call_id, response.from_.tag, response.to.tag)
        self._clients.send(branch, NOBODY, ended, cseq + 1, data, flow, now)

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            dialog = self._ends.popleft()[1]
            self._ended.discard(dialog)
            self._of_one[dialog[0]] -= 1
            if not self._of_one[dialog[0]]:
                del self._of_one[dialog[0]]

    def _request(self, method: str, response: Response, flow: Flow, branch: str, cseq: int) -> bytes:
        return self._writer.request(
            method,
            response.contacts[0].uri.text,
            f"{self._own_uris.sent_by(flow)};rport;branch={branch}",
            response.fields["from"][0],
            response.fields["to"][0],
            response.call_id,
            cseq,
            route_set=response.routes("record-route")[::-1],
        )
