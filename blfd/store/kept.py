"""Where phones are, who watches and what is published, as rows; `legs` has the calls.

SQLite keeps whatever was written into a column, so each row is looked at before it becomes a value.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from blfd.core.saved import SavedPublication, SavedSubscription
from blfd.core.values import TRANSPORTS, Aor, Binding, DialogId, Flow, NameAddr, SubscriptionDialog
from blfd.store.rows import exact, sound, text

NO_ROUTES = "[]"  # a route set that is empty, as JSON
NUMBER = (int, float)

Row = TypeVar("Row")
Value = TypeVar("Value")

log = logging.getLogger("blfd.store")


def readable(
    found: Iterable[Row], read: Callable[[Row], Value], name: Callable[[Row], str]
) -> tuple[list[Value], list[Row]]:
    """What the rows say, and those that cannot be read: the server starts without them, and says so."""
    values: list[Value] = []
    lost: list[Row] = []
    for row in found:
        try:
            values.append(read(row))
        except (ValueError, TypeError) as error:
            what = "cannot be read from the database and is forgotten"
            log.warning("%s of before the start %s: %s", name(row), what, error)
            lost.append(row)
    return values, lost


def check(row: Mapping[str, Any], kind: type | tuple[type, ...], *names: str) -> None:
    """Raises ValueError where a column has something of another kind."""
    for name in names:
        if not isinstance(row[name], kind):
            raise ValueError(f"{name} is {row[name]!r}")


def flow(transport: Any, host: Any, port: Any, listener: Any, name: Any) -> Flow:
    """The flow in these columns. Raises ValueError for what is none."""
    if transport not in TRANSPORTS or not isinstance(host, str) or not host:
        raise ValueError(f"it is over {transport!r} at {host!r}")
    check({"port": port, "listener": listener}, int, "port", "listener")
    return Flow(transport, host, port, listener, name)


def flow_of(row: Mapping[str, Any]) -> Flow:
    return flow(*(row[name] for name in ("transport", "host", "port", "listener", "peer")))


def routes(column: str) -> tuple[str, ...]:
    """The route set in a column, as JSON. Raises ValueError."""
    found = json.loads(column) if column != NO_ROUTES else []
    if not isinstance(found, list) or not all(isinstance(route, str) for route in found):
        raise ValueError(f"the route set is {found!r}")
    return tuple(found)


def binding(row: dict[str, Any]) -> Binding:
    check(row, str, "contact", "call_id", "user_agent", "instance", "proof")
    check(row, int, "cseq")
    check(row, NUMBER, "expires_at", "q")
    return Binding(
        Aor(row["tenant"], row["extension"]),
        row["contact"],
        flow_of(row),
        row["call_id"],
        row["cseq"],
        row["expires_at"],
        row["q"],
        row["user_agent"],
        routes(row["path"]),
        row["instance"],
        proof=row["proof"],
    )


def binding_row(b: Binding) -> tuple[Any, ...]:
    contact, call_id, user_agent = (sound(text) for text in (b.contact, b.call_id, b.user_agent))
    path, instance = json.dumps(b.path), sound(b.instance)
    who = (*b.aor, contact, *b.flow[:4])
    return *who, call_id, b.cseq, b.expires_at, b.q, user_agent, path, instance, b.flow.name, b.proof


def publication(row: dict[str, Any]) -> SavedPublication:
    check(row, NUMBER, "at", "expires_at")
    check(row, bytes, "body")
    check(row, str, "proof")
    return SavedPublication(
        row["etag"],
        Aor(row["tenant"], row["extension"]),
        row["publisher"],
        row["at"],
        row["expires_at"],
        row["body"],
        row["proof"],
    )


def publication_row(p: SavedPublication) -> tuple[Any, ...]:
    return p.etag, *p.aor, p.publisher, p.at, p.expires_at, p.body, p.proof


def subscription(row: tuple[Any, ...]) -> SavedSubscription:
    """The subscription in the columns in their order; octets that are not UTF-8 come back as they were."""
    key, tenant, resource, watcher, package, *texts = row[:15]
    entity, call_id, remote_tag, local, local_name, remote, remote_name, target, route_set, event = map(
        text, texts
    )
    remote_cseq, transport, host, port, listener, expires_at, user_agent, cseq, name, proof = row[15:]
    numbers = {"remote_cseq": remote_cseq, "cseq": cseq, "expires_at": expires_at}
    check(numbers, int, "remote_cseq", "cseq")
    check(numbers, NUMBER, "expires_at")
    check({"proof": proof}, str, "proof")
    dialog = SubscriptionDialog(
        DialogId(call_id, key, remote_tag),
        NameAddr(local, local_name),
        NameAddr(remote, remote_name),
        target,
        routes(route_set),
        event,
    )
    return SavedSubscription(
        Aor(tenant, resource),
        Aor(tenant, watcher),
        package,
        entity,
        dialog,
        remote_cseq,
        flow(transport, host, port, listener, name),
        expires_at,
        text(user_agent),
        cseq,
        proof,
    )


def subscription_row(s: SavedSubscription) -> tuple[Any, ...]:
    resource, watcher, package, entity, dialog, remote_cseq, flow, expires_at, user_agent, cseq, proof = s
    (call_id, key, remote_tag), local, remote, target, route_set, event = dialog
    texts = (entity, call_id, remote_tag, *local, *remote, target, event, user_agent)
    *ids, its_event, agent = texts if "".join(texts).isascii() else map(exact, texts)
    route_texts = json.dumps(route_set) if route_set else NO_ROUTES
    who = (key, *resource, watcher.extension, package)
    return (
        *who,
        *ids,
        route_texts,
        its_event,
        remote_cseq,
        *flow[:4],
        expires_at,
        agent,
        cseq,
        flow.name,
        proof,
    )
