"""What lamps show of PUBLISH: one publisher's calls, and what several say together (RFC 3903)."""

from __future__ import annotations

import pytest
from builders import HOST, SDP, dials, document, invite, notifies, subscribe
from hypothesis import given, settings
from hypothesis import strategies as st
from publishers import HELD, KAMAILIO, OTHER, Site, asterisk, body, kamailio, opensips, publish, published

from blfd.core.calls.leg_inputs import LegAccepted, LegAcknowledged, LegAnswered, LegEnded, LegProgress
from blfd.core.inputs import DirectoryChanged
from blfd.core.settings import Settings
from blfd.core.values import Aor, DialogId, Flow
from dialog_info import DialogState, Direction

# What each publisher sends for a call, message by message, and what the lamp shows after each


@pytest.mark.parametrize(
    "messages",
    [
        [
            (asterisk("early"), "ringing"),
            (asterisk("confirmed"), "talking"),
            (asterisk("terminated"), "idle"),
        ],
        [(asterisk("confirmed", 7, more=HELD), "held"), (asterisk("confirmed", 3), "talking")],
        [
            (kamailio("early"), "ringing"),
            (kamailio("confirmed"), "talking"),
            (kamailio("terminated"), "idle"),
        ],
        [(kamailio("Trying", side="initiator"), "trying"), (kamailio("confirmed"), "talking")],
        [(kamailio("early", tags=True), "ringing"), (kamailio("Terminated"), "idle")],
        [
            (opensips("early"), "ringing"),
            (opensips("confirmed"), "talking"),
            (opensips("terminated"), "idle"),
        ],
        [(body(), "idle")],
    ],
)
@pytest.mark.parametrize("way", ["one publication", "without its entity-tag", "restarts"])
def test_calls_of_real_publishers(messages: list[tuple[bytes, str]], way: str) -> None:
    site = Site()
    etag = ""
    for content, lamp in messages:
        etag = site.publish(content, "" if way == "without its entity-tag" else etag)
        if way == "restarts":
            site.restart()
        assert site.lamp == lamp, content


def test_one_asterisk_id_serves_one_call_after_the_other() -> None:
    site = Site()
    etag = ""
    for state, lamp in (("early", "ringing"), ("terminated", "idle"), ("early", "ringing")):
        etag = site.publish(asterisk(state), etag)
        assert site.lamp == lamp


def test_the_document_has_what_its_source_gave() -> None:
    site = Site()
    site.world.confirm(site.give(subscribe("103", "102")))
    (notify,) = notifies(site.give(publish(kamailio("early", tags=True))))
    (dialog,) = document(notify).dialogs
    assert (dialog.id, dialog.call_id, dialog.local_tag, dialog.remote_tag) == (
        "a84b4c76e66710",
        "a84b4c76e66710",
        "ph1",
        "314159",
    )
    assert (dialog.state, dialog.direction) == (DialogState.EARLY, Direction.RECIPIENT)
    assert dialog.remote
    assert dialog.remote.identity
    assert (dialog.remote.identity.uri, dialog.remote.identity.display) == (
        f"sip:0301234567@{HOST}",
        "0301234567",
    )


def test_a_dialog_without_ids_and_names() -> None:
    site = Site()
    site.world.confirm(site.give(subscribe("103", "102")))
    (notify,) = notifies(site.give(publish(asterisk("confirmed"))))
    (dialog,) = document(notify).dialogs
    assert (dialog.id, dialog.call_id, dialog.local_tag, dialog.direction) == ("102", None, None, None)
    assert dialog.remote is None


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
        ("tel:+49-30-123", f"sip:+49-30-123@{HOST}"),
        ("sip:%2B4930@[2001:db8::1]:5060;user=phone", f"sip:+4930@{HOST}"),
    ],
)
def test_whom_the_other_is(uri: str, shown: str) -> None:
    site = Site()
    site.world.confirm(site.give(subscribe("103", "102")))
    other = f"<remote><identity>{uri}</identity></remote>"
    dialog = f'<dialog id="a" direction="initiator"><state>confirmed</state>{other}</dialog>'
    (notify,) = notifies(site.give(publish(body(dialog))))
    (told,) = document(notify).dialogs
    assert told.remote
    assert told.remote.identity
    assert told.remote.identity.uri == shown


# Composition


