"""The way from bytes to a DialogInfo, which trusts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar

from lxml import etree

from dialog_info.hardened import DialogInfoError, Element, read
from dialog_info.model import (
    Dialog,
    DialogInfo,
    DialogState,
    Direction,
    DocumentState,
    Identity,
    Param,
    Participant,
    Replaces,
    SessionDescription,
    StateEvent,
    Target,
)

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
LONGEST_SHOWN = 40  # characters of a document that an error quotes

ALIASES = {"committed": "confirmed", "receiver": "recipient"}
"""Words that are written for the RFC's: by sipXecs for a state, in the RFC's own examples for a direction."""

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


def parse(document: bytes, faults: list[str] | None = None) -> DialogInfo:
    """Read a document (RFC 4235, section 4). Raises DialogInfoError.

    What other namespaces add is ignored, as section 4.2 asks. What phones and servers write otherwise, and
    the RFC in its own examples, is read as what it means: `pvalue` on <param> (for `pval`), `display` on
    <target> (Kamailio), the words of `ALIASES`, any case (`Trying`), `notify-state` (for `state`), no entity
    (it is "" then: the subscription says whose state it is). An optional attribute that is empty is absent.
    With `faults`, a <dialog> that cannot be read is left out, and said there.
    """
    root = read(document)
    if root.tag != _name("dialog-info"):
        raise DialogInfoError(f"the root is {_shown(root.tag)}, not dialog-info of RFC 4235")
    state = root.get("state", root.get("notify-state"))
    return DialogInfo(
        entity=(root.get("entity") or "").strip(),
        version=_number(root.get("version"), "version"),
        state=_member(DocumentState, state, "state of dialog-info"),
        dialogs=tuple(_dialogs(root, faults)),
    )


def _dialogs(root: Element, faults: list[str] | None) -> Iterator[Dialog]:
    for child in root.iterchildren(_name("dialog")):
        try:
            yield _dialog(child)
        except DialogInfoError as error:
            if faults is None:
                raise
            faults.append(str(error))


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _child(parent: Element, local: str, read: Callable[[Element], T]) -> T | None:
    child = parent.find(_name(local))
    return None if child is None else read(child)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _shown(text: object) -> str:
    written = repr(text)
    return written if len(written) <= LONGEST_SHOWN else f"{written[:LONGEST_SHOWN]}..."


def _number(text: str | None, what: str) -> int:
    digits = (text or "").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise DialogInfoError(f"{what} is {_shown(text)}, not a number")
    return int(digits)


def _member(kind: type[E], text: str | None, what: str) -> E:
    word = (text or "").strip().lower()
    try:
        return kind(ALIASES.get(word, word))
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise DialogInfoError(f"{what} is {_shown(text)}, not one of {known}") from None


def _required(element: Element, attribute: str) -> str:
    value = element.get(attribute)
    if not value:
        raise DialogInfoError(f"<{etree.QName(element).localname}> has no {attribute}")
    return value


def _dialog(element: Element) -> Dialog:
    state = element.find(_name("state"))
    if state is None:
        raise DialogInfoError("<dialog> has no <state>")
    event, code, direction = state.get("event"), state.get("code"), element.get("direction")
    return Dialog(
        id=_required(element, "id"),
        state=_member(DialogState, _text(state), "state"),
        call_id=element.get("call-id") or None,
        local_tag=element.get("local-tag") or None,
        remote_tag=element.get("remote-tag") or None,
        direction=_member(Direction, direction, "direction") if direction else None,
        event=_member(StateEvent, event, "event") if event else None,
        code=_number(code, "code") if code else None,
        duration=_child(element, "duration", lambda e: _number(e.text, "duration")),
        replaces=_child(element, "replaces", _replaces),
        referred_by=_child(element, "referred-by", _identity),
        route_set=_child(element, "route-set", _route_set) or (),
        local=_child(element, "local", _participant),
        remote=_child(element, "remote", _participant),
    )


def _replaces(element: Element) -> Replaces:
    return Replaces(
        _required(element, "call-id"), _required(element, "local-tag"), _required(element, "remote-tag")
    )


def _route_set(element: Element) -> tuple[str, ...]:
    return tuple(_text(hop) for hop in element.iterchildren(_name("hop")))


def _identity(element: Element) -> Identity:
    return Identity(_text(element), element.get("display") or None)


def _participant(element: Element) -> Participant:
    identity, target = _child(element, "identity", _identity), element.find(_name("target"))
    if identity and not identity.display and target is not None:
        identity = identity._replace(display=target.get("display") or None)
    return Participant(
        identity=identity,
        target=_child(element, "target", _target),
        session_description=_child(element, "session-description", _session_description),
        cseq=_child(element, "cseq", lambda e: _number(e.text, "cseq")),
    )


def _session_description(element: Element) -> SessionDescription:
    return SessionDescription(_required(element, "type"), element.text or "")


def _target(element: Element) -> Target:
    params = []
    for param in element.iterchildren(_name("param")):
        value = param.get("pval", param.get("pvalue"))
        if value is None:
            raise DialogInfoError("<param> has no pval")
        params.append(Param(_required(param, "pname"), value))
    return Target(_required(element, "uri"), tuple(params))
