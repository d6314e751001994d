"""What is said of provisioned phones: how they are wanted, where they find the server, how their keys fit."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from blfd.core import hosts
from blfd.store import StoreError
from blfd.transport.addresses import ANYWHERE, ListenAddress, local_address_towards

_COUNT = re.compile(r"\d", re.ASCII)


class Wanted(NamedTuple):
    """A device as an administrator gives it; `where` is said in an error."""

    mac: str
    model: str
    extensions: tuple[str, ...]  # several in a text are apart by commas or spaces
    keys: str = ""
    transport: str = "udp"
    modules: int | str = 0  # how many are beside it, or what somebody has typed
    settings: tuple[tuple[str, str], ...] = ()  # these override ours, for it alone
    where: str = ""

    def accepted(self) -> Wanted:
        """The device with its extensions, modules and settings as they are kept. Raises StoreError."""
        import provisioning  # a server that serves no files does without it
        from provisioning import ProvisioningError

        try:
            extensions = tuple(
                word
                for text in self.extensions
                for part in provisioning.between_commas(text, "extensions")
                for word in part.split()
            )
            modules = int(self.modules) if _COUNT.fullmatch(str(self.modules)) else None
            if modules is None:
                raise ProvisioningError(f"modules {self.modules!r}: write how many there are, such as 2")
            accepted = self._replace(extensions=extensions, modules=modules)
            if not self.settings:
                return accepted
            vendors, lines = [provisioning.find(self.model).vendor], len(extensions)
            kept = [
                (name, given)
                for each in self.settings
                for name, given in [provisioning.accepted(vendors, *each, lines)]
                if given is not None
            ]
        except ProvisioningError as error:
            raise StoreError(f"{self.where}device {self.mac}: {error}") from None
        return accepted._replace(settings=tuple(kept))


@dataclass(frozen=True, slots=True)
class Place:
    """Where phones reach this server: its host (see `hosts`), its SIP ports by transport, and their files.

    `ca` is the certificate (PEM) of the authority that has signed the server's, where phones do not know it.
    `since` is when this was found out: what it says may have been another thing before.
    """

    host: str
    ports: dict[str, int]
    url: str  # without a slash at the end
    ca: str = ""
    since: float = field(default_factory=time.time, compare=False)


def place(listening: Sequence[ListenAddress], address: str, url: str, ca: str = "") -> Place:
    """The Place, from what is listened on; `address` is this machine's for phones, "" to find out.

    `url` is the listener for their files, "" if there is none; `ca` is as in Place.
    """
    named = (one.host for one in listening if not one.everywhere)
    host = address or next(named, "") or local_address_towards(ANYWHERE)
    ports = {one.transport: one.port for one in reversed(listening)}
    for every in (hosts.EVERY, hosts.EVERY_IPV4):
        url = url.replace(f"//{hosts.written(every)}:", f"//{hosts.written(host)}:")
    return Place(host, ports, url.rstrip("/"), ca)


class Fit(NamedTuple):
    """How many of a phone's team have a key, and how many more would with modules."""

    fitting: int
    wanted: int
    modules: int = 0
    fitting_then: int = 0

    @property
    def left_out(self) -> int:
        return self.wanted - self.fitting

    def __str__(self) -> str:
        """What an administrator is told; "" where all fit."""
        if not self.left_out:
            return ""
        text = f"{self.fitting} of {self.wanted} in its team fit on its keys, {self.left_out} do not"
        then = "all" if self.fitting_then == self.wanted else str(self.fitting_then)
        return f"{text}; with --modules {self.modules}, {then} would" if self.modules else text
