"""How a PUBLISH is answered: entity-tags, refusals, bounds, and what of a body cannot be read."""

from __future__ import annotations

import pytest
from builders import HOST, World, invite, reply
from publishers import KAMAILIO, OTHER, Site, asterisk, body, kamailio, publish, published

from blfd.core.effects import Log, Reply, SavePublication, TellSaved
from blfd.core.inputs import DirectoryChanged, Saved
from blfd.core.messages import PublishReceived
from blfd.core.publications import report as of_publications
from blfd.core.settings import Settings
from blfd.core.values import Aor


def test_a_publication_is_answered_once_it_is_stored() -> None:
    site = Site()
    site.world = World(site.settings, phones=("101", "103"), known=published("102"), stack=False)
    effects = site.give(publish(kamailio("early")))
    assert site.lamp == "ringing", "lamps do not wait for the disk"
    saves = [type(effect) for effect in effects if isinstance(effect, SavePublication | TellSaved)]
    assert saves == [SavePublication, TellSaved]
    assert not [effect for effect in effects if isinstance(effect, Reply)]
    told = next(effect for effect in effects if isinstance(effect, TellSaved))
    assert site.world.core.compositor.held == 1
    answer = reply(site.give(Saved((told.number,))))
    assert answer.status == 200
    assert dict(answer.headers)["SIP-ETag"] in site.kept
    assert site.refused(b"", "made-up").status == 412, "there is nothing to store"
    assert reply(site.give(publish(kamailio("early"), expires=0))).status == 200
    assert site.world.core.compositor.held == 0


def test_entity_tags() -> None:
    site = Site()
    first = site.publish(kamailio("early"))
    second = site.publish(kamailio("confirmed"), first)
    assert first != second
    assert site.refused(kamailio("early"), first).status == 412, "two PUBLISHes with one entity-tag"
    assert site.refused(b"", "made-up").status == 412
    assert site.refused(b"", second, source=OTHER).status == 412, "that of somebody else"
    assert site.lamp == "talking"
    double = publish(kamailio("early"))._replace(if_match=(second, second))
    assert reply(site.give(double)).status == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (publish(), 400),
        (publish(b"", expires=0), 400),
        (publish(b"<x/>"), 400),
        (publish(b"\xff\xfe"), 400),
        (publish(b"<dialog-info>\n</x>"), 400),
        (publish(body('<dialog id="a"><state>early</state></dialog>' * 51)), 400),
        (publish(kamailio("early"), kind="application/pidf+xml"), 415),
        (publish(kamailio("early"), event="presence"), 489),
        (publish(kamailio("early"), event=""), 489),
        (publish(asterisk("early", number="999"), user="999"), 404),
        (publish(asterisk("early", number="101"), user="101"), 403),
    ],
)
def test_refusals(sent: PublishReceived, status: int) -> None:
    site = Site()
    refused = reply(site.give(sent))
    assert refused.status == status
    assert "string>" not in refused.reason
    assert site.kept == {}
    assert site.lamp == "idle"


def test_an_interval_that_is_too_brief() -> None:
    site = Site(Settings(publish_min_expires=60))
    answer = site.refused(kamailio("early"), expires=59)
    assert (answer.status, answer.headers) == (423, (("Min-Expires", "60"),))


def test_what_cannot_be_read_of_a_body_is_left_out() -> None:
    site = Site()
    site.publish(
        body('<dialog id="a"><state>parked</state></dialog>', '<dialog id="b"><state>EARLY</state></dialog>')
    )
    assert [d.published_id for d in site.world.core.dialogs.of(Aor("default", "102"))] == ["b"]


@pytest.mark.parametrize("character", ["&#x7f;", "&#9;", "&#10;", "&#x85;", "&#x202e;", "%7f", "%0d%0a"])
@pytest.mark.parametrize("place", ["id", "call-id", "local-tag", "remote-tag", "uri"])
def test_a_control_character_leaves_its_dialog_out(place: str, character: str) -> None:
    """No control character comes into a NOTIFY or a page; the other dialogs count, and the log tells it."""
    if "%" in character and place != "uri":
        character = "&#13;"
    in_uri = character if place == "uri" else ""
    ids = " ".join(f'{name}="x{character if name == place else ""}"' for name in ("id", "call-id"))
    tags = " ".join(f'{name}="y{character if name == place else ""}"' for name in ("local-tag", "remote-tag"))
    who = f'<remote><identity display="A">sip:7{in_uri}0@h</identity></remote>'
    site = Site()
    effects = site.give(
        publish(
            body(
                f"<dialog {ids} {tags}><state>confirmed</state>{who}</dialog>",
                '<dialog id="b"><state>early</state></dialog>',
            )
        )
    )
    assert reply(effects).status == 200
    assert [d.published_id for d in site.world.core.dialogs.of(Aor("default", "102"))] == ["b"]
    assert [e.text for e in effects if isinstance(e, Log) and "a control character" in e.text]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        *((f"A{character}B", "A\ufffdB") for character in ("\u200e", "\u200f", "\ufeff", "&#x85;", "&#x7f;")),
        ("A&#9;B", "A\ufffdB"),
        ("x" * 300, "x" * 255 + "\u2026"),
        ("\u05d0\u200d", "\u05d0\u200d"),
    ],
)
def test_a_name_loses_no_dialog(said: str, shown: str) -> None:
    """A name is for people: what cannot be shown of it is replaced or cut, and the lamp rings."""
    who = f'<remote><identity display="{said}">sip:70@h</identity></remote>'
    site = Site()
    effects = site.give(publish(body(f'<dialog id="a"><state>early</state>{who}</dialog>')))
    assert [d.remote_name for d in site.world.core.dialogs.of(Aor("default", "102"))] == [shown]
    assert not [effect for effect in effects if isinstance(effect, Log)]


