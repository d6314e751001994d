"""Who picked up what."""

from __future__ import annotations

import re
import time
from datetime import datetime

from blfd.operations.desk import Desk, Row
from blfd.store import StoreError
from blfd.store.records import ORDERS

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> float:
    """The seconds since the epoch of "8h" (ago) or an ISO time. Raises StoreError."""
    ago = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if ago:
        return time.time() - int(ago[1]) * SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise StoreError(f"{text!r}: write 30m, 8h, 7d, or a time such as 2026-11-23T08:00") from None


def some(
    desk: Desk,
    tenant: str,
    search: str,
    sort: str,
    part: tuple[int, int],
    *,
    since: str = "",
    succeeded: bool | None = None,
) -> tuple[list[Row], int]:
    """The attempts that match, and how many there are; `search`, `sort` and `part` as in `extensions.some`,
    `since` as in `moment`. Raises StoreError."""
    desk.store.tenants.get(tenant)
    order = sort or "-at"
    if order.removeprefix("-") not in ORDERS:
        raise StoreError(f"no order by {order!r}", f"there are {', '.join(ORDERS)}")
    begins = moment(since) if since.strip() else 0.0
    found, total = desk.store.records.some_attempts(tenant, search.split(), order, part, begins, succeeded)
    return [attempt.row() for attempt in found], total


def all(
    desk: Desk,
    tenant: str,
    *,
    picker: str = "",
    extension: str = "",
    succeeded: bool | None = None,
    since: float = 0.0,
    before: int | None = None,
    limit: int = 100,
) -> list[Row]:
    """The attempts, the newest first, each with its `id`; `before`: only those that are older than that."""
    desk.store.tenants.get(tenant)
    found = desk.store.records.attempts(
        tenant, since, limit, picker=picker, extension=extension, succeeded=succeeded, before=before
    )
    return [{"id": number, **attempt.row()} for number, attempt in found]
