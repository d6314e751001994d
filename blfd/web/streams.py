"""What changes as server-sent events (HTML, section 9.2), for lamp boards and for programs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from blfd.operations.lamps import shown
from blfd.web.feed import Event, Feed, Watched
from blfd.web.visitor import Visitor

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
RETRY = "retry: 2000\n\n"  # milliseconds until a browser comes back


def event_stream(
    feed: Feed, watched: Watched, visitor: Visitor, still_welcome: Callable[[], bool]
) -> StreamingResponse:
    """Events `lamps` (all that are watched), `lamp` (what changed), `pickup` and `down`: rows as JSON.

    A visitor who may not know callers is not told them; pickups are for those who may, and may read.
    `still_welcome` is asked at each beat of the feed, so nothing is told once the session or token is gone.
    """

    async def stream() -> AsyncIterator[str]:
        yield RETRY
        async with aclosing(feed.follow(watched)) as events:
            async for event in events:
                if event.kind == "beat":
                    if not await run_in_threadpool(still_welcome):
                        return
                    yield ": still here\n\n"
                elif event.kind != "pickup" or (visitor.may("read") and visitor.may("callers")):
                    yield _written(event, visitor.may("callers"))

    return StreamingResponse(stream(), headers=HEADERS, media_type="text/event-stream")


def _written(event: Event, callers: bool) -> str:
    if callers not in event.texts:
        is_lamps = event.kind in ("lamp", "lamps")
        rows = [shown(row, callers) for row in event.rows] if is_lamps else event.rows
        event.texts[callers] = f"event: {event.kind}\ndata: {json.dumps(rows)}\n\n"
    return event.texts[callers]
