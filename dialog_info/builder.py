"""From a DialogInfo to bytes."""

from __future__ import annotations

import re

from lxml import etree

from dialog_info.model import Dialog, DialogInfo, Identity, Participant
from dialog_info.parser import NAMESPACE, Element, _name

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ROOT = re.compile(rb'(<dialog-info [^>]*?version=")\d+(")')


def build(info: DialogInfo) -> bytes:
    """The document as UTF-8. A character that XML 1.0 forbids becomes U+FFFD: no name can break a lamp.

    An optional attribute that would be empty is left out: a tag that is not known yet is no tag.
    """
    before, after = build_around_version(info)
    return b"%b%d%b" % (before, info.version, after)


def build_around_version(info: DialogInfo) -> tuple[bytes, bytes]:
    """The document before and after the digits of its version: rendered once, told to many watchers."""
    root = etree.Element(_name("dialog-info"), nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    root.set("version", "0")
    root.set("state", info.state.value)
    root.set("entity", _clean(info.entity))
    for dialog in info.dialogs:
        _dialog(root, dialog)
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    place = _ROOT.search(document)
    assert place is not None, "the root was written above"
    return document[: place.end(1)], document[place.start(2) :]


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _add(parent: Element, local: str, text: str = "", /, **attributes: str | None) -> Element:
    """Append an element; attributes are given with `_` for `-`, and None for absent."""
    element = etree.SubElement(parent, _name(local))
    for name, value in attributes.items():
        if value is not None:
            element.set(name.replace("_", "-"), _clean(value))
    if text:
        element.text = _clean(text)
    return element


def _dialog(root: Element, dialog: Dialog) -> None:
    element = _add(
        root,
        "dialog",
        id=dialog.id,
        call_id=dialog.call_id or None,
        local_tag=dialog.local_tag or None,
        remote_tag=dialog.remote_tag or None,
        direction=dialog.direction and dialog.direction.value,
    )
    _add(
        element,
        "state",
        dialog.state.value,
        event=dialog.event and dialog.event.value,
        code=None if dialog.code is None else str(dialog.code),
    )
    if dialog.duration is not None:
        _add(element, "duration", str(dialog.duration))
    if dialog.replaces:
        r = dialog.replaces
        _add(element, "replaces", call_id=r.call_id, local_tag=r.local_tag, remote_tag=r.remote_tag)
    if dialog.referred_by:
        _identity(element, "referred-by", dialog.referred_by)
    if dialog.route_set:
        routes = _add(element, "route-set")
        for hop in dialog.route_set:
            _add(routes, "hop", hop)
    for local, participant in (("local", dialog.local), ("remote", dialog.remote)):
        if participant:
            _participant(_add(element, local), participant)


def _identity(parent: Element, local: str, identity: Identity) -> None:
    _add(parent, local, identity.uri, display=identity.display or None)


def _participant(element: Element, participant: Participant) -> None:
    if participant.identity:
        _identity(element, "identity", participant.identity)
    if participant.target:
        target = _add(element, "target", uri=participant.target.uri)
        for param in participant.target.params:
            _add(target, "param", pname=param.name, pval=param.value)
    if participant.session_description:
        sdp = participant.session_description
        _add(element, "session-description", sdp.text, type=sdp.type)
    if participant.cseq is not None:
        _add(element, "cseq", str(participant.cseq))
