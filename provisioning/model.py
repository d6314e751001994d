"""What is known of a phone: who it is, whose, and what its keys show. Nothing of files."""

from __future__ import annotations

import re
import unicodedata
from calendar import timegm
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import NamedTuple

from provisioning.dialplan import DialPlan, Shape

MAX_LABEL = 32  # characters; most phones cut longer ones
_MAC = re.compile(r"[0-9a-f]{12}")
_SEPARATORS = re.compile(r"[:.\-\s]")
_DIALLED = re.compile(r"[\w*#+.\-]{1,64}", re.ASCII)
_LINE = re.compile(r"[1-9]\d?", re.ASCII)
_LIST = re.compile(r"[\w*#+.\-]{1,64}(@[\w.\-]{1,253}(:\d{1,5})?)?", re.ASCII)


class ProvisioningError(ValueError):
    """A device that cannot be made; the text says which and why."""


def normal_mac(text: str) -> str:
    """A MAC address as twelve lower-case hexadecimal digits. Raises ProvisioningError."""
    mac = _SEPARATORS.sub("", text).lower()
    if not _MAC.fullmatch(mac):
        raise ProvisioningError(f"{text!r} is no MAC address: write 80:5e:c0:12:34:56")
    return mac


def written_mac(mac: str) -> str:
    """A MAC as people write it: 80:5e:c0:12:34:56."""
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2))


class KeyKind(Enum):
    """What a key is for."""

    BLF = "blf"
    SPEED_DIAL = "speed dial"
    LINE = "line"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class LineKey:
    """One programmable key.

    `value` is the extension that it watches, what it dials, which of the phone's lines it is one more key of
    ("2"), or the URI without scheme of a list of lamps, which another server than blfd has to serve.
    """

    kind: KeyKind
    value: str
    label: str = ""

    @property
    def shown(self) -> str:
        return self.label or self.value


_PREFIXES = {"line": (KeyKind.LINE, _LINE), "list": (KeyKind.LIST, _LIST)}


def check_text(text: str, what: str) -> None:
    """Raises ProvisioningError for what is more than one line, or holds what is no letter at all."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        raise ProvisioningError(f"{what} {text[:64]!r}: control characters and line ends have no place there")


def between_commas(text: str, what: str = "") -> list[str]:
    """The parts of a text as `102, 103`; none of "". Raises ProvisioningError for a comma too many."""
    parts = [part.strip() for part in text.split(",")]
    if parts == [""]:
        return []
    if "" in parts:
        before = parts[: parts.index("")]
        where = f"after {before[-1]!r}" if before else "before the first comma"
        said = f"{what}: " if what else ""
        raise ProvisioningError(f"{said}nothing stands {where}; leave that comma out")
    return parts


def parse_keys(text: str) -> tuple[LineKey, ...]:
    """Keys as `102,103,*98=Group,104=Bob,line:2,list:sales@pbx.example=Sales`.

    With `*` or `#` first one dials, with `line:` it is one more key of a line, with `list:` it stands for a
    list of lamps; the others watch. Raises ProvisioningError.
    """
    return tuple(map(_key, between_commas(text, "keys")))


def _key(part: str) -> LineKey:
    written, _, label = (piece.strip() for piece in part.partition("="))
    prefix, colon, value = written.partition(":")
    if colon and prefix in _PREFIXES:
        kind, form = _PREFIXES[prefix]
    else:
        value, form = written, _DIALLED
        kind = KeyKind.SPEED_DIAL if value[:1] in ("*", "#") else KeyKind.BLF
    if not form.fullmatch(value):
        advice = "write 102, *98=Group, line:2 or list:sales@pbx.example"
        raise ProvisioningError(f"key {part!r}: {value!r} is no extension and no code; {advice}")
    check_text(label, "label")
    if len(label) > MAX_LABEL:
        raise ProvisioningError(f"key {part!r}: a label has at most {MAX_LABEL} characters")
    return LineKey(kind, value, label)


def label_of(name: str) -> str:
    """What a key shows of somebody's name, which may be longer."""
    return name[:MAX_LABEL].rstrip()


class Template(NamedTuple):
    """A site's own main file, in Jinja2, for the phones of a vendor or a model: `scope`."""

    scope: str
    source: str


def written_keys(keys: Iterable[LineKey]) -> str:
    """The inverse of `parse_keys`."""
    prefixes = {kind: f"{prefix}:" for prefix, (kind, _) in _PREFIXES.items()}
    return ",".join(
        f"{prefixes.get(key.kind, '')}{key.value}{'=' if key.label else ''}{key.label}" for key in keys
    )


@dataclass(frozen=True, slots=True)
class Model:
    """A phone as its maker sells it: `keys` of its own, and room for `modules` of `module_keys` each.

    Of its own keys `side` are always in sight, and the others on pages of `page` each; 0: all on one.
    It may have `multi_purpose` keys that are counted apart (Grandstream's MPK).
    """

    vendor: str
    name: str
    keys: int
    accounts: int
    modules: int = 0
    module_keys: int = 0
    side: int = 0
    page: int = 0
    multi_purpose: int = 0
    code: str = ""  # what its maker calls it in file names: the NN of Yealink's y0000000000NN.cfg

    @property
    def path(self) -> str:
        return f"{self.vendor}/{self.name}"

    def room(self, modules: int) -> int:
        """How many keys there are with so many modules."""
        return self.keys + self.multi_purpose + modules * self.module_keys


