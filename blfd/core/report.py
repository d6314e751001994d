"""What the running server says of itself, as plain dictionaries for the control socket."""

from __future__ import annotations

from typing import Any

from blfd.core.call import Call
from blfd.core.core import Core
from blfd.core.dialogs import Lamp, WatchedDialog
from blfd.core.values import Aor

Row = dict[str, Any]


def registrations(core: Core, tenant: str, now: float) -> list[Row]:
    """One row a binding; `expires` in seconds from now."""
    return [
        {
            "extension": binding.aor.extension,
            "tenant": binding.aor.tenant,
            "contact": binding.contact,
            "source": str(binding.flow),
            "expires": max(0, round(binding.expires_at - now)),
            "q": binding.q,
            "user_agent": binding.user_agent,
        }
        for binding in core.registrar.all_bindings(now)
        if binding.aor.tenant == tenant
    ]


def lamps(core: Core, tenant: str, now: float) -> list[Row]:
    """One row an extension, in the order of their names."""
    return [_lamp(core, aor, now) for aor in sorted(core.directory.extensions) if aor.tenant == tenant]


def _lamp(core: Core, aor: Aor, now: float) -> Row:
    lamp = core.dialogs.lamp(aor)
    if lamp is Lamp.IDLE and not core.registrar.registered(aor, now):
        lamp = Lamp.NOT_REGISTERED
    return {
        "extension": aor.extension,
        "tenant": aor.tenant,
        "name": core.directory.extensions[aor].name,
        "lamp": lamp.value,
        "dialogs": [_dialog(dialog, now) for dialog in core.dialogs.of(aor)],
        "watchers": core.notifier.watchers(aor),
    }


def _dialog(dialog: WatchedDialog, now: float) -> Row:
    return {
        "id": dialog.id,
        "state": dialog.state.value,
        "direction": dialog.direction.value,
        "call_id": dialog.call_id,
        "local_tag": dialog.local_tag,
        "remote_tag": dialog.remote_tag,
        "remote": dialog.remote,
        "remote_name": dialog.remote_name,
        "held": dialog.held,
        "since": round(now - dialog.since, 1),
    }


def watchers(core: Core, tenant: str, now: float) -> list[Row]:
    """One row a subscription; `version` and `cseq` are those of the last NOTIFY."""
    return [
        {
            "watcher": subscription.watcher.extension,
            "tenant": subscription.watcher.tenant,
            "resource": subscription.resource.extension,
            "target": subscription.request_uri,
            "source": str(subscription.flow),
            "expires": max(0, round(subscription.expires_at - now)),
            "version": subscription.version - 1,
            "cseq": subscription.cseq - 1,
            "state": subscription.phase.name.lower(),
            "user_agent": subscription.user_agent,
        }
        for subscription in core.notifier
        if subscription.watcher.tenant == tenant
    ]


def calls(core: Core, tenant: str, now: float) -> list[Row]:
    return [_call(call, now) for call in core.calls if call.caller.aor.tenant == tenant]


def _call(call: Call, now: float) -> Row:
    caller = {
        "extension": call.caller.aor.extension,
        "role": "caller",
        "state": call.state.name.lower(),
        "contact": "",
        "call_id": call.call_id,
    }
    callees = [
        {
            "extension": call.callee.aor.extension,
            "role": "callee",
            "state": "answered" if branch.leg == call.answered_leg else "ringing",
            "contact": branch.contact,
            "call_id": branch.dialog_id,
        }
        for branch in call.branches.values()
    ]
    return {
        "id": call.caller_leg,
        "tenant": call.caller.aor.tenant,
        "caller": call.caller.aor.extension,
        "callee": call.callee.aor.extension,
        "state": call.state.name.lower(),
        "since": round(now - call.started_at, 1),
        "legs": [caller, *callees],
    }


def totals(core: Core, now: float) -> Row:
    """The numbers of `blfd status` that the core knows."""
    bindings = list(core.registrar.all_bindings(now))
    return {
        "tenants": len(core.directory.tenants),
        "extensions": len(core.directory.extensions),
        "registrations": len({binding.aor for binding in bindings}),
        "bindings": len(bindings),
        "subscriptions": len(core.notifier),
        "calls": len(core.calls),
    }
