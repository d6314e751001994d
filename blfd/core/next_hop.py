"""Where requests to a phone go when the connection that it came over is gone."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address

DEFAULT_PORT = 5060
_ADDRESS = re.compile(r"sips?:(?:[^@;?]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d{1,5}))?(?=[;?]|$)", re.I)


def address_in(uri: str) -> tuple[str, int] | None:
    """Host and port of a SIP URI; None where the host is a name, as nothing here waits for DNS."""
    found = _ADDRESS.match(uri)
    if not found:
        return None
    try:
        IPv4Address(found[1])
    except AddressValueError:
        return None
    return found[1], int(found[2] or DEFAULT_PORT)
