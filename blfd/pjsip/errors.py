"""What PJSIP refuses, and what its verdicts on SDP mean in words for people: it has none (errno.h)."""

from __future__ import annotations

WORDS = {
    220020: "The body is not SDP",
    220021: "The SDP has a bad v= line",
    220022: "The SDP has a bad o= line",
    220023: "The SDP has a bad t= line",
    220024: "The SDP has a bad s= line",
    220025: "The SDP has a bad c= line",
    220026: "The SDP has a stream without a c= line",
    220027: "The SDP has a bad a= line",
    220028: "The SDP has a bad a=rtpmap line",
    220029: "The SDP has an a=rtpmap line that is too long",
    220030: "The SDP has a payload type without its a=rtpmap line",
    220031: "The SDP has a bad m= line",
    220032: "The SDP has an m= line without a format",
    220033: "The SDP has a payload type above 127",
    220034: "The SDP has a bad a=fmtp line",
    220035: "The SDP has a bad a=rtcp line",
    220036: "The SDP has an m= line with a bad protocol",
    220037: "The SDP has a bad b= line",
    220044: "The answer has more or fewer streams than the offer",
    220045: "The answer has a stream of another kind than the offer",
    220046: "The answer has a stream of another protocol than the offer",
    220047: "The answer has no codec of the offer",
    220048: "No stream is left of what both phones can",
    220049: "The phones have no codec in common",
    220050: "The phones have no codec in common",
    220051: "The phones have no codec in common",
}


class PjsipError(Exception):
    """PJSIP has refused; `words` say why, `status` is its pj_status_t."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.words, self.status = words, status