def test_the_entity_counts_more_than_the_request_uri() -> None:
    site = Site()
    site.publish(kamailio("early"), user="103")
    assert (site.lamp, site.world.lamp("103")) == ("ringing", "idle")


@pytest.mark.parametrize(
    ("entity", "lamp"),
    [
        ("sip:102@pbx.example", "ringing"),
        ("sip:pbx.example", "ringing"),
        ("", "ringing"),
        ("sip:999@pbx.example", ""),
        (f"sip:999@{HOST}", ""),
        ("tel:999", ""),
    ],
)
def test_the_request_uri_counts_where_the_entity_is_nobody_else(entity: str, lamp: str) -> None:
    """A publisher may write the entity in its own domain, but what is said of 999 lights no lamp of 102."""
    site = Site()
    site.give(DirectoryChanged(published("102")))
    said = body('<dialog id="a"><state>early</state></dialog>', entity=entity)
    assert reply(site.give(publish(said))).status == (200 if lamp else 404)
    assert site.lamp == (lamp or "idle")


def test_publications_are_bounded() -> None:
    site = Site(Settings(source_publications=2))
    first = site.publish(kamailio("early", "c1"))
    site.publish(kamailio("early", "c2"))
    assert site.refused(kamailio("early", "c3")).status == 403
    site.publish(kamailio("confirmed", "c1"), first)


def test_a_publisher_that_loses_its_entity_tags() -> None:
    site = Site()
    for number in range(300):
        site.publish(kamailio("terminated", f"c{number}"))
    assert len(site.kept) == 100
    site.publish(kamailio("early", "last"))
    assert site.lamp == "ringing"


def test_an_extension_has_so_many_dialogs() -> None:
    """Each NOTIFY has all dialogs, so the oldest give way, to a new publication as to a new body."""

    def full(name: str) -> bytes:
        dialogs = (f'<dialog id="{name}-{n}"><state>confirmed</state></dialog>' for n in range(50))
        return body(*dialogs)

    site = Site()
    shown = Aor("default", "102")
    etags = [site.publish(full("a")), site.publish(full("b")), site.publish(kamailio("early", "c"))]
    assert len(site.world.core.dialogs.of(shown)) == 51
    site.publish(full("c"), etags[2])
    assert {d.published_id[0] for d in site.world.core.dialogs.of(shown)} == {"b", "c"}
    site.publish(full("d"))
    assert {d.published_id[0] for d in site.world.core.dialogs.of(shown)} == {"c", "d"}


@pytest.mark.parametrize("longest", [256, 257])
def test_a_text_of_a_dialog_has_its_bound(longest: int) -> None:
    """A NOTIFY with many long texts would fit no datagram."""
    site = Site()
    dialogs = (
        f'<dialog id="{"x" * longest}"><state>early</state></dialog>',
        '<dialog id="b"><state>early</state></dialog>',
    )
    effects = site.give(publish(body(*dialogs)))
    assert reply(effects).status == 200
    assert len(site.world.core.dialogs.of(Aor("default", "102"))) == (2 if longest == 256 else 1)
    assert any("more than 256" in e.text for e in effects if isinstance(e, Log)) == (longest > 256)


def test_an_extension_that_is_local_again() -> None:
    site = Site()
    site.publish(kamailio("early"))
    site.give(DirectoryChanged(published()))
    assert (site.lamp, site.kept) == ("idle", {})


def test_it_cannot_be_picked_up_here() -> None:
    site = Site()
    site.publish(kamailio("early", tags=True))
    for asked in (
        invite("103", "*97102"),
        invite("103", "102", replaces=("a84b4c76e66710;to-tag=314159;from-tag=ph1",)),
    ):
        answer = reply(site.give(asked))
        assert (answer.status, answer.reason) == (488, "The call of 102 is carried by another server")


def test_who_is_refused_is_remembered_until_it_is_taken() -> None:
    """`blfd doctor` shows refusals; one that a publisher mends by itself does not count."""
    site = Site()

    def refused() -> list[tuple[str, str, int, int]]:
        rows = of_publications.refused_publishers(site.world.core, "default", site.world.now + 3)
        assert all(row["ago"] == 3 for row in rows)
        return [(row["source"], row["extension"], row["status"], row["times"]) for row in rows]

    for _ in range(2):
        site.give(publish(kamailio("early").replace(b"sip:102@", b"sip:101@"), user="101"))
    site.give(publish(kamailio("early"), "unknown"))
    site.give(publish(kamailio("early").replace(b"sip:102@", b"sip:199@"), user="199"))
    site.give(publish(b"no document", source=OTHER))
    assert refused() == [(KAMAILIO.host, "101", 403, 2), (OTHER.host, "102", 400, 1)]
    assert of_publications.refused_publishers(site.world.core, "acme.example", 0.0) == []
    site.publish(kamailio("early"), source=OTHER)
    assert refused() == [(KAMAILIO.host, "101", 403, 2)]
    for number in range(300):
        source = OTHER._replace(host=f"198.51.{number // 100}.{number % 100}")
        site.give(publish(b"no document", source=source))
    assert len(refused()) == 100
    site.give(DirectoryChanged(published("102")))
    assert refused() == [], "what is still wrong is published again"
