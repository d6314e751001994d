"""What is sent has to be known: a slip in a name is an error, and not silence."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeVar, get_type_hints

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, create_model, model_validator

from blfd.core.visible import visible

Search = Annotated[str, Query(description="Rows that have each of these words, as in a number or a name.")]


class Sent(BaseModel):
    """A body that is sent: members that it does not have are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, sent: Any) -> Any:
        for name in sent if isinstance(sent, dict) else ():
            if name not in cls.model_fields:
                raise ValueError(f"{visible(name)} is {_unknown(name, cls.model_fields)}")
        return sent

    def said(self, *but: str) -> dict[str, Any]:
        """The members that were sent, but for those that are named."""
        return self.model_dump(exclude_none=True, exclude=set(but))


TWICE = "it is there twice: which of the two is meant?"
_Body = TypeVar("_Body", bound=Sent)


def changing(of: type[BaseModel], *but: str) -> Callable[[type[_Body]], type[_Body]]:
    """A decorator for the body of a change of what `of` shows: it adds those fields, each of which may be
    left out.

    Fields that the body has itself stay as they are; `but` are fields that cannot be changed in this way.
    """
    shown = get_type_hints(of, include_extras=True)

    def with_fields(body: type[_Body]) -> type[_Body]:
        names = [name for name in of.model_fields if name not in {*but, *body.model_fields}]
        fields: dict[str, Any] = {name: (shown[name] | None, None) for name in names}
        made = create_model(body.__name__, __base__=body, __doc__=body.__doc__, **fields)
        made.__module__ = body.__module__
        return made

    return with_fields


def only_known(request: Request) -> None:
    """A dependency of every operation: refuses parameters in the query that the operation does not have."""
    known = list(_parameters(request.scope["route"].dependant))
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise _wrong("query", name, _unknown(name, known))
        if names.count(name) > 1:
            raise _wrong("query", name, TWICE)


async def said_once(request: Request) -> None:
    """A dependency of every operation: no object in a JSON body has a member twice, of which one would count.

    A body that is no JSON is left to who reads it.
    """
    body = await request.body()
    if body.lstrip()[:1] not in (b"{", b"["):
        return
    try:
        json.loads(body, object_pairs_hook=_members)
    except _Twice as error:
        raise _wrong("body", visible(str(error)), TWICE) from None
    except (ValueError, RecursionError):
        return


class _Twice(Exception):
    """A member that an object has twice."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def _wrong(where: str, name: str, text: str) -> RequestValidationError:
    kind = "duplicate" if text is TWICE else "extra_forbidden"
    return RequestValidationError([{"type": kind, "loc": (where, name), "msg": text, "input": None}])


def _unknown(name: str, known: Iterable[str]) -> str:
    """The words for a name that is not among those that are known."""
    near = difflib.get_close_matches(name, known, 1)
    return "unknown; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}")


def _parameters(of: Dependant) -> Iterator[str]:
    """The names of an operation's parameters, with those of its dependencies."""
    yield from (each.alias for each in of.query_params)
    for other in of.dependencies:
        yield from _parameters(other)
