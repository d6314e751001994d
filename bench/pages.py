"""How large the portal's pages are, and how long they take, in an office of thousands at work.

    .venv/bin/python bench/pages.py [--extensions 20000] [--phones 2000] [--changes 20000]
        [--database FILE] [--serve]

It prints a line for each page: octets, the quickest and the median of the times, and the CPU time of all
processes, in milliseconds. `--serve` leaves the server running for a browser, until Enter; the administrator
is root, with the password that is printed.
"""

import argparse
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

import httpx
from servers import Server

from blfd.control import ControlClient, socket_path
from blfd.core.calls.attempts import Attempt, Way
from blfd.core.saved import SavedSubscription
from blfd.core.values import Aor, Binding, DialogId, Flow, NameAddr, SubscriptionDialog
from blfd.demo.simulation import ServerProcess
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import Desk, admins, device_files, extensions, groups
from blfd.store import NewExtension, Store

PASSWORD = "correct horse"
FIRST = 10_000
TIMES = 5
PAGES = (
    "lamps",
    "lamps?wall=dense",
    "lamps?q=number+77",
    "extensions",
    "extensions?q=77&sort=name",
    "extensions?page=150",
    "extensions/edit/10005",
    "phones",
    "phones?q=badge%3Dregistered",
    "phones/new",
    "phones/show/80:5e:c0:00:00:07",
    "groups",
    "groups/new",
    "groups/edit/everybody",
    "groups/edit/sales",
    "codes",
    "trunks",
    "settings",
    "pickups",
    "pickups?q=10077&sort=extension",
    "explain",
    "explain?extension=10005",
    "administrators",
    "tokens",
    "changes",
    "changes?q=10077&sort=who",
)
OF_THE_SYSTEM = ("/tenants", "/administrators", "/tokens", "/settings", "/changes", "/health")


def office(database: Path, many: int, phones: int, changes: int) -> None:
    store, nobody = Store(database), ControlClient(socket_path(database))
    place = Place("127.0.0.1", {"udp": 5060}, "http://127.0.0.1:8080")
    desk = Desk(store, nobody, Phones(store, lambda: place), "bench")
    numbers = [str(FIRST + at) for at in range(many)]
    new = (NewExtension(number, "secret", f"Person Number {number}") for number in numbers)
    extensions.put_many(desk, "default", new)
    if many > 100:
        groups.add(desk, "default", "everybody", numbers, numbers)
    groups.add(desk, "default", "sales", numbers[:30], numbers[:30])
    for at in range(min(50, many // 20)):
        part = numbers[at * 20 : at * 20 + 20]
        groups.add(desk, "default", f"team {at}", part, part)
    macs = (f"80:5e:c0:{at >> 16:02x}:{at >> 8 & 255:02x}:{at & 255:02x}" for at in range(phones))
    wanted = (
        Wanted(mac, "yealink/t54w", (number,), "team") for mac, number in zip(macs, numbers, strict=False)
    )
    device_files.put(desk, "default", wanted)
    admins.add(desk, "root", PASSWORD, None)
    with store.writing():
        for at in range(changes):
            number = numbers[at % many]
            before, after = ({"name": f"Person {at - back}", "pickup": "default"} for back in (1, 0))
            store.audit.record("bench", "default", "extension.change", number, before, after)
    ways = [*Way]
    attempts = (
        Attempt(
            time.time() - at,
            Aor("default", numbers[at % many]),
            ways[at % len(ways)],
            numbers[at * 7 % many],
            numbers[at * 3 % many],
            200 if at % 4 else 480,
            "picked up" if at % 4 else "nothing rings",
            at % 90,
        )
        for at in range(changes)
    )
    store.records.save({}, attempts, {}, {}, {})


def at_work(database: Path, port: int) -> int:
    """Register all phones from a port; nine of ten watch all their keys, the number of which is returned."""
    store = Store(database)
    phones, flow = (
        Phones(store, lambda: Place("127.0.0.1", {"udp": 5060}, "")),
        Flow("udp", "127.0.0.1", port),
    )
    rows, until = phones.all("default"), time.time() + 3600
    bindings, subscriptions = dict[Aor, tuple[Binding, ...]](), dict[str, SavedSubscription | None]()
    for at, (row, keys) in enumerate(
        zip(rows, phones.watched(rows, phones.survey("default")).values(), strict=True)
    ):
        own = Aor("default", row.extensions[0])
        uri, agent = f"sip:{own.extension}@127.0.0.1:{port}", f"Yealink SIP-T54W 96.86.0.70 {row.mac}"
        bindings[own] = (Binding(own, uri, flow, f"r{at}", 1, until, user_agent=agent),)
        for key in sorted(keys) if at % 10 else ():
            dialog = SubscriptionDialog(
                DialogId(f"s{at}-{key}", f"t{at}-{key}", f"w{at}-{key}"),
                NameAddr(f"sip:{key}@127.0.0.1", ""),
                NameAddr(f"sip:{own.extension}@127.0.0.1", ""),
                uri,
                (),
                "dialog",
            )
            subscriptions[dialog.id.local_tag] = SavedSubscription(
                Aor("default", key), own, "dialog", f"sip:{key}@127.0.0.1", dialog, 1, flow, until, agent, 1
            )
    store.records.save(bindings, (), subscriptions, {}, {})
    return len(subscriptions)


class Answering(threading.Thread):
    """The phones' socket, at which each NOTIFY is answered by 200."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))

    def run(self) -> None:
        while True:
            octets, source = self.socket.recvfrom(65535)
            lines = octets.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            kept = [line for line in lines if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq"))]
            answer = b"\r\n".join((b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""))
            self.socket.sendto(answer, source)
            self.answered += 1


def measure(url: str, server: Server) -> None:
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
        client.post("/sign-in", data={"name": "root", "password": PASSWORD})
        print(f"{'page':<43} {'octets':>9} {'ms':>6} {'median':>6} {'CPU ms':>6}")
        for path in (*(f"/t/default/{page}" for page in PAGES), *OF_THE_SYSTEM):
            took, cpu = [], server.cpu_seconds()
            for _ in range(TIMES):
                begun = time.perf_counter()
                answer = client.get(path)
                took.append((time.perf_counter() - begun) * 1000)
            cpu = (server.cpu_seconds() - cpu) * 1000 / TIMES
            status = "" if answer.status_code == 200 else f" {answer.status_code}"
            times = f"{min(took):>6.0f} {statistics.median(took):>6.0f} {cpu:>6.0f}"
            print(f"{path:<43} {len(answer.content):>9,} {times}{status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--extensions", type=int, default=20_000)
    parser.add_argument("--phones", type=int, default=2_000)
    parser.add_argument("--changes", type=int, default=20_000, help="in the audit, and attempts to pick up")
    parser.add_argument("--database", type=Path, help="kept, and used again")
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "blfd.db"
        if not database.exists():
            office(database, given.extensions, given.phones, given.changes)
        answering = Answering()
        answering.start()
        keys = at_work(database, answering.socket.getsockname()[1])
        server = ServerProcess(database, ["udp:127.0.0.1:0"], "--web", "http://127.0.0.1:0")
        try:
            client = ControlClient(socket_path(database))
            serves = client.call("status")["serves"]
            url = next(entry.removeprefix("portal: ") for entry in serves if entry.startswith("portal: "))
            while client.call("status")["notifies"]["responded"] < keys:
                time.sleep(0.5)
            measure(url, Server("blfd", url, server.process))
            if given.serve:
                input(f"{url} as root, with {PASSWORD!r}; Enter ends it\n")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
