"""MAC addresses in what phones say of themselves."""

from __future__ import annotations

import re

_MAC = re.compile(
    r"(?<![0-9a-f])(?:[0-9a-f]{12}|[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5})(?![0-9a-f])",
    re.I,
)


def mac_in(text: str) -> str:
    """The first MAC address in a text, as twelve lower-case digits; "" if there is none."""
    found = _MAC.search(text)
    return found[0].replace(":", "").replace("-", "").lower() if found else ""
