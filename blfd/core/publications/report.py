"""What others publish, and who is refused, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blfd.core.core import Core
from blfd.core.publications.composition import Publication

Row = dict[str, Any]


def publication(one: Publication, now: float) -> Row:
    """A publication as a row: `ago` is in seconds, and `expires` in seconds from now."""
    saved = one.saved
    return {
        "extension": saved.aor.extension,
        "tenant": saved.aor.tenant,
        "publisher": saved.publisher,
        "dialogs": len(one.dialogs),
        "ago": round(now - saved.at, 1),
        "expires": max(0, round(saved.expires_at - now)),
    }


def publications(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """A row for each publication of a tenant."""
    for each in core.compositor.all():
        if each.saved.aor.tenant == tenant:
            yield publication(each, now)


def refused_publishers(core: Core, tenant: str, now: float) -> list[Row]:
    """Who publishes an extension and is refused, the latest last; a first challenge is no refusal."""
    return [
        {
            "source": source,
            "extension": aor.extension,
            "status": refused.status,
            "reason": refused.reason,
            "times": refused.times,
            "ago": round(now - refused.at, 1),
        }
        for (source, aor), refused in core.compositor.refused.items()
        if aor.tenant == tenant and (refused.status != 401 or refused.times > 1)
    ]
