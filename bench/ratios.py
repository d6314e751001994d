"""Ratios of a figure of blfd to a peer's, or to another one of its own, in the same run."""

from report import Ratio


def ratios(storm: int, audiences: tuple[int, ...], restart: int) -> list[Ratio]:
    """The ratios, for `storm` SUBSCRIBEs at once, `audiences` of one change, and `restart` subscriptions."""
    peer = "Kamailio"
    cpu, at_once = "SUBSCRIBE, 2,500/s: CPU-s per 1,000", f"{storm:,} SUBSCRIBEs at once"
    held = "SUBSCRIBEs a second without a retransmission"
    busy = "pickup, 200 calls ringing, 5,000 subscriptions"
    fanout = f"one change to {audiences[0]:,}: CPU-s per 1,000 NOTIFYs"
    calls = "100 calls/s: CPU-s per 1,000"
    trunk = "100 calls/s by a trunk: CPU-s per 1,000"
    publishes = "1,000 PUBLISHes/s: CPU-s per 1,000"
    lamps = f"kill -9 with {restart:,} subscriptions: all lamps right, best ms"
    goals = {1000: 0.11, 5000: 0.05}
    return [
        Ratio("SUBSCRIBE with NOTIFY, 2,500/s: CPU", cpu, cpu, peer, 0.35),
        Ratio("the rate that is held without a retransmission", held, held, peer, 1.5, at_least=True),
        Ratio(
            "with digest, of trusted: CPU",
            cpu.replace("SUBSCRIBE", "SUBSCRIBE with digest"),
            cpu,
            "blfd",
            1.6,
        ),
        Ratio(f"{at_once}: time", f"{at_once}: all are up, s", f"{at_once}: all are up, s", peer, 0.45),
        Ratio(f"{at_once}: CPU", f"{at_once}: CPU-s", f"{at_once}: CPU-s", peer, None),
        Ratio("NOTIFY of a change: CPU", fanout, fanout, peer, 0.10),
        *(
            Ratio(f"one change: the last of {count:,}", figure, figure, peer, goals.get(count))
            for count in audiences
            for figure in [f"one change to {count:,}: last has it, median ms"]
        ),
        Ratio("a call: CPU (Kamailio is a proxy)", calls, calls, peer, 0.60),
        Ratio("a call by a trunk: CPU (Kamailio is a proxy)", trunk, trunk, peer, None),
        Ratio("a PUBLISH with its NOTIFY: CPU", publishes, publishes, peer, None),
        Ratio(f"kill -9 to the last of {restart:,} lamps, of before", lamps, lamps, "before", 0.5),
        Ratio(
            "pickup among many, p99, of OPTIONS there",
            f"{busy}: INVITE to 200, p99 ms",
            f"{busy}: OPTIONS to 200, p99 ms",
            "blfd",
            3.0,
        ),
    ]
