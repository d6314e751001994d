"""What is sent has to be known: a slip in a name is an error, and not silence."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict

Search = Annotated[str, Query(description="Rows that have each of these words, as in a number or a name.")]


class Sent(BaseModel):
    """A body that is sent: members that it does not have are refused."""

    model_config = ConfigDict(extra="forbid")


def only_known(request: Request) -> None:
    """A dependency of every operation: the query has parameters of the operation alone."""
    known = list(_parameters(request.scope["route"].dependant))
    for name, _ in request.query_params.multi_items():
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        text = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name), "msg": f"unknown; {text}", "input": None}]
        )


def _parameters(of: Dependant) -> Iterator[str]:
    """The names of an operation's parameters, with those of its dependencies."""
    yield from (each.alias for each in of.query_params)
    for other in of.dependencies:
        yield from _parameters(other)
