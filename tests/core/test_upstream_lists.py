"""One subscription to a list of a PBX instead of one for each lamp (RFC 4662)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_pbx import PBX, TYPE, UPSTREAM, Pbx, body, dialog, site

from blfd.core.inputs import DirectoryChanged
from blfd.core.messages import Part
from blfd.core.upstreams.report import upstream_lamps
from blfd.core.values import Aor

LIST = replace(UPSTREAM, extensions=("10x",), list_uri="front")
RLMI = "application/rlmi+xml"


def rlmi(*resources: str, version: int = 0, full: bool = True) -> Part:
    head = f'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:front@{PBX}" version="{version}"'
    text = f'{head} fullState="{str(full).lower()}">{"".join(resources)}</list>'
    return Part(f"l{version}@pbx", RLMI, text.encode())


def resource(name: str, *instances: str) -> str:
    return f'<resource uri="sip:{name}@{PBX}"><name>N</name>{"".join(instances)}</resource>'


def instance(cid: str, state: str = "active", more: str = "", name: str = "i1") -> str:
    return f'<instance id="{name}" state="{state}" cid="{cid}"{more}/>'


def part(cid: str, *dialogs: str, version: int = 0, state: str = "full") -> Part:
    return Part(cid, TYPE, body(*dialogs, version=version, state=state))


class OfList(Pbx):
    """A PBX with a list of 101, 102 and 103."""

    def __init__(self) -> None:
        super().__init__(LIST)
        self.sent = self.first()

    def tell(self, *parts: Part) -> int:
        kind = "multipart/related"
        return self.notify(self.sent, b"--x--", kind=kind, parts=parts).status

    @property
    def lamps(self) -> dict[str, str]:
        """The lamps that are known, by extension."""
        known = self.world.core.upstreams.is_known
        return {name: self.world.lamp(name) for name in ("101", "102", "103") if known(Aor("default", name))}


def test_a_list_is_one_subscription() -> None:
    pbx = OfList()
    assert len(pbx.asked) == 1
    headers = dict(pbx.sent.headers)
    assert (pbx.sent.target, headers["Supported"]) == (f"sip:front@{PBX}", "eventlist")
    assert RLMI in headers["Accept"]
    pbx.accept(pbx.sent)
    whole = [resource("101", instance("a")), resource("102", instance("b")), resource("999", instance("c"))]
    documents = [part("a"), part("b", dialog("early", "x")), part("c", dialog("early", "y"))]
    assert pbx.tell(rlmi(*whole), *documents) == 200
    assert pbx.lamps == {"101": "idle", "102": "ringing"}
    again = instance("d", name="another")
    assert pbx.tell(rlmi(resource("102", again), version=1, full=False), part("d", dialog("confirmed", "x")))
    assert pbx.lamps == {"101": "idle", "102": "talking"}, "Asterisk gives instances another id each time"
    assert len(pbx.asked) == 1


def test_what_a_list_may_say() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    everybody = [resource(name, instance(name)) for name in ("101", "102", "103")]
    busy = [part(name, dialog("confirmed", name)) for name in ("101", "102", "103")]
    pbx.tell(rlmi(*everybody), *busy)
    assert set(pbx.lamps.values()) == {"talking"}
    ended = resource("101", instance("", "terminated", ' reason="noresource"'))
    pbx.tell(rlmi(ended, version=1, full=False))
    assert pbx.lamps.keys() == {"102", "103"}
    pbx.tell(rlmi(resource("102", instance("bad")), version=2, full=False), Part("bad", TYPE, b"<x"))
    assert pbx.lamps == {"103": "talking"}
    count = len(pbx.asked)
    pbx.tell(rlmi(resource("103", instance("103")), version=9, full=False), part("103"))
    pbx.wait(0.1)
    assert (pbx.lamps, len(pbx.asked)) == ({"103": "idle"}, count + 1), "what is full is asked for"
    pbx.accept(pbx.asked[-1])
    pbx.tell(rlmi(resource("103", instance("p"), instance("q", name="i2")), version=10), *busy)
    two = [part("p", dialog("early", "p")), part("q", dialog("confirmed", "q"))]
    pbx.tell(rlmi(resource("103", instance("p"), instance("q", name="i2")), version=11), *two)
    assert pbx.lamps == {"103": "ringing"}
    pbx.tell(rlmi(resource("103", instance("q", name="i2")), version=12), two[1])
    assert pbx.lamps == {"103": "talking"}
    rows = {row["extension"]: row["error"] for row in upstream_lamps(pbx.world.core, "default", 1.0)}
    assert rows == {"101": "its list has no such extension", "102": rows["101"], "103": ""}


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (part("a"),),
        (Part("l", RLMI, b"<list/>"),),
        (Part("l", RLMI, b"<list"), part("a")),
        (Part("l", RLMI, rlmi().content.replace(b'version="0"', b'version="-1"')),),
        (Part("l", RLMI, rlmi("<resource/>").content),),
    ],
)
def test_a_list_that_cannot_be_read(parts: tuple[Part, ...]) -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("confirmed")))
    assert pbx.tell(*parts) == 400
    assert pbx.lamps == {}


def test_the_uri_of_a_list() -> None:
    for said, uri_of in (
        ("front", f"sip:front@{PBX}"),
        ("sip:all@rls.example", "sip:all@rls.example"),
        ("", ""),
    ):
        assert replace(LIST, list_uri=said).resource_list == uri_of


def test_a_pbx_that_has_no_such_list() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    assert pbx.notify(pbx.sent, body()).status == 415
    assert pbx.lamps == {}


def test_a_resource_that_has_several_instances_by_now() -> None:
    """Its single document is one of theirs, whose id nobody has said: it does not stay beside them."""
    for full in (True, False):
        pbx = OfList()
        pbx.accept(pbx.sent)
        pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("early", "x")))
        assert pbx.lamps == {"101": "ringing"}
        two = resource("101", instance("a", name="i1"), instance("b", name="i2"))
        said = [part("a", dialog("confirmed", "y")), part("b", dialog("confirmed", "z"))]
        pbx.tell(rlmi(two, version=1, full=full), *said)
        live = pbx.world.core.dialogs.of(Aor("default", "101"))
        assert [one.published_id for one in live] == ["y", "z"]
        pbx.tell(rlmi(resource("101", instance("c", name="i3")), version=2, full=False), part("c"))
        assert pbx.lamps == {"101": "idle"}


def test_extensions_come_and_go_while_a_list_is_subscribed_to() -> None:
    pbx = OfList()
    pbx.accept(pbx.sent)
    pbx.tell(rlmi(resource("101", instance("a"))), part("a", dialog("confirmed")))
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("101", "102", "103", "104")))))
    again = pbx.wait(0.1)
    assert again
    assert (again.call_id, dict(again.headers)["Expires"]) == (pbx.sent.call_id, "600")
    pbx.accept(again)
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("102", "103", "104")))))
    assert (pbx.lamps, pbx.world.lamp("101")) == ({}, "idle")
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST, extensions=("201",)))))
    last = pbx.wait(0.1)
    assert last
    assert (last.call_id, dict(last.headers)["Expires"]) == (pbx.sent.call_id, "0")
    pbx.take(pbx.world.give(DirectoryChanged(site(LIST))))
    anew = pbx.wait(0.5)
    assert anew
    assert anew.call_id != pbx.sent.call_id
