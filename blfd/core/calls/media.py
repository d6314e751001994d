"""What the core has to know of SDP: whether a phone holds the other."""

from __future__ import annotations


def held(sdp: bytes) -> bool:
    """Whether whoever sent `sdp` does not listen: every stream is sendonly, inactive or at 0.0.0.0.

    RFC 3264, section 8.4, and the older form of RFC 2543. Without a stream there is nothing to hold.
    """
    session_direction, session_connection = b"sendrecv", b""
    streams: list[list[bytes]] = []  # [port, direction, connection]
    for line in sdp.splitlines():
        kind, _, value = line.strip().partition(b"=")
        if kind == b"m":
            port = [*value.split(), b"", b""][1]
            streams.append([port, session_direction, session_connection])
        elif kind == b"a" and value in (b"sendrecv", b"sendonly", b"recvonly", b"inactive"):
            if streams:
                streams[-1][1] = value
            else:
                session_direction = value
        elif kind == b"c":
            if streams:
                streams[-1][2] = value
            else:
                session_connection = value
    open_streams = [stream for stream in streams if stream[0] != b"0"]
    return bool(open_streams) and all(
        direction in (b"sendonly", b"inactive") or connection.endswith(b" 0.0.0.0")
        for _, direction, connection in open_streams
    )
