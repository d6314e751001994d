"""The torture messages of RFC 4475, in their shapes, for extensions of ours."""

from __future__ import annotations

import re
from typing import NamedTuple

PARSED = (480,)  # a call to 102, which has no phone: the message was read to the end
PHONE = "sip:104@{d}"  # a phone that is registered
NOTHING: tuple[int, ...] = ()


class Torture(NamedTuple):
    """A message, and the statuses that may answer it; over TCP these are `tcp`, if that is set."""

    name: str
    text: str
    answers: tuple[int, ...]
    body: bytes = b""
    tcp: tuple[int, ...] | None = None

    def octets(self, server: str, address: str, transport: str = "udp", number: int = 1) -> bytes:
        """The message as the phone at `address` sends it; `number` makes it another one than before."""
        values = {"d": server, "a": address, "t": transport.upper(), "n": number, "l": len(self.body)}
        text = re.sub(r"\{([dantl])\}", lambda found: str(values[found[1]]), self.text)
        return text.encode() + self.body


SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\n"
)
TO, FROM, CALL, MF = (
    "To: sip:102@{d}",
    "From: <sip:101@{d}>;tag={n}",
    "Call-ID: torture.{n}",
    "Max-Forwards: 70",
)
CONTACT, VIA, SIZE = "Contact: <sip:101@{a}>", "Via: SIP/2.0/{t} {a};branch=z9hG4bK{n}", "Content-Length: {l}"
REST = (FROM, CALL, CONTACT, SIZE)


def written(start: str, *lines: str) -> str:
    return "\r\n".join((start, *lines, "", ""))


def invite(*lines: str, uri: str = "sip:102@{d}", via: str = VIA, to: str = TO) -> str:
    return written(
        f"INVITE {uri} SIP/2.0", via, to, MF, *REST, "CSeq: 1 INVITE", "Content-Type: application/sdp", *lines
    )


def options(
    *lines: str, start: str = "OPTIONS sip:102@{d} SIP/2.0", to: str = TO, cseq: str = "1 OPTIONS"
) -> str:
    return written(start, VIA, to, MF, FROM, CALL, f"CSeq: {cseq}", SIZE, *lines)


def register(*lines: str, to: str = "To: sip:101@{d}", cseq: str = "1 REGISTER") -> str:
    return written("REGISTER sip:{d} SIP/2.0", VIA, to, MF, FROM, CALL, f"CSeq: {cseq}", SIZE, *lines)


