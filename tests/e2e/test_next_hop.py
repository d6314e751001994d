"""Where requests go: to phones behind NAT, to another port, by a new connection, and never to ourselves."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from calls import Calling, Dialog, sdp
from sites import UDP6, Listening, Site
from wire import Agent, Message

TRUST = ("--trust", "127.0.0.0/8")


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), *TRUST)
    yield site
    site.stop()


def answered(caller: Agent, callee: Agent, contact: str = "", **over: str) -> tuple[Dialog, Dialog]:
    """Set up a call, with `contact` in the callee's 200 and the fields `over` in the INVITE."""
    calling = Calling.trusted(caller, callee.user, sdp(4000), **over)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing", Contact=contact or f"<sip:{callee.user}@{callee.address}>")
    more = {"Contact": contact} if contact else {}
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp", **more)
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return dialog, Dialog.of_invite(callee, invite)


def handled(agent: Agent) -> None:
    """Wait until the server has taken all that came before by the agent's transport, from anybody."""
    assert agent.request("OPTIONS", "101").status == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_behind_nat_is_reached_where_it_came_from(site: Site, transport: str) -> None:
    """All through a call it is addressed by its own Contact, with no Route that it could not follow."""
    callee, caller = site.agent("106", transport), site.agent("107", transport)
    behind = "<sip:106@10.9.8.7:5999;line=x1>"
    assert callee.register(contact=behind).status == 200
    callee.is_registered = True
    calling = Calling.trusted(caller, "106", sdp(4000), Contact="<sip:107@10.9.8.8:5998>")
    invite = callee.wait_request("INVITE")
    assert invite.uri == "sip:106@10.9.8.7:5999;line=x1"
    assert invite.all("route") == []
    callee.reply(invite, 180, "Ringing", Contact=behind)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp", Contact=behind)
    mine = calling.acknowledge(calling.final())
    ack = callee.wait_request("ACK")
    assert (ack.uri, ack.all("route")) == ("sip:106@10.9.8.7:5999;line=x1", [])
    other = Dialog.of_invite(callee, invite)
    handled(caller)
    headers = other.send("INVITE", sdp(5002, "sendonly"), Contact=behind)
    again = caller.wait_request("INVITE")
    assert (again.uri, again.all("route")) == ("sip:107@10.9.8.8:5998", [])
    caller.reply(again, 200, "OK", sdp(4002, "recvonly"), Content_Type="application/sdp")
    answer = callee.final(headers)
    other.ack(answer)
    caller.wait_request("ACK")
    caller.leave_by.clear()
    ended = mine.send("BYE")
    callee.reply(callee.wait_request("BYE"), 200)
    assert caller.final(ended).status == 200


@pytest.mark.parametrize(("early", "late"), [("a", "b"), ("a", ""), ("", "b"), ("a", "a")])
def test_the_route_set_of_a_call_is_that_of_its_200(site: Site, early: str, late: str) -> None:
    """The 180 may have named other proxies (RFC 3261, section 13.2.2.4)."""
    caller, callee = site.agent("108"), site.agent("109")
    assert callee.register().status == 200
    callee.is_registered = True
    calling = Calling.trusted(caller, "109", sdp(4000))
    invite = callee.wait_request("INVITE")

    def recorded(name: str) -> dict[str, str]:
        return {"Record_Route": f"<sip:{name}.example;lr>"} if name else {}

    callee.reply(invite, 180, "Ringing", b"", **recorded(early))
    calling.provisional(180)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp", **recorded(late))
    mine = calling.acknowledge(calling.final())
    route = [f"<sip:{late}.example;lr>"] if late else []
    assert callee.wait_request("ACK").all("route") == route
    caller.leave_by.clear()
    ended = mine.send("BYE")
    bye = callee.wait_request("BYE")
    assert bye.all("route") == route
    callee.reply(bye, 200)
    assert caller.final(ended).status == 200


