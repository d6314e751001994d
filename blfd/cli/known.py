"""What a shell completes: the names that the database has, each with what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from blfd.cli.options import Options
from blfd.config import ConfigError
from blfd.operations.selection import natural
from blfd.store import StoreError
from provisioning import written_mac

Names = Iterable[tuple[str, str]]
MOST = 200  # names that a shell is given: nobody reads more


def _completing(read: Callable[[Options], Names]) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """What begins so among these names, by the options before the command; nothing where these are wrong."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        before = ctx.find_root().params
        given = Options(before.get("db"), before.get("config"), before.get("tenant"))
        try:
            if not given.load().database.exists():  # which asking for names would make
                return []
            found = [each for each in read(given) if each[0].startswith(incomplete)]
        except (StoreError, ConfigError):
            return []
        return sorted(found, key=lambda each: natural(each[0]))[:MOST]

    return complete


def _named(rows: Iterable[Any]) -> Names:
    return [(row.name, "") for row in rows]


extensions = _completing(lambda given: given.store.extensions.names(given.tenant).items())
groups = _completing(lambda given: [(name, "") for name in given.store.groups.names(given.tenant)])
tenants = _completing(lambda given: [(domain, "") for domain in given.store.tenants.domains()])
trunks = _completing(lambda given: _named(given.store.trunks.trunks(given.tenant)))
upstreams = _completing(lambda given: _named(given.store.upstreams.all(given.tenant)))
explained = _completing(
    lambda given: [
        *given.store.extensions.names(given.tenant).items(),
        *((f"trunk+{one.name}", "") for one in given.store.trunks.trunks(given.tenant)),
        *((f"upstream+{one.name}", "") for one in given.store.upstreams.all(given.tenant)),
    ]
)


def devices(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """MACs, with colons only where one has been typed: to bash these end a word."""
    mac = written_mac if ":" in incomplete else str

    def read(given: Options) -> Names:
        for row in given.store.devices.all(given.tenant):
            yield mac(row.mac), f"{row.model} of {', '.join(row.extensions)}"

    return _completing(read)(ctx, incomplete)
