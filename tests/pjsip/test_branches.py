"""Branches of calls: whoever has seen any number of them can still make none."""

from __future__ import annotations

import pytest

from blfd.pjsip.branches import SEAL, Branches

VIA = b"SIP/2.0/UDP 192.0.2.5:5060;rport;branch=z9hG4bKPjabc;alias\r\nVia: SIP/2.0/UDP x;branch=other\r\n"


def test_what_has_left_is_known_again() -> None:
    branches = Branches()
    sealed = branches.sealed(VIA)
    assert branches.sealed(VIA) == sealed, "an ACK and a CANCEL have the branch of their INVITE"
    before, _, after = sealed.partition(b"z9hG4bKPjabc")
    assert before + b"z9hG4bKPjabc" + after[SEAL:] == VIA
    assert branches.opened(f"z9hG4bKPjabc{after[:SEAL].decode()}") == "z9hG4bKPjabc"


@pytest.mark.parametrize(
    "made_up", ["", "z9hG4bKPjabc", "z9hG4bKPjabc" + "0" * SEAL, "é" * SEAL, "\udcff" * 40]
)
def test_a_branch_that_is_made_up_is_not_known(made_up: str) -> None:
    branches, other = Branches(), Branches()
    assert branches.opened(made_up) == ""
    theirs = other.sealed(VIA).partition(b";branch=")[2].partition(b";")[0].decode()
    assert branches.opened(theirs) == "", "of another process"
    own = branches.sealed(VIA).partition(b";branch=")[2].partition(b";")[0].decode()
    for place in range(len(own)):
        changed = own[:place] + ("0" if own[place] != "0" else "1") + own[place + 1 :]
        assert branches.opened(changed) == ""
