"""Prometheus metrics, served by a process of its own so that no scrape holds up a NOTIFY.

`python -m blfd.metrics DATABASE HOST PORT` asks the running server over its control socket at each scrape. It
ends when its standard input does, which is the server's to hold open.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from blfd.control import ControlClient, ControlError, NotRunning, socket_path

GAUGES = {
    "uptime": ("uptime_seconds", "Since the server's start."),
    "tenants": ("tenants", "SIP domains."),
    "extensions": ("extensions", "Accounts."),
    "registrations": ("registered_extensions", "Extensions with a phone."),
    "bindings": ("bindings", "Registered phones."),
    "calls": ("calls", "Calls that ring or are up."),
    "legs": ("legs", "Dialogs of calls in the SIP stack."),
    "waiting": ("waiting_requests", "SUBSCRIBEs that wait their turn."),
    "restarts": ("restarts", "How often the supervisor has started the server again."),
    "stuck": ("stuck_lamps", "Calls that ring for longer than the no-answer timeout allows."),
}
COUNTERS = {
    "requests": ("requests", "Requests received."),
    "malformed": ("malformed_messages", "Messages that were no sound SIP."),
    "sent_away": ("sent_away_requests", "Requests that got 503."),
    "dropped": ("dropped_datagrams", "Datagrams that the kernel had no room for."),
    "silent": ("silent_subscriptions", "Subscriptions dropped because the phone did not answer."),
}


class Server(Collector):
    """What the server says of itself, as metrics; `blfd_up` is 0 and alone where it does not answer."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def collect(self) -> Iterator[Metric]:
        try:
            found = self._client.call("metrics")
        except (NotRunning, ControlError, OSError):
            yield GaugeMetricFamily("blfd_up", "Whether the server answers.", 0)
            return
        yield GaugeMetricFamily("blfd_up", "Whether the server answers.", 1)
        for key, (name, text) in GAUGES.items():
            yield GaugeMetricFamily(f"blfd_{name}", text, found[key])
        for key, (name, text) in COUNTERS.items():
            yield CounterMetricFamily(f"blfd_{name}", text, found[key])
        yield from _labelled(found)
        yield _latency(found["latency"])


def _labelled(found: dict[str, Any]) -> Iterator[Metric]:
    subscriptions = GaugeMetricFamily("blfd_subscriptions", "By what the watcher knows.", labels=["state"])
    for state, count in found["phases"].items():
        subscriptions.add_metric([state], count)
    notifies = CounterMetricFamily("blfd_notifies", "NOTIFYs, by what became of them.", labels=["event"])
    for event, count in found["notifies"].items():
        notifies.add_metric([event], count)
    pickups = CounterMetricFamily("blfd_pickups", "Attempts to pick up.", labels=["way", "status"])
    for way, status, count in found["pickups"]:
        pickups.add_metric([way, str(status)], count)
    yield from (subscriptions, notifies, pickups)


def _latency(found: dict[str, Any]) -> Metric:
    """Prometheus wants each bucket with all that are below it."""
    total, buckets = 0, []
    for bound, count in zip([*found["bounds"], "+Inf"], found["counts"], strict=True):
        total += count
        buckets.append((str(bound), total))
    text = "From what changes a lamp until its NOTIFY leaves."
    return HistogramMetricFamily(
        "blfd_change_to_notify_seconds", text, buckets=buckets, sum_value=found["sum"]
    )


def main(database: str, host: str, port: str) -> None:
    registry = CollectorRegistry()
    registry.register(Server(ControlClient(socket_path(Path(database)))))
    try:
        start_http_server(int(port), host, registry)
    except OSError as error:
        print(f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another with --metrics")
        sys.exit(1)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
