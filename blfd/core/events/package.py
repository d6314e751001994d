"""What an event package is to the notifier, which knows none by name (RFC 6665, section 5)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple, Protocol

from blfd.core.values import Aor


class Rendered(NamedTuple):
    """A document before and after its version, and the word for what it tells, for people."""

    before: bytes
    after: bytes
    told: str

    def body(self, version: int) -> bytes:
        return b"%b%d%b" % (self.before, version, self.after)


class Document(Protocol):
    """What a NOTIFY carries, and the word for what it tells, for people."""

    @property
    def told(self) -> str: ...

    def body(self, version: int) -> bytes: ...


class Package(Protocol):
    """What can be subscribed to of an extension.

    `name` is the Event; `content_type` is that of its documents, `accepts` the lower-case Accept values that
    take it. `shows_dialogs`: its documents change with the extension's calls, and not by its view alone.
    """

    name: str
    content_type: str
    accepts: frozenset[str]
    shows_dialogs: bool

    def check(self, watcher: Aor, resource: Aor) -> None:
        """Check a subscription: raises Refusal where the resource is nothing for the watcher."""

    def view(self, watcher: Aor, resource: Aor) -> Hashable:
        """What makes one watcher's documents differ from another's, beside how it writes the resource."""

    def changed(self, resource: Aor) -> None:
        """Note that what was rendered of a resource is out of date."""

    def document(self, resource: Aor, entity: str, view: Hashable) -> Document:
        """The full state of a resource, whose URI the watcher writes as `entity`."""
