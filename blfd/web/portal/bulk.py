"""One thing done to many rows of a list: to those that are ticked, or to all that match the search.

What cannot be undone, or concerns more rows than a page shows, is asked about first, on a page that says what
it means. The rows are kept in that page, so that nothing is done to rows that it has not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from starlette.datastructures import FormData
from starlette.responses import Response

from blfd.operations.loss import Loss
from blfd.store import StoreError
from blfd.web.portal.here import Here

MOST_UNASKED = 100  # rows, which are a page of a list
FIELDS = ("do", "group", "keys", "setting", "value")  # fields of lists' forms: what is done, and with what
Act = Callable[[Here, list[str], str | None], str]


class Doing(NamedTuple):
    """What can be done to many rows, and is chosen by its `label`.

    With `loss`, which says what is lost, it is always asked about first. `act` gets the chosen rows and the
    version that was shown, and returns a key of DONE.
    """

    label: str
    act: Act
    loss: Callable[[Here, list[str]], Loss] | None = None


def changing(change_many: Callable[..., None], **fields: str) -> Act:
    """An act that sets the same fields in all chosen rows."""

    def act(here: Here, chosen: list[str], version: str | None) -> str:
        change_many(here.desk, here.tenant, chosen, **fields)
        return "changed"

    return act


def losing(operation: Callable[..., None], done: str) -> Act:
    """An act that does an operation to all chosen rows, unless they have changed since it was asked about."""

    def act(here: Here, chosen: list[str], version: str | None) -> str:
        operation(here.desk, here.tenant, chosen, version)
        return done

    return act


def answer(
    here: Here,
    form: FormData,
    what: str,
    noun: str,
    doings: dict[str, Doing],
    matching: Callable[[Here, str], list[str]],
) -> Response:
    """The answer to the form of the list `what`. Raises StoreError."""
    doing = doings.get(str(form.get("do", "")))
    if doing is None:
        raise StoreError("Choose what is to be done with them.")
    search, is_sure = " ".join(str(form.get("q", "")).split()), "rows" in form
    if is_sure:
        chosen = [each for each in str(form["rows"]).split(",") if each]
    elif "all" in form:
        chosen = matching(here, search)
    else:
        chosen = [str(each) for each in form.getlist("row")]
    if not chosen:
        raise StoreError(f"No {noun} is ticked.")
    if not is_sure and (doing.loss or len(chosen) > MOST_UNASKED):
        of = f"all that match “{search}”" if search else "all there are"
        loss = (
            doing.loss(here, chosen)
            if doing.loss
            else Loss(f"{len(chosen):,} {noun}s", f"This is done to {of}.")
        )
        return here.page(
            "bulk.html",
            loss=loss,
            label=doing.label,
            what=what,
            rows=",".join(chosen),
            sent={name: str(form[name]) for name in FIELDS if name in form},
            is_loss=doing.loss is not None,
        )
    return here.to(what, doing.act(here, chosen, str(form.get("version", "")) or None))
