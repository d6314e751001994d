"""The answers to control calls, while the SIP thread has other things to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

from blfd.core.core import Core
from blfd.core.directory import Directory, Extension, Reach, Tenant
from blfd.core.inputs import DirectoryChanged
from blfd.core.settings import Settings
from blfd.core.values import Aor
from blfd.devices.values import Place
from blfd.server.control_calls import SLICE, ControlCalls
from blfd.server.thread_work import Work

MANY = 5 * SLICE + 1


def directory(count: int) -> Directory:
    tenant = Tenant("default", (), False, "*97", "*98", Reach.ON, True)
    aors = [Aor("default", f"{number:05}") for number in range(count)]
    return Directory({"default": tenant}, {aor: Extension(aor, "Name", {}) for aor in aors}, ())


class Loop:
    """A stand-in for the SIP thread's loop, which does what other threads want, a turn at a time."""

    def __init__(self, core: Core) -> None:
        self._woken = threading.Event()
        self._work = Work(self._woken.set)
        place = Place("127.0.0.1", {"udp": 5060}, "")
        self._answers = ControlCalls(
            core, Mock(), Mock(), Mock(), self._work, Mock(), Settings(), [], place, Mock()
        )
        self.turns = 0

    def ask(self, call: str, after: Callable[[int], None] = lambda turn: None) -> Any:
        self.turns = 0
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._answers.ask, call, {})
            while not asked.done():
                if self._woken.wait(0.05):
                    self._woken.clear()
                    self._work.run()
                    self.turns += 1
                    after(self.turns)
            return asked.result()


def test_a_long_answer_is_made_in_slices_between_which_sip_goes_on() -> None:
    core = Core(Settings(), {"127.0.0.1"}, secret=b"x" * 32, mark="000000", new_tag=lambda: "a")
    core.handle(DirectoryChanged(directory(MANY)), 0.0)
    loop = Loop(core)
    for call in ("lamps", "changes"):
        found = loop.ask(call)
        rows = found if call == "lamps" else found["lamps"]
        assert len(rows) == MANY
        assert rows == sorted(rows, key=lambda row: row["extension"])
        assert loop.turns > MANY / SLICE

    def leave_ten(turn: int) -> None:
        if turn == 3:  # the second slice has been answered
            core.handle(DirectoryChanged(directory(10)), 1.0)

    assert len(loop.ask("lamps", leave_ten)) == 2 * SLICE, "those that are gone by then are left out"
