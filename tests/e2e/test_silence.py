"""Phones that no longer answer cost a bounded number of NOTIFYs, and other phones notice nothing."""

from __future__ import annotations

from collections.abc import Callable

from calls import Calling, sdp
from keys import MANY, Keys
from sites import Site

SILENT, LIVING, CALLS = 5000, 20, 50
BOUND = 8.0  # KiB for each silent watcher: its one NOTIFY, and when that is retransmitted


def test_thousands_of_silent_watchers(own_site: Callable[..., Site]) -> None:
    """At most one NOTIFY is in flight for each, however often the lamp changes meanwhile."""
    site = own_site("--trust", "127.0.0.0/8", config=f"[sip]\n{MANY}")
    address = site.server.address()
    silent, living = Keys(address, "112", ["102"], SILENT), Keys(address, "111", ["102"], LIVING)
    silent.subscribe()
    living.subscribe()
    silent.silent = True
    callee, caller = site.registered("102"), site.registered("101")
    before = site.memory()
    for _ in range(CALLS):
        calling = Calling.trusted(caller, "102", sdp(4000))
        invite = callee.wait_request("INVITE")
        callee.reply(invite, 180, "Ringing")
        living.wait(lambda: {key.state for key in living.all} == {"early"})
        calling.cancel()
        callee.reply(callee.wait_request("CANCEL"), 200)
        callee.reply(invite, 487, "Request Terminated")
        assert calling.refused().status == 487
        living.wait(lambda: {key.state for key in living.all} == {"terminated"})
    assert living.faults() == []
    grown = (site.memory() - before) * 1024 / SILENT
    assert grown < BOUND, f"{grown:.1f} KiB for each"
    sent = site.ask("status")["notifies"]["sent"]
    first, changes = SILENT + LIVING, 2 * CALLS
    assert sent == first + LIVING * changes + SILENT, "one for each silent watcher"
    for keys in (silent, living):
        keys.close()


def test_one_that_answers_again_is_told_what_is_true_now(own_site: Callable[..., Site]) -> None:
    """What a watcher has missed comes as one document, once it answers a retransmission."""
    site = own_site("--trust", "127.0.0.0/8")
    keys = Keys(site.server.address(), "112", ["102"], 50)
    keys.subscribe()
    keys.silent = True
    callee, caller = site.registered("102"), site.registered("101")
    for _ in range(3):
        calling = Calling.trusted(caller, "102", sdp(4000))
        invite = callee.wait_request("INVITE")
        callee.reply(invite, 180, "Ringing")
        calling.provisional(180)
        callee.reply(invite, 486, "Busy Here")
        assert calling.refused().status == 486
    keys.silent = False
    keys.forget()
    keys.wait(lambda: all(key.notifies >= 2 and key.state == "terminated" for key in keys.all))
    assert {key.notifies for key in keys.all} == {2}, "the one in flight, and all that came after it in one"
    assert keys.faults() == []
    keys.close()
