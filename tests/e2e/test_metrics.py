"""Prometheus metrics of a server that has worked, read with the official parser."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import web_processes
from pickups import Office, hang_up
from ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from sites import Site
from wire import DEADLINE

DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"


def scrape(port: int) -> dict[str, float]:
    """The samples that the server serves, by name and labels."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE).read().decode()
    return {
        sample.name
        + "".join(f"{{{label}={value}}}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_has_happened_is_counted(own_site: Callable[..., Site]) -> None:
    port = free_port()
    site = own_site("--metrics", f"127.0.0.1:{port}")
    office = Office(site, "udp")
    ringing, _ = office.ring_watched()
    hang_up(*ringing.picked_up(office.pick()))
    assert office.pick("*97999").refused().status == 404
    office.watcher.notify("terminated")
    site.wait_no_call()
    site.wait_watched("102")
    healthy = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE)
    assert (healthy.status, healthy.read()) == (200, b"ok\n")
    found = scrape(port)
    assert found["blfd_up"] == 1
    assert found["blfd_registered_extensions"] == 5
    assert found["blfd_subscriptions{state=told}"] == 1
    assert found["blfd_notifies_total{event=sent}"] == 3
    assert found["blfd_pickups_total{status=200}{way=directed}"] == 1
    assert found["blfd_pickups_total{status=404}{way=directed}"] == 1
    zero = ("calls", "stuck_lamps", "overdue_waits_total", "dropped_datagrams_total")
    assert [found[f"blfd_{name}"] for name in zero] == [0, 0, 0, 0]
    assert found["blfd_change_to_notify_seconds_count"] == 3
    assert found["blfd_change_to_notify_seconds_bucket{le=+Inf}"] == 3
    assert 0 < found["blfd_change_to_notify_seconds_sum"] < DEADLINE
    documented = set(re.findall(r"blfd_[a-z_]+", DOCS.read_text()))
    names = {re.sub(r"_(bucket|sum|count|created)$", "", name.partition("{")[0]) for name in found}
    assert names == documented


def test_a_taken_port_is_refused(own_site: Callable[..., Site]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Exception, match=f"cannot serve metrics on {re.escape(address)}: .*--metrics"):
            own_site("--metrics", address)


def test_it_is_started_again_and_ends_with_the_server(own_site: Callable[..., Site]) -> None:
    port = free_port()
    site = own_site("--metrics", f"127.0.0.1:{port}")
    (first,) = web_processes(site.server.process.pid)
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + DEADLINE
    while True:
        try:
            assert scrape(port)["blfd_up"] == 1
            break
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < until
            time.sleep(0.1)
    assert "blfd.web ended (-9); it is started again" in site.server.log.read_text()
    site.kill()
    while True:
        try:
            scrape(port)
        except (urllib.error.URLError, ConnectionError):
            break
        assert time.monotonic() < until
        time.sleep(0.1)
    site.start()
