"""The requests that raw agents send in calls: INVITE, ACK, BYE, re-INVITE."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wire import DEADLINE, Agent, Message


def sdp(port: int, direction: str = "sendrecv", codecs: str = "0 8 101") -> bytes:
    """An offer or answer; `port` says whose it is."""
    lines = [
        "v=0",
        f"o=- {port} 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=audio {port} RTP/AVP {codecs}",
        *(["a=rtpmap:101 telephone-event/8000"] if "101" in codecs else []),
        f"a={direction}",
        "",
    ]
    return "\r\n".join(lines).encode()


def audio_port(message: Message) -> int:
    """The port of the first stream in a message's SDP."""
    line = next(line for line in message.body.split(b"\r\n") if line.startswith(b"m=audio"))
    return int(line.split()[1])


def direction(message: Message) -> str:
    found = [line[2:].decode() for line in message.body.split(b"\r\n") if line.startswith(b"a=")]
    return next((value for value in found if value in ("sendrecv", "sendonly", "recvonly", "inactive")), "")


@dataclass
class Calling:
    """An INVITE that an agent has sent, with credentials."""

    agent: Agent
    uri: str
    headers: dict[str, str]
    answer: Message | None = None
    dialog: Dialog | None = None

    @classmethod
    def trusted(cls, agent: Agent, to: str, body: bytes = b"", uri: str = "", **over: str) -> Calling:
        """Send INVITE, from a source that is not challenged."""
        if body:
            over = {"Content_Type": "application/sdp", **over}
        calling = cls(agent, uri or f"sip:{to}@{agent.server}", agent.headers("INVITE", to, **over))
        agent.send(f"INVITE {calling.uri} SIP/2.0", calling.headers, body)
        agent.leave_by.append(calling.end)
        return calling

    @classmethod
    def start(cls, agent: Agent, to: str, body: bytes = b"", uri: str = "", **over: str) -> Calling:
        """Send INVITE and answer the challenge."""
        calling = cls.trusted(agent, to, body, uri, **over)
        challenge = agent.final(calling.headers)
        agent.ack(challenge, calling.uri, calling.headers)
        assert challenge.status == 401, challenge.start
        calling.headers = agent.authorized(calling.headers, "INVITE", calling.uri, challenge)
        agent.send(f"INVITE {calling.uri} SIP/2.0", calling.headers, body)
        return calling

    def final(self, timeout: float = DEADLINE) -> Message:
        self.answer = self.agent.final(self.headers, timeout)
        return self.answer

    def provisional(self, status: int) -> Message:
        call_id = self.headers["Call-ID"]
        return self.agent.wait(lambda m: m.status == status and m["call-id"] == call_id)

    def acknowledge(self, answer: Message, body: bytes = b"", kind: str = "application/sdp") -> Dialog:
        """Send ACK for a 200, and return the dialog."""
        self.dialog = Dialog(
            self.agent,
            answer["contact"].strip("<>"),
            self.headers["From"],
            answer["to"],
            self.headers["Call-ID"],
            int(self.headers["CSeq"].split()[0]),
        )
        self.dialog.ack(answer, body, kind)
        return self.dialog

    def refused(self) -> Message:
        """Wait for the final refusal, acknowledge it, and return it."""
        answer = self.final()
        assert answer.status >= 300, answer.start
        self.agent.ack(answer, self.uri, self.headers)
        return answer

    def cancel(self, **more: str) -> None:
        number = self.headers["CSeq"].split()[0]
        kept = {k: v for k, v in self.headers.items() if k in ("Via", "From", "To", "Call-ID")}
        self.agent.send(f"CANCEL {self.uri} SIP/2.0", {**kept, "CSeq": f"{number} CANCEL", **more})

    def end(self) -> None:
        """Hang up, however far the call has come."""
        if self.answer is None:
            self.cancel()
        answer = self.answer or self.final()
        if answer.status < 300:
            (self.dialog or self.acknowledge(answer)).send("BYE")


@dataclass
class Dialog:
    """An agent's side of an established call."""

    agent: Agent
    target: str
    local: str
    remote: str
    call_id: str
    cseq: int = 0  # the number of the last request

    @classmethod
    def of_invite(cls, agent: Agent, invite: Message) -> Dialog:
        """The callee's side, after `agent.reply(invite, 200, ...)`."""
        to = f"{invite['to']};tag={id(agent)}"
        return cls(agent, invite["contact"].strip("<>"), to, invite["from"], invite["call-id"])

    def send(
        self, method: str, body: bytes = b"", kind: str = "application/sdp", **more: str
    ) -> dict[str, str]:
        """Send a request in the dialog, and give its headers. `more` is as in `Agent.headers`."""
        self.cseq += 1
        headers = {
            "Via": self.agent.via(),
            "Max-Forwards": "70",
            "From": self.local,
            "To": self.remote,
            "Call-ID": self.call_id,
            "CSeq": f"{self.cseq} {method}",
            "Contact": f"<sip:{self.agent.user}@{self.agent.address}>",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        if body:
            headers["Content-Type"] = kind
        self.agent.send(f"{method} {self.target} SIP/2.0", headers, body)
        return headers

    def request(self, method: str, body: bytes = b"", kind: str = "application/sdp", **more: str) -> Message:
        return self.agent.final(self.send(method, body, kind, **more))

    def ack(self, answer: Message, body: bytes = b"", kind: str = "application/sdp") -> None:
        headers = {
            "Via": self.agent.via(),
            "From": self.local,
            "To": self.remote,
            "Call-ID": self.call_id,
            "CSeq": f"{answer['cseq'].split()[0]} ACK",
        }
        if body:
            headers["Content-Type"] = kind
        self.agent.send(f"ACK {self.target} SIP/2.0", headers, body)


def hang_up(dialog: Dialog, other: Agent) -> None:
    assert dialog.request("BYE").status == 200
    other.reply(other.wait_request("BYE"), 200)


def connect(caller: Agent, callee: Agent, *, is_trusted: bool = False) -> tuple[Dialog, Dialog]:
    """Set up a call, offered at port 4000 and answered at 5000, and return both sides.

    A caller that `is_trusted` gets no challenge.
    """
    call = Calling.trusted if is_trusted else Calling.start
    calling = call(caller, callee.user, sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    answer = calling.final()
    assert answer.status == 200, answer.start
    dialog = calling.acknowledge(answer)
    callee.wait_request("ACK")
    return dialog, Dialog.of_invite(callee, invite)


def branch(invite: Message, tag: str) -> Message:
    """The INVITE as one of the phones has it that a proxy forks it to: its responses have this tag."""
    headers = [(name, f"{value};tag={tag}" if name == "to" else value) for name, value in invite.headers]
    return replace(invite, headers=headers)
