"""Who does not want to be known to whom it calls (RFC 3323, RFC 3325).

What is withheld is withheld from all phones, and from who looks at lamps by whatever means; administrators
see it where calls and pickups are listed.
"""

from __future__ import annotations

from typing import Final

from blfd.core.errors import Refusal
from blfd.core.messages import Request
from blfd.core.values import NameAddr, Uri
from blfd.core.visible import visible

USER: Final = "anonymous"
NAME: Final = "Anonymous"
URI: Final = "sip:anonymous@anonymous.invalid"
NAME_ADDR: Final = NameAddr(URI, NAME)

WITHHOLDING: Final = frozenset(("id", "user", "header"))
GIVEN: Final = WITHHOLDING | {"history", "none", "critical"}
"""What can be asked for in Privacy; `session` would need media to pass through the server."""


def is_anonymous(uri: Uri) -> bool:
    """Whether a From is nobody's: phones write it in several ways, with a user or host that nobody has."""
    return uri.user.lower() == USER or uri.host == "invalid" or uri.host.endswith(".invalid")


def withheld(request: Request) -> bool:
    """Whether a call is to be made without saying whose it is."""
    if WITHHOLDING & request.privacy:
        return True
    return "none" not in request.privacy and is_anonymous(request.from_.uri)


def hides(request: Request) -> frozenset[str]:
    """Header fields that are not passed on although it may be told who calls (RFC 7044, section 10.1.2)."""
    return frozenset(("History-Info",)) if "history" in request.privacy else frozenset()


def check(request: Request) -> None:
    """Check a request: raises Refusal where privacy is wanted that is not to be had, and no call without it
    (RFC 3323, section 5)."""
    missing = request.privacy - GIVEN
    if "critical" in request.privacy and missing:
        raise Refusal(500, f"Privacy is not to be had: {visible(', '.join(sorted(missing)))}")
