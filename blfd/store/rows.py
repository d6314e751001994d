"""Rows of the database as values, and what an administrator may write into them."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import Enum
from itertools import combinations
from typing import Any, NamedTuple

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.directory import DndLamp, Extension, Forwarding, Group, Owner, Reach, StarCodes, Tenant, Whose
from blfd.core.trunks.outgoing import route_of
from blfd.core.trunks.trunk import OutRoute
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
SECRETS = ("ha1_sha256", "ha1_md5")
SWITCHES = {"on": 1, "off": 0, DEFAULT: None}


class Outcome(Enum):
    """What becomes of a row that is imported."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class NewExtension(NamedTuple):
    """A row to add, or to change; the password is kept as its two HA1 only. `where` is said in an error.

    `pickup` is a value of Reach, `pickable` "on" or "off", `owner` a value of Owner, each "default" where the
    tenant's holds; `publish` and `dnd` are "on" or "off", and `forward_after` is in seconds. With an empty
    password, one that is there keeps its own.
    """

    extension: str
    password: str
    name: str = ""
    where: str = ""
    pickup: str = DEFAULT
    pickable: str = DEFAULT
    owner: str = DEFAULT
    publish: str = "off"
    dnd: str = "off"
    forward_always: str = ""
    forward_busy: str = ""
    forward_no_answer: str = ""
    forward_after: str = str(Forwarding().after)
    forward_unregistered: str = ""

    @property
    def forwarding(self) -> Forwarding:
        """Of one that was checked."""
        targets = {when: getattr(self, f"forward_{when}") for when in FORWARDED_WHEN}
        return Forwarding(self.dnd == "on", **targets, after=int(self.forward_after))


