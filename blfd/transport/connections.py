"""All connections: those that peers make, and those that we open when there is something to send.

A connection that we open takes what is to be sent while it is being made. Where that fails, or nothing ever
comes over it, its peer is left alone for a while (`attempts`); what waited is lost, of which `Polling.closed`
tells. Messages of calls are not: they wait (`undelivered`), and who they are for is tried before that.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable

from blfd.core.hosts import sender
from blfd.core.values import TRANSPORTS, Flow
from blfd.transport.addresses import Source
from blfd.transport.attempts import Attempts
from blfd.transport.polling import Polling
from blfd.transport.tcp import TcpConnection, TcpListener
from blfd.transport.undelivered import PATIENCE, Undelivered

log = logging.getLogger("blfd.network")

MAX_CONNECTIONS = 16_384
OTHER_FILES = 200  # descriptors for all else: without one to spare, accept() fails at once for ever
MAX_OPENING = 512  # connections that are being made at the same time
OPENING = 5.0  # seconds that one may take to be made
SWEEP = 1.0  # seconds between looks for what takes too long
CLOSED = "closed without a word"


def _room() -> int:
    """How many connections the system lets this process have; asks it for as many as we want."""
    wanted = MAX_CONNECTIONS + OTHER_FILES
    given, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if given != resource.RLIM_INFINITY and given < wanted:
        given = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (given, most))
    return MAX_CONNECTIONS if given == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, given - OTHER_FILES)


class Connections:
    """The connections; `may_connect` is asked with an address and how many connections it has.

    A message may take `slowest` seconds to arrive.
    """

    def __init__(self, polling: Polling, may_connect: Callable[[str, int], bool], slowest: float) -> None:
        self._polling, self._may_connect, self._slowest = polling, may_connect, slowest
        self._most = _room()
        self._by_flow: dict[Source, TcpConnection] = {}
        self._of_host: Counter[str] = Counter()  # by sender
        self._opening = 0
        self._to_drop: list[TcpConnection] = []
        self._attempts, self._undelivered = Attempts(), Undelivered()
        self._swept = 0.0

    def __len__(self) -> int:
        return len(self._by_flow)

    def get(self, flow: Source) -> TcpConnection | None:
        return self._by_flow.get(flow)

    def accepted(self, listener: TcpListener, connected: socket.socket, flow: Flow) -> None:
        """Take a connection that a peer has made to a listener, if one more may be."""
        if not self._has_room(flow):
            connected.close()
            return
        try:
            connection = listener.connection(connected, flow)
        except OSError as error:
            log.debug("%s: lost while it was accepted: %s", flow, error)
            connected.close()
            return
        self._add(connection)
        if connection.opening_until is None:
            self.made(connection)

    def may_reach(self, flow: Flow) -> bool:
        """Whether there is a connection to a peer, or one would be tried."""
        return flow in self._by_flow or self._attempts.may(flow, self._polling.clock())

    def open(self, listener: TcpListener, flow: Flow, *, at_once: bool = False) -> TcpConnection | None:
        """The connection to a flow's peer, being made now if there was none; None if there is no way.

        It is made from the address of `listener`, and in its way; `at_once`: also to whom is left alone now.
        """
        known = self._by_flow.get(flow)
        if known:
            return known
        now = self._polling.clock()
        may = at_once or self._attempts.may(flow, now)
        if not may or self._opening >= MAX_OPENING or not self._has_room(flow):
            return None
        connecting = None
        try:
            connecting = listener.socket_to(flow.host)
            zone = self._polling.zones.get(flow.host, 0)
            there = (flow.host, flow.port)
            failure = connecting.connect_ex((*there, 0, zone) if zone else there)
            if failure not in (0, errno.EINPROGRESS):
                raise OSError(failure, os.strerror(failure))
            connection = listener.connection(connecting, flow, opening_until=now + OPENING)
        except OSError as error:
            if connecting:
                connecting.close()
            self._failed(flow, error.strerror or str(error))
            return None
        self._opening += 1
        self._add(connection)
        return connection

    def _has_room(self, flow: Flow) -> bool:
        host, via = flow.host, TRANSPORTS[flow.transport].via
        if len(self._by_flow) >= self._most:
            self._polling.told.warn("", "%s: %d connections are open, one more is refused", via, self._most)
            return False
        count = self._of_host[sender(host)]
        if not self._may_connect(host, count):
            self._polling.told.warn(host, "%s: %s has %d connections, one more is refused", via, host, count)
            return False
        return True

    def _add(self, connection: TcpConnection) -> None:
        self._by_flow[connection.flow] = connection
        self._of_host[sender(connection.flow.host)] += 1
        connection.attach()

    def made(self, connection: TcpConnection) -> None:
        """Note that a connection can be used."""
        if connection.is_ours:
            self._opening -= 1
            for data in self._undelivered.take(connection.flow, self._polling.clock()):
                connection.awaits_response = True
                connection.send(data)
        else:
            self._is_there(connection.flow.host)

    def send_lasting(self, listener: TcpListener, data: bytes, flow: Flow, *, wants_response: bool) -> bool:
        """Send a message of a call; it waits where its peer cannot be reached now. False if it cannot wait.

        One that `wants_response` is sent again by a new connection where ours ends before anything has come.
        """
        connection = self.open(listener, flow, at_once=flow not in self._undelivered)
        if connection is None or connection.opening_until is not None:
            return self._undelivered.add(flow, data, self._polling.clock(), wants_response=wants_response)
        if connection.is_ours and wants_response:
            self._undelivered.add(flow, data, self._polling.clock(), wants_response=True)
            connection.awaits_response = True
        return connection.send(data)

    def responded(self, connection: TcpConnection) -> None:
        """Note that something came over a connection of ours after what wants a response."""
        connection.awaits_response = False
        self._undelivered.arrived(connection.flow)

    def next_attempt(self) -> float | None:
        """When somebody is tried again, as something waits for that."""
        return self._undelivered.next_at()

    def due(self) -> list[Flow]:
        """The flows to try again now, as something waits for that; forget what has waited for too long."""
        now = self._polling.clock()
        for flow, count in self._undelivered.expired(now):
            if flow not in self._by_flow:
                text = "%s to %s: %d messages of calls have waited %d s for a connection, and are dropped"
                via = TRANSPORTS[flow.transport].via
                self._polling.told.warn(flow.host, text, via, flow, count, PATIENCE)
        return self._undelivered.due(now)

    def heard(self, connection: TcpConnection) -> None:
        """Note that the first octets came over a connection."""
        if connection.is_ours:
            self._is_there(connection.flow.host)

    def _is_there(self, host: str) -> None:
        for flow in self._attempts.heard_from(host):
            log.info("%s may be tried again, as something came from there", flow)
            self._polling.reached(flow)

    def _failed(self, flow: Flow, why: str) -> None:
        now = self._polling.clock()
        if not self._attempts.may(flow, now):
            return  # it was tried all the same, which is no reason to leave it alone for longer
        pause, is_first = self._attempts.failed(flow, now)
        if is_first:
            text = "%s to %s: %s; tried again when there is something to send, at the earliest in %d s"
            log.warning(text, TRANSPORTS[flow.transport].via, flow, why, pause)

    def drop_later(self, connection: TcpConnection, why: str) -> None:
        """Drop a connection soon: for use inside a send, whose caller still holds it."""
        connection.fault = connection.fault or why
        self._to_drop.append(connection)

    def drop(self, connection: TcpConnection, why: str = CLOSED) -> None:
        """End a connection, and tell the owner."""
        flow = connection.flow
        if self._by_flow.get(flow) is not connection:
            return
        del self._by_flow[flow]
        owner = sender(flow.host)
        self._of_host[owner] -= 1
        if not self._of_host[owner]:
            del self._of_host[owner]
        never_made = connection.opening_until is not None
        connection.detach()
        connection.close()
        if connection.is_ours:
            self._opening -= never_made
            if not connection.was_heard:
                self._failed(flow, connection.fault or why)
        elif never_made:
            return  # nobody knows of it
        self._polling.closed(flow)

    def settle(self) -> None:
        """Drop what was to be dropped later, and what takes too long."""
        while self._to_drop:
            self.drop(self._to_drop.pop())
        now = self._polling.clock()
        if now < self._swept + SWEEP:
            return
        self._swept = now
        self._attempts.forget_old(now)
        for connection in list(self._by_flow.values()):
            since, until = connection.unfinished_since, connection.opening_until
            if until is not None and now >= until:
                self.drop(connection, f"no answer within {OPENING:.0f} s")
            elif since is not None and since < now - self._slowest:
                via, flow = connection.transport.via, connection.flow
                self._polling.told.warn(
                    flow.host, "%s from %s: half a message for %d s, closed", via, flow, self._slowest
                )
                self.drop(connection)

    def close(self) -> None:
        for connection in self._by_flow.values():
            connection.close()
