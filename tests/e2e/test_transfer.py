"""Transfers end to end: who asks for them, who is called, and what everybody is told and sees."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from calls import Calling, Dialog, audio_port, connect, direction, sdp
from sites import TLS6, Site
from wire import Agent, Message

SDP = "application/sdp"


@dataclass
class Trio:
    """Phones without challenges: 101 and 102 talk, 103 and 104 may be called, and 105 watches all."""

    site: Site
    transport: str = "udp"

    def __post_init__(self) -> None:
        users = ("101", "102", "103", "104", "105")
        self.agents = {user: self.site.registered(user, self.transport) for user in users}

    def __getitem__(self, user: str) -> Agent:
        return self.agents[user]

    def talk(self, caller: str = "101", callee: str = "102") -> tuple[Dialog, Dialog]:
        return connect(self[caller], self[callee])


@pytest.fixture
def trio(site: Site, request: pytest.FixtureRequest) -> Iterator[Trio]:
    """Phones over UDP, or over the transport that a test names."""
    trio = Trio(site, getattr(request, "param", "udp"))
    yield trio
    site.wait_no_call()


def is_of(dialog: Dialog, method: str) -> Callable[[Message], bool]:
    return lambda m: m.method == method and m["call-id"] == dialog.call_id


def refer(dialog: Dialog, to: str, **more: str) -> Message:
    target = to if ":" in to else f"<sip:{to}@{dialog.agent.server}>"
    return dialog.request("REFER", b"", Refer_To=target, **more)


def told(dialog: Dialog, status: int) -> Message:
    """Wait until a phone is told of `status` in a NOTIFY, which it confirms, and return that."""
    notify = dialog.agent.wait(
        lambda m: (
            m.method == "NOTIFY"
            and m["event"].startswith("refer")
            and m["call-id"] == dialog.call_id
            and m.body.startswith(b"SIP/2.0 %d" % status)
        )
    )
    assert notify["content-type"] == "message/sipfrag;version=2.0"
    state = notify["subscription-state"]
    assert state.startswith("active;expires=" if status < 200 else "terminated;reason=noresource"), state
    return notify


def rings(agent: Agent) -> Message:
    invite = agent.wait_request("INVITE")
    agent.reply(invite, 180, "Ringing")
    return invite


def answers(agent: Agent, invite: Message, port: int = 7000) -> Dialog:
    agent.reply(invite, 200, "OK", sdp(port), Content_Type=SDP)
    agent.wait_request("ACK")
    return Dialog.of_invite(agent, invite)


def moved(dialog: Dialog, port: int, own: int, who: str) -> Message:
    """Wait until a re-INVITE asks a phone to send to `port` of `who`, have that answered, and return it."""
    again = dialog.agent.wait(lambda m: m.method == "INVITE" and m["call-id"] == dialog.call_id)
    assert audio_port(again) == port
    assert direction(again) == "sendrecv"
    assert f"<sip:{who}@" in again["p-asserted-identity"]
    dialog.agent.reply(again, 200, "OK", sdp(own), Content_Type=SDP)
    dialog.agent.wait(lambda m: m.method == "ACK" and m["call-id"] == dialog.call_id)
    return again


def is_hung_up(dialog: Dialog) -> Message:
    bye = dialog.agent.wait(lambda m: m.method == "BYE" and m["call-id"] == dialog.call_id)
    dialog.agent.reply(bye, 200)
    return bye


def hangs_up(one: Dialog, other: Dialog) -> None:
    headers = one.send("BYE")
    is_hung_up(other)
    assert one.agent.final(headers).status == 200


@pytest.mark.parametrize("trio", ["udp", "tcp", TLS6], indirect=True)
@pytest.mark.parametrize("by", ["the caller", "the callee"])
def test_blind(trio: Trio, by: str) -> None:
    caller, callee = trio.talk()
    transferor, transferee = (caller, callee) if by == "the caller" else (callee, caller)
    r, t = transferor.agent.user, transferee.agent.user
    accepted = refer(transferor, "103")
    assert accepted.status == 202
    assert accepted["contact"]
    told(transferor, 100)
    invite = rings(trio["103"])
    assert f'"Name {t}" <sip:{t}@' in invite["from"]
    assert f"<sip:{t}@" in invite["p-asserted-identity"]
    assert f"<sip:{r}@" in invite["referred-by"]
    assert audio_port(invite) == (5000 if by == "the caller" else 4000)
    told(transferor, 180)
    trio.site.wait_lamp("103", "ringing")
    for user in (r, t):
        trio.site.wait_lamp(user, "talking")
    target = answers(trio["103"], invite)
    moved(transferee, 7000, 5000 if by == "the caller" else 4000, "103")
    told(transferor, 200)
    is_hung_up(transferor)
    trio.site.wait_idle(r)
    for user in (t, "103"):
        trio.site.wait_lamp(user, "talking")
    hangs_up(transferee, target)


FINAL = {486: "Busy Here", 603: "Decline", 488: "Not Acceptable Here", 480: "Temporarily Unavailable"}


@pytest.mark.parametrize("status", FINAL)
def test_what_the_target_refuses_leaves_the_call_held_as_it_was(trio: Trio, status: int) -> None:
    caller, callee = trio.talk()
    hold = callee.send("INVITE", sdp(5000, "sendonly"))
    again = caller.agent.wait_request("INVITE")
    caller.agent.reply(again, 200, "OK", sdp(4000, "recvonly"), Content_Type=SDP)
    callee.ack(callee.agent.final(hold))
    trio.site.wait_lamp("102", "held")
    assert refer(callee, "103").status == 202
    invite = rings(trio["103"])
    assert direction(invite) == "sendrecv", "nobody holds the target"
    told(callee, 180)
    trio["103"].reply(invite, status, FINAL[status])
    assert told(callee, status).body == f"SIP/2.0 {status} {FINAL[status]}\r\n".encode()
    trio.site.wait_idle("103")
    assert trio.site.ask("calls")[0]["state"] == "talking"
    trio.site.wait_lamp("102", "held")
    assert caller.agent.silent(lambda m: m.method in ("INVITE", "BYE"), 0.1)
    hangs_up(caller, callee)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.28])
def test_bye_right_after_the_202(trio: Trio, pause: float) -> None:
    """Phones differ in how long they wait before the BYE; the target rings on."""
    caller, callee = trio.talk()
    assert refer(callee, "103").status == 202
    time.sleep(pause)  # different pauses are what is tested
    assert callee.request("BYE").status == 200
    trio.site.wait_idle("102")
    invite = rings(trio["103"])
    target = answers(trio["103"], invite)
    moved(caller, 7000, 4000, "103")
    assert caller.agent.silent(lambda m: m.method == "BYE", 0.05)
    hangs_up(target, caller)


def test_who_waits_is_told_that_the_target_is_busy(trio: Trio) -> None:
    caller, callee = trio.talk()
    refer(callee, "103")
    invite = rings(trio["103"])
    callee.request("BYE")
    trio["103"].reply(invite, 486, "Busy Here")
    assert is_hung_up(caller)["reason"] == 'SIP;cause=486;text="Busy Here"'


def test_the_transferee_hangs_up_before_the_answer(trio: Trio) -> None:
    caller, callee = trio.talk()
    refer(callee, "103")
    invite = rings(trio["103"])
    bye = caller.send("BYE")
    trio["103"].reply(trio["103"].wait_request("CANCEL"), 200)
    trio["103"].reply(invite, 487, "Request Terminated")
    is_hung_up(callee)
    assert caller.agent.final(bye).status == 200


def test_a_transferor_that_answers_no_notify(trio: Trio) -> None:
    """The transferor's phone is dead: the two others talk, and its leg ends 2 s later."""
    caller, callee = trio.talk()
    callee.agent.auto_answer = False
    refer(callee, "103")
    target = answers(trio["103"], rings(trio["103"]))
    moved(caller, 7000, 4000, "103")
    is_hung_up(callee)
    trio.site.wait_idle("102")
    hangs_up(caller, target)