LONG = "long" * 60
TORTURES = [
    # 3.1.1: valid messages
    Torture(
        "wsinv",
        "INVITE sip:102@{d};unknownparam SIP/2.0\r\nTO :\r\n sip:102@{d} ;   tag    \r\n"
        ' = ""\r\n'.replace('tag    \r\n = ""', "x = y")
        + 'from   : "J Rosenberg \\\\\\""       <sip:101@{d}>\r\n  ;\r\n  tag = {n}\r\n'
        "MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.{n}\r\nContent-Length   : {l}\r\ncseq: 0009\r\n  INVITE\r\n"
        "Via  : SIP  /   2.0\r\n /{t}\r\n    {a};branch=z9hG4bK{n}\r\ns :\r\n"
        "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
        "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
        " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
        'm:"Quoted string \\"\\"" <sip:101@{a}> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n',
        PARSED,
        SDP,
    ),
    Torture(
        "intmeth",
        options(start="!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?@{d} SIP/2.0",
                cseq="1 !interesting-Method0123456789_*+`.%indeed'~"),
        (405,),
    ),
    Torture("esc01", invite(uri="sip:sips%3A102%40example.com@{d}"), (404,), SDP),
    Torture("escaped digits", invite(uri="sip:%31%30%32@{d}"), PARSED, SDP),
    Torture("escnull", register("Contact: <sip:%00@{a}>", to="To: sip:101%00102@{d}"), (403, 404)),
    Torture("esc02", options(start="RE%47IST%45R sip:{d} SIP/2.0", cseq="1 RE%47IST%45R"), (405,)),
    Torture("lwsdisp", options().replace("From: <", "From: caller<"), (200,)),
    Torture(
        "longreq",
        invite(
            f"Unknown-{LONG * 5}-Name: unknown-{LONG * 5}-value",
            *(f"Via: SIP/2.0/TCP sip{n}.example.com" for n in range(33)),
            to=f'To: "I have a user name of {LONG * 20} proportion"<sip:102@{{d}};unknownparam1=very{LONG}value>',
        ),
        PARSED,
        SDP,
    ),
    Torture("dblreq", register("Contact: sip:101@{a}") + invite() + SDP.decode(), (200,), tcp=(200, 400, 480)),
    Torture("semiuri", options(start="OPTIONS sip:user;par=u%40example.net@{d} SIP/2.0"), (200,)),
    Torture(
        "transports",
        options(
            *(f"Via: SIP/2.0/{t} t{t}.example.com;branch=z9hG4bK1{t}" for t in ("SCTP", "TLS", "UNKNOWN", "TCP"))
        ),
        (200,),
    ),
    Torture(
        "mpart01",
        options("Content-Type: multipart/mixed;boundary=7a9cbec0", start="MESSAGE sip:102@{d} SIP/2.0", cseq="1 MESSAGE"),
        (405,),
        b"--7a9cbec0\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec0\r\n\r\n\0\1\xff\r\n--7a9cbec0--",
    ),
    Torture("unreason", written("SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e", VIA, TO, *REST, "CSeq: 1 INVITE"), NOTHING, SDP),
    Torture("noreason", written("SIP/2.0 100 ", VIA, TO, *REST, "CSeq: 1 INVITE"), NOTHING),
    # 3.1.2: invalid messages
    Torture("badinv01", invite(via=VIA + ";;,;,,"), (400,), SDP),
    Torture("badinv01 contact", invite().replace("Contact: <", 'Contact: "Joe" <sip:joe@example.org>;;;;, <'), (400, 480), SDP),
    Torture("clerr", invite().replace("{l}", "9999"), (400,), SDP, tcp=NOTHING),
    Torture("ncl", invite().replace("{l}", "-999"), (400,), SDP),
    Torture("scalar02 cseq", register(cseq="36893488147419103232 REGISTER"), (400,)),
    Torture("scalar02 max-forwards", register().replace("rds: 70", "rds: 300"), (400,)),
    Torture("scalar02 expires", register("Contact: <sip:101@{a}>", "Expires: 10000000000000000000000000"), (200, 400)),
    Torture("scalar02 contact", register("Contact: <sip:101@{a}>;expires=280297596632815"), (200, 400)),
    Torture("scalarlg", written("SIP/2.0 503 Service Unavailable", VIA, TO, *REST, "CSeq: 9292394834772304023312 OPTIONS",
            "Retry-After: 949302838503028349304023988"), NOTHING),
    Torture("quotbal", invite(to='To: "Mr. J. User <sip:102@{d}>'), (400,), SDP),
    Torture("ltgtruri", invite(uri="<sip:102@{d}>"), (400,), SDP),
    Torture("lwsruri", invite(uri="sip:102@{d}; lr"), (400,), SDP),
    Torture("lwsstart", invite().replace("INVITE sip", "INVITE  sip", 1), (400,), SDP),
    Torture("trws", options(start="OPTIONS sip:102@{d} SIP/2.0  "), (400,)),
    Torture("escruri", invite(uri="sip:102@{d}?Route=%3Csip:example.com%3E"), (400,), SDP),
    Torture("baddate", invite("Date: Fri, 01 Jan 2010 16:00:00 EST"), PARSED, SDP),
    Torture("regbadct", register("Contact: sip:101@{a}?Route=%3Csip:sip.example.com%3E"), (400,)),
    Torture("badaspec", options(to='To: "Watson, Thomas" < sip:102@{d} >'), (200,)),  # the spaces are ignored
    Torture("baddn", options().replace("From: <", "From: Bell, Alexander <"), (200,)),  # quotes are added
    Torture("badvers", options(start="OPTIONS sip:102@{d} SIP/7.0"), (505,)),
    Torture("mismatch01", options(cseq="8 INVITE"), (400,)),
    Torture("mismatch02", options(start="NEWMETHOD sip:102@{d} SIP/2.0", cseq="8 INVITE"), (400,)),
    Torture("bigcode", written("SIP/2.0 4294967301 better not break the receiver", VIA, TO, *REST, "CSeq: 1 INVITE"), NOTHING),
    # 3.2 and 3.3: messages that the transaction or the application judges
    Torture("badbranch", options().replace("z9hG4bK{n}", "z9hG4bK"), (200,)),
    Torture("insuf", written("INVITE sip:102@{d} SIP/2.0", VIA, "CSeq: 1 INVITE", SIZE), (400,)),
    Torture("unkscm", options(start="OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"), (416,)),
    Torture("novelsc", options(start="OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), (416,)),
    Torture("unksm2", register("Contact: <name:John_Smith>", to="To: <isbn:2983792873>"), (400, 403, 404)),
    Torture("bext01", options("Require: nothingSupportsThis, nothingSupportsThisEither"), (420,)),
    Torture("bext01 call", invite("Require: nothingSupportsThis", uri=PHONE), (420,), SDP),
    Torture("invut", invite(uri=PHONE).replace("application/sdp", "application/unknownformat"), (415,), b"<audio/>"),
    Torture("regaut01", register("Contact: <sip:101@{a}>", "Authorization: NoOneKnowsThisScheme opaque-data=here"), (200,)),
    Torture("multi01", invite("CSeq: 59 INVITE"), (400,), SDP),
    Torture("multi01 to", invite("t: sip:103@{d}"), (400,), SDP),
    Torture("multi01 call-id", invite("i: another"), (400,), SDP),
    Torture("mcl01", options("Content-Length: 5"), (400,), b"There's no way to know"),
    Torture("bcast", written("SIP/2.0 200 OK", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23", VIA, TO, *REST, "CSeq: 1 INVITE"), NOTHING),
    Torture("zeromf", options().replace("rds: 70", "rds: 0"), (200,)),
    Torture("zeromf call", invite().replace("rds: 70", "rds: 0"), (483,), SDP),
    Torture("cparam01", register("Contact: sip:+19725552222@{a};unknownparam"), (200,)),
    Torture("cparam02", register("Contact: <sip:+19725552222@{a};unknownparam>"), (200,)),
    Torture("regescrt", register("Contact: <sip:101@{a}?Route=%3Csip:sip.example.com%3E>"), (200, 400)),
    Torture("sdp01", invite("Accept: text/nobodyKnowsThis", uri=PHONE).replace("Content-Type: application/sdp\r\n", ""), (406,)),
    # 3.4: a message of RFC 2543
    Torture(
        "inv2543",
        written("INVITE sip:102@{d} SIP/2.0", "Via: SIP/2.0/{t} {a}", "From: <sip:101@{d};user=phone>", TO, CALL,
                "Record-Route: <sip:102@{d};maddr=127.0.0.1>", "CSeq: 56 INVITE", "Content-Type: application/sdp"),
        (400,),  # for lack of a Contact; over TCP, for lack of a Content-Length
        SDP,
    ),
    # Messages that the fuzzer found: PJSIP ends lines and headers where RFC 3261 does not
    Torture("tab in the request line", options(start="OPTIONS sip:102@{d}\t SIP/2.0"), (400,)),
    Torture("CR alone", options().replace("\r\nTo:", "\rTo:"), (400,)),
    Torture("LF alone", options().replace("\r\nTo:", "\nTo:"), (400,)),
    Torture("no end of the header", options()[:-2], (400,), tcp=NOTHING),
]  # fmt: skip
