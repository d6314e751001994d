"""The package `as-feature-event`: phones show and set do not disturb and forwarding of their own extension.

BroadWorks has made it ("Device Feature Key Synchronization"), and most makers' phones know it. A NOTIFY has
all rules, each in a part of its own; a SUBSCRIBE may carry one to set. Which device is named makes no
difference, as there: an extension has one set of rules for all its phones. What is set at the phone, by the
command line, the portal or a code is told to all of them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from blfd.core.directory import Directory, Forwarding, Rule, Tenant
from blfd.core.errors import Refusal
from blfd.core.events.documents import DialogPackage
from blfd.core.messages import SubscribeReceived
from blfd.core.values import Aor
from blfd.core.visible import visible
from dialog_info import DialogInfoError
from dialog_info.hardened import read, texts

NAME = "as-feature-event"
MEDIA_TYPE = "application/x-as-feature-event+xml"
NAMESPACE = "http://www.ecma-international.org/standards/ecma-323/csta/ed3"
BOUNDARY = "blfd-features"
FORWARDED = {"forwardImmediate": "always", "forwardBusy": "busy", "forwardNoAns": "no_answer"}
"""Forwarding's fields, by what the documents call them."""
RING = 6  # seconds from one ring to the next
MOST_RINGS = 50
LONGEST = 64  # letters of an extension
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class Features(NamedTuple):
    """A document, which has no version."""

    content: bytes
    told: str

    def body(self, version: int) -> bytes:
        return self.content


class FeaturePackage:
    """Rules as an event package: what a phone is told depends on its extension's rules alone, which are its
    view."""

    name = NAME
    content_type = f"multipart/mixed;boundary={BOUNDARY}"
    accepts = frozenset((MEDIA_TYPE, "multipart/mixed", "application/*", "*/*"))
    shows_dialogs = False

    def __init__(self) -> None:
        self._directory = Directory()

    def directory_changed(self, directory: Directory) -> None:
        self._directory = directory

    def check(self, watcher: Aor, resource: Aor) -> None:
        tenant = self._directory.tenants.get(resource.tenant) or Tenant(resource.tenant)
        if not tenant.feature_sync:
            left = (("Allow-Events", DialogPackage.name),)
            raise Refusal(489, f"Event {NAME} is switched off here", left)
        if watcher != resource:
            text = f"{watcher} asks what {resource} has set, which is for its own phones"
            raise Refusal(403, "Another extension's rules", log=text)

    def view(self, watcher: Aor, resource: Aor) -> Forwarding:
        extension = self._directory.extensions.get(resource)
        return extension.forwarding if extension else Forwarding()

    def changed(self, resource: Aor) -> None:
        """Nothing is rendered again, as no document is kept."""

    def document(self, resource: Aor, entity: str, view: Hashable) -> Features:
        assert isinstance(view, Forwarding)
        parts = [_dnd(resource.extension, view), *_forwards(resource.extension, view)]
        content = b"".join(_part(part.encode()) for part in parts) + f"--{BOUNDARY}--\r\n".encode()
        return Features(content, view.told or "nothing is set")

    def asked(self, subscribe: SubscribeReceived, watcher: Aor) -> tuple[Rule, ...]:
        """What a SUBSCRIBE is to set, if anything. Raises Refusal."""
        if subscribe.event != NAME or not subscribe.body:
            return ()
        if subscribe.content_type != MEDIA_TYPE:
            raise Refusal(415, f"Only {MEDIA_TYPE} sets anything", (("Accept", MEDIA_TYPE),))
        try:
            return wish(subscribe.body, self.view(watcher, watcher))
        except DialogInfoError as error:
            text = f"{watcher}: what its phone sets cannot be read: {visible(str(error), 200)}"
            raise Refusal(400, "What is to be set cannot be read", log=text) from None


def wish(body: bytes, known: Forwarding) -> tuple[Rule, ...]:
    """What a phone sets whose extension has the `known` rules. Raises DialogInfoError and Refusal."""
    root, said = texts(read(body))
    if root == "SetDoNotDisturb":
        return (Rule("dnd", _truth(said, "doNotDisturbOn")),)
    if root != "SetForwarding":
        raise Refusal(403, f"{visible(root)[:40]} is not served")
    field = FORWARDED.get(said.get("forwardingType", ""))
    if field is None:
        raise DialogInfoError("forwardingType is none of " + ", ".join(FORWARDED))
    if not _truth(said, "activateForward"):
        return (Rule(field, ""),)
    number = _number(said.get("forwardDN", "")) or getattr(known, field)
    if len(number) > LONGEST:
        raise DialogInfoError(f"forwardDN has more than {LONGEST} letters")
    if not number:
        raise Refusal(403, "Forwarded calls need an extension to go to")
    rings = said.get("ringCount", "")
    if field != "no_answer" or not rings:
        return (Rule(field, number),)
    if not (rings.isascii() and rings.isdecimal() and len(rings) < 4 and 1 <= int(rings) <= MOST_RINGS):
        raise DialogInfoError(f"ringCount is {rings[:20]!r}")
    after = known.after if int(rings) == _rings(known) else int(rings) * RING
    return Rule(field, number), Rule("after", after)


def _truth(said: dict[str, str], name: str) -> bool:
    found = TRUTHS.get(said.get(name, "").lower())
    if found is None:
        raise DialogInfoError(f"{name} is neither true nor false")
    return found


def _number(written: str) -> str:
    """The number in what is written as such, or as a sip: or tel: URI."""
    scheme, sign, rest = written.partition(":")
    text = rest if sign and scheme.lower() in ("sip", "sips", "tel") else written
    return text.partition("@")[0].partition(";")[0].strip()


def _rings(rules: Forwarding) -> int:
    return min(MOST_RINGS, max(1, round(rules.after / RING)))


def _dnd(extension: str, rules: Forwarding) -> str:
    return _event("DoNotDisturbEvent", device=extension, doNotDisturbOn=_word(rules.dnd))


def _forwards(extension: str, rules: Forwarding) -> list[str]:
    found = []
    for kind, field in FORWARDED.items():
        target = getattr(rules, field)
        said = {"forwardingType": kind, "forwardStatus": _word(bool(target)), "forwardTo": target}
        if field == "no_answer":
            said["ringCount"] = str(_rings(rules))
        found.append(_event("ForwardingEvent", device=extension, **said))
    return found


def _word(truth: bool) -> str:
    return "true" if truth else "false"


def _event(root: str, **said: str) -> str:
    """The XML of an event; its values are extensions, and words of our own, which need no escapes."""
    children = "".join(f"  <{name}>{value}</{name}>\r\n" for name, value in said.items())
    declaration = '<?xml version="1.0" encoding="ISO-8859-1"?>\r\n'
    return f'{declaration}<{root} xmlns="{NAMESPACE}">\r\n{children}</{root}>\r\n'


def _part(content: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content