def test_without_a_subscription(trio: Trio) -> None:
    caller, callee = trio.talk()
    accepted = refer(callee, "103", Refer_Sub="false", Require="norefersub")
    assert (accepted.status, accepted["refer-sub"]) == (200, "false")
    target = answers(trio["103"], rings(trio["103"]))
    moved(caller, 7000, 4000, "103")
    is_hung_up(callee)
    assert not any(m.method == "NOTIFY" for m in callee.agent.received)
    hangs_up(caller, target)


def test_refusals(trio: Trio) -> None:
    caller, callee = trio.talk()
    server = callee.agent.server
    for to, status in {
        "199": 404,
        "<sip:104@elsewhere.example>": 404,
        "*97103": 403,
        "*98": 403,
        "<tel:*98>": 403,
        f"<sip:103@{server};method=BYE>": 400,
        f"<sip:103@{server}>, <sip:104@{server}>": 400,
        "<<>": 400,
        "": 400,
        "<mailto:a@b>": 416,
        f"<sip:x@{server}?Replaces=nothing%3Bto-tag%3D1%3Bfrom-tag%3D2>": 481,
        f"<sip:x@{server}?Replaces=%0d%0aVia%3A%20x>": 400,
    }.items():
        answer = refer(callee, to)
        assert answer.status == status, to
        assert "*98" not in to or answer.start.endswith("A call cannot be transferred to *98")
    assert callee.request("REFER").status == 400
    assert trio["103"].request("REFER", "103", Refer_To=f"<sip:104@{server}>").status == 403
    assert trio["103"].request("NOTIFY", "103", Event="keep-alive").status == 481
    assert not any(m.method == "NOTIFY" for m in callee.agent.received)
    for agent in (caller.agent, trio["103"]):
        assert agent.silent(lambda m: m.method in ("REFER", "INVITE"), 0.05), "it goes to nobody"
    hangs_up(caller, callee)


