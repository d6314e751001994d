"""Where operations are done: the database, the running server, and who does them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from blfd.control import ControlClient, ControlError, NotRunning
from blfd.devices.phones import Phones
from blfd.store import Conflict, NotFound, Store, StoreError

Row = dict[str, Any]
_SECRET = re.compile(r"pass|pwd|pswd|secret|pin$|^P(2|196|5730)\b", re.I)  # the numbers are Htek's
NEW_PASSWORD = {"password": "changed"}  # how the audit tells of one
SYSTEM = ""  # stands in the audit where there is no tenant


class NotTaken(StoreError):
    """Raised where a change is saved, but the running server goes on with what was before."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk; `who` is what the audit says of each change."""

    store: Store
    client: ControlClient
    phones: Phones
    who: str

    @contextmanager
    def change(
        self,
        tenant: str,
        operation: str,
        subject: str,
        look: Callable[[], Row | None],
        expected: str | None = None,
        *,
        unseen: Row | None = None,
        reloads: bool = True,
    ) -> Iterator[None]:
        """The transaction of a change, with its entry in the audit: `look` returns the subject, before and
        after.

        `unseen` is what the audit tells besides, as nobody sees it in the subject: that a password is another
        one. With `reloads`, the SIP server takes the change over. `expected` is the `etag` of what the caller
        has seen; raises Conflict where that is another by now.
        """
        with self.store.writing():
            before = _found(look)
            if expected is not None and expected != etag(before):
                raise Conflict(
                    f"{subject} has been changed by somebody else since you opened it",
                    "look again, then change it",
                )
            yield
            after = _found(look)
            told = {**after, **unseen} if after and unseen else after
            self.store.audit.record(self.who, tenant, operation, subject, before, told)
        if reloads:
            self.reload()

    def limits(self) -> Row:
        """What the running server's configuration allows, by setting; empty where none runs."""
        try:
            found: Row = self.client.call("limits")
        except (NotRunning, ControlError):
            return {}
        return found

    def reload(self) -> None:
        """Have the running server, if there is one, take over what the store says. Raises NotTaken."""
        try:
            self.client.call("reload")
        except NotRunning:
            return
        except ControlError as error:
            text = f"saved, but the running server did not take it over ({error})"
            raise NotTaken(text, "restart it") from error


def _found(look: Callable[[], Row | None]) -> Row | None:
    try:
        return look()
    except NotFound:
        return None


def etag(row: Row | None) -> str:
    """A name for the state of a row, the same for equal rows only (RFC 9110, section 8.8.3, without
    quotes)."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]


def is_secret(setting: str) -> bool:
    """Whether a phone's setting of that name is a password or the like."""
    return bool(_SECRET.search(setting))


def told(settings: Mapping[str, str | None] | Iterable[tuple[str, str | None]]) -> Row:
    """The settings of phones as the audit tells them: that a password was set, but not which."""
    return {
        name: "(not kept here)" if value and is_secret(name) else value
        for name, value in dict(settings).items()
    }