def all_of(
    connection: sqlite3.Connection, table: str, where: str = "true", values: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """All rows of a table of ours, or some."""
    found = connection.execute(f"SELECT * FROM [{table}] WHERE {where}", values)
    names = [column[0] for column in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)


def tenant(row: dict[str, Any]) -> Tenant:
    return Tenant(
        row["domain"],
        tuple(json.loads(row["aliases"])),
        bool(row["single_dialog"]),
        row["pickup_code"],
        row["group_pickup_code"],
        Reach(row["pickup"]),
        bool(row["pickable"]),
        Owner(row["owner"]),
        DndLamp(row["dnd_lamp"]),
        Whose(row["redirect"]),
        Whose(row["decline"]),
        StarCodes(**json.loads(row["star_codes"])),
        bool(row["feature_sync"]),
        bool(row["send_outside"]),
    )


def star_codes_column(codes: StarCodes) -> str:
    """Those that are no defaults."""
    usual = asdict(StarCodes())
    return json.dumps({name: code for name, code in asdict(codes).items() if code != usual[name]})


def extension(row: dict[str, Any], device_ha1s: tuple[dict[str, str], ...] = ()) -> Extension:
    return Extension(
        Aor(row["tenant"], row["extension"]),
        row["name"],
        by_algorithm(row),
        Reach(row["pickup"]) if row["pickup"] else None,
        None if row["pickable"] is None else bool(row["pickable"]),
        device_ha1s,
        Owner(row["owner"]) if row["owner"] else None,
        bool(row["publish"]),
        forwarding(row),
    )


def forwarding(row: dict[str, Any]) -> Forwarding:
    targets = {when: row[f"forward_{when}"] for when in FORWARDED_WHEN}
    return Forwarding(bool(row["dnd"]), **targets, after=row["forward_after"])


def forwarding_row(f: Forwarding) -> dict[str, Any]:
    return {
        "dnd": int(f.dnd),
        "forward_always": f.always,
        "forward_busy": f.busy,
        "forward_no_answer": f.no_answer,
        "forward_after": f.after,
        "forward_unregistered": f.unregistered,
    }


def groups(found: Iterable[dict[str, Any]], members: Iterable[dict[str, Any]]) -> tuple[Group, ...]:
    """Of rows of `groups`, and of `group_members` of the same moment."""
    sides: dict[tuple[str, str], tuple[list[str], list[str]]] = {
        (row["tenant"], row["name"]): ([], []) for row in found
    }
    for row in members:
        pickers, targets = sides[row["tenant"], row["name"]]
        if row["picks"]:
            pickers.append(row["extension"])
        if row["is_picked"]:
            targets.append(row["extension"])
    return tuple(
        Group(*key, frozenset(pickers), frozenset(targets)) for key, (pickers, targets) in sides.items()
    )


def attempt(row: dict[str, Any]) -> Attempt:
    return Attempt(
        row["at"],
        Aor(row["tenant"], row["picker"]),
        Way(row["way"]),
        row["extension"],
        row["caller"],
        row["status"],
        row["result"],
        row["milliseconds"],
    )


def attempt_row(a: Attempt) -> dict[str, Any]:
    return {
        "at": a.at,
        "tenant": a.picker.tenant,
        "picker": a.picker.extension,
        "way": a.way.value,
        "extension": sound(a.extension),
        "caller": a.caller,
        "status": a.status,
        "result": sound(a.result),
        "milliseconds": a.milliseconds,
    }


def exact(text: str) -> str | bytes:
    """What has to come back as the phone has sent it: as octets where they are not UTF-8."""
    if text.isascii():
        return text
    octets = text.encode("utf-8", "surrogateescape")
    return octets if any("\udc80" <= letter <= "\udcff" for letter in text) else text


def text(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def sound(text: str) -> str:
    """What a phone has sent may hold octets that are not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def check_extension(row: NewExtension, is_known: bool = False) -> None:
    """Raises StoreError; one that `is_known` needs no password."""
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
    if row.publish not in ("on", "off"):
        raise StoreError(f"{what}: publish is on or off, not {row.publish!r}")
    if row.dnd not in ("on", "off"):
        raise StoreError(f"{what}: dnd is on or off, not {row.dnd!r}")
    if not (row.forward_after.isascii() and row.forward_after.isdecimal() and len(row.forward_after) < 5):
        raise StoreError(f"{what}: forward_after is a number of seconds, not {row.forward_after!r}")


def extension_row(new: NewExtension, tenant: Tenant, known: dict[str, Any] | None) -> dict[str, Any]:
    """What is kept of it, where `known` is kept now."""
    if known is None or new.password:
        secret = ha1(new.extension, tenant.realm, new.password)
    else:
        secret = {name: known[name] for name in SECRETS}
    return {
        "tenant": tenant.domain,
        "extension": new.extension,
        "name": new.name.strip(),
        **secret,
        "pickup": None if new.pickup == DEFAULT else new.pickup,
        "pickable": SWITCHES[new.pickable],
        "owner": None if new.owner == DEFAULT else new.owner,
        "publish": SWITCHES[new.publish],
        **forwarding_row(new.forwarding),
    }


def check_forwarding(
    aor: Aor,
    forwarding: Forwarding,
    known: Container[str],
    always: Mapping[str, str],
    routes: Sequence[OutRoute] = (),
) -> None:
    """`known` are the extensions that calls can go to, and `always` says where those of each go at once.

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
            raise StoreError(text, "'blfd extension list' shows them, 'extension add' adds one")
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
    """What is wrong is said with where that stands."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{where}{error.text}") from None


def check_codes(directed: str, group: str, star_codes: StarCodes) -> None:
    """An empty code, or one of digits alone, would take calls to extensions for pickups."""
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
    """Raises StoreError for a code that there is not."""
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


def by_algorithm(row: dict[str, str]) -> dict[str, str]:
    """The columns of `ha1` as the core wants them."""
    return {"SHA-256": row["ha1_sha256"], "MD5": row["ha1_md5"]}


def ha1(user: str, realm: str, password: str) -> dict[str, str]:
    """RFC 7616, section 3.4.2; as good as the password within the realm, so the file is private."""
    text = f"{user}:{realm}:{password}".encode()
    return {
        "ha1_sha256": hashlib.sha256(text).hexdigest(),
        "ha1_md5": hashlib.md5(text, usedforsecurity=False).hexdigest(),
    }
