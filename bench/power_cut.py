"""Thousands of phones fetch their files while lamps are at work: do the lamps keep their latency?"""

import json
import subprocess
import sys
from typing import Any

from load import Load, Run
from servers import EXTENSIONS, FILES_ADDRESS, HERE, PROJECT, BenchError, Kamailio, Peer, Server

sys.path.insert(0, str(PROJECT / "tests" / "e2e"))
from makers import MAC, MAKERS

from blfd.store import Store
from provisioning import find

LONGEST = 300  # seconds that one round of fetching may take
CHANGES = 10  # changes of the lamp at a time


def _macs(count: int) -> list[str]:
    return [f"{0x805EC0000000 + number:012x}" for number in range(count)]


def devices(count: int) -> list[tuple[str, ...]]:
    """Phones of each maker in turn; half have all their keys for colleagues, and half ten, or what fits."""
    owners, watched = EXTENSIONS[2], EXTENSIONS[0]
    found = []
    for number, mac in enumerate(_macs(count)):
        model, keys = MAKERS[number % len(MAKERS)].model, "team"
        if number % 2 == 0:
            room = find(model).room(0) - 1  # without the key of its own line
            keys = ",".join(str(watched[(number + key) % 1000]) for key in range(min(10, room)))
        found.append((mac, model, str(owners[number]), keys))
    return found


def phones_of(server: Server, count: int) -> list[dict[str, Any]]:
    """What each phone asks for, in the form that `phones.py` reads."""
    if server.database is None:
        raise BenchError("this server has no phones")
    secrets = {row.mac: row.secret for row in Store(server.database).devices.all("default")}
    found = []
    for number, mac in enumerate(_macs(count)):
        maker = MAKERS[number % len(MAKERS)]
        written = ":".join(mac[at : at + 2] for at in range(0, 12, 2))
        agent = maker.user_agent.replace("80:5e:c0:12:34:56", written)
        agent = agent.replace(MAC, mac).replace(MAC.upper(), mac.upper())
        names = [name.replace(MAC, mac).replace(MAC.upper(), mac.upper()) for name in maker.names]
        path, model = f"/p/{secrets[mac]}/", maker.model
        found.append({"path": path, "user_agent": agent, "mac": mac, "model": model, "files": names})
    return found


def provision(run: Run, peer: Peer) -> None:
    """Measure lamps alone, while phones come for files within a minute, and while they come at full speed."""
    if isinstance(peer, Kamailio):
        return  # Kamailio serves no files
    count, watchers = run.size.devices, run.size.audiences[0]
    case = f"{count:,} phones fetch"
    with run.load(lambda: peer.provisioning(devices(count)), case) as load:
        phones = phones_of(load.server, count)
        load.do("register 1")
        load.subscribe(watchers, 1)
        lamp = f"one change to {watchers:,}"
        load.note_lamps(f"{lamp}, nobody fetches", [load.do(f"fanout {run.size.changes}")])
        for seconds, how in ((run.size.power_cut_s, f"within {run.size.power_cut_s} s"), (0, "at once")):
            found, changes = _fetched(load, {"address": FILES_ADDRESS, "seconds": seconds, "phones": phones})
            run.raw[f"{load.case}: {how}"] = found
            where = f"{case} {how}"
            load.note(f"{where}: failed of {found['requests']:,} requests", found["failed"], 0)
            load.note(f"{where}: files a second", found["requests"] / found["elapsed_s"])
            load.note(f"{where}: a file, p50 ms", found["ms"]["p50"])
            load.note(f"{where}: a file, p99 ms", found["ms"]["p99"])
            load.note_lamps(f"{lamp}, {where}", changes)


def _fetched(load: Load, order: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Have phones fetch their files; return their report, and those of the lamp's changes meanwhile."""
    command = [sys.executable, str(HERE / "phones.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    changes = []
    try:
        while process.poll() is None:
            changes.append(load.do(f"fanout {CHANGES}"))
        said, _ = process.communicate(timeout=LONGEST)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BenchError(f"the phones ended with exit code {process.returncode}")
    return json.loads(said), changes
