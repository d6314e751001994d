"""What has happened: attempts to pick up, and changes by administrators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends
from starlette.responses import Response

from blfd.operations import pickups
from blfd.store import StoreError
from blfd.store.audit import Change
from blfd.web.portal.here import Here, Reading, There, at_either

router = APIRouter()

PAGE = 100  # rows
MOST_FIELDS = 20  # of a change; an import has thousands
Either = Annotated[There, Depends(at_either("read"))]


class Field(NamedTuple):
    """A field of what was changed, and how it looks before and after."""

    name: str
    before: str
    after: str


@router.get("/t/{tenant}/pickups")
def picked_up(
    here: Reading, picker: str = "", extension: str = "", result: str = "", since: str = "", older: str = ""
) -> Response:
    """`older`: only those before the attempt with this number."""
    wanted = {"picker": picker, "extension": extension, "result": result, "since": since}
    try:
        found = pickups.all(
            here.desk,
            here.tenant,
            picker=picker.strip(),
            extension=extension.strip(),
            succeeded={"yes": True, "no": False}.get(result),
            since=pickups.moment(since) if since.strip() else 0.0,
            before=_number(older),
            limit=PAGE + 1,
        )
        error = ""
    except StoreError as problem:
        found, error = [], problem.text
    last = found[PAGE - 1]["id"] if len(found) > PAGE else None
    return here.page(
        "pickups.html", 422 if error else 200, rows=found[:PAGE], wanted=wanted, last=last, error=error
    )


@router.get("/changes")
@router.get("/t/{tenant}/changes")
def changes(place: Either, older: str = "", of: str = "") -> Response:
    """`of`: for who looks after the system, those of one tenant alone."""
    tenant = place.tenant if isinstance(place, Here) else of or None
    found = place.desk.store.audit.changes(tenant, _number(older), PAGE + 1)
    last = found[PAGE - 1].id if len(found) > PAGE else None
    rows = [(change, list(differences(change))) for change in found[:PAGE]]
    shown = [(change, fields[:MOST_FIELDS], len(fields[MOST_FIELDS:])) for change, fields in rows]
    tenants = [] if isinstance(place, Here) else list(place.desk.store.directory().tenants)
    return place.page("changes.html", rows=shown, last=last, of=of, tenants=tenants)


def _number(text: str) -> int | None:
    """Of a row; None for what cannot be one."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def differences(change: Change) -> Iterator[Field]:
    """The fields that are not as they were."""
    before, after = change.before or {}, change.after or {}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Field(name, _shown(before.get(name)), _shown(after.get(name)))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
