"""What other servers publish of their extensions, in their forms, and a site where they may."""

from __future__ import annotations

from dataclasses import replace

from builders import HOST, World, directory, reply, request

from blfd.core.directory import Directory, Owner
from blfd.core.effects import Effect, Reply, SavePublication
from blfd.core.inputs import PublicationsRestored
from blfd.core.messages import PublishReceived
from blfd.core.saved import SavedPublication
from blfd.core.settings import Settings
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


class Site:
    """A process and its store, from which `restart` begins the next one."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings, self.restarts = settings, 0
        self.kept: dict[str, SavedPublication] = {}
        self.world = World(settings, phones=("101", "103"), known=published("102"))

    def give(self, event: object) -> list[Effect]:
        return self._stored(self.world.give(event))  # type: ignore[arg-type]

    def at(self, now: float) -> list[Effect]:
        return self._stored(self.world.at(now))

    def _stored(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, SavePublication):
                if effect.saved:
                    self.kept[effect.etag] = effect.saved
                else:
                    del self.kept[effect.etag]
        return effects

    def publish(
        self, content: bytes = b"", etag: str = "", expires: int | None = 3600, **more: object
    ) -> str:
        """Publish a document, and return the entity-tag that it is given."""
        answer = reply(self.give(publish(content, etag, expires, **more)))  # type: ignore[arg-type]
        assert answer.status == 200, answer
        return dict(answer.headers)["SIP-ETag"]

    def refused(self, *args: object, **more: object) -> Reply:
        return reply(self.give(publish(*args, **more)))  # type: ignore[arg-type]

    def restart(self) -> None:
        now, before = self.world.now + 5, tuple(self.kept.values())
        self.restarts += 1
        self.world = World(
            self.settings, phones=("101", "103"), known=published("102"), tags=f"{self.restarts}."
        )
        self.world.now = now
        self.give(PublicationsRestored(before))

    @property
    def lamp(self) -> str:
        return self.world.lamp("102")
