"""What other servers publish of their extensions, in their forms, and a directory in which they may."""

from __future__ import annotations

from dataclasses import replace

from builders import HOST, directory, request

from blfd.core.directory import Directory, Owner
from blfd.core.messages import PublishReceived
from blfd.core.values import Flow

TYPE = "application/dialog-info+xml"
KAMAILIO, OTHER = Flow("udp", "192.0.2.20", 5060), Flow("udp", "192.0.2.21", 5060)


def body(*dialogs: str, entity: str = f"sip:102@{HOST}", version: int = 0) -> bytes:
    head = f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full"'
    return f'<?xml version="1.0"?>{head} entity="{entity}">{"".join(dialogs)}</dialog-info>'.encode()


def asterisk(state: str, version: int = 0, number: str = "102", more: str = "") -> bytes:
    """A document of Asterisk (res_pjsip_dialog_info_body_generator): one dialog, whose id is the extension.

    It tells no Call-ID, no tags and no names.
    """
    direction = ' direction="recipient"' if state == "early" else ""
    dialog = f'<dialog id="{number}"{direction}><state>{state}</state>{more}</dialog>'
    return body(dialog, entity=f"sip:{number}@{HOST}", version=version)


HELD = r'<local><target uri="sip:102@x"><param pname="\+sip.rendering" pvalue="no"/></target></local>'


def kamailio(state: str, call: str = "a84b4c76e66710", side: str = "recipient", tags: bool = False) -> bytes:
    """A document of Kamailio (pua_dialoginfo): one dialog; it has tags only while that is early.

    The first state of a caller begins with a capital.
    """
    given = ' local-tag="ph1" remote-tag="314159"' if tags else ""
    return body(
        f'<dialog id="{call}" call-id="{call}"{given} direction="{side}"><state>{state}</state><remote>'
        f'<identity>sip:0301234567@carrier.example</identity><target uri="sip:0301234567@192.0.2.9:5060" '
        f'display="0301234567"/></remote><local><identity>sip:102@{HOST}</identity></local></dialog>'
    )


def opensips(state: str, branch: str = "call1.0") -> bytes:
    """A document of OpenSIPS 3 (pua_dialoginfo): each branch has an id, and an identity has the name."""
    return body(
        f'<dialog id="{branch}" call-id="call1" direction="recipient"><state>{state}</state><remote>'
        f'<identity display="Ann">sip:777@{HOST}</identity><target uri="sip:777@192.0.2.9"/></remote>'
        f"<local><identity>sip:102@{HOST}</identity></local></dialog>",
        version=0,
    )


def publish(
    content: bytes = b"",
    etag: str = "",
    expires: int | None = 3600,
    *,
    source: Flow = KAMAILIO,
    event: str = "dialog",
    kind: str = TYPE,
    user: str = "102",
) -> PublishReceived:
    asked = request("PUBLISH", user, user, source=source)
    return PublishReceived(asked, event, (etag,) if etag else (), expires, kind if content else "", content)


def published(*extensions: str) -> Directory:
    """The directory in which another server says how these extensions are."""
    known = directory()
    owned = {
        aor: replace(extension, owner=Owner.PUBLISHED if aor.extension in extensions else None)
        for aor, extension in known.extensions.items()
    }
    return replace(known, extensions=owned)
