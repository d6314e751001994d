"""What the running server knows of its troubles, its phones, and of those that it asks or hears."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blfd.control import ControlClient
from blfd.core import phones_seen
from blfd.core.advice import command
from blfd.core.directory import Directory
from blfd.core.phones_seen import Seen
from blfd.doctor.finding import Finding, some
from blfd.doctor.machine import addresses


def server(status: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("ok", f"server {status['version']} runs on {', '.join(status['listen'])}")
    yield from addresses(status["listen"])
    yield from _troubles(status)


def phones(client: ControlClient, tenant: str) -> Iterator[Finding]:
    for row in client.call("unknown", tenant=tenant):
        what = f"{row['watcher']} has a key for {row['wanted']}, which does not exist"
        add = command(tenant, "extension", "add", row["wanted"])
        yield Finding("warning", what, f"fix the key, or add it: {add}")
    seen = phones_seen.read(client.call("phones", tenant=tenant))
    yield from _unsubscribed(seen)
    yield from _apart(seen.registered)


def _apart(registrations: list[dict[str, Any]]) -> Iterator[Finding]:
    """Extensions whose phones have come over one address family alone, and those over the other alone."""
    over = {
        is_ipv6: {row["extension"] for row in registrations if ("[" in row["source"]) is is_ipv6}
        for is_ipv6 in (False, True)
    }
    ipv4, ipv6 = over[False] - over[True], over[True] - over[False]
    if ipv4 and ipv6:
        what = f"{some(ipv4)} registered over IPv4 alone, {some(ipv6)} over IPv6 alone"
        advice = (
            "calls between them fail (488) unless these phones have both: give them both, or all the same"
        )
        yield Finding("warning", what, advice)


def trunks(client: ControlClient, tenant: str, directory: Directory) -> Iterator[Finding]:
    """Lines to the outside that do not serve, and why; emergency calls that go by none that does."""
    rows = client.call("trunks", tenant=tenant)
    yield from _emergencies(directory, tenant, rows)
    yield from _usable(tenant, "trunk", "server", rows)


def upstreams(client: ControlClient, tenant: str) -> Iterator[Finding]:
    """PBXs that do not tell of all their lamps, and why; extensions that none of them knows."""
    yield from _usable(tenant, "upstream", "PBX", client.call("upstreams", tenant=tenant))


def _usable(tenant: str, kind: str, what_it_is: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Whether each trunk or upstream is of use, and what to look at where it is not."""
    for row in rows:
        what = f"{kind} {row['name']}: {row['state']}"
        if row["usable"]:
            yield Finding("ok", what)
        else:
            advice = f"look at {command(tenant, kind, 'show', row['name'])}, and ask whose {what_it_is} it is"
            yield Finding("fault", what, advice)


def publishers(client: ControlClient, tenant: str) -> Iterator[Finding]:
    """Servers that publish lamps and are refused, so that these show nothing."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in client.call("refused publishers", tenant=tenant):
        found.setdefault((row["source"], row["status"]), {})[row["extension"]] = row["reason"]
    for (source, status), reasons in found.items():
        why = f"{status} {next(iter(reasons.values()))}"
        what = f"{source} publishes {some(set(reasons))} and is refused: {why}"
        yield Finding("fault", what, _publishing(tenant, min(reasons), status))


def _publishing(tenant: str, extension: str, status: int) -> str:
    """What is to be done about who publishes the lamp of an extension and is refused."""
    lets = command(tenant, "extension", "set", "NAME", "--publish", "on")
    if status == 401:
        return f"trust it (--trust of 'blfd run'), or give it an account, which {lets} lets publish"
    if status == 403:
        takes = command(tenant, "extension", "set", extension, "--owner", "published")
        return f"{takes} takes it; {lets} lets an account publish all"
    if status == 489:
        return "only 'Event: dialog' is published here"
    return f"{command(tenant, 'publications')} shows what is taken"


def _emergencies(directory: Directory, tenant: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Emergency numbers whose trunks are all out of order."""
    usable = {row["name"] for row in rows if row["usable"]}
    for route in directory.routes:
        if route.tenant == tenant and route.emergency and not usable & set(route.trunks):
            what = f"emergency calls to {route.pattern} reach nobody: {', '.join(route.trunks)} out of order"
            yield Finding("fault", what, "mend one of these, or give the route another trunk")


def _troubles(status: dict[str, Any]) -> Iterator[Finding]:
    """What the server has counted that should be zero."""
    for key, what, advice in (
        (
            "dropped",
            "datagrams were dropped for want of room",
            "raise net.core.rmem_max, start the server anew",
        ),
        (
            "stuck",
            "calls ring longer than they may: their lamps lie",
            "start the server anew, and report this",
        ),
        (
            "overdue",
            "times something that had to come never did, and its call was ended",
            "the log says which ('given up'); report this",
        ),
        ("restarts", "times the server has died and was started again", "its log says when; report this"),
    ):
        if status[key]:
            yield Finding("warning", f"{status[key]} {what}", advice)


def _unsubscribed(seen: Seen) -> Iterator[Finding]:
    silent = {row["extension"] for row in seen.registered} - {row["watcher"] for row in seen.watching}
    if silent:
        does, whose = ("is registered and watches", "its phone")
        if len(silent) > 1:
            does, whose = "are registered and watch", "their phones"
        advice = f"give {whose} BLF keys, if there should be lamps"
        yield Finding("warning", f"{some(silent)} {does} no lamp", advice)