class Elsewhere(Agent):
    """A phone that sends from a port where it does not listen, and asks for no rport."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sending.bind((self.host, 0))

    def send_raw(self, data: bytes) -> None:
        self.sending.sendto(data, self.peer)

    def via(self) -> str:
        return super().via().replace(";rport", "")

    def close(self) -> None:
        self.sending.close()
        super().close()


def test_a_phone_that_sends_from_one_port_and_listens_on_another(site: Site) -> None:
    phones = [Elsewhere(site.server.address(), user) for user in ("108", "109")]
    site.agents += phones
    callee, caller = phones
    for phone in phones:
        assert phone.register().status == 200
        phone.is_registered = True
    callee.subscribe("108")
    _, other = answered(caller, callee)
    assert callee.notify("confirmed").source == callee.peer
    caller.leave_by.clear()
    ended = other.send("BYE")
    caller.reply(caller.wait_request("BYE"), 200)
    assert callee.final(ended).status == 200


@pytest.mark.parametrize(
    ("path", "contact"),
    [
        ("<sip:{server};lr>", "<sip:110@10.9.8.7>"),
        ('"x" <sip:{server};transport=udp;lr>, <sip:other.example;lr>', "<sip:110@10.9.8.7>"),
        ("<sip:localhost:{port};lr>", "<sip:110@10.9.8.7>"),
        ("<sip:{tcp};transport=tcp;lr>", "<sip:110@10.9.8.7>"),
        ("<sip:{udp6};lr>", "<sip:110@10.9.8.7>"),
        ("", "<sip:110@{server}>"),
    ],
)
def test_a_registration_that_leads_to_this_server(site: Site, path: str, contact: str) -> None:
    """Without a refusal, one INVITE would become fifty calls."""
    phone = site.agent("110")
    ways = {name: site.server.address(name) for name in ("tcp", UDP6)}
    named = {"server": phone.server, "port": phone.peer[1], "tcp": ways["tcp"], "udp6": ways[UDP6]}
    over = {"Path": path.format(**named)} if path else {"Via": phone.via().replace(";rport", "")}
    answer = phone.register(3600, contact.format(server=phone.server), **over)
    what = "Path or Record-Route" if path else "Contact"
    assert answer.start == f"SIP/2.0 400 {what} leads to this server itself"
    calling = Calling.trusted(site.agent("101"), "110", sdp(4000))
    assert calling.refused().status == 480
    assert f"udp:{phone.address} wants requests at " in site.server.log.read_text()


@pytest.mark.parametrize("method", ["SUBSCRIBE", "INVITE"])
@pytest.mark.parametrize("by", ["Record_Route", "Contact"])
def test_a_dialog_that_leads_to_this_server(site: Site, method: str, by: str) -> None:
    phone = site.agent("110")
    over = {by: f"<sip:{phone.server};lr>", "Via": phone.via().replace(";rport", "")}
    answer = phone.request(method, "101", body=b"", Event="dialog", **over)
    assert (answer.status, "leads to this server" in answer.start) == (400, True)


def sent_back(edge: Agent, invite: Message, uri: str) -> str:
    """Have a proxy send an INVITE of the server back to it, with its ids, and return the new Via."""
    via, hops = edge.via(), int(invite["max-forwards"]) - 1
    lines = [f"{name}: {hops if name == 'max-forwards' else value}" for name, value in invite.headers]
    edge.send_raw(
        "\r\n".join([f"INVITE {uri} SIP/2.0", f"Via: {via}", *lines, "", ""]).encode() + invite.body
    )
    return via


@pytest.mark.parametrize("uri", ["", "sip:111@{server}", "sip:111@localhost"])
def test_an_invite_of_ours_that_comes_back(site: Site, uri: str) -> None:
    """Something behind the phone's address sends the INVITE back to us, which begins no second call."""
    caller, callee = site.agent("101"), site.registered("111")
    calling = Calling.trusted(caller, "111", sdp(4000))
    invite = callee.wait_request("INVITE")
    sent_back(callee, invite, uri.format(server=callee.server) or invite.uri)
    loop = callee.wait(lambda m: m.status > 100)
    assert loop.status == 482
    assert "came back from udp:" in site.server.log.read_text()
    callee.reply(invite, 482, "Loop Detected")
    assert calling.refused().status == 482
    assert callee.silent(lambda m: m.method == "INVITE")


