"""A phone that dies in a call is found by the session timer (RFC 4028)."""

from __future__ import annotations

import time
from collections.abc import Callable

from calls import connect, sdp
from sites import Site

SESSION = 90  # the RFC's minimum
PATIENCE = 45 + 32 + 60  # the refresh is due at half of it, and times out after 64 * T1


def test_a_dead_phone_ends_the_call(own_site: Callable[..., Site]) -> None:
    site = own_site(config=f"[sip]\nsession_expires = {SESSION}\n")
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    connect(caller, callee)
    callee.is_registered = False
    callee.close()  # the phone has lost its power
    site.agents.remove(callee)
    watcher.subscribe("102")
    until = time.monotonic() + PATIENCE
    while True:
        request = caller.wait(lambda m: m.method in ("INVITE", "UPDATE", "BYE"), until - time.monotonic())
        if request.method == "BYE":
            break
        caller.reply(request, 200, "OK", sdp(4000), Content_Type="application/sdp")  # we are alive
    caller.reply(request, 200)
    (dialog,) = watcher.notify("terminated").document.dialogs
    assert dialog.remote
    assert dialog.remote.identity
    assert dialog.remote.identity.uri == f"sip:101@{watcher.server}"
