"""The SIP stack alone, between stand-ins for the network and for the carrier of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.effects import Effect, Ignore, LetIn, Notify, NotifyAll, Reply, SendRequest
from blfd.core.inputs import FlowClosed, Input
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyReceived,
    NotifyResponseReceived,
    Part,
    RegisterReceived,
    RequestReceived,
    ResponseReceived,
    SubscribeReceived,
)
from blfd.core.values import DialogId, Flow, Headers, NameAddr, SubscriptionDialog
from blfd.server.settling import Settling
from blfd.sip.client_transactions import RANDOM
from blfd.sip.message import Request, Response
from blfd.sip.notifies import LONGEST_HEAD, MANY
from blfd.sip.reader import read
from blfd.sip.stack import Stack

PHONE = ("udp", "192.0.2.1", 5060, 0, "")
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Network:
    """A network that keeps what is sent; a test gives what comes to `receive`, which the stack sets."""

    receive: Callable[[bytes, Any], None]
    closed: Callable[[Flow], None]

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes, flow: Any) -> bool:
        self.sent.append(data)
        return True

    send_request = send

    def poll(self, timeout: float) -> None: ...


class OwnUris:
    def contact(self, flow: Any, user: str = "") -> str:
        return f"<sip:{user}@192.0.2.5:5060>" if user else "<sip:192.0.2.5:5060>"

    def sent_by(self, flow: Any) -> str:
        return "SIP/2.0/UDP 192.0.2.5:5060"

    def of(self, flow: Any) -> tuple[str, str]:
        return self.sent_by(flow), self.contact(flow)


class Refused:
    def __init__(
        self, status: int, reason: str = "No m= line", headers: Headers = (), *, is_sent: bool = False
    ) -> None:
        self.status, self.reason, self.headers, self.is_sent = status, reason, headers, is_sent


class Carrier:
    """A carrier of calls that takes requests in `dialogs`, and keeps all that it gets in `given`."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.dialogs: set[tuple[str, str, str]] = set()
        self.refusal: Refused | None = None
        self.legs: set[int] = set()

    def accept(self, effect: Accept, request: Request, flow: Flow) -> Refused | None:
        self.given.append(("accept", request.call_id))
        if self.refusal is None:
            self.legs.add(effect.leg)
        return self.refusal

    def flow_closed(self, flow: Flow) -> None:
        self.given.append(("closed", flow.host))

    def knows(self, request: Request, flow: Flow) -> bool:
        return (request.call_id, request.to.tag, request.from_.tag) in self.dialogs

    def leg_elsewhere(self, request: Request) -> int:
        return 7 if request.to.tag == "elsewhere" else 0

    def moved(self, request: Request, flow: Flow) -> None:
        self.given.append(("moved", request.call_id))
        self.dialogs.add((request.call_id, request.to.tag, request.from_.tag))

    def has_sent(self, request: Request) -> bool:
        return False

    def is_up(self, leg: int) -> bool:
        return leg in self.legs

    def repeated(self, request: Request, flow: Flow) -> None:
        self.given.append(("repeated", request.call_id))

    def request(self, request: Request, flow: Flow, sdp: bytes | None) -> int:
        self.given.append((request.method, request.call_id))
        return 0

    def cancel(self, request: Request, flow: Flow) -> int:
        self.given.append(("CANCEL", request.call_id))
        return 0

    def response(self, response: Response, flow: Flow) -> bool:
        self.given.append((str(response.status), response.call_id))
        return True

    def poll(self) -> None: ...
    def give_waiting(self) -> None: ...
    def perform(self, effect: Effect) -> None: ...


class Edge:
    """A stack whose core is `answer`, from an input to its effects; a test may perform others later."""

    def __init__(self, answer: Callable[[Input], list[Effect]] = lambda event: []) -> None:
        self.network, self.carrier, self.inputs = Network(), Carrier(), []
        self._settling = Settling(lambda: 0.0, self.perform)
        self._settling.handle = lambda event, now: answer(event)
        self.stack = Stack(self.network, OwnUris(), self.carrier, self.emit)  # type: ignore[arg-type]

    inputs: list[Input]

    def emit(self, *events: Input) -> None:
        self.inputs += events
        self._settling.emit(*events)

    def perform(self, effect: Effect) -> None:
        self.stack.perform(effect)

    def say(self, data: bytes) -> list[Response]:
        """Receive a message, and return the responses to it."""
        before = len(self.network.sent)
        self.network.receive(data, PHONE)
        self.stack.poll(0)  # SUBSCRIBEs wait for their turn
        found = [read(sent) for sent in self.network.sent[before:]]
        assert all(isinstance(one, Response) for one in found)
        return found  # type: ignore[return-value]

    def statuses(self, data: bytes) -> list[int]:
        return [response.status for response in self.say(data)]