def test_publications_add_up() -> None:
    site = Site()
    ringing = site.publish(kamailio("early", "c1"))
    talking = site.publish(kamailio("confirmed", "c2"))
    assert site.lamp == "ringing"
    site.publish(b"", ringing, 0)
    assert site.lamp == "talking"
    site.publish(b"", talking, 0)
    assert site.lamp == "idle"


def test_the_newest_body_of_one_publisher_holds() -> None:
    site = Site()
    site.publish(kamailio("early"))
    lost = site.publish(kamailio("confirmed"))  # whose answer never came, so there is no entity-tag
    assert site.lamp == "talking"
    site.publish(b"", lost)
    assert site.lamp == "talking"


def test_two_publishers_of_one_id() -> None:
    site = Site()
    site.publish(asterisk("early"))
    site.publish(asterisk("confirmed"), source=OTHER)
    assert site.lamp == "ringing"
    site.publish(asterisk("terminated"))
    assert site.lamp == "talking"


def test_what_has_ended_does_not_come_back() -> None:
    site = Site()
    early = site.publish(kamailio("early"))
    site.publish(kamailio("terminated"), expires=11)
    assert site.lamp == "idle"
    site.publish(b"", early)
    site.publish(kamailio("early"))
    assert site.lamp == "idle"
    site.at(site.world.now + 12)
    assert site.lamp == "idle", "although the publication that said so is over"
    site.at(site.world.now + 60)
    site.publish(kamailio("early"))
    assert site.lamp == "ringing", "it is another call by now"


def test_a_request_that_is_sent_again_with_its_call_id() -> None:
    """The call that failed at once begins anew; only what may be older than its end does not count."""
    site = Site()
    etag = site.publish(kamailio("terminated"), expires=11)
    etag = site.publish(kamailio("early"), etag)
    assert site.lamp == "ringing", "who has the entity-tag of the end knows of the end"
    site.publish(kamailio("confirmed"), etag)
    assert site.lamp == "talking"


def test_a_first_publication_soon_after_the_end() -> None:
    """It may be late, as the network may bring the end first, until its publisher goes on with it."""
    for more in (kamailio("confirmed"), b""):
        site = Site()
        site.publish(kamailio("terminated"), expires=11)
        site.at(site.world.now + 0.3)
        etag = site.publish(kamailio("early"))
        assert site.lamp == "idle"
        etag = site.publish(more, etag)
        lamp = "talking" if more else "ringing"
        for step in ("", "refresh", "restart", "refresh"):
            if step == "restart":
                site.restart()
            elif step:
                etag = site.publish(b"", etag)
            assert site.lamp == lamp, step


@pytest.mark.parametrize("expires", [11, 3600])
@pytest.mark.parametrize("bodies", [1, 2])
def test_a_publisher_that_has_lost_its_entity_tag_begins_anew(expires: int, bodies: int) -> None:
    """It told of the end by the entity-tag of the call, so its first word of that was answered long before.

    What it had sent with an entity-tag of before, and sends again without one after a 412, is late.
    """
    site = Site()
    etag = site.publish(kamailio("early"))
    early = etag
    etag = site.publish(kamailio("confirmed"), etag)
    for _ in range(bodies):
        etag = site.publish(kamailio("terminated"), etag, expires)
    site.at(site.world.now + 5)
    assert site.refused(kamailio("early"), early).status == 412
    site.publish(kamailio("early"), expires=60)
    assert site.lamp == "idle"
    site.at(site.world.now + 4)
    assert site.lamp == "idle", "what was late stays late"
    site.publish(kamailio("early"))
    assert site.lamp == "ringing"
    site.world.confirm(site.give(subscribe("103", "102")))
    site.at(site.world.now + 61)
    assert site.lamp == "ringing", "although another publication is over"


def test_the_end_of_what_was_never_told_of_as_live_may_be_followed_by_what_is_late() -> None:
    """A publisher whose first word is on its way has no entity-tag for the end; the one for what follows does
    not help."""
    site = Site()
    etag = site.publish(kamailio("terminated"))
    site.publish(kamailio("terminated"), etag)
    site.at(site.world.now + 20)
    site.publish(kamailio("early"))
    assert site.lamp == "idle"


def test_a_restart_does_not_tell_how_an_end_was_told() -> None:
    site = Site()
    site.publish(kamailio("terminated"), site.publish(kamailio("early")))
    site.restart()
    site.at(site.world.now + 10)
    site.publish(kamailio("early"))
    assert site.lamp == "idle"


