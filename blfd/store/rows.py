"""Rows of the database as values, and values as rows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.directory import DndLamp, Extension, Forwarding, Group, Owner, Reach, StarCodes, Tenant, Whose
from blfd.core.values import Aor
from blfd.store.checks import DEFAULT, FORWARDED_WHEN, SWITCHES, NewExtension

SECRETS = ("ha1_sha256", "ha1_md5")


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
    """The codes that are no defaults, as JSON."""
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
        bool(row["withhold"]),
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
    """The groups in rows of `groups`, and of `group_members` of the same moment."""
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
    """What is kept of a text that has to come back as the phone has sent it: octets where it is not UTF-8."""
    if text.isascii():
        return text
    octets = text.encode("utf-8", "surrogateescape")
    return octets if any("\udc80" <= letter <= "\udcff" for letter in text) else text


def text(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def sound(text: str) -> str:
    """The text with replacements for octets that are not UTF-8, which what a phone has sent may hold."""
    return text.encode("utf-8", "replace").decode()


def extension_row(new: NewExtension, tenant: Tenant, known: dict[str, Any] | None) -> dict[str, Any]:
    """The row of a new extension, or of one whose row is `known`."""
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
        "withhold": SWITCHES[new.withhold],
        **forwarding_row(new.forwarding),
    }


def by_algorithm(row: dict[str, str]) -> dict[str, str]:
    """The HA1s of a row by algorithm, as the core wants them."""
    return {"SHA-256": row["ha1_sha256"], "MD5": row["ha1_md5"]}


def ha1(user: str, realm: str, password: str) -> dict[str, str]:
    """The HA1s (RFC 7616, section 3.4.2): as good as the password in the realm, so the file is private."""
    text = f"{user}:{realm}:{password}".encode()
    return {
        "ha1_sha256": hashlib.sha256(text).hexdigest(),
        "ha1_md5": hashlib.md5(text, usedforsecurity=False).hexdigest(),
    }
