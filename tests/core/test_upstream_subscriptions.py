"""When a PBX is asked for its lamps: after an answer, a refusal, an end, silence (RFC 6665, section 4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import subscribe
from hypothesis import given, settings
from hypothesis import strategies as st
from upstream_pbx import PBX, UPSTREAM, Pbx, body, dialog, site

from blfd.core.effects import SendRequest
from blfd.core.inputs import DirectoryChanged
from blfd.core.messages import Challenge
from blfd.core.upstreams.watching import OUT, TABLE, Event, State
from dialog_info import DialogState

ASKS = Challenge("pbx", "n1", "MD5", ("auth",))
ANSWERS = {Event.ACCEPTED, Event.CHALLENGED, Event.BRIEF, Event.UNKNOWN, Event.REFUSED, Event.FAILED}
TURN = {
    State.WAITING: {Event.DUE},
    State.SUBSCRIBED: {Event.DUE, Event.MOVED, Event.UNTOLD},
    State.LEAVING: {Event.DUE},
}


@pytest.mark.parametrize("state", [state for state in State if state is not State.OVER])
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_is_there_or_cannot_happen(state: State, event: Event) -> None:
    """Answers come only while a request is out, and turns only while none is; a subscription leaves once."""
    if event in ANSWERS:
        possible = state in OUT
    elif event in (Event.DUE, Event.MOVED, Event.UNTOLD):
        possible = event in TURN.get(state, ())
    else:
        possible = event is not Event.LEAVE or state is not State.LEAVING
    assert ((state, event) in TABLE) is possible


def test_a_notify_may_come_before_the_200() -> None:
    pbx = Pbx()
    sent = pbx.first()
    assert pbx.notify(sent, body(dialog("early"))).status == 200
    assert pbx.lamp == "ringing"
    pbx.accept(sent)
    again = pbx.wait(600 * 0.8 + 1)
    assert again
    assert again.remote_tag == "pbx1"


@pytest.mark.parametrize("way", ["200", "NOTIFY"])
@pytest.mark.parametrize("granted", [0, 1, 5, 20])
def test_a_pbx_that_grants_little_is_asked_in_time(way: str, granted: int) -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent, granted if way == "200" else 600)
    pbx.notify(sent, body(dialog("confirmed")), expires=granted if way == "NOTIFY" else None)
    assert pbx.wait(max(granted, 2) * 0.5) is None
    again = pbx.wait(max(granted, 2) * 0.4)
    assert again
    assert again.call_id == sent.call_id


def test_challenges_are_answered_and_a_wrong_password_is_told_once() -> None:
    pbx = Pbx(
        replace(UPSTREAM, username="acct", password="s3cret", extensions=("1xx",)),
        extensions=["101", "102", "103"],
    )
    pbx.wait(1.0)
    first, *others = pbx.asked
    assert len(others) == 2
    again = pbx.answer(first, 407, challenges=(ASKS._replace(proxy=True),))
    assert again
    assert (again.call_id, again.cseq, again.from_.uri) == (first.call_id, 2, f"sip:acct@{PBX}")
    assert "Proxy-Authorization" in dict(again.headers)
    pbx.accept(again)
    for sent in others:
        again = pbx.answer(sent, 401, challenges=(ASKS,))
        assert again
        assert pbx.answer(again, 401, "Unauthorized", challenges=(ASKS._replace(nonce="n2"),)) is None
    assert len([text for text in pbx.logs if "wrong user name or password" in text]) == 1
    assert pbx.wait(600 * 0.8 - 40) is None, "tried again slowly, and not the one without a NOTIFY"


def test_a_server_that_always_wants_a_fresher_proof_is_not_asked_for_ever() -> None:
    pbx = Pbx(replace(UPSTREAM, username="acct", password="s3cret"))
    sent: SendRequest | None = pbx.first()
    rounds = 0
    while sent:
        rounds += 1
        sent = pbx.answer(sent, 401, challenges=(ASKS._replace(nonce=f"n{rounds}", stale=True),))
    assert 1 < rounds < 10
    assert pbx.state is State.WAITING


def test_a_password_that_is_not_set() -> None:
    pbx = Pbx()
    assert pbx.answer(pbx.first(), 401, "Unauthorized", challenges=(ASKS,)) is None
    assert any("asks for a password, and none is set" in text for text in pbx.logs)


def test_423_is_asked_for_longer() -> None:
    pbx = Pbx()
    again = pbx.answer(pbx.first(), 423, "Interval Too Brief", min_expires=3600)
    assert again
    assert dict(again.headers)["Expires"] == "3600"
    for wanted in range(3601, 3700):
        again = pbx.answer(again, 423, "Interval Too Brief", min_expires=wanted)
        if again is None:
            break
    assert again is None


@pytest.mark.parametrize("status", [403, 404, 489])
def test_what_is_refused_is_asked_for_slowly(status: int) -> None:
    pbx = Pbx()
    pbx.answer(pbx.first(), status, "No")
    assert pbx.wait(600 * 0.8 - 1) is None
    assert pbx.wait(600 * 0.4 + 2)
    assert any(f"{status} No; tried again slowly" in text for text in pbx.logs)


def test_481_to_a_refresh_is_a_new_subscription_at_once_and_the_lamp_stays() -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    again = pbx.wait(600 * 0.8 + 1)
    assert again
    pbx.answer(again, 481, "Gone")
    anew = pbx.wait(0.5)
    assert anew
    assert (anew.call_id != sent.call_id, anew.cseq, anew.remote_tag) == (True, 1, "")
    assert pbx.lamp == "talking"
    assert pbx.notify(sent, body(dialog("early"))).status == 481, "the old dialog is over"
    pbx.accept(anew)
    pbx.notify(anew, body())
    assert pbx.lamp == "idle"


def test_silence_keeps_the_lamp_until_its_time_is_over() -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.take(pbx.world.give(subscribe("103", "102", 7000)))
    now, until = 0.0, 600.0 + 32.0
    while now < until - 4:
        again = pbx.wait(2.0)
        now += 2.0
        if again:
            pbx.wait(0.1)
            now += 0.1
            pbx.answer(again, 408)
        assert (pbx.lamp, pbx.is_known) == ("talking", True)
    pbx.wait(10.0)
    assert (pbx.lamp, pbx.is_known) == ("idle", False)
    assert pbx.told[-1].dialogs[0].state is DialogState.TERMINATED
    assert len([text for text in pbx.logs if "no answer" in text]) >= 1
    asked = [sent for sent in pbx.asked if sent.call_id != pbx.asked[0].call_id]
    assert len({sent.call_id for sent in asked}) == len(asked), "each in a dialog of its own"
    assert pbx.notify(sent, body(dialog("early"))).status == 481


def test_so_many_a_second() -> None:
    names = [f"{n}" for n in range(200, 300)]
    pbx = Pbx(replace(UPSTREAM, extensions=("2xx",), rate=5), extensions=names)
    counts = []
    for _ in range(6):
        before = len(pbx.asked)
        pbx.wait(1.0)
        for sent in pbx.asked[before:]:
            pbx.accept(sent)
        counts.append(len(pbx.asked) - before)
    assert max(counts) <= 6
    assert sum(counts) >= 25


@pytest.mark.parametrize(("granted", "least"), [(0, 1.0), (1, 1.0), (2**31, 50_000.0)])
def test_a_grant_that_is_too_short_or_too_long_to_count(granted: int, least: float) -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent, granted)
    pbx.notify(sent, body(), expires=granted)
    assert pbx.wait(least) is None
    assert pbx.wait(86_400.0)


def test_no_notify_after_the_200() -> None:
    pbx = Pbx()
    sent = pbx.first()
    pbx.accept(sent)
    pbx.wait(32.1)
    assert any("sends no NOTIFY" in text for text in pbx.logs)
    anew = pbx.wait(4.0)
    assert anew
    assert anew.call_id != sent.call_id
    assert not pbx.is_known


@pytest.mark.parametrize(
    ("reason", "retry_after", "least", "most", "lamp"),
    [
        ("deactivated", None, 0.0, 0.5, "talking"),
        ("timeout", None, 0.0, 0.5, "talking"),
        ("", None, 0.0, 0.5, "talking"),
        ("probation", 30, 29.0, 31.0, "talking"),
        ("giveup", None, 1.0, 3.0, "talking"),
        ("rejected", None, 479.0, 721.0, "idle"),
        ("noresource", None, 479.0, 721.0, "idle"),
        ("whatever", None, 479.0, 721.0, "idle"),
    ],
)
def test_a_subscription_that_the_pbx_ends(
    reason: str, retry_after: int | None, least: float, most: float, lamp: str
) -> None:
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.notify(sent, b"", "terminated", reason=reason, retry_after=retry_after)
    assert pbx.lamp == lamp
    assert pbx.notify(sent, body(dialog("early"))).status == 481
    if least:
        assert pbx.wait(least) is None
    anew = pbx.wait(most - least)
    assert anew
    assert anew.call_id != sent.call_id


def test_a_pbx_that_ends_each_subscription_has_us_ask_ever_more_slowly() -> None:
    pbx = Pbx()
    sent = pbx.subscribed()
    for _ in range(120):
        pbx.accept(sent)
        pbx.notify(sent, b"", "terminated", reason="deactivated")
        anew = pbx.wait(1.0)
        sent = anew or sent
    assert len(pbx.asked) < 12


def test_an_error_of_one_is_told_once_although_the_others_are_well() -> None:
    pbx = Pbx(replace(UPSTREAM, extensions=("1xx",)), extensions=("101", "102"))
    pbx.wait(1.0)
    good, bad = pbx.asked
    pbx.accept(good)
    for _ in range(3):
        pbx.answer(bad, 404, "No hint")
        pbx.notify(good, body())
        before = len(pbx.asked)
        pbx.wait(800.0)
        for sent in pbx.asked[before:]:
            if sent.to.uri == bad.to.uri:
                bad = sent
            else:
                good = sent
                pbx.accept(good)
    assert len([text for text in pbx.logs if "404 No hint" in text]) == 1


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 20.0, 40.0, 500.0, 700.0])),
        st.tuples(st.just("answer"), st.sampled_from([200, 401, 403, 408, 423, 481, 503])),
        st.tuples(st.just("notify"), st.sampled_from(["terminated", "early", "confirmed", "bad", ""])),
        st.tuples(st.just("end"), st.sampled_from(["deactivated", "probation", "noresource"])),
        st.tuples(st.just("set"), st.sampled_from(["on", "off", "other"])),
    ),
    max_size=25,
)


@given(MOVES)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_it_goes_on_and_lamps_are_what_was_told_last(
    moves: list[tuple[str, object]],
) -> None:
    pbx = Pbx(replace(UPSTREAM, username="acct", password="s3cret"))
    pbx.wait(1.0)
    open_ones = list(pbx.asked)
    for what, how in moves:
        before = len(pbx.asked)
        sent = open_ones[-1] if open_ones else pbx.asked[0]
        match what:
            case "wait":
                pbx.wait(float(how))  # type: ignore[arg-type]
            case "answer":
                pbx.answer(sent, how, challenges=(ASKS,), min_expires=900, to_tag="pbx1", expires=600)  # type: ignore[arg-type]
                open_ones = [one for one in open_ones if one is not sent]
            case "notify":
                content = b"<bad" if how == "bad" else body(*([dialog(str(how))] if how else []))
                status = pbx.notify(sent, content).status
                assert status in (200, 400, 481)
                if status == 200 and pbx.is_known:
                    expected = {"early": "ringing", "confirmed": "talking"}.get(str(how), "idle")
                    assert pbx.lamp == expected
            case "end":
                pbx.notify(sent, b"", "terminated", reason=str(how))
            case "set":
                names = {"on": "102", "off": "101", "other": "102"}
                known = replace(UPSTREAM, extensions=(names[str(how)],), username=str(how), password="x")
                pbx.take(pbx.world.give(DirectoryChanged(site(known))))
        open_ones += pbx.asked[before:]
        if not pbx.is_known:
            assert pbx.lamp == "idle"
    known = replace(UPSTREAM, username="acct", password="s3cret")
    pbx.take(pbx.world.give(DirectoryChanged(site(known))))
    for _ in range(12):  # from here on the PBX answers well, and tells within the longest pause
        before = len(pbx.asked)
        pbx.wait(100.0)
        for sent in pbx.asked[before:] + open_ones:
            pbx.accept(sent)
            pbx.notify(sent, body(dialog("confirmed")))
        open_ones = []
    assert (pbx.lamp, pbx.is_known) == ("talking", True)
