"""What the running server says of itself, as plain dictionaries for the control socket.

What can be long comes as an iterator, which is read a slice at a time while the core works: SIP does not
wait for all rows, and they need not be of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from blfd.core.calls.call import Call
from blfd.core.core import Core
from blfd.core.directory import Owner
from blfd.core.events.dialog_state import Lamp, WatchedDialog
from blfd.core.events.subscription import Phase, Subscription
from blfd.core.party import State
from blfd.core.pickers import lamp_watchers, pickers
from blfd.core.publications.report import publication
from blfd.core.trunks.report import trunks
from blfd.core.upstreams.report import lamp as upstream_lamp
from blfd.core.upstreams.report import upstreams
from blfd.core.values import Aor, Binding

Row = dict[str, Any]

GRACE = 60.0  # seconds beyond its timer until a call counts as stuck


def registrations(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """A row for each binding; `expires` in seconds from now. Without `reachable`, it has to connect again."""
    return (_binding(core, one, now) for one in core.registrar.all_bindings(now) if one.aor.tenant == tenant)


def registrations_of(core: Core, now: float, aors: Iterable[Aor]) -> Iterator[Row]:
    """The rows of some extensions' bindings, as in `registrations`."""
    return (_binding(core, binding, now) for aor in aors for binding in core.registrar.bindings(aor, now))


def _binding(core: Core, binding: Binding, now: float) -> Row:
    return {
        "extension": binding.aor.extension,
        "tenant": binding.aor.tenant,
        "contact": binding.contact,
        "source": str(binding.flow),
        "reachable": core.registrar.is_reachable(binding),
        "expires": max(0, round(binding.expires_at - now)),
        "q": binding.q,
        "user_agent": binding.user_agent,
    }


def lamps(core: Core, now: float, aors: Iterable[Aor] | None = None) -> Iterator[Row]:
    """A row for each extension, of all or of `aors`; one that is gone meanwhile is left out."""
    for aor in sorted(core.directory.extensions) if aors is None else aors:
        if aor in core.directory.extensions:
            yield _lamp(core, aor, now)


def extensions_of(core: Core, tenant: str) -> list[Aor]:
    """The extensions of a tenant, in the order of their names."""
    return sorted(aor for aor in core.directory.extensions if aor.tenant == tenant)


def changes(core: Core, since: int | None, now: float) -> Row:
    """What has changed in all tenants after number `since`; `all`, with None or where that is too long ago.

    `number` is the `since` of the next time; `lamps` is an iterator.
    """
    known = core.changes.lamps_since(since) if since is not None else None
    attempts = core.changes.attempts_since(core.changes.number if since is None else since)
    return {
        "number": core.changes.number,
        "all": known is None,
        "lamps": lamps(core, now, known),
        "pickups": [attempt.row() for attempt in attempts],
    }


def _lamp(core: Core, aor: Aor, now: float) -> Row:
    lamp = core.dialogs.lamp(aor)
    owner = core.directory.owner(core.directory.extensions[aor])
    if lamp is Lamp.IDLE and owner is Owner.LOCAL and not core.registrar.registered(aor, now):
        lamp = Lamp.NOT_REGISTERED
    elif lamp is Lamp.IDLE and owner is Owner.UPSTREAM and not core.upstreams.is_known(aor):
        lamp = Lamp.UNKNOWN
    return {
        "extension": aor.extension,
        "tenant": aor.tenant,
        "name": core.directory.extensions[aor].name,
        "lamp": lamp.value,
        "dialogs": [_dialog(dialog, now) for dialog in core.dialogs.of(aor)],
        "watchers": len(lamp_watchers(core, aor)),
    }


def _dialog(dialog: WatchedDialog, now: float) -> Row:
    """A dialog as a row.

    `direction` is who calls whom, as people see it; in NOTIFYs it is who has sent the INVITE (RFC 4235).
    """
    remote, name = dialog.other
    return {
        "id": dialog.element_id,
        "lamp": dialog.lamp.value,
        "state": dialog.state.value,
        "direction": dialog.role.value if dialog.direction else "",
        "call_id": dialog.id.call_id,
        "local_tag": dialog.id.remote_tag,
        "remote_tag": dialog.id.local_tag,
        "remote": remote,
        "remote_name": name,
        "held": dialog.held,
        "since": round(now - dialog.since, 1),
    }


def explain(core: Core, aor: Aor, now: float) -> Row:
    """Why the lamp of an extension that exists shows what it shows; times are in seconds ago."""
    row = _lamp(core, aor, now)
    row["forwarded"] = core.directory.extensions[aor].forwarding.told
    row["phones"] = len(core.registrar.bindings(aor, now))
    row["owner"] = core.directory.owner(core.directory.extensions[aor]).value
    row["published"] = [publication(each, now) for each in core.compositor.of(aor)]
    row["upstream"] = upstream_lamp(aor, watch, now) if (watch := core.upstreams.of(aor)) else None
    row["why_idle"] = "it had none since the server started"
    if last := core.dialogs.last(aor):
        ago = f"{now - last.since:.0f} s ago{_why(core, last)}"
        row["why_idle"] = f"the last, with {last.other[0]}, ended {ago}"
    row["watchers"] = [_watcher(subscription, now) for subscription in lamp_watchers(core, aor)]
    row["pickers"], row["why_nobody"] = pickers(core, aor, now)
    return row


