"""Call-IDs of our INVITEs: the next process knows them again, and nobody else can make one up."""

from __future__ import annotations

import pytest

from blfd.sip.call_ids import LONGEST, CallIds

NOW = 1_700_000_000.5
OURS = CallIds(b"secret")


def test_ours_are_known_by_whoever_has_the_secret() -> None:
    made = {OURS.new("tag", NOW) for _ in range(100)}
    assert len(made) == 100
    assert {len(each) for each in made} == {40}
    assert all(CallIds(b"secret").is_ours(each, "tag", NOW + LONGEST - 1) for each in made)


@pytest.mark.parametrize(
    ("call_id", "tag", "after"),
    [
        (OURS.new("tag", NOW), "other", 0),
        (OURS.new("tag", NOW), "tag", LONGEST + 1),
        (CallIds(b"another").new("tag", NOW), "tag", 0),
        ("f" + OURS.new("tag", NOW)[1:], "tag", 0),
        (OURS.new("tag", NOW)[:-1], "tag", 0),
        (OURS.new("tag", NOW) + "0", "tag", 0),
        ("", "", 0),
        ("\udcff" * 40, "\udcff", 0),
        ("ü" * 40, "tag", 0),
    ],
    ids=("tag", "old", "secret", "changed", "short", "long", "empty", "octets", "letters"),
)
def test_other_call_ids_are_not_known(call_id: str, tag: str, after: float) -> None:
    assert not OURS.is_ours(call_id, tag, NOW + after)
