"""Lamps: a live board of a tenant's extensions."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from blfd.operations import lamps
from blfd.operations.desk import Row
from blfd.store import NotFound
from blfd.web.feed import Watched
from blfd.web.portal.here import Here, here, site_of, still_signed_in
from blfd.web.portal.lists import Asked, Part, asked
from blfd.web.streams import event_stream

router = APIRouter(prefix="/t/{tenant}/lamps")

TILES = 300  # lamps of a page, and of a screen on the wall
MOST_SECTIONS = 30  # groups on a board
MOST_NAMES = 500  # names of groups to choose from
MOST_MEMBERS = 5_000  # members of a group, who come to the board with their calls
Watching = Annotated[Here, Depends(here("lamps"))]
Wanted = Annotated[Asked, Depends(asked("", "group", "wall", "calls"))]


class Section(NamedTuple):
    """The lamps of a group; `members` are all of them, where not all are shown and there are not too many."""

    name: str
    rows: list[Row]
    total: int
    members: list[str]


@router.get("")
def board(here: Watching, wanted: Wanted, request: Request) -> Response:
    """The board, calls first. `wall` leaves everything out but the lamps, `wall=dense` shows hundreds.

    With `group` it has the lamps of a group, or of several, each under its name; with `calls`, those of
    extensions that have a call.
    """
    wanted = wanted._replace(length=TILES)
    names = here.desk.store.groups.names(here.tenant)
    groups = _groups(request.query_params.getlist("group"), names)
    calls_only = "calls" in request.query_params
    sections = list[Section]()
    if len(groups) > 1:
        wanted = wanted._replace(page=1)
        sections, down = _sections(here, wanted.q, groups, calls_only)
        rows = [row for section in sections for row in section.rows]
        part = Part(rows, len(rows), wanted)
    else:
        found = lamps.board(
            here.desk,
            here.tenant,
            wanted.q,
            wanted.part,
            here.visitor.may("callers"),
            group="".join(groups),
            calls_only=calls_only,
        )
        part, down = Part(found.rows, found.total, wanted), found.down
    wall = request.query_params.get("wall")
    guests = wanted.page == 1 and not wanted.q
    return here.page(
        "lamps.html",
        part=part,
        sections=sections or [Section("", list(part.rows), part.total, [])],
        down=down,
        wall=wall is not None,
        dense=wall == "dense",
        groups=names[:MOST_NAMES],
        chosen=groups,
        calls_only=calls_only,
        guests=guests,
        everybody=guests and part.pages == 1 and not (groups or calls_only),
    )


def _groups(asked: Iterable[str], names: Container[str]) -> list[str]:
    """The groups that are asked for and exist, each once."""
    return [name for name in dict.fromkeys(asked) if name in names][:MOST_SECTIONS]


def _sections(here: Here, q: str, groups: list[str], calls_only: bool) -> tuple[list[Section], bool]:
    """A section for each group; and whether no server answers."""
    callers = here.visitor.may("callers")
    boards = lamps.by_group(here.desk, here.tenant, q, groups, TILES, callers, calls_only=calls_only)
    found = list[Section]()
    for name, board in zip(groups, boards, strict=True):
        members = sorted(_members(here, name)) if calls_only or len(board.rows) < board.total else []
        few = members if len(members) <= MOST_MEMBERS else []
        found.append(Section(name, board.rows, board.total, few))
    return found, any(board.down for board in boards)


@router.get("/events")
def events(
    here: Watching,
    request: Request,
    of: str | None = None,
    calls: bool = False,
    group: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """The events of the extensions `of`, between commas, or of all.

    With `calls`, there are also those of extensions that have a call, in the groups or anywhere.
    """
    site = site_of(request)
    having_calls: frozenset[str] | None = frozenset()
    if calls:
        members = [_members(here, name) for name in (group or ())[:MOST_SECTIONS]]
        having_calls = frozenset().union(*members) if members else None
    extensions = None if of is None else frozenset(filter(None, of.split(",")))
    watched = Watched(here.tenant, extensions, having_calls)

    def still_welcome() -> bool:
        now = still_signed_in(request)
        return now is not None and now.scopes == here.visitor.scopes

    return event_stream(site.feed, watched, here.visitor, still_welcome)


def _members(here: Here, name: str) -> frozenset[str]:
    """The members of a group; none of one that is gone."""
    try:
        group = here.desk.store.groups.get(here.tenant, name)
    except NotFound:
        return frozenset()
    return group.pickers | group.targets