def _why(core: Core, dialog: WatchedDialog) -> str:
    """Why a dialog has ended, and who has the call, behind the sentence that says so."""
    call, taken = core.calls.numbered(dialog.call), ""
    if dialog.taken_by:
        has = f"{call.seated(dialog.role).user} has it now" if call else f"{dialog.taken_by} had it then"
        taken = f": {has}"
    return f" ({dialog.event.value}{taken})" if dialog.event else ""


def _watcher(subscription: Subscription, now: float) -> Row:
    failed = subscription.failures + subscription.losses
    confirmed = {
        Phase.TOLD: "yes",
        Phase.TELLING: "not yet",
        Phase.OUTDATED: "not yet, and there is news since",
        Phase.RETRYING: f"no, {failed} time(s); again in {max(0.0, subscription.retry_at - now):.0f} s",
        Phase.UNREACHABLE: "no: its phone closed the connection, and is told when it connects again",
    }
    return {
        "watcher": subscription.watcher.extension,
        "told": subscription.told or "nothing",
        "told_ago": round(now - subscription.told_at, 1),
        "confirmed": confirmed.get(subscription.phase, "it is leaving"),
        "may_pick_up": bool(subscription.view),
        "version": subscription.version - 1,
        "source": str(subscription.flow),
        "expires": max(0, round(subscription.expires_at - now)),
        "user_agent": subscription.user_agent,
    }


def watchers(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """A row for each subscription; `version` and `cseq` are those of its last NOTIFY."""
    for subscription in core.notifier.subscriptions:
        if subscription.watcher.tenant == tenant:
            yield {
                "watcher": subscription.watcher.extension,
                "tenant": subscription.watcher.tenant,
                "resource": subscription.resource.extension,
                "event": subscription.package.name,
                "target": subscription.dialog.target,
                "source": str(subscription.flow),
                "expires": max(0, round(subscription.expires_at - now)),
                "version": subscription.version - 1,
                "cseq": subscription.cseq - 1,
                "state": subscription.phase.name.lower(),
                "user_agent": subscription.user_agent,
            }


def calls(core: Core, tenant: str, now: float) -> list[Row]:
    """A row for each call of a tenant."""
    return [_call(call, now) for call in core.calls if call.caller.aor.tenant == tenant]


def _call(call: Call, now: float) -> Row:
    caller = {
        "extension": call.caller.user,
        "role": "caller",
        "state": call.state.name.lower(),
        "contact": "",
        "call_id": call.dialog.call_id,
    }
    callees = [
        {
            "extension": branch.party.user,
            "role": "callee",
            "state": "answered" if branch.leg == call.answered_leg else "ringing",
            "contact": branch.contact,
            "call_id": branch.dialog.call_id if branch.dialog else "",
        }
        for branch in call.branches.values()
    ]
    return {
        "id": call.number,
        "tenant": call.caller.aor.tenant,
        "caller": call.caller.user,
        "callee": call.callee.user,
        "state": call.state.name.lower(),
        "since": round(now - call.started_at, 1),
        "legs": [caller, *callees],
    }


def unknown(core: Core, tenant: str) -> list[Row]:
    """Keys that watch an extension which does not exist, the latest first."""
    found = reversed(core.notifier.requests.unknown)
    return [{"watcher": who.extension, "wanted": wanted} for who, wanted in found if who.tenant == tenant]


def phases(core: Core) -> dict[str, int]:
    """How many subscriptions there are in each phase."""
    counted = Counter(subscription.phase for subscription in core.notifier.subscriptions)
    return {phase.name.lower(): counted[phase] for phase in Phase if phase is not Phase.ENDED}


def stuck(core: Core, now: float) -> int:
    """How many calls ring although their time is over: a fault of ours, by which lamps lie."""
    ringing = (call for call in core.calls if call.state is State.RINGING)
    return sum(now > (call.rings_until or call.started_at) + GRACE for call in ringing)


def totals(core: Core, now: float) -> Row:
    """The numbers of `blfd status` that the core knows."""
    bindings = list(core.registrar.all_bindings(now))
    return {
        "tenants": len(core.directory.tenants),
        "extensions": len(core.directory.extensions),
        "registrations": len({binding.aor for binding in bindings}),
        "bindings": len(bindings),
        "subscriptions": len(core.notifier.subscriptions),
        "calls": len(core.calls),
        "publications": len(core.compositor),
        "upstreams": len(core.directory.upstreams),
        "upstreams_out_of_order": _out_of_order(core, upstreams, now),
        "upstream_lamps": len(core.upstreams),
        "unknown_lamps": core.upstreams.unknown,
        "stray_notifies": core.upstreams.hearing.strays,
        "trunks": len(core.trunks),
        "trunks_out_of_order": _out_of_order(core, trunks, now),
    }


def _out_of_order(core: Core, rows: Callable[[Core, str, float], Iterable[Row]], now: float) -> int:
    """How many servers of others, of all tenants, cannot be used."""
    return sum(not row["usable"] for tenant in core.directory.tenants for row in rows(core, tenant, now))
