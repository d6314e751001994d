"""How this server names itself to a peer: the sent-by of a Via, and its Contact."""

from __future__ import annotations

from blfd.core import hosts
from blfd.core.values import TRANSPORTS
from blfd.sip.uris import escaped_user
from blfd.transport.addresses import Source
from blfd.transport.network import Network

MAX_KNOWN = 100_000  # peers for which they are remembered


class OwnUris:
    """Our sent-by and Contact; both differ by peer, as each sees another address if we listen on all.

    Over TLS the Contact has `name`, if there is one: who connects anew compares it with our certificate.
    """

    def __init__(self, network: Network, name: str = "") -> None:
        self._network, self._name = network, name
        self._known: dict[tuple[str, str, int], tuple[str, str]] = {}

    def contact(self, flow: Source, user: str = "", parameters: str = "") -> str:
        """A Contact's value, for the peer of `flow`; `parameters` are the URI's, each behind a semicolon."""
        found = self.of(flow)[1]
        if not user and not parameters:
            return found
        return (
            f"<sip:{escaped_user(user)}@{found[5:-1]}{parameters}>" if user else f"{found[:-1]}{parameters}>"
        )

    def sent_by(self, flow: Source) -> str:
        """A Via's beginning, without its parameters: "SIP/2.0/UDP 192.0.2.1:5060"."""
        return self.of(flow)[0]

    def of(self, flow: Source) -> tuple[str, str]:
        """The sent-by and the Contact for the peer of `flow`, as `sent_by` and `contact` have them."""
        name, peer, _, index, _ = flow
        found = self._known.get((name, peer, index))
        if found is None:
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            host, port = self._network.local_address(flow)
            transport = TRANSPORTS[name]
            at = hosts.written(host)
            sent_by = f"SIP/2.0/{transport.via} {at}:{port}"
            named = (self._name or at) if transport.secure else at
            contact = f"<sip:{named}:{port}{transport.parameter}>"
            found = self._known[name, peer, index] = sent_by, contact
        return found
