"""Another number for an extension, and for whatever names it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from blfd.control import ControlError, NotRunning
from blfd.core.values import Aor
from blfd.operations import devices, extensions, mentions, routes
from blfd.operations.desk import NEW_PASSWORD, Desk, Row, etag
from blfd.operations.loss import Loss, counted, some_of

MOST_SAID = 20  # phones


class Renumbered(NamedTuple):
    """An extension by its new number, and what has come of that.

    `notes` are sentences; `devices` are phones whose files have changed, and `told` is how many of their
    registered lines were told to fetch them.
    """

    row: Row
    notes: list[str]
    devices: list[str]
    told: int


def along(desk: Desk, tenant: str, extension: str) -> Loss:
    """What comes of another number for an extension, before it has one."""
    found = extensions.get(desk, tenant, extension)
    return Loss(extensions.named(found), " ".join(mentions.along(desk, Aor(tenant, extension))), etag(found))


def renumber(
    desk: Desk,
    tenant: str,
    extension: str,
    new: str,
    password: str,
    *,
    force: bool = False,
    expected: str | None = None,
) -> Renumbered:
    """Give an extension another number, wherever it is named; with `force`, that may be an emergency number.

    As when it is removed, its registrations are forgotten, and its watchers are told that it is gone. Calls
    go on. Raises Exists.
    """
    aor, shown, unseen = Aor(tenant, extension), [extension], dict[str, Any](NEW_PASSWORD)

    def look() -> Row:
        return extensions.get(desk, tenant, shown[0])

    with desk.change(tenant, "extension.renumber", extension, look, expected, unseen=unseen, reloads=False):
        if not force:
            routes.check_extensions(desk, tenant, [new])
        notes = mentions.along(desk, aor)
        concerned = {*_concerned(desk, aor)}
        registered = devices.many(desk, tenant, concerned)  # as they are until the server has taken it over
        mentions.follow(desk, aor, new, password)
        concerned |= {*_concerned(desk, Aor(tenant, new))}
        shown[0] = new
        unseen["along"] = notes
    known = {row.mac for row in registered}
    registered += [row for row in devices.many(desk, tenant, concerned) if row.mac not in known]
    told = 0
    with contextlib.suppress(NotRunning, ControlError):
        told, _ = devices.sync_rows(desk, tenant, registered)  # while they are registered by the old number
    desk.reload()
    return Renumbered(extensions.get(desk, tenant, new), notes, sorted(concerned), told)


def _concerned(desk: Desk, aor: Aor) -> Iterator[str]:
    """The phones whose files name an extension as a line or a key."""
    for name in ("lines", "keys", "dialling keys"):
        yield from mentions.MENTIONS[name].by(desk, aor.tenant, {aor.extension})


def fetching(done: Renumbered) -> list[str]:
    """Which phones need their files fetched anew, and whether they have been told."""
    if not done.devices:
        return []
    told = f"{counted(done.told, 'registered line')} told to fetch them"
    nobody = "none was registered that could be told: they fetch them when they are restarted"
    return [f"other files for {some_of(done.devices, MOST_SAID)}: {told if done.told else nobody}"]
