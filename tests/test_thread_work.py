"""Work that other threads want done: it is done once, or refused at the end, and nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from blfd.server.thread_work import Work, Worker


def test_work_is_done_on_the_thread_that_runs_it() -> None:
    woken = threading.Event()
    work = Work(woken.set)
    with ThreadPoolExecutor(2) as pool:
        named = pool.submit(work.do, lambda: threading.current_thread().name)
        failing = pool.submit(work.do, lambda: 1 // 0)
        while not (named.done() and failing.done()):
            assert woken.wait(30)
            work.run()
        assert named.result() == threading.main_thread().name
        with pytest.raises(ZeroDivisionError):
            failing.result()


def test_nobody_waits_past_the_end() -> None:
    """This holds whether work is given before the end, during it, or after it."""
    for _ in range(200):
        woken = threading.Event()
        work = Work(woken.set)
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(work.do, lambda: 1) for _ in range(4)]
            assert woken.wait(30)
            work.run()
            work.close()
            for one in waiting:
                error = one.exception(30)
                assert error is None or str(error) == "the server is stopping"
        with pytest.raises(ValueError, match="the server is stopping"):
            work.do(lambda: 1)


def test_what_fails_with_nobody_waiting_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(lambda: None)
    done: list[int] = []
    work.later(lambda: 1 // 0)
    work.later(lambda: done.append(1))
    work.run()
    assert done == [1]
    assert "ZeroDivisionError" in caplog.text


def test_a_worker_goes_on_when_something_fails(caplog: pytest.LogCaptureFixture) -> None:
    worker, done = Worker("test"), threading.Event()
    worker.later(lambda: 1 // 0)
    worker.later(done.set)
    assert done.wait(30)
    worker.close()
    assert "ZeroDivisionError" in caplog.text
