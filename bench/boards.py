"""Lamp boards in browsers while the office calls: do they hold up SIP?

As a program, this module is the boards. It reads a line of JSON with `host`, `port`, `cookie` and `boards`,
says `ready` when each board has all lamps, and says what they got when its input ends.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load import Load, Run
from servers import PORTAL_ADDRESS, BenchError, Kamailio, Peer

from blfd.control import ControlClient, socket_path
from blfd.store import Store
from blfd.store.admins import Admin, Role

BOARDS = 200
RATE, SECONDS, PHONES = 50, 20, 200  # calls a second


def boards(run: Run, peer: Peer) -> None:
    """Measure the same calls and lamps with nobody looking on, and with many lamp boards open, in one run."""
    if isinstance(peer, Kamailio):
        return  # Kamailio has no lamp boards
    with run.load(peer.with_portal, f"{BOARDS} lamp boards") as load:
        load.do(f"register {PHONES}")
        load.subscribe(PHONES, PHONES)
        _call(load, f"{RATE} calls/s, no board")
        with _open(load) as looking_on:
            _call(load, f"{RATE} calls/s, {BOARDS} boards")
        found = looking_on[0]
    case = f"{RATE} calls/s, {BOARDS} boards"
    run.raw[case] = found
    load.note(f"{case}: open to the end", found["open"], BOARDS, at_least=True)
    load.note(f"{case}: events a board, fewest", found["fewest"])
    load.note(f"{case}: events a board, most", found["most"])
    watchers = run.size.audiences[0]
    lamp = f"one change to {watchers:,}"
    with run.load(peer.with_portal, f"{lamp}, {BOARDS} lamp boards") as load:
        load.do("register 1")
        load.subscribe(watchers, 1)
        load.note_lamps(f"{lamp}, no board", [load.do(f"fanout {run.size.changes}")])
        with _open(load):
            load.note_lamps(f"{lamp}, {BOARDS} boards", [load.do(f"fanout {run.size.changes}")])
        with _asking(load):
            case = f"{lamp}, all lamps are asked for"
            load.note_lamps(case, [load.do(f"fanout {run.size.changes}")])


def _call(load: Load, case: str) -> None:
    found = load.do(f"calls {RATE} {SECONDS} {PHONES}")
    load.note(f"{case}: failed of {RATE * SECONDS:,}", found["failed"] + found["skipped"], 0)
    load.note(f"{case}: INVITE to 180, p50 ms", found["invite_to_180_ms"].get("p50", 0))
    load.note(f"{case}: INVITE to 180, p99 ms", found["invite_to_180_ms"].get("p99", 0))
    load.note(f"{case}: lamps left lit", found["lamps_left_lit"], 0)


@contextmanager
def _asking(load: Load) -> Iterator[None]:
    """Have somebody load the page with all lamps of the tenant, again and again, until the block ends."""
    assert load.server.database
    client, stop = ControlClient(socket_path(load.server.database)), threading.Event()

    def ask() -> None:
        while not stop.wait(0.01):
            client.call("lamps", tenant="default")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _open(load: Load) -> Iterator[list[dict[str, Any]]]:
    """Have boards open until the block ends; the list then has what they got."""
    assert load.server.database
    store = Store(load.server.database)
    wall = Admin("wall@default", "default", Role.ATTENDANT, "nobody signs in")
    store.admins.add(wall)
    host, _, port = PORTAL_ADDRESS.rpartition(":")
    order = {
        "host": host,
        "port": int(port),
        "cookie": store.admins.open_session(wall),
        "boards": BOARDS,
    }
    command = [sys.executable, str(Path(__file__))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    said: list[dict[str, Any]] = []
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "ready":
            raise BenchError("the lamp boards did not open")
        yield said
        said.append(json.loads(process.communicate("\n", timeout=30)[0]))
    finally:
        process.kill()
        process.wait()


class Board:
    """A lamp board: a browser's connection, and how many events it got."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.events = 0
        self.open = False

    async def read(self, order: dict[str, Any]) -> None:
        reader, writer = await asyncio.open_connection(order["host"], order["port"], limit=1 << 24)
        request = (
            "GET /t/default/lamps/events HTTP/1.1\r\nHost: board\r\n"
            f"Cookie: blfd_session={order['cookie']}\r\n\r\n"
        )
        writer.write(request.encode())
        self.open = True
        while line := await reader.readline():
            if line.startswith(b"event: lamp"):
                self.events += 1
                self.ready.set()
        self.open = False


async def look_on() -> None:
    order = json.loads(sys.stdin.readline())
    found = [Board() for _ in range(order["boards"])]
    tasks = [asyncio.create_task(board.read(order)) for board in found]
    async with asyncio.timeout(60):
        for board in found:
            await board.ready.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    counts = [board.events for board in found]
    report = {"open": sum(board.open for board in found), "fewest": min(counts), "most": max(counts)}
    for task in tasks:
        task.cancel()
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(look_on())
