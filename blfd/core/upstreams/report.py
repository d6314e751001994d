"""What the running server says of upstreams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blfd.core.core import Core
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watch import Watch
from blfd.core.values import Aor

Row = dict[str, Any]


def upstreams(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """One row an upstream: how it is, in words too; `lamps` are those that it is asked for."""
    for upstream in core.directory.upstreams:
        if upstream.tenant == tenant:
            yield row(core, upstream)


def row(core: Core, upstream: Upstream) -> Row:
    watches = list(core.upstreams.watches(upstream))
    known = sum(watch.lamps[aor].is_known for aor, watch in watches)
    errors = [(watch.lamps[aor].is_known, _error(watch, aor)) for aor, watch in watches]
    error = next((error for _, error in sorted(errors) if error), "")
    is_up = core.looks.is_up(upstream)
    usable = not upstream.enabled
    if not upstream.enabled:
        state = "off"
    elif not core.trunks.servers(upstream):
        state = "no way: no listener of its transport, or its name is not found"
    elif core.upstreams.is_silent(upstream) or is_up is False:
        state = "down: no answer"
    elif not watches:
        state = "no extension here is of its --extensions"
    elif known < len(watches):
        state = f"{len(watches) - known} of {len(watches)} lamps are unknown{f': {error}' if error else ''}"
    else:
        state, usable = "all its lamps are known", True
    return {
        "name": upstream.name,
        "tenant": upstream.tenant,
        "state": state,
        "usable": usable,
        "lamps": len(watches),
        "known": known,
        "subscribed": sum(watch.is_subscribed for _, watch in watches),
        "error": error,
        "up": is_up,
    }


def upstream_lamps(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """One row an extension that an upstream is asked for."""
    for upstream in core.directory.upstreams:
        if upstream.tenant == tenant:
            for aor, watch in core.upstreams.watches(upstream):
                yield lamp(aor, watch, now)


def _error(watch: Watch, aor: Aor) -> str:
    return watch.said or watch.lamps[aor].said


def lamp(aor: Aor, watch: Watch, now: float) -> Row:
    """Who knows a lamp, what it said last, and how long that holds; seconds ago and from now.

    `dialog` is the Call-ID of our subscription, and `told` whether the PBX has told anything in it.
    """
    known = watch.lamps[aor]
    return {
        "upstream": watch.upstream.name,
        "extension": aor.extension,
        "tenant": aor.tenant,
        "server": str(watch.flow) if watch.flow else "",
        "state": watch.state.name.lower(),
        "dialog": watch.call_id,
        "known": known.is_known,
        "told": watch.is_told,
        "told_ago": round(now - known.told_at, 1) if known.told_at else None,
        "expires": max(0, round(watch.until - now)) if watch.is_subscribed else None,
        "dialogs": sum(len(document.dialogs) for document in known.documents.values()),
        "error": _error(watch, aor),
    }
