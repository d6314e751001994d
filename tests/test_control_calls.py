"""The answers to control calls, while the SIP thread has other things to do."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import FrameType
from typing import Any
from unittest.mock import Mock

from blfd.core.core import Core
from blfd.core.directory import Directory, Extension, Reach, Tenant
from blfd.core.inputs import DirectoryChanged, Input, SyncWanted
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

    def __init__(self, core: Core, emit: Callable[[Input], None]) -> None:
        self._woken = threading.Event()
        self._work = Work(self._woken.set)
        place, self.store = Place("127.0.0.1", {"udp": 5060}, ""), Mock()
        self._answers = ControlCalls(
            core, Mock(), Mock(), self.store, self._work, emit, Settings(), [], place, Mock()
        )
        self.turns = 0

    def ask(self, call: str, after: Callable[[int], None] = lambda turn: None, **given: Any) -> Any:
        self.turns = 0
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._answers.ask, call, given)
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
    loop = Loop(core, Mock())
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


def test_thousands_of_phones_are_told_to_fetch_their_files_in_slices() -> None:
    core, emitted = Mock(), list[Input]()
    core.registrar.reachable.side_effect = lambda aor, now: ("a binding",) * (int(aor.extension) % 3)
    loop, numbers = Loop(core, emitted.append), [str(number) for number in range(MANY)]
    assert loop.ask("sync", extensions=numbers, event="check-sync") == sum(
        number % 3 for number in range(MANY)
    )
    assert emitted == [SyncWanted(Aor("default", number), "check-sync") for number in numbers]
    assert loop.turns > MANY // SLICE


def test_a_change_of_one_among_many_takes_the_sip_thread_as_long_as_among_few() -> None:
    def change(among: int) -> int:
        """Have one extension changed, and count what the SIP thread calls for that."""
        core = Core(Settings(), {"127.0.0.1"}, secret=b"x" * 32, mark="000000", new_tag=lambda: "a")
        core.handle(DirectoryChanged(directory(among)), 0.0)
        calls = Counter[str]()

        def count(frame: FrameType, event: str, _: object) -> None:
            calls[event] += 1

        def emit(event: Input) -> None:
            sys.setprofile(count)
            try:
                core.handle(event, 0.0)
            finally:
                sys.setprofile(None)

        loop, now, aor = Loop(core, emit), directory(among), Aor("default", "00001")
        now.extensions[aor] = replace(now.extensions[aor], name="Another")
        loop.store.directory.return_value = now
        loop.ask("reload")
        assert core.directory.extensions[aor].name == "Another"
        return calls["call"] + calls["c_call"]

    assert 0 < change(20 * MANY) < 2 * change(10)
