"""kill -9 at random moments of an office at work: what is left of its calls, and are its lamps right?

    .venv/bin/python bench/kills.py [--kills 20] [--seconds 2] [--rate 25] [--seed 1]

Twelve phones over UDP, IPv6 and TCP call, answer, forward, pick up, take over, hold and transfer. After each
start all lamps are compared with what the phones know, down to where each sends its media, and half of the
calls are hung up by one side or the other.
"""

import argparse
import random
import statistics
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TESTS = PROJECT / "tests"
sys.path += [str(PROJECT), str(TESTS), str(TESTS / "e2e"), str(TESTS / "transport")]

from desks import RATE, Office  # noqa: E402
from sites import UDP6, Site  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0, help="at work before each kill, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="things that users do, a second")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), "--trust", "127.0.0.0/8", "--trust", "::1")
        try:
            office = Office(site, dice, ("udp", UDP6, "tcp"), rate=options.rate)
            for number in range(1, options.kills + 1):
                office.work(dice.uniform(0.5, 1.5) * options.seconds)
                office.kill()
                office.start()
                office.settle()
                print(f"{number}: {office.last}", flush=True)
                office.hang_up(0.5)
            office.hang_up(1)
            office.rest()
        except BaseException:
            print(site.account(), file=sys.stderr)
            site.server.process.kill()
            raise
        site.stop()
    done = ", ".join(f"{name} {count}" for name, count in sorted(office.done.items()))
    print(f"done: {done}")
    print(f"ends of calls that went on: {office.survived}; that were lost: {office.lost}")
    print(f"hung up by one side, and ended on both: {office.ended}")
    print(
        f"until lamps were compared and right: median {statistics.median(office.settled_after):.2f} s", end=""
    )
    print(f", longest {max(office.settled_after):.2f} s")


if __name__ == "__main__":
    main()
