"""Changes told as people tell them: "added 105 and 106 to group sales"."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from blfd.operations.loss import counted, some_of
from blfd.store.audit import Change, in_order
from provisioning import ProvisioningError, normal_mac, written_mac

NOUNS = {"device": "phone", "admin": "administrator", "token": "API token", "route": "the route for"}
VERBS = {"add": "added", "change": "changed", "remove": "removed", "import": "imported", "many": "changed"}
MOST = 6  # names
OF_GROUP = {"both": "", "pickers": "who picks up in ", "targets": "whose calls are picked up in "}


def sentence(change: Change) -> str:
    """What was done, without who has done it."""
    kind, _, verb = change.operation.partition(".")
    before, after = change.before or {}, change.after or {}
    named = f"{NOUNS.get(kind, kind)} {_mac(change.subject) if kind == 'device' else change.subject}"
    match kind, verb:
        case "group", "change" if before and after:
            return _members(str(after.get("name", change.subject)), before, after)
        case "group", "add":
            members = {*after.get("pickers", ()), *after.get("targets", ())}
            return f"added group {change.subject} with {_names(members)}"
        case (("extension" | "device"), ("import" | "many")):
            return _many("extension" if kind == "extension" else "phone", verb, change)
        case "extension", "renumber":
            return f"gave {named} the number {after.get('extension')}"
        case "device", "secrets":
            return f"looked at the passwords of {named}"
        case "device", "renew":
            return f"gave {named} other passwords and another address for its files"
        case "device", "renew_many":
            total = sum((change.counts or {}).values()) or len(before)
            phones = f"{counted(total, 'phone')} ({_names(before, total)})"
            return f"gave {phones} other passwords and other addresses for their files"
        case "setting", "many":
            those = {_mac(mac) for mac in {**before, **after} if before.get(mac) != after.get(mac)}
            verb = "set" if after else "took back"
            counts = change.counts or {}
            total = sum(counts.values()) - counts.get("unchanged", 0) or len(those)
            return f"{verb} {change.subject} for {counted(total, 'phone')} ({_names(those, total)})"
        case "setting", ("set" | "unset"):
            return _setting(change.subject, verb, before, after)
        case "template", ("set" | "unset"):
            return f"{'set' if verb == 'set' else 'took back'} the template of {change.subject}"
        case "admin", "password":
            return f"gave {named} a new password"
    fields = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    told = f": {_names(each.replace('_', ' ') for each in fields)}" if verb == "change" and fields else ""
    return f"{VERBS.get(verb, verb)} {named}{told}"


def _members(group: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """Who came and who went; a side is named where the two are not changed alike."""
    said = list[str]()
    if before.get("name") != after.get("name"):
        said.append(f"renamed group {before.get('name')} to {after.get('name')}")
    for verb, preposition, old, new in (("added", "to", before, after), ("removed", "from", after, before)):
        sides = {side: set(new.get(side, ())) - set(old.get(side, ())) for side in ("pickers", "targets")}
        if sides["pickers"] == sides["targets"]:
            sides = {"both": sides["pickers"]}
        for side, members in sides.items():
            if members:
                said.append(f"{verb} {_names(members)} {preposition} {OF_GROUP[side]}group {group}")
    return ", ".join(said) or f"saved group {group} as it was"


def _many(noun: str, verb: str, change: Change) -> str:
    before, after, counts = change.before or {}, change.after or {}, change.counts or {}
    added, gone = after.keys() - before.keys(), before.keys() - after.keys()
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    said = list[str]()
    for kind, those in (("added", added), ("removed", gone), ("changed", changed)):
        total = counts.get(kind, len(those))
        said += [f"{kind} {counted(total, noun)} ({_names(those, total)})"] if those else []
    return f"{', '.join(said) or f'changed no {noun}'}{' from a file' if verb == 'import' else ''}"


def _setting(scope: str, verb: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    whom = "all phones" if scope == "*" else _mac(scope)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)] or [*before, *after]
    if verb == "unset":
        return f"took {_names(names)} back for {whom}"
    values = "; ".join(f"{name} to {after[name]}" for name in names[:MOST] if after.get(name) is not None)
    out = _names(name for name in names if after.get(name) is None)
    return f"set {values} for {whom}" if values else f"left {out} out for {whom}"


def _mac(text: str) -> str:
    """A MAC as it is written everywhere, however it was typed; what is no MAC stays as it is."""
    with suppress(ProvisioningError):
        return written_mac(normal_mac(text))
    return text


def _names(names: Iterable[str], of: int = 0) -> str:
    """The first of the names; `of` is how many there are where not all of them are here."""
    found = in_order(names)
    if 1 < max(of, len(found)) <= MOST:
        return f"{', '.join(found[:-1])} and {found[-1]}"
    return some_of(found, MOST, of) if found else "nobody"
