"""Where requests to a phone go (RFC 3261, 8.1.2 and 12.2.1.1; RFC 3327; NAT as in RFC 3581 and 5626).

They go where the phone's last request came from, with two exceptions. A phone on UDP that asks for no `rport`
and whose Contact has the address that it sends from may listen on another port: it is reached at its Contact.
A trusted edge is reached at its Path or Route. That may be a name, which leads where DNS says (`locations`),
but to addresses of trusted edges alone: to the one that a request came from, else by their order, and past
those that cannot be reached.

Over a connection requests go as long as it is open. Then a new one leads to an edge's Path or Route, or to a
Contact with the address that the connection came from. Behind NAT there is no other way in, so a phone has to
come again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from blfd.core import hosts
from blfd.core.errors import Refusal
from blfd.core.locations import Locations
from blfd.core.values import TRANSPORTS, Flow, Server
from blfd.core.visible import visible

_SIP_URI = re.compile(
    r"sips?:(?:[^@]*@)?(\[[0-9a-f:.]+\]|[^@:;?>\[\]]+)(?::(\d{1,5}))?(?=[;?>]|$)", re.IGNORECASE
)
_IN_BRACKETS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^<"])*<([^>]*)>')

_TRANSPORT = re.compile(r"^[^,>]*;transport=([a-z]+)", re.IGNORECASE)

Routes = tuple[str, ...]
"""Values of Path, or of Record-Route, in the order in which they are gone through."""


class NextHops:
    """Finds where requests go. `trusts` says which hosts are edges, `leads_here` which ways lead to
    ourselves, and `may_reach` whether a connection may be made: not to whom it has just failed."""

    def __init__(
        self,
        trusts: Callable[[str], bool],
        leads_here: Callable[[Flow], bool],
        locations: Locations,
        may_reach: Callable[[Flow], bool] = lambda way: True,
    ) -> None:
        self.trusts, self._leads_here = trusts, leads_here
        self.may_reach, self._locations = may_reach, locations

    def of(self, flow: Flow, contact: str, routes: Routes, asks_rport: bool) -> Flow:
        """Where requests go to whoever sent one over `flow`. Raises Refusal where that is this server."""
        found = self._now(flow, contact, routes, asks_rport)
        later = self.reopened(found, contact, routes) if flow.is_connected else None
        then = _written(routes[0], flow) if routes and self.trusts(flow.host) else None  # beyond that edge
        for way in (found, later, then):
            if way is not None and self._leads_here(way):
                header = "Path or Record-Route" if routes else "Contact"
                where = f"{visible(hosts.written(way.host))}:{way.port}"
                text = f"{flow} wants requests at {where}, which is this server: refused"
                raise Refusal(400, f"{header} leads to this server itself", (), text)
        return found

    def _now(self, flow: Flow, contact: str, routes: Routes, asks_rport: bool) -> Flow:
        if flow.is_connected:
            return flow
        if routes:
            return self._edge(flow, routes) if self.trusts(flow.host) else flow
        if asks_rport:
            return flow
        host, port = address_in(contact, flow)
        return flow if host != flow.host else flow._replace(port=port)

    def reopened(self, flow: Flow, contact: str, routes: Routes) -> Flow | None:
        """Where a new connection leads once that of `flow` has ended; None if there is none to be made."""
        if routes and self.trusts(flow.host):
            return self._edge(flow, routes)
        host, port = address_in(routes[0] if routes else contact, flow)
        if host == flow.host:
            return flow._replace(port=port)
        return self._named(contact, flow) if self.trusts(flow.host) else None

    def unknown(self, flow: Flow, routes: Routes) -> Server | None:
        """The name that routes lead to, where the way of whoever sent a request over `flow` hangs on it."""
        return server_in(routes[0], flow) if routes and self.trusts(flow.host) else None

    def without_response(self, flow: Flow, contact: str, routes: Routes, now: float) -> Flow:
        """Another way for a request that had no response by `flow`, where there is one."""
        written = routes[0] if routes else contact
        if not self.trusts(flow.host) or server_in(written, flow) is None:
            return flow
        self._locations.gave_no_response(flow, now)
        return self._named(written, flow) or flow

    def ways(self, flow: Flow, routes: Routes) -> list[Flow]:
        """The ways by which who is reached by `flow` is called, one after the other: over an edge whose name
        has several addresses by all of them, last by those that seem not to be there."""
        if not routes or not self.trusts(flow.host):
            return [flow]
        others = [way for way in self._ways(routes[0], flow) if way != flow]
        return sorted([flow, *others], key=lambda way: not self._is_there(way))

    def renewed(self, known: Routes, said: Routes, flow: Flow) -> Routes:
        """The routes to a phone over an edge, which may have moved: `said` came with its newest request.

        A dialog keeps its route set for ever (RFC 3261, section 12.2), and so would lead to where nobody is.
        """
        if not (known and said and self.trusts(flow.host)):
            return known
        return known if address_in(known[0], flow) == address_in(said[0], flow) else said

    def _edge(self, flow: Flow, routes: Routes) -> Flow:
        """The way to a trusted edge, at its own word, but not at another's: it may have passed on what a
        phone wrote.

        Where it names itself otherwise, its address is the one that it sends from.
        """
        host, port = address_in(routes[0], flow)
        if host == flow.host or (self._is_edge(host) and hosts.same_family(host, flow.host)):
            return flow.to(host, port)
        return self._named(routes[0], flow) or (flow._replace(port=port) if flow.is_connected else flow)

    def _named(self, written: str, flow: Flow) -> Flow | None:
        """Where the name of an edge leads: to the first of its addresses that can be reached, as it seems."""
        ways = self._ways(written, flow)
        if not ways:
            return None
        return next((way for way in ways if self._is_there(way)), flow if flow in ways else ways[0])

    def _ways(self, written: str, flow: Flow) -> list[Flow]:
        """All ways to a name of an edge: that which a request came from first."""
        server = server_in(written, flow)
        if server is None:
            return []
        ways = [
            target.by(server)._replace(listener=flow.listener)
            for target in self._locations.targets(server)
            if target.host == flow.host
            or (self.trusts(target.host) and hosts.same_family(target.host, flow.host))
        ]
        return sorted(ways, key=lambda way: way.host != flow.host)

    def _is_there(self, way: Flow) -> bool:
        return self.may_reach(way) and not self._locations.is_silent(way)

    def _is_edge(self, host: str) -> bool:
        return hosts.is_address(host) and self.trusts(host)


def address_in(written: str, flow: Flow) -> tuple[str, int]:
    """Host, "" if it is none, and port of a SIP URI or name-addr, by default that of the flow's transport."""
    host, port = _written_in(written)
    return host, port or TRANSPORTS[flow.transport].default_port


