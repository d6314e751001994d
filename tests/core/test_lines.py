"""What is explained of trunks and upstreams: how each is, what was tried last, when again, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import directory
from trunk_site import CARRIER, TRUNK, Story, site

from blfd.core import lines
from blfd.core.effects import SendRequest
from blfd.core.messages import ResponseReceived
from blfd.core.trunk import Mode, Trunk
from blfd.core.upstreams.upstream import Upstream

REGISTERING = replace(TRUNK, mode=Mode.REGISTER, username="line", password="x", ping=0)
UPSTREAM = Upstream("default", "pbx", servers=(CARRIER,), extensions=("2xx",), ping=0)


def explained(story: Story, name: str = "trunk+carrier") -> lines.Row:
    found = lines.explain(story.world.core, "default", name, story.world.now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("trunk", "state", "advice"),
    [
        (replace(TRUNK, enabled=False), "off", "'blfd trunk set carrier --enabled on' uses it"),
        (replace(TRUNK, ping=0), "ready", ""),
        (
            Trunk("default", "carrier", mode=Mode.PEER_REGISTERS, username="line", password="x"),
            "not registered: nobody has come as line",
            "have it register here as line with its password, which 'blfd trunk set carrier --password' sets",
        ),
        (
            replace(TRUNK, servers=("carrier.example",), ping=0),
            "no way: no listener of its transport, or its name is not found",
            "see whether carrier.example is found by DNS, and whether the server listens for udp",
        ),
        (REGISTERING, "not registered yet", f"see whether {CARRIER} runs, and whether a firewall lets udp"),
    ],
)
def test_a_trunk_and_what_to_do_about_it(trunk: Trunk, state: str, advice: str) -> None:
    row = explained(Story(site(trunk)))
    assert (row["state"], row["usable"]) == (state, not advice or state == "off")
    assert row["advice"].startswith(advice)
    assert bool(row["advice"]) is bool(advice)


def test_what_was_tried_last_and_when_again() -> None:
    story = Story(site(REGISTERING))
    now = story.world.now
    sent = [one for one in story.world.at(now + 60) if isinstance(one, SendRequest)]
    assert [one.method for one in sent] == ["REGISTER"]
    assert explained(story)["next"] is None, "it is being tried"
    story.give(ResponseReceived(sent[0].token, 403, "Not you"))
    row = explained(story)
    assert "403" in row["error"]
    assert (row["failures"], row["state"]) == (1, f"not registered: {row['error']}")
    assert 0 < row["next"] <= REGISTERING.retry_forbidden * 1.2
    assert row["advice"].startswith("look at what is set, by 'blfd trunk show carrier'")


def test_an_upstream_and_who_there_is_not() -> None:
    story = Story(replace(directory(("101",)), upstreams=(UPSTREAM,)))
    row = explained(story, "upstream+pbx")
    assert (row["kind"], row["usable"], row["lamp"]) == ("upstream", False, "")
    assert row["advice"].startswith("'blfd upstream set pbx --extensions' says whose lamps it knows")
    for name in ("trunk+pbx", "upstream+carrier", "trunk+"):
        assert lines.explain(story.world.core, "default", name, story.world.now) is None
    assert lines.explain(story.world.core, "acme.example", "upstream+pbx", story.world.now) is None
