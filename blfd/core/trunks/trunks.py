"""The trunks that there are: whose an INVITE is, and by which servers a number is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from blfd.core import hosts
from blfd.core.advice import command
from blfd.core.directory import Directory
from blfd.core.errors import Refusal
from blfd.core.inputs import CertificateShown
from blfd.core.locations import Locations
from blfd.core.messages import Request
from blfd.core.party import Party
from blfd.core.trunk import RESERVED, Trunk
from blfd.core.trunks import incoming, outgoing
from blfd.core.trunks.outgoing import Caller, Line, Outside
from blfd.core.trunks.remote import HostPort, Remote
from blfd.core.values import TRANSPORTS, Account, Aor, Binding, Flow, Server, Uri

DOWN = 2  # the rank of a server that seems down


class Trunks:
    """All trunks. `adopt` makes a flow one by a listener that there is, or None; `in_use` counts the calls of
    a lamp.

    `rank` says which ways of a trunk come first, `by_line` whose a line's token is, `registered` from where
    one has registered here, and `leads_here` whether a way is to this server itself, which nothing goes.
    """

    def __init__(
        self,
        adopt: Callable[[Flow], Flow | None],
        in_use: Callable[[Aor], int],
        locations: Locations | None = None,
    ) -> None:
        self._adopt, self._in_use = adopt, in_use
        self._locations = Locations() if locations is None else locations
        self.rank: Callable[[Trunk, Flow], int] = lambda trunk, flow: 0
        self.by_line: Callable[[str], tuple[str, str] | None] = lambda token: None
        self.registered: Callable[[Aor], Sequence[Binding]] = lambda aor: ()
        self.leads_here: Callable[[Flow], bool] = lambda way: False
        self._directory = Directory()
        self._by_key: dict[tuple[str, str], Trunk] = {}
        self._hosts: dict[str, list[Trunk]] = {}
        self._networks: list[tuple[hosts.Network, Trunk]] = []
        self._known: dict[str, tuple[Trunk, ...]] = {}
        self._named_servers: list[tuple[Trunk, HostPort]] = []
        self._by_certificate: dict[str, list[Trunk]] = {}
        self._shown: dict[Flow, tuple[str, ...]] = {}

    def directory_changed(self, directory: Directory) -> None:
        self._directory = directory
        self._by_key = {trunk.key: trunk for trunk in directory.trunks}
        self._hosts, self._networks, self._known, self._named_servers = {}, [], {}, []
        serving = [trunk for trunk in directory.trunks if trunk.enabled]
        for trunk in serving:
            proxy = [trunk.outbound_proxy] if trunk.outbound_proxy else []
            for server in map(HostPort.parse, (*trunk.servers, *proxy)):
                if hosts.is_address(server.host):
                    self._hosts.setdefault(server.host, []).append(trunk)
                else:
                    self._named_servers.append((trunk, server))
            self._networks += [(hosts.network(text), trunk) for text in trunk.sources]
        self._by_certificate = {}
        for trunk in serving:
            if trunk.certificate:
                self._by_certificate.setdefault(trunk.certificate.lower(), []).append(trunk)
        for trunk, server in self._named_servers:  # the first call finds it known
            self._flows(server, trunk.transport)

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, tenant: str, name: str) -> Trunk | None:
        return self._by_key.get((tenant, name))

    def carrying(self, tenant: str, publisher: str) -> Trunk | None:
        """The trunk by which calls are picked up that `publisher` tells of: the one of its name, or at its
        address, or the first by name; None where no trunk says how."""
        at = self.at(publisher) if hosts.is_address(publisher) else ()
        found = [
            trunk
            for trunk in self._directory.trunks
            if (trunk.tenant, trunk.enabled) == (tenant, True) and trunk.picks_up
        ]
        ranked = sorted(found, key=lambda one: (one.name != publisher, one not in at, one.name))
        return ranked[0] if ranked else None

    # Calls in

    def shown(self, shown: CertificateShown) -> None:
        """Note that the peer of a connection has proved that a certificate is its own."""
        if any(name in self._by_certificate for name in shown.names):
            self._shown[shown.flow] = shown.names

    def flow_closed(self, flow: Flow) -> None:
        self._shown.pop(flow, None)

    def at(self, host: str) -> tuple[Trunk, ...]:
        """The trunks whose address it is: carriers have many customers, so there may be several, of several
        tenants."""
        if not self._by_key:
            return ()
        if host not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[host] = tuple(dict.fromkeys(self._all_at(host)))
        return self._known[host]

    def _all_at(self, host: str) -> Iterator[Trunk]:
        yield from self._hosts.get(host, ())
        for trunk, server in self._named_servers:
            if any(flow.host == host for flow in self._flows(server, trunk.transport)):
                yield trunk
        address = hosts.address(host) if self._networks else None
        if address:
            yield from (trunk for network, trunk in self._networks if address in network)

    def proved(self, request: Request) -> tuple[Trunk, ...]:
        """The trunks whose INVITE it is by more than its address: a certificate, or the token of a
        registration."""
        for name in self._shown.get(request.flow, ()):
            if found := self._by_certificate.get(name):
                return tuple(found)
        token = request.target.parameter("line") if self._by_key else None
        trunk = self._by_key.get(key) if token and (key := self.by_line(token)) else None
        return (trunk,) if trunk else ()

    def peers(self) -> Iterator[Trunk]:
        """The trunks that register here."""
        for trunk in self._by_key.values():
            if trunk.enabled and trunk.is_peer:
                yield trunk

    def codecs(self, party: Party) -> frozenset[str]:
        """The codecs that may be offered by the trunk of somebody outside; none where all may."""
        trunk = self.of(party)
        return trunk.taken if trunk else frozenset()

    def is_ours(self, party: Party, uri: Uri) -> bool:
        """Whether a URI names an extension that is carried here, in the tenant of `party`."""
        return incoming.is_ours(uri, party.aor.tenant, self._directory)

    def credentials(self, party: Party) -> Account | None:
        """Who we are to the trunk of somebody outside."""
        trunk = self.of(party)
        return trunk.credentials if trunk else None

    def account(self, party: Party) -> str:
        """What we are called by at the trunk of somebody outside, "" where we have no name there."""
        trunk = self.of(party)
        return trunk.username if trunk else ""

    def way_to(self, party: Party, flow: Flow) -> Flow | None:
        """The way to the server of somebody outside from which `flow` has come."""
        trunk = self.of(party)
        ways = [way for _, way in self.ways(trunk)] if trunk else []
        return next((way for way in ways if way[:2] == flow[:2]), None)

    def of(self, party: Party) -> Trunk | None:
        """The trunk of somebody outside, if there is one."""
        trunk = self.get(party.aor.tenant, party.aor.extension.removeprefix(RESERVED))
        return trunk if party.is_outside else None

    # Calls out

    def lines(self, outside: Outside, caller: Party) -> list[Line]:
        """The servers to try, in their order, those that seem down after all others; a trunk that has all the
        calls it may have has none."""
        found: list[Line] = []
        down: list[Line] = []
        for trunk in self._by(outside):
            if not trunk.enabled or not self.has_room(trunk, outside):
                continue
            said = Caller(
                "" if caller.is_outside else caller.user,
                "" if caller.is_outside else caller.name,
                caller.withheld,
            )
            lines: list[Line] = []
            if trunk.is_peer:
                bindings = self.registered(Aor(trunk.tenant, trunk.resource))
                lines += [outgoing.to_peer(trunk, binding, outside, said) for binding in bindings]
            for server, flow in self.ways(trunk):
                lines.append(outgoing.line(trunk, server, flow, outside, said))
            for line in lines:
                (down if self.rank(trunk, line.flow) == DOWN else found).append(line)
        return found + down

    def speaks_tls(self, outside: Outside) -> bool:
        """Whether one of the trunks of a route speaks TLS."""
        return any(TRANSPORTS[trunk.transport].secure for trunk in self._by(outside))

    def _by(self, outside: Outside) -> Iterator[Trunk]:
        """The trunks of a route."""
        for name in outside.route.trunks:
            if trunk := self._by_key.get((outside.route.tenant, name)):
                yield trunk

    def has_room(self, trunk: Trunk, outside: Outside) -> bool:
        """Whether a trunk takes one more call; emergency calls always."""
        return outside.route.emergency or not self._is_full(trunk)

    def why_none(self, outside: Outside) -> Refusal:
        """Why there is no server to try: to a phone, a 503 would say that this one serves it no more."""
        whys, full = [], False
        for trunk in self._by(outside):
            if not trunk.enabled:
                change = command(trunk.tenant, "trunk", "set", trunk.name, "--enabled", "on")
                whys.append(f"{trunk.name} is not in use: {change} uses it")
            elif not self.has_room(trunk, outside):
                change = command(trunk.tenant, "trunk", "set", trunk.name, "--max-calls")
                whys.append(f"{trunk.name} has {trunk.max_calls} calls, as many as it may: {change}")
                full = True
            else:
                missing = "has not registered here" if trunk.is_peer else "has no server that can be reached"
                if self.is_here(trunk):
                    change = command(trunk.tenant, "trunk", "set", trunk.name, "--server")
                    missing = f"has this very server as its own: {change} says where the carrier is"
                whys.append(f"{trunk.name} {missing}")
        log = "; ".join(whys) or f"route {outside.route.pattern} has no trunk"
        if full:
            return Refusal(486, "All lines are busy", (("Reason", "Q.850;cause=34"),), log)
        return Refusal(480, "All lines are out of order", (("Reason", "Q.850;cause=38"),), log)

    def _is_full(self, trunk: Trunk) -> bool:
        return bool(trunk.max_calls) and self._in_use(Aor(trunk.tenant, trunk.resource)) >= trunk.max_calls

    def check_room(self, trunk: Trunk) -> None:
        """Check that a trunk takes one more call. Raises Refusal where it has as many as it may have."""
        if self._is_full(trunk):
            text = f"trunk {trunk.name} has {trunk.max_calls} calls, one more is refused (max-calls)"
            raise Refusal(486, "Too many calls", log=text)

    def ways(self, trunk: Trunk) -> list[tuple[HostPort, Flow]]:
        """A trunk's servers, and where calls to them go, the likeliest to serve first."""
        found = [way for way in self.servers(trunk) if not self.leads_here(way[1])]
        return sorted(found, key=lambda way: self.rank(trunk, way[1]))

    def is_here(self, trunk: Trunk) -> bool:
        """Whether all servers of a trunk are this one: its calls would go in a circle."""
        found = self.servers(trunk)
        return bool(found) and all(self.leads_here(way) for _, way in found)

    def servers(self, of: Remote) -> list[tuple[HostPort, Flow]]:
        """The servers of a trunk or upstream, and where requests to them go, in the order that is set.

        A server that is a name has as many ways as DNS says (RFC 3263); none before it is looked up.
        """
        found = []
        for server in map(HostPort.parse, of.servers):
            hop = HostPort.parse(of.outbound_proxy) if of.outbound_proxy else server
            found += [(server, flow) for flow in self._flows(hop, of.transport)]
        return found

    def _flows(self, server: HostPort, transport: str) -> list[Flow]:
        if hosts.is_address(server.host):
            port = server.port or TRANSPORTS[transport].default_port
            found = [Flow(transport, server.host, port)]
        else:
            asked = Server(server.host, server.port, (transport,))
            found = [target.by(asked) for target in self._locations.targets(asked)]
        return [adopted for flow in found if (adopted := self._adopt(flow))]

    def gave_no_response(self, way: Flow, now: float) -> None:
        """Note that an INVITE by a trunk came to nothing there."""
        self._locations.gave_no_response(way, now)

    def looked_up(self) -> None:
        """Forget who is at which address, as servers may have got other ones."""
        self._known.clear()