WRITTEN = {
    "without brackets": "sip:103@{}",
    "a name": '"Carol <the second>" <sip:103@{}>',
    "compact": "<sip:103@{}>",
    "tel": "<tel:103>",
    "a port of nobody": "<sip:103@{};user=phone>;x=y",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_refer_to_as_phones_write_it(trio: Trio, written: str) -> None:
    caller, callee = trio.talk()
    name = "r" if written == "compact" else "Refer_To"
    by = f'"Bob" <sip:102@{callee.agent.server}>;x=y'
    assert (
        callee.request(
            "REFER", b"", Referred_By=by, **{name: WRITTEN[written].format(callee.agent.server)}
        ).status
        == 202
    )
    invite = rings(trio["103"])
    assert invite["referred-by"] == by, "it says who it is"
    target = answers(trio["103"], invite)
    moved(caller, 7000, 4000, "103")
    told(callee, 200)
    is_hung_up(callee)
    again = target.request("REFER", Refer_To=f"<sip:104@{callee.agent.server}>", Referred_By="<sip:104@x>")
    assert again.status == 202
    second = trio["104"].wait_request("INVITE")
    assert second["referred-by"].startswith('"Name 103" <sip:103@'), "nobody names another"
    trio["104"].reply(second, 486, "Busy Here")
    told(target, 486)
    hangs_up(caller, target)


@pytest.mark.parametrize("way", ["code", "group", "key"])
def test_what_rings_is_picked_up_and_shows_the_transferee(trio: Trio, way: str) -> None:
    trio["105"].subscribe("103")
    caller, callee = trio.talk()
    refer(callee, "103")
    invite = rings(trio["103"])
    (element,) = trio["105"].notify("early").document.dialogs
    assert element.remote
    assert element.remote.identity
    assert element.remote.identity.display == "Name 101"
    assert element.referred_by
    assert element.referred_by.display == "Name 102"
    key = f"{element.call_id};to-tag={element.remote_tag};from-tag={element.local_tag}"
    to, more = {"code": ("*97103", {}), "group": ("*98", {}), "key": ("103", {"Replaces": key})}[way]
    picking = Calling.start(trio["104"], to, sdp(9000), **more)
    answer = picking.final()
    assert answer.status == 200
    assert "<sip:101@" in answer["p-asserted-identity"]
    assert audio_port(answer) == 4000
    picker = picking.acknowledge(answer)
    trio["103"].reply(trio["103"].wait_request("CANCEL"), 200)
    trio["103"].reply(invite, 487, "Request Terminated")
    moved(caller, 9000, 4000, "104")
    told(callee, 200)
    is_hung_up(callee)
    hangs_up(caller, picker)
    trio["105"].unsubscribe()


# Attended transfers


@dataclass
class Consulted:
    """102 talks with 101, whom it holds, and with 103, unless 103 rings still."""

    trio: Trio
    rings: bool = False
    offer: bytes = sdp(5200)

    def __post_init__(self) -> None:
        self.caller, self.callee = self.trio.talk()
        hold = self.callee.send("INVITE", sdp(5000, "sendonly"))
        again = self.caller.agent.wait_request("INVITE")
        self.caller.agent.reply(again, 200, "OK", sdp(4000, "recvonly"), Content_Type=SDP)
        self.callee.ack(self.callee.agent.final(hold))
        self.calling = Calling.start(self.trio["102"], "103", self.offer)
        self.invite = rings(self.trio["103"])
        if not self.rings:
            self.trio["103"].reply(self.invite, 200, "OK", sdp(7000), Content_Type=SDP)
            self.second = self.calling.acknowledge(self.calling.final())
            self.trio["103"].wait_request("ACK")
        self.target = Dialog.of_invite(self.trio["103"], self.invite)

    def replaces(self, tags: str) -> str:
        """The Replaces that a phone puts into Refer-To, of its dialog with the target."""
        headers = self.calling.headers
        own = headers["From"].partition("tag=")[2]
        theirs = (
            self.calling.provisional(180).tag("to") if self.rings else self.second.remote.partition("tag=")[2]
        )
        value = f"{headers['Call-ID']}"
        value += {
            "swapped": f";to-tag={own};from-tag={theirs}",
            "missing": "",
            "one": f";from-tag={own}",
        }.get(tags, f";to-tag={theirs};from-tag={own}")
        if tags != "unescaped":
            value = value.replace("@", "%40").replace(";", "%3B").replace("=", "%3D").replace(":", "%3A")
        server = self.trio["102"].server
        return (
            f"sip:103@{server}?Replaces={value}"
            if tags == "unescaped"
            else f"<sip:103@{server}?Replaces={value}>"
        )


@pytest.mark.parametrize("tags", ["right", "swapped", "missing", "one", "unescaped"])
@pytest.mark.parametrize("on", ["the first call", "the second call"])
def test_attended(trio: Trio, tags: str, on: str) -> None:
    consulted = Consulted(trio)
    caller, callee, second, target = consulted.caller, consulted.callee, consulted.second, consulted.target
    if on == "the first call":
        accepted = callee.request("REFER", Refer_To=consulted.replaces(tags))
        transferor, other = callee, second
    else:
        both = [end.partition("tag=")[2] for end in (callee.remote, callee.local)]
        value = "{};to-tag={};from-tag={}".format(callee.call_id, *both)
        escaped = value.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        accepted = second.request("REFER", Refer_To=f"<sip:101@{second.agent.server}?Replaces={escaped}>")
        transferor, other = second, callee
    assert accepted.status == 202
    ends = [caller, target] if on == "the first call" else [target, caller]
    port = {"101": 4000, "103": 7000}
    for one, another in (ends, ends[::-1]):
        moved(one, port[another.agent.user], port[one.agent.user], another.agent.user)
    told(transferor, 200)
    is_hung_up(other)
    is_hung_up(transferor)
    trio.site.wait_idle("102")
    for user in ("101", "103"):
        trio.site.wait_lamp(user, "talking")
    hangs_up(target, caller)


def test_attended_while_its_hold_is_not_answered_yet(trio: Trio) -> None:
    """The REFER follows the re-INVITE at once, as fast phones send it."""
    consulted = Consulted(trio)
    caller, callee, second, target = consulted.caller, consulted.callee, consulted.second, consulted.target
    hold = second.send("INVITE", sdp(5200, "sendonly"))
    again = target.agent.wait(lambda m: m.method == "INVITE" and m["call-id"] == target.call_id)
    assert callee.request("REFER", Refer_To=consulted.replaces("right")).status == 202
    told(callee, 100)
    assert caller.agent.silent(lambda m: m.method == "INVITE", 0.05)
    target.agent.reply(again, 200, "OK", sdp(7000, "recvonly"), Content_Type=SDP)
    second.ack(second.agent.final(hold))
    moved(caller, 7000, 4000, "103")
    moved(target, 4000, 7000, "101")
    told(callee, 200)
    is_hung_up(second)
    is_hung_up(callee)
    hangs_up(target, caller)


def test_blind_while_its_hold_is_not_answered_yet(trio: Trio) -> None:
    caller, callee = trio.talk()
    hold = callee.send("INVITE", sdp(5000, "sendonly"))
    again = caller.agent.wait_request("INVITE")
    assert refer(callee, "103").status == 202
    invite = rings(trio["103"])
    caller.agent.reply(again, 200, "OK", sdp(4000, "recvonly"), Content_Type=SDP)
    callee.ack(callee.agent.final(hold))
    caller.agent.wait_request("ACK")
    target = answers(trio["103"], invite)
    moved(caller, 7000, 4000, "103")
    told(callee, 200)
    is_hung_up(callee)
    hangs_up(target, caller)


def test_two_transfers_at_once(trio: Trio) -> None:
    """Both ends of a call transfer it: the first succeeds, and the other hears that it is too late."""
    caller, callee = trio.talk()
    assert refer(callee, "103").status == 202
    assert refer(caller, "104").status == 491
    target = answers(trio["103"], rings(trio["103"]))
    moved(caller, 7000, 4000, "103")
    is_hung_up(callee)
    assert refer(caller, "104").status == 202
    last = answers(trio["104"], rings(trio["104"]), 8000)
    moved(target, 8000, 7000, "104")
    is_hung_up(caller)
    hangs_up(last, target)


@pytest.mark.parametrize("then", ["answers", "offers", "is busy"])
def test_while_the_target_rings(trio: Trio, then: str) -> None:
    """The transferee takes the caller's place, and the phone rings on."""
    trio["105"].subscribe("103")
    consulted = Consulted(trio, rings=True, offer=b"" if then == "offers" else sdp(5200))
    caller, callee, calling = consulted.caller, consulted.callee, consulted.calling
    assert callee.request("REFER", Refer_To=consulted.replaces("right")).status == 202
    assert calling.refused().status == 487
    told(callee, 180)
    trio["105"].wait(
        lambda m: (
            m.method == "NOTIFY"
            and any(
                d.remote and d.remote.identity and d.remote.identity.display == "Name 101"
                for d in m.document.dialogs
            )
        )
    )
    assert trio["103"].silent(lambda m: m.method == "CANCEL", 0.05)
    if then == "is busy":
        trio["103"].reply(consulted.invite, 486, "Busy Here")
        told(callee, 486)
        trio.site.wait_lamp("102", "held")
        hangs_up(callee, caller)
    else:
        trio["103"].reply(consulted.invite, 200, "OK", sdp(7000), Content_Type=SDP)
        target = Dialog.of_invite(trio["103"], consulted.invite)
        moved(caller, 7000, 4000, "103")
        ack = trio["103"].wait_request("ACK")
        assert bool(ack.body) == (then == "offers")
        assert not ack.body or audio_port(ack) == 4000
        moved(target, 4000, 7000, "101")
        told(callee, 200)
        is_hung_up(callee)
        hangs_up(caller, target)
    trio["105"].unsubscribe()


def test_kill_9_while_a_transfer_rings(own_site: Callable[..., Site]) -> None:
    """The two talk on as if there had been no transfer, and nobody is joined with whoever rang for it."""
    site = own_site()
    trio = Trio(site)
    trio["105"].subscribe("103")
    one, other = trio.talk()
    site.wait_rows("legs", 2)
    assert refer(other, "103").status == 202
    told(other, 100)
    rings(trio["103"])
    told(other, 180)
    site.wait_lamp("103", "ringing")
    site.kill()
    site.start()
    trio["105"].notify("terminated")
    lamps = {row["extension"]: row["lamp"] for row in site.ask("lamps")}
    assert [lamps[user] for user in ("101", "102", "103")] == ["talking", "talking", "idle"]
    for dialog, port in ((one, 4000), (other, 5000)):
        asked = dialog.agent.wait(is_of(dialog, "INVITE"))
        dialog.agent.reply(asked, 200, "OK", sdp(port), Content_Type=SDP)
        dialog.agent.wait(is_of(dialog, "ACK"))
    again = refer(other, "104")
    assert again.status == 202, "it may be transferred as before"
    rung = answers(trio["104"], rings(trio["104"]))
    moved(one, 7000, 4000, "104")
    told(other, 200)
    is_hung_up(other)
    lamps = {row["extension"]: row["lamp"] for row in site.ask("lamps")}
    assert [lamps[user] for user in ("101", "102", "103", "104")] == ["talking", "idle", "idle", "talking"]
    hangs_up(one, rung)
    site.wait_no_call()
    site.wait_rows("legs", 0)
    one, other = trio.talk()
    site.wait_rows("legs WHERE settled", 2)
    assert refer(other, "103").status == 202
    invite = rings(trio["103"])
    other.request("BYE")  # then 101 waits for 103 alone
    site.wait_idle("102")
    site.kill()
    site.start()
    asked = one.agent.wait_request("INVITE")
    one.agent.reply(asked, 200, "OK", sdp(4000), Content_Type=SDP)
    other.agent.reply(other.agent.wait_request("INVITE"), 481, "Call does not exist")
    is_hung_up(other)
    is_hung_up(one)
    trio["103"].reply(invite, 200, "OK", sdp(7000), Content_Type=SDP)
    is_hung_up(Dialog.of_invite(trio["103"], invite))
    site.wait_no_call()