def request(method: str, *, branch: str = "1", to_tag: str = "", body: bytes = b"", kind: str = "") -> bytes:
    tag = f";tag={to_tag}" if to_tag else ""
    of = "INVITE" if method == "CANCEL" else method
    text = (
        f"{method} sip:102@host SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}{of}\r\n"
        f"From: <sip:101@host>;tag=f\r\nTo: <sip:102@host>{tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n"
        "Contact: <sip:101@192.0.2.1>\r\nEvent: dialog\r\n"
    )
    text += f"Content-Type: {kind}\r\n" if kind else ""
    return f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + body


INVITE = request("INVITE", body=SDP, kind="application/sdp")


def transaction(event: Input) -> int:
    assert isinstance(event, InviteReceived | SubscribeReceived | RequestReceived)
    return event.request.transaction


def test_a_refused_invite_is_ours_alone() -> None:
    edge = Edge(lambda event: [Reply(transaction(event), 404, "102 does not exist")])
    (refused,) = edge.say(INVITE)
    assert (refused.status, refused.reason) == (404, "102 does not exist")
    assert edge.statuses(INVITE) == [404], "a copy gets the same"
    assert edge.say(INVITE)[0].to.tag == refused.to.tag
    assert edge.statuses(request("ACK", branch="1").replace(b"1ACK", b"1INVITE")) == []
    assert edge.statuses(INVITE) == [], "acknowledged"
    assert edge.carrier.given == []
    assert len(edge.inputs) == 1


def test_an_accepted_invite_is_the_carriers() -> None:
    edge = Edge(lambda event: [Accept(transaction(event), 7, "")])
    assert edge.statuses(INVITE) == []
    assert edge.statuses(INVITE) == []
    assert edge.statuses(request("CANCEL")) == []
    assert edge.carrier.given == [("accept", "c"), ("repeated", "c"), ("CANCEL", "c")]
    assert len(edge.inputs) == 1


@pytest.mark.parametrize("is_sent", [False, True])
def test_the_core_hears_of_a_leg_that_the_carrier_does_not_make(is_sent: bool) -> None:
    edge = Edge(
        lambda event: [Accept(transaction(event), 7, "")] if isinstance(event, InviteReceived) else []
    )
    edge.carrier.refusal = Refused(488, is_sent=is_sent)
    assert edge.statuses(INVITE) == ([] if is_sent else [488])
    fault = "its INVITE is refused: No m= line"
    assert edge.inputs[1:] == [LegEnded(7, 488, "No m= line", fault=fault)]


@pytest.mark.parametrize(
    ("status", "headers", "fault"),
    [
        (422, (), "422 Session Interval Too Small"),
        (420, (("Unsupported", "foo"),), "420 Bad Extension; Unsupported: foo"),
    ],
)
def test_why_the_carrier_makes_no_leg_is_said(status: int, headers: Headers, fault: str) -> None:
    edge = Edge(
        lambda event: [Accept(transaction(event), 7, "")] if isinstance(event, InviteReceived) else []
    )
    edge.carrier.refusal = Refused(status, "", headers)
    assert edge.statuses(INVITE) == [status]
    assert edge.inputs[1:] == [LegEnded(7, status, "refused", fault=f"its INVITE is refused: {fault}")]


def test_a_late_answer_finds_its_invite() -> None:
    edge = Edge()
    assert edge.statuses(INVITE) == [100]
    assert edge.statuses(INVITE) == [100]
    edge.stack.perform(Reply(transaction(edge.inputs[0]), 486))
    assert edge.network.sent[-1].startswith(b"SIP/2.0 486 Busy Here\r\n")
    edge.stack.perform(Reply(transaction(edge.inputs[0]), 404))
    assert edge.network.sent[-1].startswith(b"SIP/2.0 486"), "it is answered once"


