"""Who is first gets the call, all others get a definite refusal, and nothing is left behind."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from calls import Calling, Dialog, sdp
from pickups import SDP, Office, Ringing, attempts, element, hang_up, replaces
from sites import EXTENSIONS, Site
from wire import Agent

from dialog_info import Dialog as DialogElement

ROUNDS = 200
ROUNDS_OF_TWO = 40
PICKERS = 20
SEED = 20261123
AFTER = -1.0  # stands for the time after the caller has been told that nobody answers

Ask = Callable[[DialogElement], tuple[str, dict[str, str]]]

WAYS: list[Ask] = [
    lambda key: ("*97102", {}),
    lambda key: ("*98", {}),
    lambda key: ("102", {"Replaces": replaces(key)}),
    lambda key: ("101", {"Replaces": replaces(key, ";early-only")}),
    lambda key: ("102", {"Replaces": f"{key.call_id};to-tag={key.local_tag};from-tag={key.remote_tag}"}),
]


def at_once(asked: list[tuple[Agent, str, dict[str, str]]]) -> list[Calling]:
    """Send INVITEs of trusted phones, all of which are made before the first is sent."""
    made = []
    for agent, to, over in asked:
        headers = agent.headers("INVITE", to, Content_Type=SDP, **over)
        made.append(Calling(agent, f"sip:{to}@{agent.server}", headers))
    for calling in made:
        calling.agent.send(f"INVITE {calling.uri} SIP/2.0", calling.headers, sdp(6000))
    return made


def open_office(own_site: Callable[..., Site], **more: str) -> Office:
    """An office where everybody is in one group, and nobody is asked for a password."""
    site = own_site("--trust", "127.0.0.0/8", **more)
    site.cli("group", "set", "sales", *EXTENSIONS)
    return Office(site, "udp")


@dataclass
class Timed(Ringing):
    began_at: float = 0.0


def ring(office: Office) -> Timed:
    began_at = time.monotonic()
    (calling,) = at_once([(office.caller, "102", {})])
    invite = office.phone.wait_request("INVITE")
    office.phone.reply(invite, 180, "Ringing")
    calling.provisional(180)
    return Timed(office.caller, office.phone, calling, invite, began_at)


def settle(asked: list[Calling]) -> list[Calling]:
    """Wait for every final response, and return the calls that have won."""
    for calling in asked:
        answer = calling.final()
        if answer.status == 200:
            calling.acknowledge(answer)
        else:
            calling.agent.ack(answer, calling.uri, calling.headers)
            assert answer.status in (480, 486, 603), answer.start
            assert "answered" in answer["warning"] or "hung up" in answer["warning"], answer.start
    return [calling for calling in asked if calling.dialog]


def part(ringing: Ringing, winner: Calling) -> None:
    """Have the picker end the call that it has picked up."""
    ringing.calling.acknowledge(ringing.ok())
    assert winner.dialog
    bye = winner.dialog.send("BYE")
    ringing.caller.reply(ringing.caller.wait_request("BYE"), 200)
    assert winner.agent.final(bye).status == 200


def test_twenty_pickers_at_once(own_site: Callable[..., Site]) -> None:
    office = open_office(own_site)
    office.watcher.subscribe("102")
    pickers = [
        office.site.agent(EXTENSIONS[2 + number % 10], "tcp" if number % 4 == 3 else "udp")
        for number in range(PICKERS)
    ]
    order = random.Random(SEED)
    won: Counter[int] = Counter()
    for _ in range(ROUNDS):
        ringing = ring(office)
        key = element(office.watcher.notify("early"), "early")
        asked = [(agent, *WAYS[number % len(WAYS)](key)) for number, agent in enumerate(pickers)]
        order.shuffle(asked)
        (winner,) = settle(at_once(asked))
        won[pickers.index(winner.agent) % len(WAYS)] += 1
        ringing.stops()
        part(ringing, winner)
        office.watcher.notify("terminated")
        assert not any(m.method == "NOTIFY" for m in office.watcher.received)
        assert office.caller.silent(lambda m: m.status == 200 and "INVITE" in m["cseq"], 0.001)
    office.site.wait_no_call()
    office.site.wait_saved()
    kept = attempts(office.site)
    assert len(kept) == ROUNDS * PICKERS
    assert sum(attempt.status == 200 for attempt in kept) == ROUNDS
    assert len(won) == len(WAYS), won


def race(order: random.Random, picker: Agent, other: Callable[[], None]) -> Calling | None:
    """Do *97102 and something else, one right after the other, and return the pickup if it has won."""
    first = order.random() < 0.5
    if first:
        other()
    asked = at_once([(picker, "*97102", {})])
    if not first:
        other()
    return next(iter(settle(asked)), None)


def test_pickup_against_answer(own_site: Callable[..., Site]) -> None:
    """The phone is lifted in the same instant: one of both has the call, and the other is told so."""
    office, order, won = open_office(own_site), random.Random(SEED), Counter[str]()
    for _ in range(ROUNDS_OF_TWO):
        ringing = ring(office)
        answer = lambda to=ringing: to.phone.reply(to.invite, 200, "OK", sdp(5000), Content_Type=SDP)  # noqa: E731
        winner = race(order, office.picker, answer)
        won["picker" if winner else "phone"] += 1
        office.phone.wait_request("ACK")
        identity = ringing.ok()["p-asserted-identity"]
        assert identity.startswith('"Name 103"' if winner else '"Name 102"')
        if winner:
            office.phone.reply(office.phone.wait_request("BYE"), 200)
            part(ringing, winner)
        else:
            hang_up(ringing.calling.acknowledge(ringing.ok()), Dialog.of_invite(office.phone, ringing.invite))
        office.phone.received.clear()
    office.site.wait_no_call()
    assert set(won) == {"picker", "phone"}, won


def test_pickup_against_cancel(own_site: Callable[..., Site]) -> None:
    """The caller hangs up in the same instant: it gets 487 and the picker a refusal, or both get a 200."""
    office, order, won = open_office(own_site), random.Random(SEED), Counter[str]()
    for _ in range(ROUNDS_OF_TWO):
        ringing = ring(office)
        winner = race(order, office.picker, ringing.calling.cancel)
        won["picker" if winner else "caller"] += 1
        if winner:
            ringing.stops()
            part(ringing, winner)
        else:
            cancel = office.phone.wait_request("CANCEL")
            assert not cancel.all("reason"), "nobody has answered it"
            office.phone.reply(cancel, 200)
            office.phone.reply(ringing.invite, 487, "Request Terminated")
            assert ringing.calling.refused().status == 487
        office.phone.received.clear()
    office.site.wait_no_call()
    assert set(won) == {"picker", "caller"}, won


def test_pickup_against_the_no_answer_timeout(own_site: Callable[..., Site]) -> None:
    """The pickup or the timeout comes first, and never do both happen."""
    office = open_office(own_site, config="[sip]\nno_answer_timeout = 1\n")
    for late in (-0.2, -0.003, -0.001, 0.0, 0.001, 0.003, AFTER):
        ringing = ring(office)
        if late == AFTER:
            ringing.calling.final()
        time.sleep(max(0.0, ringing.began_at + 1.0 + late - time.monotonic()))  # this pause is tested
        (asked,) = at_once([(office.picker, "*97102", {})])
        winner = next(iter(settle([asked])), None)
        if winner:
            assert late != AFTER
            ringing.stops()
            part(ringing, winner)
        else:
            refused = ringing.calling.answer or ringing.calling.final()
            assert refused.start == "SIP/2.0 480 102 does not answer"
            office.caller.ack(refused, ringing.calling.uri, ringing.calling.headers)
            office.phone.reply(office.phone.wait_request("CANCEL"), 200)
            office.phone.reply(ringing.invite, 487, "Request Terminated")
        office.phone.received.clear()
    office.site.wait_no_call()
