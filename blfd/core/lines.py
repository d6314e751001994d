"""Why a trunk or an upstream is as it is: what was tried last, when it is tried again, and what to do."""

from __future__ import annotations

from typing import Any

from blfd.core.advice import command
from blfd.core.core import Core
from blfd.core.trunk import RESERVED, Trunk
from blfd.core.trunks import report as of_trunks
from blfd.core.upstreams import report as of_upstreams
from blfd.core.upstreams.upstream import Upstream
from blfd.core.values import Aor

UPSTREAM = "upstream+"
"""Before the name of an upstream, as `trunk+` before that of a trunk."""

Row = dict[str, Any]


def is_line(name: str) -> bool:
    """Whether a name is that of a trunk or of an upstream, and no extension's."""
    return name.startswith((RESERVED, UPSTREAM))


def explain(core: Core, tenant: str, name: str, now: float) -> Row | None:
    """Why `trunk+NAME` or `upstream+NAME` is as it is; None where there is none. Times are seconds from now.

    `server` and `error` say what was tried last and what came of it, `failures` how often in a row it failed.
    """
    kind, _, of = name.partition("+")
    lines = core.directory.trunks if kind == "trunk" else core.directory.upstreams
    line = next((one for one in lines if (one.tenant, one.name) == (tenant, of)), None)
    if isinstance(line, Trunk):
        return _trunk(core, line, now)
    return None if line is None else _upstream(core, line, now)


def _trunk(core: Core, trunk: Trunk, now: float) -> Row:
    row = of_trunks.row(core, trunk, now)
    one, at = core.registrations.of(trunk), core.registrations.next_at(trunk)
    lamp = core.dialogs.lamp(Aor(trunk.tenant, trunk.resource))
    return {
        "kind": "trunk",
        "name": trunk.name,
        "tenant": trunk.tenant,
        "lamp": lamp.value,
        "state": row["state"],
        "usable": row["usable"],
        "calls": row["calls"],
        "server": row["server"] or ", ".join(trunk.servers),
        "error": row["error"],
        "failures": one.failures if one else 0,
        "next": None if at is None else max(0, round(at - now)),
        "advice": _advice_of_trunk(core, trunk, row),
    }


def _advice_of_trunk(core: Core, trunk: Trunk, row: Row) -> str:
    """What to do about a trunk; "" where there is nothing."""
    change = ("trunk", "set", trunk.name)
    if not trunk.enabled:
        return f"{command(trunk.tenant, *change, '--enabled', 'on')} uses it"
    if row["usable"] or core.requests.is_draining:
        return ""
    if trunk.is_peer:
        sets = command(trunk.tenant, *change, "--password")
        return f"have it register here as {trunk.username} with its password, which {sets} sets anew"
    if row["state"] == of_trunks.HERE:
        return f"{command(trunk.tenant, *change, '--server')} says where the carrier is"
    return _advice(trunk, "trunk", row)


def _upstream(core: Core, upstream: Upstream, now: float) -> Row:
    row = of_upstreams.row(core, upstream)
    watches = {watch.number: watch for _, watch in core.upstreams.watches(upstream)}
    wrong = [watch for watch in watches.values() if not watch.is_subscribed]
    times = [at for one in wrong if (at := core.upstreams.next_at(one)) is not None]
    asked = next((watch.flow for watch in (*wrong, *watches.values()) if watch.flow), None)
    return {
        "kind": "upstream",
        "name": upstream.name,
        "tenant": upstream.tenant,
        "lamp": "",
        "state": row["state"],
        "usable": row["usable"],
        "calls": 0,
        "server": str(asked) if asked else ", ".join(upstream.servers),
        "error": row["error"],
        "failures": max((watch.failures for watch in wrong), default=0),
        "next": max(0, round(min(times) - now)) if times else None,
        "advice": _advice_of_upstream(upstream, row),
    }


def _advice_of_upstream(upstream: Upstream, row: Row) -> str:
    change = ("upstream", "set", upstream.name)
    if not upstream.enabled:
        return f"{command(upstream.tenant, *change, '--enabled', 'on')} uses it"
    if row["usable"]:
        return ""
    if not row["lamps"]:
        return f"{command(upstream.tenant, *change, '--extensions')} says whose lamps it knows"
    return _advice(upstream, "upstream", row)


def _advice(line: Trunk | Upstream, kind: str, row: Row) -> str:
    """What to do about a server that is not reached, or refuses."""
    shows = command(line.tenant, kind, "show", line.name)
    servers = ", ".join(line.servers)
    if row["state"].startswith("no way"):
        return f"see whether {servers} is found by DNS, and whether the server listens for {line.transport}"
    if row["error"] and row["up"] is not False:
        return f"look at what is set, by {shows}, and ask whose server it is what it has against it"
    return f"see whether {servers} runs, and whether a firewall lets {line.transport} through; {shows}"
