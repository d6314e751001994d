"""Ports for what a test starts and may start again at the same place."""

from __future__ import annotations

import itertools
import random
import socket
from contextlib import ExitStack

RANGE = range(11_000, 32_000)
"""Below those that Linux gives to whoever asks for any: nobody gets that of a server which is down."""
FAMILY = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
_next = itertools.cycle(RANGE)
for _ in range(random.SystemRandom().randrange(len(RANGE))):  # other processes are to take other ports
    next(_next)


def free_port() -> int:
    """A port that is free at all addresses, for UDP and TCP, and is not given twice."""
    for port in _next:
        with ExitStack() as sockets:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    made = sockets.enter_context(socket.socket(FAMILY, kind))
                    if FAMILY is socket.AF_INET6:
                        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # of IPv4, too
                    made.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is always a next one")
