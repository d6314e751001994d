"""Whose lamps an upstream has, what a change of its settings leads to, and what it cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import directory
from upstream_pbx import PBX, UPSTREAM, Pbx, body, dialog, site

from blfd.core.directory import Owner
from blfd.core.inputs import DirectoryChanged
from blfd.core.upstreams.upstream import check
from blfd.core.values import Aor


def test_who_owns_an_extension() -> None:
    """The extension's own setting counts first, then the upstream with the closest pattern."""
    wide = replace(UPSTREAM, name="wide", extensions=("1xx",))
    known = site(UPSTREAM, wide)
    found = {aor.extension: known.upstream(aor) for aor in known.extensions if aor.tenant == "default"}
    assert {extension: found and found.name for extension, found in found.items()} == {
        "101": "wide",
        "102": "pbx",
        "103": "wide",
    }
    extension = known.extensions[Aor("default", "102")]
    assert known.owner(extension) is Owner.UPSTREAM
    assert known.owner(replace(extension, owner=Owner.LOCAL)) is Owner.LOCAL
    assert known.upstream(Aor("acme.example", "101")) is None


def test_what_is_set_otherwise() -> None:
    """Another password begins a new subscription, another rate does not; a removed upstream's ends."""
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    pbx.take(pbx.world.give(DirectoryChanged(site(replace(UPSTREAM, rate=9)))))
    assert pbx.wait(1.0) is None
    pbx.take(pbx.world.give(DirectoryChanged(site(replace(UPSTREAM, password="x")))))
    assert not pbx.is_known
    pbx.wait(1.0)
    bye, anew = sorted(pbx.asked[1:], key=lambda one: one.call_id != sent.call_id)
    assert (bye.call_id, dict(bye.headers)["Expires"]) == (sent.call_id, "0")
    assert dict(anew.headers)["Expires"] == "600"
    pbx.answer(bye, 200)
    pbx.accept(anew)
    pbx.notify(anew, body(dialog("confirmed")))
    assert pbx.lamp == "talking"
    pbx.take(pbx.world.give(DirectoryChanged(directory())))
    assert pbx.lamp == "idle"
    last = pbx.wait(1.0)
    assert last
    assert dict(last.headers)["Expires"] == "0"
    pbx.answer(last, 408)
    assert pbx.notify(anew, body(dialog("early"))).status == 481
    assert pbx.wait(10_000) is None


def test_an_extension_that_is_taken_from_its_upstream() -> None:
    """An owner takes it, or a closer pattern, or the upstream is turned off, or the extension goes."""
    pbx = Pbx()
    sent = pbx.subscribed("confirmed")
    known = site()
    mine = replace(known.extensions[Aor("default", "102")], owner=Owner.LOCAL)
    away = replace(known, extensions={**known.extensions, mine.aor: mine})
    closer = replace(UPSTREAM, name="closer", extensions=("102",))
    wide = replace(UPSTREAM, extensions=("10x",))
    for other in (away, site(closer), site(replace(UPSTREAM, enabled=False)), site(extensions=("101",))):
        pbx.take(pbx.world.give(DirectoryChanged(other)))
        assert (pbx.lamp, pbx.is_known) == ("idle", False)
        before = len(pbx.asked)
        pbx.wait(1.0)
        ends = {one.call_id for one in pbx.asked[before:] if dict(one.headers)["Expires"] == "0"}
        assert ends == {sent.call_id}
        pbx.take(pbx.world.give(DirectoryChanged(site(wide))))
        pbx.wait(1.0)
        sent = next(one for one in pbx.asked[::-1] if one.to.uri == f"sip:102@{PBX}")
        assert dict(sent.headers)["Expires"] == "600"
        pbx.accept(sent)
        assert pbx.notify(sent, body(dialog("confirmed"))).status == 200
        assert pbx.lamp == "talking"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"servers": ()}, "needs a server"),
        ({"extensions": ()}, "needs extensions"),
        ({"extensions": ("1yy",)}, "neither an extension here nor a pattern"),
        ({"interval": 10}, "interval is from 60"),
        ({"rate": 0}, "rate is from 1"),
        ({"list_uri": "a b"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:@"}, "list is a name or a SIP URI"),
        ({"list_uri": "http://x"}, "list is a name or a SIP URI"),
        ({"list_uri": "front@pbx"}, "list is a name or a SIP URI"),
        ({"list_uri": "sip:front@pbx:99999"}, "list is a name or a SIP URI"),
        ({"domain": "::::"}, "domain cannot be"),
        ({"sources": ("nowhere",)}, "nowhere"),
        ({"sources": ("0.0.0.0/0",)}, "source 0.0.0.0/0 is too wide"),
        ({"sources": ("::/0",)}, "source ::/0 is too wide"),
        ({"extensions": ("1xx", "1xx")}, "extensions has 1xx twice"),
        ({"servers": ("192.0.2.7", "192.0.2.7")}, "server has 192.0.2.7 twice"),
        ({"name": "A b"}, "small letters"),
        ({"transport": "ws"}, "transport is udp, tcp, tls"),
    ],
)
def test_what_is_unsound(wrong: dict[str, object], words: str) -> None:
    stored = replace(UPSTREAM, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        check(stored, {"102"})
    check(replace(stored, enabled=False), {"102"}, before=stored)
    check(UPSTREAM, {"102"})
    for list_uri in (
        "",
        "front",
        "%23all",
        "sip:front@pbx",
        "sips:front@[::1]:5061;transport=tcp",
        "sip:pbx",
    ):
        check(replace(UPSTREAM, list_uri=list_uri), {"102"})
