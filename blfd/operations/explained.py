"""What may be explained, and what is said of trunks and upstreams."""

from __future__ import annotations

from collections.abc import Iterator

from blfd.core.lines import is_line
from blfd.core.values import Aor
from blfd.operations.desk import Desk, Row


def check(desk: Desk, tenant: str, name: str) -> None:
    """Raises NotFound for an extension, `trunk+NAME` or `upstream+NAME` that there is not."""
    if not is_line(name):
        desk.store.extensions.get(Aor(tenant, name))
        return
    kind, _, of = name.partition("+")
    if kind == "trunk":
        desk.store.trunks.trunk(tenant, of)
    else:
        desk.store.upstreams.get(tenant, of)


def sentences(found: Row) -> Iterator[str]:
    """Why a trunk or an upstream is as it is, a sentence a line."""
    lamp = f"; its lamp: {found['lamp']}, {found['calls']} calls" if found["lamp"] else ""
    yield f"{found['kind']} {found['name']}: {found['state']}{lamp}"
    if found["error"]:
        times = f", {found['failures']} times in a row" if found["failures"] > 1 else ""
        yield f"Last tried: {found['server']}: {found['error']}{times}"
    else:
        yield f"Server: {found['server'] or 'it comes to us'}"
    if found["next"] is not None:
        yield f"{'Asked' if found['usable'] else 'Tried'} again in {found['next']} s"
    if found["advice"]:
        yield f"What to do: {found['advice']}"
