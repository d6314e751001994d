"""The SDP that phones send while a call rings (early media), of which the caller hears one phone's."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class EarlyMedia:
    """What was exchanged before an answer.

    `leg` is that of the phone whose SDP the caller has had in a provisional response, 0 for none, and `told`
    is that SDP. A phone's 200 may leave out the SDP that its provisional response has had, so `by_dialog`
    keeps what each has sent, by leg and To tag. `is_reoffered`: the caller has changed its offer while it
    rang, of which the phones hear with the answer.
    """

    leg: int = 0
    told: bytes = b""
    by_dialog: dict[tuple[int, str], bytes] = field(default_factory=dict)
    is_reoffered: bool = False

    def offered(self, leg: int, sdp: bytes) -> None:
        """A phone that rings wants other media from here on."""
        self.by_dialog |= {key: sdp for key in self.by_dialog if key[0] == leg}

    def caller_changes(self) -> None:
        """Somebody else calls by now, who has had no SDP and has made no offer."""
        self.leg, self.is_reoffered = 0, False