def server_in(written: str, flow: Flow) -> Server | None:
    """The server that a SIP URI or name-addr names, for the transport of `flow`; None where it has none."""
    host, port = _written_in(written)
    return Server(host, port, (flow.transport,)) if host and not hosts.is_address(host) else None


def _written_in(written: str) -> tuple[str, int]:
    """Host, "" if it is none, and port, 0 if none is written."""
    found = _IN_BRACKETS.match(written)
    match = _SIP_URI.match(found[1] if found else written)
    try:
        return (hosts.read(match[1]), int(match[2] or 0)) if match else ("", 0)
    except ValueError:
        return "", 0


def _written(route: str, flow: Flow) -> Flow:
    """The way that a Path or Record-Route names, by the transport that it names."""
    found = _TRANSPORT.search(route)
    named = found[1].lower() if found else ""
    flow = flow._replace(transport=named) if named in TRANSPORTS else flow
    host, port = address_in(route, flow)
    return flow.to(host, port)


def leads_to_same(contact: str, other: str) -> bool:
    """Whether two Contacts have the same user, host and port."""
    return contact.partition(";")[0].lower() == other.partition(";")[0].lower()


def is_sip(uri: str) -> bool:
    """Whether requests can be sent to a URI."""
    return uri[:5].lower().startswith(("sip:", "sips:"))


def without_headers(contact: str) -> str:
    """A Contact's URI as a Request-URI, which has no headers (RFC 3261, section 19.1.1)."""
    mark = contact.find("?", contact.find("@") + 1)
    return contact[:mark] if mark >= 0 else contact
