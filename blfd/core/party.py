"""Who takes part in a call, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from blfd.core.directory import Extension
from blfd.core.messages import Request
from blfd.core.privacy import NAME_ADDR, USER, is_anonymous, withheld
from blfd.core.trunk import RESERVED
from blfd.core.values import Aor, DialogId, Flow, NameAddr


class State(Enum):
    RINGING = auto()  # INVITEs are out, none is answered
    ANSWERED = auto()  # the call is won; an ACK or an answer that comes in one is missing
    TALKING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Party:
    """Who takes part: an extension, or somebody outside who is reached by a trunk.

    `aor` is whose lamp shows it, which is the trunk's for who is outside; that one is called by `number`, ""
    where it is not known. `name` is the one to show: of an extension that of the directory. `withheld`: it
    does not want to be known to the other one. `tells`: it does in this call, whatever is set of it.
    """

    aor: Aor
    name: str = ""
    withheld: bool = False
    number: str = ""
    tells: bool = False

    def __str__(self) -> str:
        """The party as the operator reads of it."""
        return f"{self.user} ({self.aor})" if self.is_outside else f"{self.aor}"

    @property
    def is_outside(self) -> bool:
        return self.aor.extension.startswith(RESERVED)

    @property
    def user(self) -> str:
        """What the party is called by: its extension or number."""
        if self.is_outside:
            return self.number or USER
        return self.aor.extension

    @classmethod
    def of(cls, request: Request, extension: Extension) -> Party:
        """The sender of an INVITE."""
        hidden = withheld(request)
        name = extension.name or ("" if is_anonymous(request.from_.uri) else request.from_.display)
        return cls(extension.aor, name, hidden, tells="none" in request.privacy)

    @property
    def shown(self) -> tuple[str, str]:
        """Extension and name for watchers; empty where they are withheld."""
        return ("", "") if self.withheld else (self.user, self.name)

    def name_addr(self, domain: str) -> NameAddr:
        """The name and address for From and P-Asserted-Identity."""
        if self.withheld:
            return NAME_ADDR
        return NameAddr(f"sip:{self.user.replace('#', '%23')}@{domain}", self.name)


@dataclass(frozen=True, slots=True)
class Seat:
    """Who takes part in a call that is up, and by which phone: its leg, and what its dialog is called.

    `is_trusted`: its source is taken at its word. `is_plain`: what it says and is told is not encrypted.
    """

    leg: int
    party: Party
    dialog: DialogId
    contact: str = ""
    is_trusted: bool = False
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Picker:
    """A phone that has sent INVITE to take somebody's place, by the flow `source`.

    `held`: it holds from the start. `replaces` is what its INVITE has named in Replaces. `secure`: that was
    for a sips: URI.
    """

    leg: int
    party: Party
    dialog: DialogId
    contact: str
    source: Flow
    held: bool = False
    replaces: DialogId | None = None
    secure: bool = False
