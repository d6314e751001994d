"""What pages and API stand on: the database, the server, the phones, and who fails to sign in how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from blfd.control import ControlClient
from blfd.devices.phones import Phones
from blfd.operations import Desk
from blfd.store import Store
from blfd.web.feed import Feed
from blfd.web.patience import Patience, Turns
from blfd.web.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Site:
    """The things that pages and API need; with `secure`, cookies are for TLS alone."""

    store: Store
    client: ControlClient
    phones: Phones
    feed: Feed
    secure: bool
    patience: Patience = field(default_factory=Patience)
    turns: Turns = field(default_factory=lambda: Turns(2, 50))  # turns at comparing passwords

    def desk(self, visitor: Visitor) -> Desk:
        return Desk(self.store, self.client, self.phones, visitor.name)
