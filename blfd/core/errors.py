"""What a peer did wrong; what we did wrong raises ordinary exceptions."""

from __future__ import annotations

from blfd.core.values import Headers

ONLY_TLS = "sips: is served over TLS only"
SIPS_NOT_ALLOWED = (("Warning", '380 blfd "SIPS Not Allowed"'),)
"""Beside a 480: who is called could be by sip: (RFC 5630, section 6.2)."""
SIPS_REQUIRED = (("Warning", '381 blfd "SIPS Required"'),)
"""Beside a 480: whoever asks could by sips: (the same section)."""


def auth_failed(host: str, how: str) -> str:
    """The log line of a failure to show who one is.

    The address stands first, before all that a stranger has sent: it is what fail2ban blocks.
    """
    return f"AUTH-FAILED {host} {how}"


class Refusal(Exception):
    """A request to refuse: `status`, a reason phrase for people, header fields, and what the operator reads.

    An empty `log` is not worth a line; `warns` where the operator has something to mend.
    """

    def __init__(
        self, status: int, reason: str, headers: Headers = (), log: str = "", *, warns: bool = False
    ) -> None:
        super().__init__(reason)
        self.warns = warns
        self.status, self.reason, self.headers, self.log = status, reason, headers, log


def no_tls(who: str) -> Refusal:
    """The refusal of somebody who would take part in a call by sips: and has no TLS."""
    return Refusal(480, f"{who} has no TLS, which a call by sips: needs", SIPS_NOT_ALLOWED)


class Silenced(Exception):
    """A request not to answer at all; `log` is given once."""

    def __init__(self, log: str = "") -> None:
        super().__init__(log)
        self.log = log
