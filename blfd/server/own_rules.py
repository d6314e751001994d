"""Stores the rules that extensions set by their phones, as everybody does it, on a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from blfd.control import ControlClient, socket_path
from blfd.core.effects import SetRules
from blfd.core.inputs import RulesSet
from blfd.server.thread_work import Worker
from blfd.store import Store, StoreError, Unavailable

log = logging.getLogger("blfd")

FAILED = "It cannot be stored now"


class OwnRules:
    """Stores rules; `answer` is called on the other thread, once for each change."""

    def __init__(self, store: Store, answer: Callable[[RulesSet], None]) -> None:
        self._store, self._answer = store, answer
        self._worker = Worker("rules")

    def set(self, effect: SetRules) -> None:
        self._worker.later(self._set, effect)

    def _set(self, effect: SetRules) -> None:
        try:
            status, reason = self._store_rules(effect)
        except Exception:  # a phone waits for the answer, whatever we have got wrong
            log.exception("%s: what its phone has set is not stored", effect.aor)
            status, reason = 500, FAILED
        self._answer(RulesSet(effect.number, status, reason))

    def _store_rules(self, effect: SetRules) -> tuple[int, str]:
        from blfd.devices.phones import Phones  # all of provisioning, which few servers need
        from blfd.devices.values import Place
        from blfd.operations import Desk, extensions
        from blfd.operations.desk import NotTaken

        aor = effect.aor
        rows = {field: name for name, field in extensions.FORWARDING.items()}
        phones = Phones(self._store, lambda: Place("", {}, ""))
        client = ControlClient(socket_path(self._store.path))
        desk = Desk(self._store, client, phones, f"{aor.extension} (its phone)")
        forwarding = {rows[rule.field]: rule.value for rule in effect.rules}
        try:
            row = extensions.change(desk, aor.tenant, aor.extension, forwarding=forwarding)
        except NotTaken as error:
            log.error("%s: what its phone has set: %s", aor, error)
            return 500, "It is stored, and does not hold yet"
        except Unavailable as error:
            log.error("%s: what its phone has set is not stored: %s", aor, error)
            return 500, FAILED
        except StoreError as error:
            log.info("%s: what its phone sets is refused: %s", aor, error)
            return 403, error.text
        log.info("%s has set by its phone: %s", aor, extensions.goes(row) or "nothing is forwarded")
        return 200, ""

    def close(self) -> None:
        """Store what is under way, and nothing else."""
        self._worker.close()
