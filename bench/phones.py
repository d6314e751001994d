"""Phones that come back after a power cut: each asks for its files in its maker's order, on one connection.

The module reads a line of JSON with `address`, `seconds` over which phones come (0: as fast as they can), and
`phones`, each with `path`, `user_agent`, `mac` and the names of `files`, of which one of its own has to
exist. It prints a report.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field

PATIENCE = 30.0  # seconds after which a phone gives a file up
AT_ONCE = 50  # phones at a time, where they come as fast as they can


@dataclass
class Report:
    """What the phones have fetched, and what has failed."""

    requests: int = 0
    failed: int = 0
    octets: int = 0
    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < 10:
            self.failures.append(what)


async def fetch(address: tuple[str, int], path: str, user_agent: str) -> tuple[int, int]:
    """Fetch a file, and return the status, and how many octets the answer has."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {address[0]}",
            f"User-Agent: {user_agent}",
            "Connection: close",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]), len(answer)


async def boot(address: tuple[str, int], phone: dict, report: Report) -> None:
    """Have one phone ask for its files, one after the other."""
    got = False
    for name in phone["files"]:
        began = time.monotonic()
        report.requests += 1
        try:
            asked = fetch(address, phone["path"] + name, phone["user_agent"])
            status, octets = await asyncio.wait_for(asked, PATIENCE)
        except (OSError, TimeoutError, IndexError, ValueError) as error:
            report.fail(f"{name}: {error!r}")
            continue
        report.times.append(time.monotonic() - began)
        report.octets += octets
        got = got or (status == 200 and phone["mac"] in name.lower())
        if status not in (200, 404):
            report.fail(f"{name}: {status}")
    if not got:
        report.fail(f"{phone['mac']}: no file of its own")


async def all_boot(order: dict) -> Report:
    report, host_port = Report(), order["address"].split(":")
    address, seconds = (host_port[0], int(host_port[1])), order["seconds"]
    limit = asyncio.Semaphore(AT_ONCE if not seconds else len(order["phones"]))
    chance = random.Random(3261)

    async def one(phone: dict) -> None:
        await asyncio.sleep(chance.uniform(0, seconds))
        async with limit:
            await boot(address, phone, report)

    await asyncio.gather(*(one(phone) for phone in order["phones"]))
    return report


def main() -> None:
    order = json.loads(sys.stdin.readline())
    began = time.monotonic()
    report = asyncio.run(all_boot(order))
    times = sorted(report.times) or [0.0]
    print(
        json.dumps(
            {
                "phones": len(order["phones"]),
                "requests": report.requests,
                "failed": report.failed,
                "failures": report.failures,
                "octets": report.octets,
                "elapsed_s": time.monotonic() - began,
                "ms": {
                    "p50": times[len(times) // 2] * 1000,
                    "p99": times[len(times) * 99 // 100] * 1000,
                    "max": times[-1] * 1000,
                },
            }
        )
    )


if __name__ == "__main__":
    main()
