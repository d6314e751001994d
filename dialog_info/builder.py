"""The way from a DialogInfo to bytes."""

from __future__ import annotations

import re
from functools import partial

from dialog_info.model import Dialog, DialogInfo, Identity, Participant
from dialog_info.parser import NAMESPACE

_DECLARATION = b"<?xml version='1.0' encoding='UTF-8'?>\n"
_ILLEGAL = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")


_text = partial(re.compile(f"[&<>\r{_ILLEGAL}]").sub, _escaped)
_quoted = partial(re.compile(f'[&<>"\t\n\r{_ILLEGAL}]').sub, _escaped)


def build(info: DialogInfo) -> bytes:
    """The document as UTF-8. A character that XML 1.0 forbids becomes U+FFFD: no name can break a lamp.

    An optional attribute that would be empty is left out: a tag that is not known yet is no tag.
    """
    before, after = build_around_version(info)
    return b"%b%d%b" % (before, info.version, after)


def build_around_version(info: DialogInfo) -> tuple[bytes, bytes]:
    """The document before and after the digits of its version: rendered once, told to many watchers."""
    before = f'<dialog-info xmlns="{NAMESPACE}" version="'
    after = f'" state="{info.state.value}" entity="{_quoted(info.entity)}"'
    after += _closed("dialog-info", "".join(map(_dialog, info.dialogs)))
    return _DECLARATION + before.encode(), after.encode()


def _closed(name: str, content: str) -> str:
    """What follows the attributes of an element."""
    return f">{content}</{name}>" if content else "/>"


def _dialog(dialog: Dialog) -> str:
    attributes = f'id="{_quoted(dialog.id)}"'
    if dialog.call_id:
        attributes += f' call-id="{_quoted(dialog.call_id)}"'
    if dialog.local_tag:
        attributes += f' local-tag="{_quoted(dialog.local_tag)}"'
    if dialog.remote_tag:
        attributes += f' remote-tag="{_quoted(dialog.remote_tag)}"'
    if dialog.direction:
        attributes += f' direction="{dialog.direction.value}"'
    event = f' event="{dialog.event.value}"' if dialog.event else ""
    code = "" if dialog.code is None else f' code="{dialog.code}"'
    content = f"<state{event}{code}>{dialog.state.value}</state>"
    if dialog.duration is not None:
        content += f"<duration>{dialog.duration}</duration>"
    if r := dialog.replaces:
        tags = f'local-tag="{_quoted(r.local_tag)}" remote-tag="{_quoted(r.remote_tag)}"'
        content += f'<replaces call-id="{_quoted(r.call_id)}" {tags}/>'
    if dialog.referred_by:
        content += _identity("referred-by", dialog.referred_by)
    if dialog.route_set:
        hops = "".join([f"<hop{_closed('hop', _text(hop))}" for hop in dialog.route_set])
        content += f"<route-set>{hops}</route-set>"
    if dialog.local:
        content += f"<local{_closed('local', _participant(dialog.local))}"
    if dialog.remote:
        content += f"<remote{_closed('remote', _participant(dialog.remote))}"
    return f"<dialog {attributes}>{content}</dialog>"


def _identity(name: str, identity: Identity) -> str:
    display = f' display="{_quoted(identity.display)}"' if identity.display else ""
    return f"<{name}{display}{_closed(name, _text(identity.uri))}"


def _participant(participant: Participant) -> str:
    content = _identity("identity", participant.identity) if participant.identity else ""
    if target := participant.target:
        params = [
            f'<param pname="{_quoted(param.name)}" pval="{_quoted(param.value)}"/>' for param in target.params
        ]
        content += f'<target uri="{_quoted(target.uri)}"{_closed("target", "".join(params))}'
    if sdp := participant.session_description:
        described = _closed("session-description", _text(sdp.text))
        content += f'<session-description type="{_quoted(sdp.type)}"{described}'
    if participant.cseq is not None:
        content += f"<cseq>{participant.cseq}</cseq>"
    return content