def test_a_loop_through_an_edge_ends(site: Site) -> None:
    """The edge sends calls of 111 to 112, and those of 112 to 111, until Max-Forwards ends them."""
    caller, edge = site.agent("101"), site.agent("111")
    for user in ("111", "112"):
        over = {"From": f"<sip:{user}@{edge.server}>;tag=x", "To": f"<sip:{user}@{edge.server}>"}
        assert edge.register(3600, f"<sip:{user}@{edge.address}>", **over).status == 200
    calling = Calling.trusted(caller, "111", sdp(4000), Max_Forwards="8")
    came: list[Message] = []
    status = 0
    while not status:
        message = edge.wait(lambda m: m.method == "INVITE" or m.status >= 200)
        if message.method == "INVITE":
            came.append(message)
            other = "112" if ":111@" in message.uri else "111"
            sent_back(edge, message, f"sip:{other}@{edge.server}")
        else:
            status = message.status
    assert (status, len(came)) == (483, 4)
    for invite in reversed(came):
        edge.reply(invite, 483, "Too Many Hops")
        edge.wait_request("ACK")
    assert calling.refused().status == 483
    site.wait_no_call()
    for user in ("111", "112"):
        assert (
            edge.register(0, f"<sip:{user}@{edge.address}>", To=f"<sip:{user}@{edge.server}>").status == 200
        )


@pytest.mark.parametrize("contact", ["<http://127.0.0.1/>", "<tel:+49123>", "<mailto:a@b>"])
@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "INVITE"])
def test_a_contact_that_no_request_can_be_sent_to(site: Site, method: str, contact: str) -> None:
    phone = site.agent("101")
    answer = phone.request(method, "101", Event="dialog", Contact=contact)
    assert (answer.status, "has to be a SIP URI" in answer.start) == (400, True)


def test_the_headers_of_a_contact_are_in_no_request(site: Site) -> None:
    caller, callee = site.agent("101"), site.agent("112")
    contact = f"<sip:112@{callee.address};line=1?Replaces=x%3Bto-tag%3Dy%3Bfrom-tag%3Dz&Subject=hi>"
    assert callee.register(contact=contact).status == 200
    callee.is_registered = True
    _, first = callee.subscribe("101", Contact=contact)
    assert first.uri == f"sip:112@{callee.address};line=1"
    mine, other = answered(caller, callee, contact, Contact=f"<sip:101@{caller.address}?Replaces=x>")
    caller.leave_by.clear()
    seen: list[Message] = []
    for phone, dialog in ((caller, other), (callee, mine)):
        headers = dialog.send("INFO", b"x", kind="text/plain")
        request = phone.wait_request("INFO")
        phone.reply(request, 200)
        dialog.agent.final(headers)
        seen.append(request)
    assert [m.uri for m in seen] == [f"sip:101@{caller.address}", f"sip:112@{callee.address};line=1"]
    mine.send("BYE")
    callee.reply(callee.wait_request("BYE"), 200)


@pytest.fixture
def listening(site: Site) -> Iterator[Callable[[str], Listening]]:
    made: list[Listening] = []

    def make(user: str) -> Listening:
        made.append(Listening(site, user))
        return made[-1]

    yield make
    for one in made:
        one.close()


def close(site: Site, agent: Agent) -> None:
    agent.close()
    site.agents.remove(agent)
    handled(site.agent("101", "tcp"))