def test_an_invite_that_is_cancelled_before_it_is_answered() -> None:
    edge = Edge()
    assert edge.statuses(INVITE) == [100]
    assert edge.statuses(request("CANCEL")) == [200, 487]
    edge.stack.perform(Accept(transaction(edge.inputs[0]), 7, ""))
    assert edge.inputs[1:] == [LegEnded(7, 487, "The caller has hung up")]
    assert edge.carrier.given == []


@pytest.mark.parametrize("data", [request("SUBSCRIBE"), INVITE])
def test_what_is_ignored_gets_no_answer_ever(data: bytes) -> None:
    edge = Edge(lambda event: [Ignore(transaction(event))])
    assert edge.statuses(data) == []
    assert edge.statuses(data) == []
    assert len(edge.inputs) == 1


def test_an_ignored_invite_that_is_cancelled() -> None:
    edge = Edge(lambda event: [Ignore(transaction(event))])
    assert edge.statuses(INVITE) == []
    assert edge.statuses(request("CANCEL")) == [200]


def test_subscribes_that_wait_go_together_and_each_is_answered_for_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in one SUBSCRIBE does not touch those beside it, and all are answered in their order."""

    def answer(event: Input) -> list[Effect]:
        assert isinstance(event, SubscribeReceived)
        if event.request.call_id == "fault":
            raise RuntimeError("ours")
        if event.request.call_id == "later":
            return []
        return [Reply(transaction(event), 200)]

    def subscribe(call_id: str) -> bytes:
        data = request("SUBSCRIBE", branch=call_id)
        return data.replace(b"Call-ID: c", f"Call-ID: {call_id}".encode())

    edge = Edge(answer)
    good, again, last = subscribe("a"), subscribe("b"), subscribe("z")
    copy = again.replace(b"CSeq: 1 ", b"CSeq:  1 ")  # other octets, the same transaction
    refused = subscribe("x").replace(b"Event: dialog", b"Require: teleport")
    for data in (good, again, copy, refused, subscribe("y").replace(b"Contact: <", b"Contact: "), last):
        edge.network.receive(data, PHONE)
    edge.stack.poll(0)
    asked = [event.request.call_id for event in edge.inputs if isinstance(event, SubscribeReceived)]
    assert asked == ["a", "b", "z"]
    assert [data[8:11] for data in edge.network.sent] == [b"400", b"420", b"200", b"200", b"200"]
    assert [one.call_id for one in map(read, edge.network.sent[1:])] == ["x", "a", "b", "z"]
    edge.network.sent.clear()
    for call_id in ("later", "c", "fault", "d"):
        edge.network.receive(subscribe(call_id), PHONE)
    edge.stack.poll(0)
    found = [(one.call_id, one.status) for one in map(read, edge.network.sent) if isinstance(one, Response)]
    assert found == [("c", 200), ("d", 200), ("later", 500), ("fault", 500)]
    assert "was not handled" in caplog.text
    assert "it was about SubscribeReceived" in caplog.text


def accepted(notify: bytes) -> bytes:
    """The 200 by which a phone answers a NOTIFY."""
    lines = notify.partition(b"\r\n\r\n")[0].split(b"\r\n")
    echoed = [line for line in lines if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq"))]
    return b"\r\n".join((b"SIP/2.0 200 OK", *echoed, b"Content-Length: 0\r\n\r\n"))


def test_answers_to_notifies_are_told_before_what_came_after_them() -> None:
    """Otherwise a watcher that has answered would hear of a change late, and of a short one not at all."""
    edge = Edge(lambda event: [])
    notifies = [Notify(f"k{n}", Flow(*PHONE), dialog_of(n, ()), 1, 60) for n in range(3)]
    edge.stack.perform(NotifyAll(notifies))
    first, second, third = map(accepted, edge.network.sent[:])
    for data in (first, second, request("REGISTER"), third):
        edge.network.receive(data, PHONE)
    kinds = [type(event) for event in edge.inputs]
    assert kinds == [NotifyResponseReceived, NotifyResponseReceived, RegisterReceived]
    edge.stack.poll(0)
    assert [type(event) for event in edge.inputs] == [*kinds, NotifyResponseReceived]


def test_an_answer_counts_before_the_end_of_its_connection() -> None:
    edge = Edge(lambda event: [])
    edge.stack.perform(Notify("k", Flow(*PHONE), dialog_of(1, ()), 1, 60))
    edge.network.receive(accepted(edge.network.sent[0]), PHONE)
    edge.network.closed(Flow(*PHONE))
    assert [type(event) for event in edge.inputs] == [NotifyResponseReceived, FlowClosed]


def test_a_fault_about_an_answer_to_a_notify_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def answer(event: Input) -> list[Effect]:
        if isinstance(event, NotifyResponseReceived) and event.subscription == "k1":
            raise RuntimeError("ours")
        return [Reply(transaction(event), 200)] if isinstance(event, SubscribeReceived) else []

    edge = Edge(answer)
    edge.stack.perform(NotifyAll([Notify(f"k{n}", Flow(*PHONE), dialog_of(n, ()), 1, 60) for n in range(3)]))
    for sent in edge.network.sent[:]:
        edge.network.receive(accepted(sent), PHONE)
    edge.network.receive(request("SUBSCRIBE"), PHONE)
    edge.stack.poll(0)
    assert [one.subscription for one in edge.inputs if isinstance(one, NotifyResponseReceived)] == [
        "k0",
        "k1",
        "k2",
    ]
    assert "was not handled" in caplog.text
    assert "subscription='k1'" in caplog.text
    edge.stack.poll(0)
    assert edge.network.sent[-1].startswith(b"SIP/2.0 200 OK\r\n"), "the SUBSCRIBE has its turn"


def test_a_fault_of_the_core_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Input) -> list[Effect]:
        raise RuntimeError("ours")

    edge = Edge(fail)
    assert edge.statuses(request("OPTIONS")) == [500]
    assert "was not handled" in caplog.text


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (request("BYE"), [481]),
        (request("BYE", to_tag="x"), [481]),
        (request("INFO", to_tag="x"), [481]),
        (request("OPTIONS", to_tag="x"), [481]),
        (request("ACK", to_tag="x"), []),
        (request("ACK"), []),
        (request("CANCEL"), [481]),
        (INVITE.replace(b"Event: dialog", b"Accept: text/plain"), [406]),
        (request("INVITE", body=b"x", kind="text/plain"), [415]),
        (request("REGISTER", body=b"x", kind="multipart/mixed;boundary=b"), [415]),
        (request("REGISTER").replace(b"Event: dialog", b"Require: teleport"), [420]),
        (INVITE.replace(b"Event: dialog", b"Max-Forwards: 999"), [400]),
        (INVITE.replace(b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia"), [505]),
        (INVITE.replace(b"sip:102@host SIP", b"http://x SIP"), [416]),
        (b"\r\n\r\n", []),
        (b"SIP/2.0 200 OK\r\n\r\n", []),
        (b"\0" * 100, []),
    ],
)
def test_what_neither_core_nor_carrier_sees(data: bytes, statuses: list[int]) -> None:
    edge = Edge()
    assert edge.statuses(data) == statuses
    assert edge.inputs == []
    assert edge.carrier.given == []


def test_inside_a_call_the_carrier_is_asked_and_the_body_is_looked_at_before() -> None:
    edge = Edge()
    edge.carrier.dialogs.add(("c", "ours", "f"))
    for number, method in enumerate(("INVITE", "UPDATE", "PRACK", "BYE", "INFO", "ACK")):
        asked = request(method, to_tag="ours", branch=f"m{number}", body=SDP, kind="application/sdp")
        assert edge.statuses(asked) == []
        assert edge.carrier.given[-1] == (method, "c")
    taken = len(edge.carrier.given)
    for kind, status in (("multipart/mixed", 400), ("text/plain", 415)):
        asked = request("UPDATE", to_tag="ours", branch=kind[:3], body=b"--b", kind=kind)
        assert edge.statuses(asked) == [status]
    assert len(edge.carrier.given) == taken


def test_a_request_from_elsewhere_is_the_carriers_once_the_core_lets_it_in() -> None:
    edge = Edge()
    asked = request("INFO", to_tag="elsewhere", body=b"x", kind="text/plain")
    assert edge.statuses(asked) + edge.statuses(asked) == []
    (event,) = edge.inputs
    assert isinstance(event, MovedReceived)
    assert (event.leg, edge.carrier.given) == (7, [])
    edge.stack.perform(LetIn(event.request.transaction, 7))
    edge.stack.perform(LetIn(event.request.transaction, 7))
    assert edge.carrier.given == [("moved", "c"), ("INFO", "c")]
    assert edge.statuses(asked) == [], "copies go to the carrier"
    assert edge.carrier.given[2:] == [("INFO", "c")]
    assert len(edge.inputs) == 1


def test_a_response_to_a_notify_and_one_of_a_call() -> None:
    edge = Edge()
    ids, ends = DialogId("c", "t", "r"), (NameAddr("sip:a@b"), NameAddr("sip:c@d"))
    dialog = SubscriptionDialog(ids, *ends, "sip:c@x", (), "dialog")
    edge.stack.perform(Notify("t", Flow(*PHONE), dialog, 4, 60))
    notify = read(edge.network.sent[-1])
    fields = notify.fields
    lines = [f"{name}: {fields[name.lower()][0]}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
    head = "\r\n".join(lines) + "\r\n\r\n"
    edge.say(f"SIP/2.0 503 Busy\r\nRetry-After: 9\r\n{head}".replace("CSeq: 4", "CSeq: 5").encode())
    assert edge.inputs == []
    edge.say(f"SIP/2.0 503 Busy\r\nRetry-After: 9\r\n{head}".encode())
    assert edge.inputs == [NotifyResponseReceived("t", 503, 9)]
    edge.say(f"SIP/2.0 200 OK\r\n{head}".replace("z9hG4bKn", "z9hG4bKPj").encode())
    assert edge.carrier.given == [("200", "c")]


def test_what_many_are_told_is_what_each_would_be_told_alone() -> None:
    """What NOTIFYs of a subscription have in common is kept while it stays the same and is not too long."""
    edge, alone = Edge(), Edge()
    long = ("<sip:edge;lr;x=" + "y" * LONGEST_HEAD + ">",)
    first = [
        Notify(f"k{n}", Flow(*PHONE), dialog_of(n, long if n == 7 else ()), 1, 60, "", "a/b", b"<one/>")
        for n in range(MANY)
    ]
    second = [one._replace(cseq=2, expires=59, body=b"<two/>") for one in first]
    second[3] = second[3]._replace(dialog=second[3].dialog._replace(target="sip:moved@192.0.2.9"))
    second[4] = second[4]._replace(flow=Flow("udp", "192.0.2.9", 5060), contact_user="acme.example")
    second[5] = second[5]._replace(expires=None, reason="timeout")
    for notifies in (first, second, second[:2]):
        edge.network.sent.clear()
        alone.network.sent.clear()
        edge.stack.perform(NotifyAll(notifies))
        for one in notifies:
            alone.stack.perform(one)
        assert list(map(without_branch, edge.network.sent)) == list(map(without_branch, alone.network.sent))
    latency = edge.stack.client.notifies.latency()
    assert sum(latency["counts"]) == edge.stack.client.clients.sent == 2 * MANY + 2


def dialog_of(number: int, route_set: tuple[str, ...]) -> SubscriptionDialog:
    ids, ends = DialogId(f"c{number}", f"k{number}", "r"), (NameAddr("sip:a@b"), NameAddr("sip:c@d", "C"))
    return SubscriptionDialog(ids, *ends, f"sip:c{number}@x", route_set, "dialog")


def without_branch(data: bytes) -> bytes:
    before, _, after = data.partition(b"branch=z9hG4bKn")
    return before + after[RANDOM:]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("active;expires=600", ("active", "", 600, None)),
        ("Active ; Expires=600", ("active", "", 600, None)),
        ("terminated;reason=Probation;retry-after=30", ("terminated", "probation", None, 30)),
        ("terminated;reason=timeout;expires=-1;retry-after=x", ("terminated", "timeout", None, None)),
        ('active;expires="', ("active", "", None, None)),
        (";;", ("", "", None, None)),
        ("", ("", "", None, None)),
    ],
)
def test_what_a_notify_says_of_its_subscription(
    value: str, wanted: tuple[str, str, int | None, int | None]
) -> None:
    """A NOTIFY never goes to the carrier of calls, even if it claims to be of a call's dialog."""
    edge = Edge(lambda event: [Reply(event.request.transaction, 481)])  # type: ignore[union-attr]
    edge.carrier.dialogs.add(("c", "ours", "f"))
    line = f"Subscription-State: {value}\r\nContact: ".encode()
    data = request("NOTIFY", to_tag="ours", body=b"<x/>", kind="application/dialog-info+xml")
    assert edge.statuses(data.replace(b"Contact: ", line)) == [481]
    (event,) = edge.inputs
    assert isinstance(event, NotifyReceived)
    assert (event.state, event.reason, event.expires, event.retry_after) == wanted
    assert (event.event, event.content_type, event.body) == ("dialog", "application/dialog-info+xml", b"<x/>")
    assert (event.contact, event.request.to.tag) == ("sip:101@192.0.2.1", "ours")
    assert edge.carrier.given == []


