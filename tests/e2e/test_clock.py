"""The system's clock is set by hours while phones are registered, watch and talk, and the server restarts.

The server of these tests reads its clock through `sitecustomize`, which adds what a file says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from calls import connect, hang_up
from sites import Site

CLOCK = """
import pathlib, sys, time

true, set_by = time.time, pathlib.Path({path!r})

def shifted():
    if sys._getframe(1).f_globals["__name__"] == "blfd.pjsip.selfcheck":
        return true()  # which compares it with PJSIP's, of the machine
    return true() + float(set_by.read_text())

time.time = shifted
"""


@pytest.mark.parametrize("hours", [30, -30])
def test_the_clock_is_set(
    tmp_path: Path, own_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    set_by = tmp_path / "set_by"
    set_by.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(CLOCK.format(path=f"{set_by}"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    site = own_site(config="[sip]\nregister_min_expires = 1\n")
    caller, callee, watcher = (site.registered(user) for user in ("101", "102", "103"))
    watcher.subscribe("102")
    site.wait_watched("102")
    mine, _ = connect(caller, callee)
    watcher.notify("confirmed")
    site.wait_saved()

    def is_as_before() -> None:
        rows = {row["extension"]: row["expires"] for row in site.ask("registrations")}
        assert set(rows) >= {"101", "102", "103"}
        assert all(0 < rows[user] <= 3600 for user in ("101", "102", "103"))
        (watching,) = site.ask("watchers")
        assert 0 < watching["expires"] <= 600
        (call,) = site.ask("calls")
        assert 0 <= call["since"] < 300

    is_as_before()
    set_by.write_text(f"{hours * 3600}")
    site.wait_log("the system's clock was set")
    is_as_before()
    assert site.agent("104").register(expires=1).status == 200
    site.wait(
        lambda: "104" not in {row["extension"] for row in site.ask("registrations")},
        site.server.log.read_text,
    )
    site.wait_saved()
    site.server.stop()
    site.start()
    watcher.notify("confirmed")
    site.wait_watched("102")
    is_as_before()
    hang_up(mine, callee)
    watcher.notify("terminated")