def test_a_phone_that_closes_its_connection_is_reached_at_its_contact(
    site: Site, listening: Callable[[str], Listening]
) -> None:
    """The phone's registration and lamps stay, and calls and NOTIFYs come by one new connection."""
    phone = listening("103")
    before = phone.connect()
    assert before.register(contact=phone.contact).status == 200
    _, first = before.subscribe("104", Contact=phone.contact)
    site.wait_watched("104")
    close(site, before)
    caller = site.agent("101")
    calling = Calling.trusted(caller, "103", sdp(4000))
    there = phone.accept()
    invite = there.wait_request("INVITE")
    assert invite.uri == phone.contact.strip("<>")
    there.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp", Contact=phone.contact)
    mine = calling.acknowledge(calling.final())
    there.wait_request("ACK")
    watched = site.registered("104")
    other = Calling.trusted(caller, "104", sdp(4002))
    ringing = watched.wait_request("INVITE")
    watched.reply(ringing, 180, "Ringing")
    assert there.notify("early")["call-id"] == first["call-id"]
    other.cancel()
    watched.reply(watched.wait_request("CANCEL"), 200)
    watched.reply(ringing, 487, "Request Terminated")
    assert other.refused().status == 487
    assert there.notify("terminated").document.version == 2
    assert there.request("OPTIONS", "101").status == 200
    caller.leave_by.clear()
    mine.send("BYE")
    there.reply(there.wait_request("BYE"), 200)
    assert there.register(expires=0, contact="*").status == 200


@pytest.mark.parametrize("again", ["REGISTER", "SUBSCRIBE"])
def test_a_phone_behind_nat_is_told_when_it_comes_again(site: Site, again: str) -> None:
    """Whatever the phone sends first over its new connection, all its lamps are right at once."""
    behind = "<sip:105@10.9.8.7:5062;transport=tcp>"
    before = site.agent("105", "tcp")
    assert before.register(contact=behind).status == 200
    dialogs = [before.subscribe(to, Contact=behind)[1]["call-id"] for to in ("106", "107")]
    for watched in ("106", "107"):
        site.wait_watched(watched)
    close(site, before)
    site._wait_row("watchers", resource="107", state="unreachable")
    callee = site.registered("106")
    refused = Calling.trusted(callee, "105", sdp(4000)).refused()
    assert refused.start == "SIP/2.0 480 105 cannot be reached"
    after = site.agent("105", "tcp")
    if again == "REGISTER":
        after.register(contact=behind)
    else:
        after.subscribe("108", Contact=behind)

    def is_notify(call_id: str, message: Message) -> bool:
        return message.method == "NOTIFY" and message["call-id"] == call_id

    for call_id in dialogs:
        after.wait(partial(is_notify, call_id))
    calling = Calling.trusted(callee, "105", sdp(4000))
    after.reply(after.wait_request("INVITE"), 486, "Busy Here")
    assert calling.refused().status == 486
    after.register(expires=0, contact="*")


@pytest.mark.parametrize("subscribes_first", [False, True])
def test_a_phone_that_connects_from_another_port_rings_once(site: Site, subscribes_first: bool) -> None:
    """A softphone's contact has the port of its connection, and the old contact is the same phone."""
    before = site.agent("105", "tcp")
    assert before.register(contact=f"<sip:105@{before.address}>").status == 200
    close(site, before)
    after = site.agent("105", "tcp")
    contact = f"<sip:105@{after.address}>"
    if subscribes_first:
        after.subscribe("108", Contact=contact)
    assert after.register(contact=contact).status == 200
    calling = Calling.trusted(site.agent("106"), "105", sdp(4000))
    after.reply(after.wait_request("INVITE"), 486, "Busy Here")
    assert calling.refused().status == 486
    assert after.silent(lambda m: m.method == "INVITE")
    after.register(expires=0, contact="*")