def test_a_request_inside_a_dialog_of_ours_and_what_its_response_says() -> None:
    edge = Edge()
    us, pbx = NameAddr("sip:blfd@pbx"), NameAddr("sip:102@pbx")
    ids = ("t1", Flow(*PHONE), "SUBSCRIBE", "sip:102@192.0.2.1", us, pbx, "call", "ours", 2)
    edge.stack.perform(SendRequest(*ids, (("Event", "dialog"),), (), None, "theirs"))
    (sent,) = edge.network.sent
    asked = read(sent)
    assert isinstance(asked, Request)
    assert (asked.from_.tag, asked.to.tag, asked.cseq) == ("ours", "theirs", 2)
    answer = (
        f"SIP/2.0 200 OK\r\nVia: {asked.via.text}\r\nFrom: <sip:blfd@pbx>;tag=ours\r\n"
        "To: <sip:102@pbx>;tag=theirs\r\nCall-ID: call\r\nCSeq: 2 SUBSCRIBE\r\nExpires: 60\r\n"
        "Record-Route: <sip:a;lr>, <sip:b;lr>\r\nContact: <sip:102@10.0.0.1>\r\nContent-Length: 0\r\n\r\n"
    )
    assert edge.say(answer.encode()) == []
    (event,) = edge.inputs
    assert isinstance(event, ResponseReceived)
    assert (event.token, event.to_tag, event.expires) == ("t1", "theirs", 60)
    assert event.record_route == ("<sip:a;lr>", "<sip:b;lr>")
    assert [contact.uri for contact in event.contacts] == ["sip:102@10.0.0.1"]


