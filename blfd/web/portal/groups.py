"""Advanced Services > Call Pickup: the groups of a tenant."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from blfd.operations import etag, groups
from blfd.store import Conflict, StoreError
from blfd.web.portal.here import Form, Here, Reading, Writing

router = APIRouter(prefix="/t/{tenant}/groups")


@router.get("")
def list_(here: Reading) -> Response:
    return here.page("groups.html", groups=groups.all(here.desk, here.tenant), names=_names(here))


@router.get("/new")
def new(here: Writing) -> Response:
    return _page(here, {"name": "", "pickers": [], "targets": []}, is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    name, pickers, targets = _sent(form)
    try:
        groups.add(here.desk, here.tenant, name, pickers, targets)
    except StoreError as error:
        shown = {"name": name, "pickers": sorted(pickers), "targets": sorted(targets)}
        return _page(here, shown, is_new=True, error=error.text)
    return here.to("groups", "added")


@router.get("/edit/{name}")
def edit(here: Writing, name: str) -> Response:
    group = groups.get(here.desk, here.tenant, name)
    return _page(here, group, was=name, version=etag(group))


@router.post("/edit/{name}")
def change(here: Writing, name: str, form: Form) -> Response:
    wanted, pickers, targets = _sent(form)
    version = str(form.get("version", ""))
    try:
        groups.change(here.desk, here.tenant, name, pickers, targets, rename=wanted, expected=version)
    except Conflict as error:
        return _page(
            here, groups.get(here.desk, here.tenant, name), was=name, error=error.text, conflict=True
        )
    except StoreError as error:
        shown = {"name": wanted, "pickers": sorted(pickers), "targets": sorted(targets)}
        return _page(here, shown, was=name, version=version, error=error.text)
    return here.to("groups", "changed")


@router.get("/remove/{name}")
def ask_to_remove(here: Writing, name: str) -> Response:
    return here.ask_to_remove(groups.loss(here.desk, here.tenant, name), f"/t/{here.tenant}/groups")


@router.post("/remove/{name}")
def remove(here: Writing, name: str, form: Form) -> Response:
    groups.remove(here.desk, here.tenant, name, str(form.get("version", "")))
    return here.to("groups", "removed")


def _page(
    here: Here,
    group: dict[str, Any],
    *,
    is_new: bool = False,
    was: str = "",
    version: str = "",
    error: str = "",
    conflict: bool = False,
) -> Response:
    return here.page(
        "group.html",
        409 if conflict else 422 if error else 200,
        group=group,
        is_new=is_new,
        was=was,
        version=etag(group) if conflict else version,
        error=error,
        conflict=conflict,
        names=_names(here),
    )


def _names(here: Here) -> dict[str, str]:
    return here.desk.store.names(here.tenant)


def _sent(form: FormData) -> tuple[str, set[str], set[str]]:
    """The name, pickers and targets. What counts are the boxes that are shown: members are both."""

    def chosen(field: str) -> set[str]:
        return {str(value) for value in form.getlist(field)}

    sides = ("picker", "target") if "apart" in form else ("member", "member")
    pickers, targets = map(chosen, sides)
    return str(form.get("name", "")).strip(), pickers, targets