def test_a_call_goes_on_over_a_new_connection(site: Site, listening: Callable[[str], Listening]) -> None:
    """Whichever side has closed its connection, the BYE of the other arrives."""
    phone, callee = listening("109"), site.registered("110")
    before = phone.connect()
    mine, other = answered(before, callee, Contact=phone.contact)
    before.leave_by.clear()
    close(site, before)
    headers = other.send("INFO", b"x", kind="text/plain")
    there = phone.accept()
    there.reply(there.wait_request("INFO"), 200)
    assert callee.final(headers).status == 200
    third = phone.connect()  # requests go to the connection by which the phone came last
    mine.agent = third
    assert mine.send("INFO", b"y", kind="text/plain")
    callee.reply(callee.wait_request("INFO"), 200)
    assert third.wait(lambda m: m.status == 200)
    other.send("BYE")
    third.reply(third.wait_request("BYE"), 200)


def listening_via(phone: Listening, agent: Agent) -> str:
    """The agent's Via, by which responses find where its phone listens."""
    listens = phone.contact.partition("@")[2].partition(";")[0]
    return re.sub(r"TCP [^;]*;", f"TCP {listens};", agent.via())


def test_a_response_finds_its_way_when_the_connection_has_closed(
    site: Site, listening: Callable[[str], Listening]
) -> None:
    """The response goes where the topmost Via says that the sender listens (RFC 3261, section 18.2.2)."""
    phone, callee = listening("109"), site.registered("110")
    before = phone.connect()
    via = listening_via(phone, before)
    calling = Calling.trusted(before, "110", sdp(4000), Contact=phone.contact, Via=via)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    before.leave_by.clear()
    close(site, before)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    there = phone.accept()
    calling.agent = there
    answer = calling.final()
    assert (answer.status, answer["via"].partition("=")[0]) == (200, via.partition("=")[0])
    mine = calling.acknowledge(answer)
    callee.wait_request("ACK")
    headers = mine.send("BYE")
    callee.reply(callee.wait_request("BYE"), 200)
    assert there.final(headers).status == 200


def test_what_a_phone_is_sent_while_nobody_listens(site: Site, listening: Callable[[str], Listening]) -> None:
    """The answer to a call, and later its end, wait for a connection as long as they would by UDP."""
    phone, callee = listening("109"), site.registered("110")
    refused = f"TCP to tcp:127.0.0.1:{phone.port}: Connection refused"

    def is_gone(agent: Agent) -> None:
        phone.close()
        agent.leave_by.clear()
        close(site, agent)

    def tried(times: int) -> None:
        log = site.server.log
        site.wait(lambda: log.read_text().count(refused) == times, log.read_text)

    before = phone.connect()
    via = listening_via(phone, before)
    calling = Calling.trusted(before, "110", sdp(4000), Contact=phone.contact, Via=via)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    is_gone(before)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    tried(1)
    phone.again()
    calling.agent = there = phone.accept()
    mine = calling.acknowledge(calling.final())
    assert callee.wait_request("ACK")
    other = Dialog.of_invite(callee, invite)
    assert mine.agent is there
    is_gone(there)
    headers = other.send("INFO", b"x", kind="text/plain")
    tried(2)
    phone.again()
    there = phone.accept()
    there.reply(there.wait_request("INFO"), 200)
    assert callee.final(headers).status == 200
    is_gone(there)
    assert other.request("BYE").status == 200
    tried(3)
    phone.again()
    there = phone.accept()
    there.reply(there.wait_request("BYE"), 200)
    site.wait_no_call()


def test_nobody_listens_at_the_contact(site: Site, listening: Callable[[str], Listening]) -> None:
    """The caller is told at once; the phone is tried again, and loses neither registration nor lamps."""
    phone = listening("111")
    before = phone.connect()
    before.register(contact=phone.contact)
    before.subscribe("112", Contact=phone.contact)
    site.wait_watched("112")
    phone.close()
    close(site, before)
    caller = site.agent("101")
    started = time.monotonic()
    refused = Calling.trusted(caller, "111", sdp(4000)).refused()
    assert refused.status == 480
    assert time.monotonic() - started < 4, "not by a timer"
    assert site.server.log.read_text().count(f"TCP to tcp:127.0.0.1:{phone.port}: Connection refused") == 1
    assert [row["watcher"] for row in site.ask("watchers") if row["resource"] == "112"] == ["111"]
    assert [row["extension"] for row in site.ask("registrations") if row["extension"] == "111"] == ["111"]


