"""What blfd serves of SIP, said once: methods, option tags, event packages and bodies.

OPTIONS, refusals and what PJSIP announces in INVITEs and their responses are all made from here.
"""

from __future__ import annotations

from typing import Final

from blfd.core.calls import refer_subscription
from blfd.core.events import features
from blfd.core.events.documents import DialogPackage
from blfd.core.values import Headers

OF_CALLS: Final = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE")
"""The methods that belong to INVITE sessions, which PJSIP carries (RFC 3261, 3262, 3311)."""

OTHERS: Final = ("INFO", "NOTIFY", "OPTIONS", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE")
"""The methods that blfd serves itself, in calls and outside (RFC 3261, 3515, 3903, 6086, 6665)."""

METHODS: Final = frozenset((*OF_CALLS, *OTHERS))

IN_CALLS: Final = frozenset((*OF_CALLS, "INFO"))
"""The methods that mean something to the other phone of a call."""

OUTSIDE_CALLS: Final = frozenset(("NOTIFY", "REGISTER", "SUBSCRIBE", "PUBLISH"))
"""Methods that never belong to a call, whatever To tag they have."""

OPTION_TAGS: Final = ("100rel", "timer", "path", "replaces", "norefersub")
"""RFC 3262, 4028, 3327, 3891, 4488."""

OF_NOTIFIERS: Final = ("eventlist",)
"""What NOTIFYs may require that we have asked for (RFC 4662)."""

PACKAGES: Final = (DialogPackage.name, features.NAME, refer_subscription.NAME)
BODIES: Final = ("application/sdp",)
"""What an INVITE may carry, beside multipart around it; an INFO carries what the other phone takes."""

TAKES_BODIES: Final = frozenset((*BODIES, "application/*", "*/*"))
"""The Accept values of who can be answered with SDP."""

ALLOW: Final = ("Allow", ", ".join((*OF_CALLS, *OTHERS)))
SUPPORTED: Final = ("Supported", ", ".join(OPTION_TAGS))
ALLOW_EVENTS: Final = ("Allow-Events", ", ".join(PACKAGES))
ACCEPT: Final = ("Accept", ", ".join(BODIES))
ACCEPT_ENCODING: Final = ("Accept-Encoding", "identity")


READ: Final = {
    "NOTIFY": DialogPackage.content_type,
    "PUBLISH": DialogPackage.content_type,
    "SUBSCRIBE": features.MEDIA_TYPE,
}
"""The bodies that other methods may carry."""


def accept(method: str) -> tuple[str, str]:
    """The Accept of a method outside calls: empty where no body is read (RFC 3261, section 20.1)."""
    return ("Accept", READ.get(method, ""))


ALL: Final[Headers] = (ALLOW, ACCEPT, ALLOW_EVENTS, SUPPORTED)
"""The answer to OPTIONS (RFC 3261, section 11.2)."""
