"""How large the portal's pages are and how long they take, of an office of thousands.

    .venv/bin/python bench/pages.py [--extensions 20000] [--phones 2000] [--database FILE] [--serve]

Prints a line a page: octets, and the quickest and the median of the times in milliseconds. `--serve` leaves
the server running for a browser, until Enter; who signs in is root, with the password that is printed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from blfd.control import ControlClient, socket_path
from blfd.demo.simulation import ServerProcess
from blfd.devices.files import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import Desk, admins, devices, extensions, groups
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
    "explain",
    "explain?extension=10005",
    "administrators",
    "tokens",
    "changes",
)
OF_THE_SYSTEM = ("/tenants", "/administrators", "/tokens", "/settings", "/changes", "/health")


def office(database: Path, many: int, phones: int) -> None:
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
    devices.put_many(desk, "default", wanted)
    admins.add(desk, "root", PASSWORD, None)


def measure(url: str) -> None:
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
        client.post("/sign-in", data={"name": "root", "password": PASSWORD})
        print(f"{'page':<40} {'octets':>9} {'ms':>6} {'median':>6}")
        for path in (*(f"/t/default/{page}" for page in PAGES), *OF_THE_SYSTEM):
            took = []
            for _ in range(TIMES):
                begun = time.perf_counter()
                answer = client.get(path)
                took.append((time.perf_counter() - begun) * 1000)
            status = "" if answer.status_code == 200 else f" {answer.status_code}"
            times = f"{min(took):>6.0f} {statistics.median(took):>6.0f}"
            print(f"{path:<40} {len(answer.content):>9,} {times}{status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--extensions", type=int, default=20_000)
    parser.add_argument("--phones", type=int, default=2_000)
    parser.add_argument("--database", type=Path, help="kept, and used again")
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "blfd.db"
        if not database.exists():
            office(database, given.extensions, given.phones)
        server = ServerProcess(database, ["udp:127.0.0.1:0"], "--web", "http://127.0.0.1:0")
        try:
            serves = ControlClient(socket_path(database)).call("status")["serves"]
            url = next(entry.removeprefix("portal: ") for entry in serves if entry.startswith("portal: "))
            measure(url)
            if given.serve:
                input(f"{url} as root, with {PASSWORD!r}; Enter ends it\n")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