@pytest.mark.parametrize("by", ["REGISTER", "INFO", "re-INVITE"])
def test_a_phone_over_udp_takes_another_port_in_mid_call(site: Site, by: str) -> None:
    """A NAT that forgets causes that: call and lamps go on where the phone's next request comes from."""
    behind = "<sip:102@10.9.8.7:5062>"
    before, callee = site.agent("102"), site.registered("103")
    assert before.register(contact=behind).status == 200
    before.subscribe("112", Contact=behind)
    site.wait_watched("112")
    mine, other = answered(before, callee, Contact=behind)
    before.leave_by.clear()
    before.close()
    after = site.agent("102")
    mine.agent = after
    if by == "REGISTER":
        assert after.register(contact=behind).status == 200
        assert after.wait_request("NOTIFY").document.entity.startswith("sip:112@")
    else:
        body = sdp(4004) if by == "re-INVITE" else b"x"
        headers = mine.send(
            by[-6:], body, **({} if body[:1] == b"v" else {"kind": "text/plain"}), Contact=behind
        )
        asked = callee.wait_request(by[-6:])
        callee.reply(asked, 200, "OK", sdp(5004) if by != "INFO" else b"", Content_Type="application/sdp")
        answer = after.final(headers)
        assert answer.status == 200
        if by != "INFO":
            mine.ack(answer)
            callee.wait_request("ACK")
            handled(after)
    ended = other.send("BYE")
    after.reply(after.wait_request("BYE"), 200)
    assert callee.final(ended).status == 200
    after.register(expires=0, contact="*")


def test_a_late_copy_of_an_old_request_moves_nothing(site: Site) -> None:
    """Whoever has seen a request may send it again from elsewhere."""
    caller, callee, elsewhere = site.agent("102"), site.registered("103"), site.agent("112")
    mine, other = answered(caller, callee)
    caller.leave_by.clear()
    old = mine.send("INFO", b"x", kind="text/plain")
    callee.reply(callee.wait_request("INFO"), 200)
    assert caller.final(old).status == 200
    new = mine.send("INFO", b"y", kind="text/plain")
    callee.reply(callee.wait_request("INFO"), 200)
    assert caller.final(new).status == 200
    elsewhere.send(f"INFO {mine.target} SIP/2.0", {**old, "Via": elsewhere.via()}, b"x")
    handled(elsewhere)
    ended = other.send("BYE")
    caller.reply(caller.wait_request("BYE"), 200)
    assert callee.final(ended).status == 200


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_registers_over_a_new_connection_and_says_who_it_is(site: Site, transport: str) -> None:
    """Nobody may know yet that the old connection is dead: lamps and calls are at the new one."""
    identity = ';+sip.instance="<urn:uuid:7e1e>";reg-id=1'
    before, callee = site.agent("102", transport), site.registered("103")
    old = f"<sip:102@10.9.8.7:5062;transport={transport}>"
    assert before.register(contact=old + identity).status == 200
    before.subscribe("112", Contact=old)
    site.wait_watched("112")
    _, other = answered(before, callee, Contact=old)
    before.leave_by.clear()
    after = site.agent("102", transport)
    new = f"<sip:102@10.9.8.7:6062;transport={transport}>"
    assert after.register(contact=new + identity).status == 200
    assert after.wait_request("NOTIFY").document.entity.startswith("sip:112@")
    assert [row["contact"] for row in site.ask("registrations") if row["extension"] == "102"] == [new[1:-1]]
    ended = other.send("BYE")
    after.reply(after.wait_request("BYE"), 200)
    assert callee.final(ended).status == 200
    before.take_all()
    assert not [m for m in before.received if m.method in ("NOTIFY", "BYE")]
    after.register(expires=0, contact="*")
