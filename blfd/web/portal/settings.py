"""What a site sets over our settings of phones, for a tenant or for all; and its own templates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

import provisioning
from blfd.devices.files import EVERYWHERE
from blfd.operations import overrides
from blfd.operations.scope import MAKERS, is_device
from blfd.store import StoreError
from blfd.web.portal.here import Form, Here, There, at_either, there

router = APIRouter()

Reading = Annotated[There, Depends(at_either("read"))]
Writing = Annotated[There, Depends(at_either("write"))]
System = Annotated[There, Depends(there("read"))]
SystemWriting = Annotated[There, Depends(there("write"))]


def _of(place: There) -> str | None:
    return place.tenant if isinstance(place, Here) else None


@router.get("/settings")
@router.get("/t/{tenant}/settings")
def show(place: Reading, scope: str = EVERYWHERE) -> Response:
    try:
        found = overrides.scoped(place.desk, _of(place), scope.strip(" ") or EVERYWHERE)
    except StoreError as error:
        return _page(place, EVERYWHERE, error=error.text)
    return _page(place, found)


@router.post("/settings")
@router.post("/t/{tenant}/settings")
def change(place: Writing, form: Form) -> Response:
    """Set a setting, leave it out of the phones' files, or take back what was set, as `how` says."""
    scope, name = str(form.get("scope", "")).strip(" "), str(form.get("name", "")).strip(" ")
    value, how = str(form.get("value", "")), str(form.get("how", "set"))
    found, notes = EVERYWHERE, list[str]()
    try:
        found = overrides.scoped(place.desk, _of(place), scope)
        if how == "back":
            overrides.unset(place.desk, _of(place), found, name)
        else:
            given = None if how == "out" else value.strip(" ")
            notes = overrides.set(place.desk, _of(place), found, name, given)
    except StoreError as error:
        return _page(place, found, error=error.text, typed={name: value})
    return _page(place, found, notes=[f"{name}: saved. Phones take it at their next fetch.", *notes])


def _page(
    place: There,
    scope: str,
    error: str = "",
    notes: list[str] | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    """The page of a scope, as `scoped` gives it; what somebody typed and was refused stays in its field."""
    tenant = _of(place)
    rows, own = overrides.common(place.desk, tenant, scope), overrides.own(place.desk, tenant, scope)
    known = {row["name"] for row in rows}
    return place.page(
        "settings.html",
        422 if error else 200,
        scope=provisioning.written_mac(scope) if is_device(scope) else scope,
        makers=sorted(MAKERS),
        models=[model.path for model in provisioning.models()],
        used=sorted({row["scope"] for row in overrides.all(place.desk, tenant)}),
        rows=rows,
        own=[row for row in own if row["name"] not in known],
        error=error,
        notes=notes or [],
        typed=typed or {},
        home=f"/t/{tenant}/settings" if tenant else "/settings",
    )


# Templates


@router.get("/templates")
def list_templates(there: System) -> Response:
    rows = [
        {"scope": scope, "lines": len(source.splitlines())}
        for scope, source in there.desk.store.overrides.templates().items()
    ]
    return there.page("templates.html", rows=rows)


@router.get("/templates/edit")
def edit_template(there: System, scope: str = "") -> Response:
    """The page of a template: the one of a maker or a model, or an empty one."""
    source = there.desk.store.overrides.templates().get(scope, "")
    return _template(there, scope, source, is_new=not scope)


@router.post("/templates/edit")
def set_template(there: SystemWriting, form: Form) -> Response:
    scope, source = str(form.get("scope", "")).strip(), str(form.get("source", ""))
    try:
        overrides.set_template(there.desk, overrides.template_scope(scope), source.replace("\r\n", "\n"))
    except StoreError as error:
        return _template(there, scope, source, is_new="new" in form, error=error.text)
    return RedirectResponse("/templates?done=changed", 303)


@router.get("/templates/remove")
def ask_to_remove_template(there: SystemWriting, scope: str) -> Response:
    return there.ask_to_remove(overrides.template_loss(there.desk, scope), "/templates")


@router.post("/templates/remove")
def remove_template(there: SystemWriting, form: Form, scope: str) -> Response:
    overrides.unset_template(there.desk, scope)
    return RedirectResponse("/templates?done=removed", 303)


def _template(there: There, scope: str, source: str, *, is_new: bool, error: str = "") -> Response:
    return there.page(
        "template.html",
        422 if error else 200,
        scope=scope,
        source=source,
        is_new=is_new,
        scopes=[*sorted(MAKERS), *(model.path for model in provisioning.models())],
        error=error,
    )
