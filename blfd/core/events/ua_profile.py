"""Plug and play: a new phone asks by multicast where its files are (RFC 6080, as desk phones do it)."""

from __future__ import annotations

from blfd.core.advice import command
from blfd.core.effects import Effect, FindProfile, Ignore, Level, Log, Notify, Reply
from blfd.core.inputs import ProfileFound
from blfd.core.macs import mac_in
from blfd.core.messages import ProfileWanted
from blfd.core.values import DialogId, NameAddr, SubscriptionDialog
from blfd.core.visible import visible


def wanted(event: ProfileWanted) -> list[Effect]:
    """Look for the files of a phone by its MAC: some have it in the URIs, others in User-Agent only."""
    request = event.request
    sources = (request.target.user, request.from_.uri.user, request.to.uri.user, request.user_agent)
    mac = next(filter(None, map(mac_in, sources)), "")
    if not mac or not event.contact:
        return [Ignore(request.transaction)]
    return [FindProfile(event, mac)]


def found(event: ProfileFound, tag: str) -> list[Effect]:
    """The response and a NOTIFY, which is all that there is of the subscription; silence to unknown phones.

    `tag` becomes ours.
    """
    request = event.wanted.request
    if not event.url:
        ignore = Ignore(request.transaction)
        return [ignore] if event.url is None else [_not_told(event), ignore]
    dialog = SubscriptionDialog(
        DialogId(request.call_id, tag, request.from_.tag),
        NameAddr(request.to.uri.text),
        NameAddr(request.from_.uri.text),
        event.wanted.contact,
        (),
        event.wanted.event,
    )
    return [
        Log(Level.INFO, f"PnP: {_who(event)} is told where its files are"),
        Reply(request.transaction, 200, "OK", (("Expires", "0"),), tag, ""),
        Notify("", request.flow, dialog, 1, None, "timeout", "application/url", event.url.encode()),
    ]


def _not_told(event: ProfileFound) -> Log:
    """The log line of a silence: the address holds a secret, so it is told as long as nobody has used it, and
    no longer."""
    why = "has fetched its files before, so it is not told again where they are"
    advice = f"if it has lost its settings: {command(event.tenant, 'device', 'renew', event.mac)}"
    return Log(Level.INFO, f"PnP: {_who(event)} {why}; {advice}")


def _who(event: ProfileFound) -> str:
    request = event.wanted.request
    agent = f" ({visible(request.user_agent)})" if request.user_agent else ""
    return f"device {event.mac} at {request.flow}{agent}"
