"""What the server itself gets wrong costs one input, timer or socket, and never the others.

The faults are put into the real process as it starts: a part of the core raises where it has never been seen
to.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sites import Site

FAULTS = """
from blfd.core.registrar import Registrar
from blfd.server.own_rules import OwnRules

def broken(what, is_so=lambda *given: True):
    def instead(original):
        def method(self, *given):
            if is_so(*given):
                raise RuntimeError(f"broken: {what}")
            return original(self, *given)
        return method
    return instead

Registrar.flow_closed = broken("a connection's end")(Registrar.flow_closed)
Registrar._due = broken("what is due", lambda aor, now: aor.extension == "102")(Registrar._due)
OwnRules.close = broken("the end of a part")(OwnRules.close)
"""


@pytest.fixture
def broken_site(tmp_path: Path, own_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return own_site(config="[sip]\nregister_min_expires = 1\n")


def test_one_part_that_fails_takes_nothing_else_with_it(broken_site: Site) -> None:
    site = broken_site
    watcher = site.registered("104")
    watcher.subscribe("101")
    gone = site.registered("101", "tcp")
    gone.close()
    site.wait_log("broken: a connection's end")
    gone.is_registered = False
    for user in ("102", "103"):
        assert site.agent(user).register(expires=1).status == 200
    site.wait_log("broken: what is due")
    site.wait(
        lambda: not any(row["extension"] == "103" for row in site.ask("registrations")),
        site.server.log.read_text,
    )
    assert watcher.request("OPTIONS", "101").status == 200
    assert watcher.subscribe("102")[0].status == 200, "who has failed goes on"
    site.cli("extension", "set", "101", "--name", "Alice")
    assert site.server.stop() != 0
    assert "broken: the end of a part" in site.server.log.read_text()
    assert not site.database.with_name("blfd.db.sock").exists(), "what ends after it has ended, too"
    (site.folder / "sitecustomize.py").unlink()
    site.server.log.rename(site.folder / "faults.log")  # that of a sound process has none
    site.start()
    assert site.rows("subscriptions") == 2, "what was accepted is on the disk"