def test_a_publication_lasts_no_longer_where_the_clock_was_set_back_meanwhile() -> None:
    site = Site(Settings(publish_max_expires=600))
    site.publish(kamailio("early"), expires=600)
    site.world.now -= 1e6
    site.restart()
    assert site.lamp == "ringing"
    site.at(site.world.now + 601)
    assert (site.lamp, site.kept) == ("idle", {})


def test_what_cannot_be_read_any_more_after_a_restart_is_forgotten() -> None:
    """It was written by another version, or by a disk that fails; what else is kept counts."""
    site = Site()
    site.publish(kamailio("early"))
    broken = site.publish(kamailio("confirmed", "other"))
    site.kept[broken] = site.kept[broken]._replace(body=b"<dialog-info")
    site.restart()
    assert site.lamp == "ringing"
    assert broken not in site.kept
    assert len(site.kept) == 1


def test_what_is_late_stays_late_however_often_it_is_refreshed() -> None:
    site = Site()
    early = site.publish(kamailio("early"))
    site.publish(kamailio("terminated"), expires=11)
    for _ in range(4):
        early = site.publish(b"", early)
        site.at(site.world.now + 10)
        assert site.lamp == "idle"


def test_a_call_that_is_carried_here_counts_once() -> None:
    """The lamp shows the call as it is here, whatever is published of it, and however long."""
    site = Site()
    site.give(DirectoryChanged(published("101")))
    aor = Aor("default", "101")
    site.give(invite("103", "101"))
    (dial,) = dials(site.give(LegAccepted(1, "tag")))
    site.give(LegProgress(dial.leg, 180, "Ringing", DialogId("own", "ours", "phone's"), None))
    entity = f"sip:101@{HOST}"
    for state in ("confirmed", "early"):
        said = f'<dialog id="x" call-id="own" direction="recipient"><state>{state}</state></dialog>'
        site.publish(body(said, entity=entity), user="101")
        assert [(d.leg, d.state) for d in site.world.core.dialogs.of(aor)] == [(dial.leg, DialogState.EARLY)]
    other = '<dialog id="y" call-id="other"><state>confirmed</state></dialog>'
    site.publish(body(other, entity=entity), user="101")
    assert [d.id.call_id for d in site.world.core.dialogs.of(aor)] == ["own", "other"]


def test_since_when() -> None:
    site = Site()
    etag = site.publish(kamailio("early"))
    site.at(site.world.now + 20)
    site.publish(kamailio("early"), etag)
    (dialog,) = site.world.core.dialogs.of(Aor("default", "102"))
    assert site.world.now - dialog.since == 20


def test_expiry() -> None:
    site = Site()
    site.world.confirm(site.give(subscribe("103", "102")))
    site.world.confirm(site.give(publish(kamailio("confirmed"), expires=100)))
    assert notifies(site.at(site.world.now + 99)) == []
    (notify,) = notifies(site.at(site.world.now + 2))
    assert [dialog.state for dialog in document(notify).dialogs] == [DialogState.TERMINATED]
    assert site.kept == {}


def test_the_expiry_of_a_publication_that_was_published_anew() -> None:
    """A publisher that has lost its entity-tag publishes the same dialog anew; the new publication holds."""
    site = Site()
    site.publish(kamailio("early"), expires=100)
    etag = site.publish(kamailio("confirmed"), expires=1000)
    site.at(site.world.now + 101)
    assert site.lamp == "talking"
    site.publish(kamailio("terminated"), etag, expires=11)
    assert site.lamp == "idle"


# Anything in any order


