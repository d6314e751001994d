"""What is known of a phone: who it is, whose, and what its keys show. Nothing of files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

MAX_LABEL = 32  # characters; most phones cut longer ones
_MAC = re.compile(r"[0-9a-f]{12}")
_SEPARATORS = re.compile(r"[:.\-\s]")
_DIALLED = re.compile(r"[\w*#+.\-]{1,64}", re.ASCII)


class ProvisioningError(ValueError):
    """A device that cannot be made; the text says which and why."""


def normal_mac(text: str) -> str:
    """A MAC address as twelve lower-case hexadecimal digits. Raises ProvisioningError."""
    mac = _SEPARATORS.sub("", text).lower()
    if not _MAC.fullmatch(mac):
        raise ProvisioningError(f"{text!r} is no MAC address: write 80:5e:c0:12:34:56")
    return mac


def written_mac(mac: str) -> str:
    """As people write it: 80:5e:c0:12:34:56."""
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2))


class KeyKind(Enum):
    """What a key is for."""

    BLF = "blf"
    SPEED_DIAL = "speed dial"


@dataclass(frozen=True, slots=True)
class LineKey:
    """One programmable key; `value` is the extension that it watches, or what it dials."""

    kind: KeyKind
    value: str
    label: str = ""

    @property
    def shown(self) -> str:
        return self.label or self.value


def parse_keys(text: str) -> tuple[LineKey, ...]:
    """Keys as `102,103,*98=Group,104=Bob`: with `*` or `#` first one dials, the others watch.

    Raises ProvisioningError.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        value, _, label = (piece.strip() for piece in part.partition("="))
        if not _DIALLED.fullmatch(value):
            raise ProvisioningError(
                f"key {part!r}: {value!r} is no extension and no code; write 102 or *98=Group"
            )
        if len(label) > MAX_LABEL:
            raise ProvisioningError(f"key {part!r}: a label has at most {MAX_LABEL} characters")
        found.append(LineKey(KeyKind.SPEED_DIAL if value[0] in "*#" else KeyKind.BLF, value, label))
    return tuple(found)


def written_keys(keys: Iterable[LineKey]) -> str:
    """The inverse of `parse_keys`."""
    return ",".join(f"{key.value}={key.label}" if key.label else key.value for key in keys)


@dataclass(frozen=True, slots=True)
class Model:
    """A phone as its maker sells it: `keys` of its own, and room for `modules` of `module_keys` each."""

    vendor: str
    name: str
    keys: int
    accounts: int
    modules: int = 0
    module_keys: int = 0
    code: str = ""  # what its maker calls it in file names: the NN of Yealink's y0000000000NN.cfg

    @property
    def path(self) -> str:
        return f"{self.vendor}/{self.name}"

    @property
    def most_keys(self) -> int:
        return self.keys + self.modules * self.module_keys


@dataclass(frozen=True, slots=True)
class Account:
    """Who a line of the phone is, with the SIP password that it gets."""

    extension: str
    password: str
    name: str = ""
    domain: str = ""  # of the tenant, where that is not the server's address

    @property
    def shown(self) -> str:
        return self.name or self.extension


@dataclass(frozen=True, slots=True)
class Service:
    """Where phones find the server, and what they dial: the same for all phones of a tenant.

    Times are in seconds; `url` is where this phone fetches its files, and ends with a slash.
    """

    host: str
    port: int = 5060
    transport: str = "udp"
    directed_code: str = "*97"
    group_code: str = "*98"
    register_expires: int = 3600
    subscribe_expires: int = 600
    url: str = ""
    http_user: str = ""
    http_password: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A phone on somebody's desk; its first keys are its lines."""

    mac: str
    model: Model
    accounts: tuple[Account, ...]
    keys: tuple[LineKey, ...] = ()

    def check(self) -> None:
        """Raises ProvisioningError if the model has no room for all."""
        name = f"{written_mac(self.mac)} ({self.model.path})"
        if not self.accounts:
            raise ProvisioningError(f"{name} has no extension")
        if len(self.accounts) > self.model.accounts:
            raise ProvisioningError(
                f"{name} takes {self.model.accounts} extensions, not {len(self.accounts)}"
            )
        wanted = len(self.accounts) + len(self.keys)
        if wanted > self.model.most_keys:
            raise ProvisioningError(
                f"{name} has {self.model.most_keys} keys, and {wanted} are wanted: "
                f"{len(self.accounts)} for its lines, {len(self.keys)} others"
            )
