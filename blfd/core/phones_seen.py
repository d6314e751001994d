"""What phones have done, as the server tells of thousands of them at once: who registers, who watches what.

Most phones of an office watch the same, so that is told once: `told` writes it so, and `read` has it in rows
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from blfd.core.core import Core
from blfd.core.values import Aor

Row = dict[str, Any]


class Seen(NamedTuple):
    """`registered` has a row for each binding, with `extension`; `watching` one for each phone that watches,
    with `watcher` and its `resources`; both have `source` and `user_agent`."""

    registered: list[Row]
    watching: list[Row]


def registered(core: Core, aors: Iterable[Aor], now: float) -> Iterator[tuple[str, str, str]]:
    """The extension, the source and the User-Agent of each binding of some extensions."""
    for aor in aors:
        for binding in core.registrar.bindings(aor, now):
            yield aor.extension, str(binding.flow), binding.user_agent


def watching(core: Core, aors: Iterable[Aor]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """The watcher, the source and the User-Agent of each phone of some watchers, and all that it watches."""
    for aor in aors:
        for phone in core.notifier.subscriptions.phones(aor):
            yield aor.extension, str(phone.flow), phone.user_agent, phone.watched


def told(
    registered: Iterable[tuple[str, str, str]], watching: Iterable[tuple[str, str, str, tuple[str, ...]]]
) -> dict[str, Any]:
    """Both for the control socket: of what is watched, each phone has the place in `watched`."""
    places: dict[tuple[str, ...], int] = {}
    phones = [(*who, places.setdefault(resources, len(places))) for *who, resources in watching]
    return {"registered": list(registered), "watching": phones, "watched": list(places)}


def read(answer: dict[str, Any]) -> Seen:
    """What `told` has written; those who watch the same share it."""
    watched = [frozenset(resources) for resources in answer["watched"]]
    return Seen(
        [
            {"extension": extension, "source": source, "user_agent": user_agent}
            for extension, source, user_agent in answer["registered"]
        ],
        [
            {"watcher": watcher, "source": source, "user_agent": user_agent, "resources": watched[place]}
            for watcher, source, user_agent, place in answer["watching"]
        ],
    )
