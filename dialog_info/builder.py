"""The way from a DialogInfo to bytes."""

from __future__ import annotations

import re

from dialog_info.model import Dialog, DialogInfo, Identity, Participant
from dialog_info.parser import NAMESPACE

_DECLARATION = b"<?xml version='1.0' encoding='UTF-8'?>\n"
_ILLEGAL = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_in_text = re.compile(f"[&<>\r{_ILLEGAL}]").sub
_in_attribute = re.compile(f'[&<>"\t\n\r{_ILLEGAL}]').sub
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def build(info: DialogInfo) -> bytes:
    """The document as UTF-8. A character that XML 1.0 forbids becomes U+FFFD: no name can break a lamp.

    An optional attribute that would be empty is left out: a tag that is not known yet is no tag.
    """
    before, after = build_around_version(info)
    return b"%b%d%b" % (before, info.version, after)


def build_around_version(info: DialogInfo) -> tuple[bytes, bytes]:
    """The document before and after the digits of its version: rendered once, told to many watchers."""
    before = f'<dialog-info xmlns="{NAMESPACE}" version="'
    after = f'"{_attribute("state", info.state.value)}{_attribute("entity", info.entity)}'
    after += _closed("dialog-info", "".join(map(_dialog, info.dialogs)))
    return _DECLARATION + before.encode(), after.encode()


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")


def _attribute(name: str, value: str | None) -> str:
    """An attribute with the blank before it; "" for None."""
    return "" if value is None else f' {name}="{_in_attribute(_escaped, value)}"'


def _closed(name: str, content: str) -> str:
    """What follows the attributes of an element."""
    return f">{content}</{name}>" if content else "/>"


def _element(name: str, attributes: str, text: str = "") -> str:
    return f"<{name}{attributes}{_closed(name, _in_text(_escaped, text))}"


def _dialog(dialog: Dialog) -> str:
    attributes = (
        _attribute("id", dialog.id)
        + _attribute("call-id", dialog.call_id or None)
        + _attribute("local-tag", dialog.local_tag or None)
        + _attribute("remote-tag", dialog.remote_tag or None)
        + _attribute("direction", dialog.direction and dialog.direction.value)
    )
    state = _attribute("event", dialog.event and dialog.event.value)
    state += "" if dialog.code is None else f' code="{dialog.code}"'
    content = _element("state", state, dialog.state.value)
    if dialog.duration is not None:
        content += f"<duration>{dialog.duration}</duration>"
    if r := dialog.replaces:
        ids = _attribute("call-id", r.call_id) + _attribute("local-tag", r.local_tag)
        content += _element("replaces", ids + _attribute("remote-tag", r.remote_tag))
    if dialog.referred_by:
        content += _identity("referred-by", dialog.referred_by)
    if dialog.route_set:
        hops = "".join([_element("hop", "", hop) for hop in dialog.route_set])
        content += f"<route-set>{hops}</route-set>"
    if dialog.local:
        content += f"<local{_closed('local', _participant(dialog.local))}"
    if dialog.remote:
        content += f"<remote{_closed('remote', _participant(dialog.remote))}"
    return f"<dialog{attributes}>{content}</dialog>"


def _identity(name: str, identity: Identity) -> str:
    return _element(name, _attribute("display", identity.display or None), identity.uri)


def _participant(participant: Participant) -> str:
    content = _identity("identity", participant.identity) if participant.identity else ""
    if target := participant.target:
        params = [
            _element("param", _attribute("pname", param.name) + _attribute("pval", param.value))
            for param in target.params
        ]
        content += f"<target{_attribute('uri', target.uri)}{_closed('target', ''.join(params))}"
    if sdp := participant.session_description:
        content += _element("session-description", _attribute("type", sdp.type), sdp.text)
    if participant.cseq is not None:
        content += f"<cseq>{participant.cseq}</cseq>"
    return content
