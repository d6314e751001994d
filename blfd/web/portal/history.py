"""What has happened: attempts to pick up, and changes by administrators."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends
from starlette.responses import Response

from blfd.operations import pickups
from blfd.operations.desk import Row
from blfd.operations.loss import some_of
from blfd.operations.sentences import sentence
from blfd.store import StoreError
from blfd.store.audit import ORDERS, Change
from blfd.store.audit import Part as Of
from blfd.web.portal.here import Here, Reading, There, at_either
from blfd.web.portal.lists import Asked, Listing, Part, asked

router = APIRouter()

MOST_NAMED = 30  # entries of a list, such as the members of a group
LONGEST_VALUE = 500  # characters of a value; a template has thousands
MOST_FIELDS = 20  # fields of a change; an import has thousands
Either = Annotated[There, Depends(at_either("read"))]
Wanted = Annotated[Asked, Depends(asked("", "of"))]
Attempts = Annotated[Asked, Depends(asked("", "result", "since"))]


class Field(NamedTuple):
    """A field of what was changed, and how it looks before and after."""

    name: str
    before: str
    after: str


@router.get("/t/{tenant}/pickups")
def picked_up(here: Reading, wanted: Attempts) -> Response:
    """The attempts to pick up, by `result` (yes or no) and `since`, as `blfd pickups` has it."""
    result, since = (wanted.more.get(name, "") for name in ("result", "since"))
    succeeded = {"yes": True, "no": False}.get(result)
    try:
        rows, total = pickups.some(
            here.desk,
            here.tenant,
            wanted.q,
            wanted.sort,
            wanted.part,
            since=since,
            succeeded=succeeded,
        )
        error = ""
    except StoreError as problem:
        rows, total, error = [], 0, problem.text
    return here.page(
        "pickups.html",
        422 if error else 200,
        part=Part(rows, total, wanted),
        result=result,
        since=since,
        error=error,
    )


@router.get("/changes")
@router.get("/t/{tenant}/changes")
def changes(place: Either, wanted: Wanted) -> Response:
    """The changes of a tenant, or all; with `of`, who looks after the system sees those of one tenant."""
    of = wanted.more.get("of", "")
    tenant = place.tenant if isinstance(place, Here) else of or None
    order = wanted.sort or "-at"
    if order.removeprefix("-") not in ORDERS:
        raise StoreError(f"no order by {order!r}", f"there are {', '.join(ORDERS)}")
    found, total = place.desk.store.audit.some(tenant, wanted.q.split(), order, wanted.part)
    rows = [_row(change) for change in found]
    tenants = [] if isinstance(place, Here) else place.desk.store.tenants.domains()
    return place.page("changes.html", part=Part(rows, total, wanted), of=of, tenants=tenants)


@router.get("/changes/{number}")
@router.get("/t/{tenant}/changes/{number}")
def change(place: Either, wanted: Listing, number: int) -> Response:
    """One change of many, with what has become of each."""
    found = place.desk.store.audit.get(place.tenant if isinstance(place, Here) else None, number)
    parts, total = place.desk.store.audit.parts(found.id, wanted.q.split(), wanted.part)
    rows = [{"name": part.name, "fields": list(differences(part, changed(part)))} for part in parts]
    return place.page("change.html", row=_row(found), part=Part(rows, total, wanted))


def _row(change: Change) -> Row:
    names = changed(change)
    shown, more = list(differences(change, names[:MOST_FIELDS])), len(names[MOST_FIELDS:])
    return {**change._asdict(), "sentence": sentence(change), "fields": shown, "more": more}


def changed(change: Change | Of) -> list[str]:
    """The names of the fields that are not as they were."""
    before, after = change.before or {}, change.after or {}
    return [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]


def differences(change: Change | Of, names: Iterable[str]) -> Iterator[Field]:
    """The fields of these names, before and after a change."""
    before, after = change.before or {}, change.after or {}
    for name in names:
        field = Field(name, *_apart(before.get(name), after.get(name)))
        if field.before or field.after:  # else it is new, and empty
            yield field


def _apart(before: Any, after: Any) -> tuple[str, str]:
    """What is shown of a value before and after: of two lists what went and what came, of all else both."""
    if isinstance(before, list) and isinstance(after, list):
        olds, news = set(map(str, before)), set(map(str, after))
        gone = [each for each in before if str(each) not in news]
        come = [each for each in after if str(each) not in olds]
        if gone or come:
            before, after = gone, come
    return _shown(before), _shown(after)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return some_of(value, MOST_NAMED)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
