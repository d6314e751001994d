"""A PBX whose lamps are shown as ours: what it is asked, and what it answers and tells, in the core alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from asking import Asking
from builders import World, directory, document, notifies, reply, request, uri

from blfd.core.directory import Directory
from blfd.core.effects import Effect, Reply, SendRequest
from blfd.core.messages import NotifyReceived, Part, RegisterContact
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watching import State
from blfd.core.values import Address, Aor, Flow
from dialog_info import DialogInfo

PBX = "203.0.113.1"
UPSTREAM = Upstream("default", "pbx", servers=(PBX,), extensions=("102",), ping=0)
TYPE = "application/dialog-info+xml"


def site(*upstreams: Upstream, extensions: Iterable[str] = ("101", "102", "103")) -> Directory:
    return replace(directory(extensions), upstreams=upstreams or (UPSTREAM,))


def body(*dialogs: str, version: int = 0, state: str = "full") -> bytes:
    head = f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="{state}"'
    return f'<?xml version="1.0"?>{head} entity="sip:102@{PBX}">{"".join(dialogs)}</dialog-info>'.encode()


def dialog(state: str, name: str = "102", more: str = "") -> str:
    return f'<dialog id="{name}" direction="recipient"{more}><state>{state}</state></dialog>'


class Pbx(Asking):
    """A world with an upstream, and the PBX at the other end."""

    def __init__(self, *upstreams: Upstream, extensions: Iterable[str] = ("101", "102", "103")) -> None:
        super().__init__(World(known=site(*upstreams, extensions=extensions), phones=("101", "103")))
        self.cseq = 0
        self.told: list[DialogInfo] = []

    def take(self, effects: list[Effect]) -> SendRequest | None:
        """Take also what watchers are told."""
        self.told += [document(notify) for notify in notifies(effects)]
        self.world.confirm(effects)
        return super().take(effects)

    def accept(self, sent: SendRequest, seconds: int = 600) -> SendRequest | None:
        contact = RegisterContact(f"sip:102@{PBX}:5080")
        return self.answer(sent, 200, expires=seconds, to_tag="pbx1", contacts=(contact,))

    def notify(
        self,
        sent: SendRequest,
        content: bytes = b"",
        state: str = "active",
        *,
        reason: str = "",
        expires: int | None = None,
        retry_after: int | None = None,
        source: Flow | None = None,
        tag: str = "pbx1",
        cseq: int = 0,
        kind: str = TYPE,
        event: str = "dialog",
        parts: tuple[Part, ...] = (),
    ) -> Reply:
        self.cseq += 1
        asked = request("NOTIFY", "102", "blfd", call_id=sent.call_id, cseq=cseq or self.cseq)
        asked = asked._replace(
            flow=source or Flow("udp", PBX, 5060),
            from_=Address(uri("102", PBX), "", tag),
            to=Address(uri("blfd", PBX), "", sent.local_tag),
        )
        kind = kind if content else ""
        contact = f"sip:102@{PBX}:5080"
        notify = NotifyReceived(
            asked, event, state, reason, expires, retry_after, contact, (), kind, content, parts
        )
        effects = self.world.give(notify)
        self.take(effects)
        return reply(effects)

    def subscribed(self, state: str = "terminated") -> SendRequest:
        sent = self.first()
        assert self.accept(sent) is None
        assert self.notify(sent, body(dialog(state))).status == 200
        return sent

    @property
    def state(self) -> State:
        watch = self.world.core.upstreams.of(Aor("default", "102"))
        assert watch
        return watch.state

    @property
    def is_known(self) -> bool:
        return self.world.core.upstreams.is_known(Aor("default", "102"))

    @property
    def lamp(self) -> str:
        return self.world.lamp("102")


ASTERISK = [  # res_pjsip_dialog_info_body_generator: full, one dialog, whose id is the extension
    (body('<dialog id="102"><state>terminated</state></dialog>', version=0), "idle", ""),
    (
        body(
            '<dialog id="102" direction="recipient"><remote><identity display="Ann">sip:103@pbx</identity>'
            '<target uri="sip:103@pbx"/></remote><local><identity>sip:102@pbx</identity><target '
            'uri="sip:102@pbx"/></local><state>early</state></dialog>',
            version=1,
        ),
        "ringing",
        "103",
    ),
    (body('<dialog id="102"><state>confirmed</state></dialog>', version=2), "talking", ""),
    (body('<dialog id="102"><state>terminated</state></dialog>', version=3), "idle", ""),
]
UUID = "9f0c4c1e-5d0a-4e0b-8d0e-0c9d8a7b6c5d"
FREESWITCH = [  # sofia_presence: full with ids after the SUBSCRIBE, then partial without a Call-ID
    (body(f'<dialog id="{UUID}" call-id="{UUID}"><state>terminated</state></dialog>', version=4), "idle", ""),
    (
        body(
            f'<dialog id="{UUID}" direction="recipient"><state>early</state><local><identity display="102">'
            '102@pbx</identity><target uri="sip:102@pbx"><param pname="+sip.rendering" pvalue="yes"/>'
            '</target></local><remote><identity display="Ann">sip:103@pbx</identity>'
            '<target uri="sip:**102@pbx"/></remote></dialog>',
            version=5,
            state="partial",
        ),
        "ringing",
        "103",
    ),
    (
        body(
            f'<dialog id="{UUID}" direction="recipient"><state>confirmed</state></dialog>',
            version=6,
            state="partial",
        ),
        "talking",
        "103",
    ),
    (
        body(f'<dialog id="{UUID}"><state>terminated</state></dialog>', version=7, state="partial"),
        "idle",
        "",
    ),
]
KAMAILIO = [  # presence_dialoginfo: no body where nothing is known, else full documents, rising versions
    (b"", "idle", ""),
    (
        body(
            '<dialog id="a84b4c76e66710" call-id="a84b4c76e66710" local-tag="ph1" remote-tag="31" '
            'direction="recipient"><state>early</state><remote><identity>sip:103@pbx</identity><target '
            'uri="sip:103@192.0.2.9" display="103"/></remote></dialog>',
            version=1,
        ),
        "ringing",
        "103",
    ),
    (
        body(
            '<dialog id="a84b4c76e66710" call-id="a84b4c76e66710" direction="recipient"><state>confirmed'
            "</state><remote><identity>sip:103@pbx</identity></remote></dialog>",
            version=2,
        ),
        "talking",
        "103",
    ),
    (b"", "idle", ""),
]