@dataclass(frozen=True, slots=True)
class Account:
    """Who a line of the phone is, with the SIP password that it gets."""

    extension: str
    password: str
    name: str = ""
    domain: str = ""  # the tenant's, where that is not the server's address

    @property
    def shown(self) -> str:
        return self.name or self.extension


CA_PEM, CA_DER = "ca.pem", "ca.der"  # names of an authority's certificate among a phone's files


@dataclass(frozen=True, slots=True)
class Service:
    """Where phones find the server, and what they dial: the same for all phones of a tenant.

    Times are in seconds; `url` is where this phone fetches its files, and `books` its phonebook alone, where
    that has a setting of its own: both end with a slash; `year` is the one of which summer time is told,
    where it follows no rule. `shapes` are those of the tenant's extensions; `outside`, `emergency` and codes
    are as in a DialPlan. `feature_sync`: phones are told of do not disturb and forwarding, and set them by
    SIP (`Event: as-feature-event`). `has_ca`: its files include a certificate that it has to trust and does
    not know yet. `changed` is when anything that phones are told was changed last, in seconds since the
    epoch.
    """

    host: str
    port: int = 5060
    transport: str = "udp"
    directed_code: str = "*97"
    group_code: str = "*98"
    star_codes: tuple[str, ...] = ()
    prefix_codes: tuple[str, ...] = ()
    feature_sync: bool = False
    register_expires: int = 3600
    subscribe_expires: int = 600
    url: str = ""
    books: str = ""
    http_user: str = ""
    http_password: str = ""
    year: int = field(default_factory=lambda: date.today().year)
    shapes: frozenset[Shape] = frozenset()
    outside: str | None = ""
    emergency: tuple[str, ...] = ()
    has_ca: bool = False
    changed: int = 0

    @property
    def version(self) -> str:
        """Ten digits that rise with each change, for phones that read a file only if its version is higher. A
        new year is a change, too."""
        return f"{max(self.changed, timegm((self.year, 1, 1, 0, 0, 0))):010d}"

    def ca_url(self, name: str) -> str:
        """The URL of that certificate, by one of its names; "" where a phone need not fetch it."""
        return self.url + name if self.has_ca and self.url and self.transport == "tls" else ""

    def host_port(self, domain: str = "") -> str:
        """The server's host and port in one; a tenant's domain takes the host's place."""
        host = domain or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def dial_plan(self) -> DialPlan:
        return DialPlan(
            self.directed_code,
            self.group_code,
            self.shapes,
            self.outside,
            self.emergency,
            self.star_codes,
            self.prefix_codes,
        )


@dataclass(frozen=True, slots=True)
class Device:
    """A phone on somebody's desk, with `modules` beside it; its first keys are its lines.

    The passwords are those of its web page; without them it keeps what it has.
    """

    mac: str
    model: Model
    accounts: tuple[Account, ...]
    keys: tuple[LineKey, ...] = ()
    modules: int = 0
    admin_password: str = ""
    user_password: str = ""

    @property
    def shown(self) -> str:
        return f"{written_mac(self.mac)} ({self.model.path})"

    @property
    def room(self) -> int:
        """How many keys it has with its modules, those of its lines among them."""
        return self.model.room(self.modules)

    def label(self, key: LineKey) -> str:
        """What the key shows; a line's key shows the line's name, if nothing else is said."""
        if key.kind is KeyKind.LINE and not key.label:
            return self.accounts[int(key.value) - 1].shown
        return key.shown

    @property
    def free_lines(self) -> range:
        """The numbers of lines that the phone could have and has not."""
        return range(len(self.accounts) + 1, self.model.accounts + 1)

    @property
    def free_keys(self) -> range:
        """The places of keys, its own and then its modules', that show nothing."""
        return range(len(self.accounts) + len(self.keys) + 1, self.room + 1)

    @property
    def event_list(self) -> str:
        """The URI, without scheme, of the list that its keys show; "" if they show none."""
        return next((key.value for key in self.keys if key.kind is KeyKind.LIST), "")

    def check(self) -> None:
        """Raises ProvisioningError if the model has no room for all, or keys do not go together."""
        if not self.accounts:
            raise ProvisioningError(f"{self.shown} has no extension")
        if len(self.accounts) > self.model.accounts:
            raise ProvisioningError(
                f"{self.shown} takes {self.model.accounts} extensions, not {len(self.accounts)}"
            )
        self._check_room()
        for key in self.keys:
            if key.kind is KeyKind.LINE and int(key.value) > len(self.accounts):
                raise ProvisioningError(
                    f"{self.shown}: a key is for line {key.value}, and it has {len(self.accounts)}"
                )
            if key.kind is KeyKind.LIST and key.value != self.event_list:
                raise ProvisioningError(f"{self.shown}: all its list keys have to be for one list")

    def _check_room(self) -> None:
        model, wanted = self.model, len(self.accounts) + len(self.keys)
        if not 0 <= self.modules <= model.modules:
            takes = f"{model.modules} modules at most" if model.modules else "no modules that are known here"
            raise ProvisioningError(f"{self.shown} takes {takes}, not {self.modules}")
        if wanted <= self.room:
            return
        text = (
            f"{self.shown} has {self.room} keys, and {wanted} are wanted: "
            f"{len(self.accounts)} for its lines, {len(self.keys)} others"
        )
        enough = next((n for n in range(self.modules + 1, model.modules + 1) if model.room(n) >= wanted), 0)
        advice = f"; with --modules {enough} it would have {model.room(enough)}" if enough else ""
        raise ProvisioningError(text + advice)
