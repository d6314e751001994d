"""What an administrator may write into rows: each rule once, in words for who has broken it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import Enum
from itertools import combinations
from typing import NamedTuple

from blfd.core.advice import where_missing
from blfd.core.directory import Forwarding, Owner, Reach, StarCodes
from blfd.core.trunk import OutRoute
from blfd.core.trunks.outgoing import route_of
from blfd.core.values import Aor
from blfd.store.opening import StoreError

EXTENSION = re.compile(r"[A-Za-z0-9+][A-Za-z0-9._+-]{0,63}")
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
CODE = re.compile(r"[*#][0-9*#]{1,7}")
GROUP = re.compile(r"[\w][\w .+-]{0,63}")
MAX_NAME = 200
CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of what is no letter, or ends a line
DEFAULT = "default"  # the tenant's holds
FORWARDED_WHEN = ("always", "busy", "no_answer", "unregistered")
LONGEST_RING = 300  # seconds
REACHES = (*(reach.value for reach in Reach), DEFAULT)
OWNERS = (*(owner.value for owner in Owner), DEFAULT)
SWITCHES = {"on": 1, "off": 0, DEFAULT: None}


class Outcome(Enum):
    """What becomes of a row that is imported."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class NewExtension(NamedTuple):
    """A row to add, or to change; the password is kept as its two HA1 only. `where` is said in an error.

    `pickup` is a value of Reach, `pickable` "on" or "off", `owner` a value of Owner, each "default" where the
    tenant's holds; `publish`, `withhold` and `dnd` are "on" or "off", and `forward_after` is in seconds.
    With an empty password, one that is there keeps its own.
    """

    extension: str
    password: str
    name: str = ""
    where: str = ""
    pickup: str = DEFAULT
    pickable: str = DEFAULT
    owner: str = DEFAULT
    publish: str = "off"
    withhold: str = "off"
    dnd: str = "off"
    forward_always: str = ""
    forward_busy: str = ""
    forward_no_answer: str = ""
    forward_after: str = str(Forwarding().after)
    forward_unregistered: str = ""

    @property
    def forwarding(self) -> Forwarding:
        """The forwarding of a row that was checked."""
        targets = {when: getattr(self, f"forward_{when}") for when in FORWARDED_WHEN}
        return Forwarding(self.dnd == "on", **targets, after=int(self.forward_after))


def check_extension(row: NewExtension, is_known: bool = False) -> None:
    """Check a row, which needs no password where the extension `is_known`. Raises StoreError."""
    where = f"{row.where}: " if row.where else ""
    if not EXTENSION.fullmatch(row.extension):
        raise StoreError(
            f"{where}extension {row.extension!r}: letters, digits and . _ + - are allowed, 64 at most, "
            "first a letter, digit or +"
        )
    what = f"{where}extension {row.extension}"
    if not row.password and not is_known:
        raise StoreError(f"{what} needs a password")
    if any(unicodedata.category(letter) in CONTROL for letter in row.password + row.name):
        raise StoreError(f"{what}: password and name are UTF-8 without control characters and line ends")
    if len(row.name) > MAX_NAME:
        raise StoreError(f"{what}: the name has {MAX_NAME} letters at most")
    if row.pickup not in REACHES:
        raise StoreError(f"{what}: pickup is one of {', '.join(REACHES)}, not {row.pickup!r}")
    if row.pickable not in SWITCHES:
        raise StoreError(f"{what}: pickable is one of {', '.join(SWITCHES)}, not {row.pickable!r}")
    if row.owner not in OWNERS:
        raise StoreError(f"{what}: owner is one of {', '.join(OWNERS)}, not {row.owner!r}")
    for switch, value in (("publish", row.publish), ("withhold", row.withhold), ("dnd", row.dnd)):
        if value not in ("on", "off"):
            raise StoreError(f"{what}: {switch} is on or off, not {value!r}")
    if not (row.forward_after.isascii() and row.forward_after.isdecimal() and len(row.forward_after) < 5):
        raise StoreError(f"{what}: forward_after is a number of seconds, not {row.forward_after!r}")


def check_forwarding(
    aor: Aor,
    forwarding: Forwarding,
    known: Container[str],
    always: Mapping[str, str],
    routes: Sequence[OutRoute],
) -> None:
    """Check where an extension forwards its calls. Raises StoreError.

    `known` are the extensions that calls can go to, and `always` says where those of each go at once.

    `routes` are those by which they can go outside.
    """
    for when in FORWARDED_WHEN:
        target = getattr(forwarding, when)
        if target == aor.extension:
            raise StoreError(f"calls of {aor} cannot be forwarded to itself")
        if not target or target in known:
            continue
        route = route_of(routes, aor.tenant, target)
        if route is None:
            text = f"calls of {aor} cannot be forwarded to {target!r}, which is no extension here"
            raise StoreError(text, where_missing(aor.tenant, "extension"))
        if route.emergency:
            raise StoreError(f"calls of {aor} cannot be forwarded to {target!r}, which is for emergencies")
    if not 1 <= forwarding.after <= LONGEST_RING:
        raise StoreError(f"{aor} can ring for 1 to {LONGEST_RING} s before a call is forwarded")
    passed, target = [aor.extension], forwarding.always
    while target and target not in passed:
        passed.append(target)
        target = always.get(target, "")
    if target == aor.extension:
        text = f"calls would go in a circle: {' to '.join([*passed, target])}"
        raise StoreError(text, "end one of these first")


@contextmanager
def said_of(where: str) -> Iterator[None]:
    """Put before what is said to be wrong the place where that stands."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{where}{error.text}") from None


def check_codes(directed: str, group: str, star_codes: StarCodes) -> None:
    """Check that codes take no other calls, as an empty one or one of digits would. Raises StoreError."""
    pickups = (("pickup", directed), ("group pickup", group))
    named = [*pickups, *((name.replace("_", "-"), code) for name, code in star_codes.dialled.items())]
    for name, code in named:
        if not CODE.fullmatch(code):
            raise StoreError(f"{name} code {code!r}: * or #, then 1 to 7 digits, * or #, as in *97")
    for (_, one), (name, other) in combinations(named, 2):
        if one.startswith(other) or other.startswith(one):
            advice = f"'--star-code {name}=' does without {other}, '--star-code none' without all of them"
            text = f"codes {one} and {other}: neither may begin with the other"
            raise StoreError(text, "" if other == group else advice)


def changed_star_codes(known: StarCodes, changes: Mapping[str, str]) -> StarCodes:
    """The codes with the changes. Raises StoreError for a code that there is not."""
    names = asdict(known)
    changes = {name.replace("-", "_"): code.strip() for name, code in changes.items()}
    for name in changes.keys() - names.keys():
        there_are = ", ".join(each.replace("_", "-") for each in names)
        raise StoreError(f"no star code is named {name!r}: there are {there_are}")
    return replace(known, **changes)


def check_group(name: str) -> None:
    if not GROUP.fullmatch(name):
        raise StoreError(f"group {name!r}: letters, digits, spaces and . _ + - are allowed, 64 at most")


def domain(text: str) -> str:
    found = text.lower().rstrip(".")
    if not DOMAIN.fullmatch(found):
        raise StoreError(f"{text!r} is no domain name; one looks like acme.example, without a port")
    return found