STATES = ("trying", "early", "confirmed", "terminated")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((KAMAILIO, OTHER)),
            st.sampled_from(("c1", "c2")),
            st.sampled_from(
                (*STATES, "late", "refresh", "remove", "restart", "wait", "wait a little", "forget")
            ),
        ),
        max_size=30,
    )
)
def test_publications_in_any_order(steps: list[tuple[Flow, str, str]]) -> None:
    """Each publisher keeps one publication a call, as Kamailio does; the lamp is what a plain model says.

    What it publishes with its entity-tag is in order; `late` is what the network brings after the end. It may
    `forget` the entity-tag of what has ended, and begins anew.
    """
    site = Site()
    etags: dict[tuple[Flow, str], str] = {}
    says: dict[tuple[Flow, str], str] = {}  # the state that was published
    ends: dict[tuple[Flow, str], dict[str, float]] = {}  # when, by entity-tag, also by one that is forgotten
    ended: dict[tuple[Flow, str], float] = {}  # what has no entity-tag is late before this time
    answered: set[tuple[Flow, str]] = set()  # whose publication has told of a call that was up
    late: list[tuple[str, Flow]] = []
    unsure: set[tuple[Flow, str]] = set()  # first publications that may be late
    for source, call, step in steps:
        key, now = (source, call), site.world.now + 0.01
        site.at(now)
        if step == "restart":
            for tag, publisher in late:  # which a restart does not tell from others
                site.publish(b"", tag, 0, source=publisher)
            late.clear()
            site.restart()
            ended = {k: max(known.values()) + 32 for k, known in ends.items() if known}
            unsure.clear()
            answered.clear()
        elif step == "wait":
            site.at(now + 40)
        elif step == "wait a little":
            site.at(now + 9)
        elif step == "forget":
            if says.get(key) == "terminated":
                del etags[key], says[key]
                answered.discard(key)
        elif step == "late":
            if says.get(key) == "terminated" and now < ended[key]:
                late.append((site.publish(kamailio("early", call), source=source), source))
        elif step in ("refresh", "remove"):
            if key in etags:
                before = etags[key]
                etags[key] = site.publish(b"", before, 3600 if step == "refresh" else 0, source=source)
                unsure.discard(key)
                if before in ends.get(key, {}):
                    ends[key][etags[key]] = ends[key].pop(before)
                if step == "remove":
                    ends.get(key, {}).pop(etags[key], None)
                    answered.discard(key)
                    del etags[key], says[key]
        else:
            unsure.discard(key)
            if key not in etags and now < ended.get(key, 0) and step != "terminated":
                unsure.add(key)
            ends.setdefault(key, {}).pop(etags.get(key, ""), None)
            if says.get(key, "terminated") != "terminated":
                answered.add(key)
            etags[key] = site.publish(kamailio(step, call), etags.get(key, ""), source=source)
            says[key] = step
            if step == "terminated":
                ended[key] = now + (8 if key in answered else 32)
                ends[key][etags[key]] = now
        live = {state for k, state in says.items() if state != "terminated" and k not in unsure}
        words = {"early": "ringing", "confirmed": "talking", "trying": "trying"}
        assert site.lamp == next((words[s] for s in ("early", "confirmed", "trying") if s in live), "idle")
        told = {tag for known in ends.values() for tag in known}
        assert set(site.kept) == {*etags.values(), *told, *(tag for tag, _ in late)}


LEG = ("ring", "answer", "hang up")
SAID = ("early", "confirmed", "terminated")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(("leg", "leg", *SAID, "lost", "copy", "anew")), max_size=14))
def test_a_call_that_is_carried_here_and_published_in_any_order(steps: list[str]) -> None:
    """While its leg is there, the call counts once, as it is here.

    This holds though its publisher loses an answer, sends two requests with one entity-tag, or starts anew;
    when leg and publication are over, nothing is left.
    """
    site = Site()
    site.give(DirectoryChanged(published("101")))
    site.give(invite("103", "101"))
    (dial,) = dials(site.give(LegAccepted(1, "tag")))
    ids, entity = DialogId("own", "ours", "phone's"), f"sip:101@{HOST}"
    to_come, here, said, etag = list(LEG), "", "early", ""

    def say(state: str, tag: str) -> str:
        dialog = f'<dialog id="x" call-id="own" direction="recipient"><state>{state}</state></dialog>'
        return site.publish(body(dialog, entity=entity), tag, 300, user="101")

    for step in steps:
        match to_come.pop(0) if step == "leg" and to_come else step:
            case "ring":
                site.give(LegProgress(dial.leg, 180, "Ringing", ids, None))
                here = "early"
            case "answer":
                site.give(LegAnswered(dial.leg, ids, SDP))
                site.give(LegAcknowledged(1, None))
                here = "confirmed"
            case "hang up":
                site.give(LegEnded(dial.leg, 200, ""))
                here = ""
            case "lost":
                say(said, "")
            case "anew":
                etag = say(said, "")
            case "copy" if etag:
                stale, etag = etag, say(said, etag)
                assert site.refused(body(entity=entity), stale, 300, user="101").status == 412
            case state if state in SAID:
                said = state
                etag = say(said, etag)
        shown = [d.state.value for d in site.world.core.dialogs.of(Aor("default", "101"))]
        assert shown == [here] if here else len(shown) <= 1
    site.give(LegEnded(dial.leg, 200, ""))
    site.at(site.world.now + 400)
    assert (site.world.lamp("101"), site.kept) == ("idle", {})
