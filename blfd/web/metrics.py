"""Prometheus metrics: what the server says of itself over its control socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from blfd.control import ControlClient, ControlError, NotRunning

GAUGES = {
    "uptime": ("uptime_seconds", "Since the server's start."),
    "tenants": ("tenants", "SIP domains."),
    "extensions": ("extensions", "Accounts."),
    "registrations": ("registered_extensions", "Extensions with a phone."),
    "bindings": ("bindings", "Registered phones."),
    "calls": ("calls", "Calls that ring or are up."),
    "legs": ("legs", "Dialogs of calls in the SIP stack."),
    "connections": ("connections", "TCP connections that are open, of phones and to them."),
    "waiting": ("waiting_requests", "SUBSCRIBEs that wait their turn."),
    "restarts": ("restarts", "How often the supervisor has started the server again."),
    "trunks": ("trunks", "Lines to the outside."),
    "trunks_out_of_order": ("trunks_out_of_order", "Of these, not registered that should be, or down."),
    "upstreams": ("upstreams", "PBXs whose lamps are shown."),
    "upstreams_out_of_order": ("upstreams_out_of_order", "Of these, that do not tell of all their lamps."),
    "upstream_lamps": ("upstream_lamps", "Lamps that they are asked for."),
    "unknown_lamps": ("unknown_lamps", "Of these, not known, which is shown as idle."),
    "stuck": ("stuck_lamps", "Calls that ring for longer than the no-answer timeout allows."),
    "unsaved": ("unsaved_changes", "Of registrations, subscriptions and calls: not on the disk yet."),
}
COUNTERS = {
    "requests": ("requests", "Requests received."),
    "malformed": ("malformed_messages", "Messages that were no sound SIP."),
    "sent_away": ("sent_away_requests", "Requests that got 503."),
    "strangers_ignored": (
        "strangers_ignored",
        "Calls of strangers that got no answer.",
    ),
    "undelivered": ("undelivered_responses", "Responses whose connection had ended, with no other way."),
    "stray_notifies": ("stray_notifies", "NOTIFYs that nobody has asked for: answered 481."),
    "dropped": ("dropped_datagrams", "Datagrams that the kernel had no room for."),
    "overdue": ("overdue_waits", "What a phone or the SIP stack owed and never brought; its call was ended."),
    "silent": ("silent_subscriptions", "Subscriptions dropped because the phone did not answer."),
}


class Server(Collector):
    """What the server says of itself, as metrics; where it does not answer, `blfd_up` alone, which is 0."""

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
    """The histogram of the latency; each bucket of Prometheus also counts what is in the smaller ones."""
    total, buckets = 0, []
    for bound, count in zip([*found["bounds"], "+Inf"], found["counts"], strict=True):
        total += count
        buckets.append((str(bound), total))
    text = "From what changes a lamp until its NOTIFY leaves."
    return HistogramMetricFamily(
        "blfd_change_to_notify_seconds", text, buckets=buckets, sum_value=found["sum"]
    )


def health_of(client: ControlClient) -> Route:
    """`/healthz`, for load balancers and containers: 200 if the SIP server answers, or else 503."""

    def healthz(request: Request) -> Response:
        try:
            client.call("place")
        except (NotRunning, ControlError):
            return PlainTextResponse("no SIP server answers\n", 503)
        return PlainTextResponse("ok\n")

    return Route("/healthz", healthz)


def application(client: ControlClient) -> Starlette:
    """Serves `/metrics` and `/healthz`; the server is asked each time."""
    registry = CollectorRegistry()
    registry.register(Server(client))

    def scrape(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", scrape), health_of(client)])