RELATED = (
    b"--b\r\nContent-ID: <l@pbx>\r\nContent-Type: application/rlmi+xml;charset=UTF-8\r\n\r\n<list/>\r\n"
    b"--b\r\nContent-ID: <a@pbx>\r\nContent-Type: application/dialog-info+xml\r\n\r\n<x/>\r\n--b--\r\n"
)


def test_a_notify_of_a_list() -> None:
    """Parts have their Content-IDs; `Require: eventlist` is known in a NOTIFY, and nowhere else."""
    edge = Edge(lambda event: [Reply(event.request.transaction, 200)])  # type: ignore[union-attr]
    kind = 'multipart/related;type="application/rlmi+xml";boundary=b'
    lines = b"Require: eventlist\r\nContact: "
    data = request("NOTIFY", to_tag="ours", body=RELATED, kind=kind).replace(b"Contact: ", lines)
    assert edge.statuses(data) == [200]
    (event,) = edge.inputs
    assert isinstance(event, NotifyReceived)
    assert event.parts == (
        Part("l@pbx", "application/rlmi+xml", b"<list/>"),
        Part("a@pbx", "application/dialog-info+xml", b"<x/>"),
    )
    assert edge.statuses(data.replace(b"NOTIFY", b"SUBSCRIBE")) == [420]
    other = request("NOTIFY", branch="2", body=b"no parts", kind=kind)
    assert edge.statuses(other) == [400]
    many = b"".join(b"--b\r\n\r\n" for _ in range(1100))
    assert edge.statuses(request("NOTIFY", branch="3", body=many, kind=kind)) == [400]
