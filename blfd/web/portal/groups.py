"""Advanced Services > Call Pickup: the groups of a tenant."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from blfd.operations import etag, groups
from blfd.operations.desk import Row
from blfd.store import Conflict, StoreError
from blfd.web.portal.here import Form, Here, Reading, Writing
from blfd.web.portal.lists import Asked, Listing, Part, page_of, part

MOST_SHOWN = 12  # members of a group in the list of groups
MOST_LISTED = 200  # extensions on a group's page; of more it has a part
EMPTY: Row = {"name": "", "pickers": [], "targets": []}

router = APIRouter(prefix="/t/{tenant}/groups")


@router.get("")
def list_(here: Reading, wanted: Listing) -> Response:
    rows = [
        {**group, "size": len({*group["pickers"], *group["targets"]})}
        for group in groups.all(here.desk, here.tenant)
    ]
    shown = part(rows, wanted)
    of_them = {one for row in shown.rows for side in ("pickers", "targets") for one in row[side][:MOST_SHOWN]}
    names = here.desk.store.devices.names(here.tenant, of_them)
    return here.page("groups.html", part=shown, names=names, most=MOST_SHOWN)


@router.get("/new")
def new(here: Writing) -> Response:
    return _page(here, EMPTY, EMPTY, is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    sent = _sent(form, EMPTY)
    if _looks(form):
        return _page(here, EMPTY, sent, form=form, is_new=True)
    try:
        groups.add(here.desk, here.tenant, sent["name"], sent["pickers"], sent["targets"])
    except StoreError as error:
        return _page(here, EMPTY, sent, form=form, is_new=True, error=error.text)
    return here.to("groups", "added")


@router.get("/edit/{name}")
def edit(here: Writing, name: str) -> Response:
    group = groups.get(here.desk, here.tenant, name)
    return _page(here, group, group, version=etag(group))


@router.post("/edit/{name}")
def change(here: Writing, name: str, form: Form) -> Response:
    group = groups.get(here.desk, here.tenant, name)
    sent, version = _sent(form, group), str(form.get("version", ""))
    if _looks(form):
        return _page(here, group, sent, form=form, version=version)
    try:
        groups.change(
            here.desk,
            here.tenant,
            name,
            sent["pickers"],
            sent["targets"],
            rename=sent["name"],
            expected=version,
        )
    except Conflict as error:
        group = groups.get(here.desk, here.tenant, name)
        return _page(here, group, group, version=etag(group), error=error.text, conflict=True)
    except StoreError as error:
        return _page(here, group, sent, form=form, version=version, error=error.text)
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
    stored: Row,
    group: Row,
    *,
    form: FormData | None = None,
    is_new: bool = False,
    version: str = "",
    error: str = "",
    conflict: bool = False,
) -> Response:
    """The page of a group: `stored` is the group as it is, `group` as it is to be.

    In a large tenant it shows the extensions that differ, and a part of the others; those without boxes on it
    stay as they are.
    """
    form = form or FormData()
    pickers, targets = set(group["pickers"]), set(group["targets"])
    altered = (pickers ^ set(stored["pickers"])) | (targets ^ set(stored["targets"]))
    is_large = here.desk.store.extensions.some(here.tenant, (), part=(0, 1))[1] > MOST_LISTED
    which = str(form.get("which", "members" if stored["pickers"] or stored["targets"] else "all"))
    asked = Asked(" ".join(str(form.get("q", "")).split()), page=page_of(str(form.get("page", ""))))
    if not is_large:
        altered, which, asked = set(), "all", Asked(length=MOST_LISTED)
    found, total = here.desk.store.extensions.some(
        here.tenant,
        asked.q.split(),
        part=asked.part,
        group=stored["name"] if which == "members" else "",
        without=altered,
    )
    names = here.desk.store.devices.names(here.tenant, altered)
    names |= {each.aor.extension: each.name for each in found}
    return here.page(
        "group.html",
        409 if conflict else 422 if error else 200,
        group=group,
        pickers=pickers,
        targets=targets,
        members=len(pickers | targets),
        is_new=is_new,
        was=stored["name"],
        version=version,
        error=error,
        conflict=conflict,
        is_large=is_large,
        which=which,
        part=Part([{"extension": number} for number in names][len(altered) :], total, asked),
        names=names,
        altered=len(altered),
        apart="apart" in form or pickers != targets,
        looks=_looks(form),
    )


def _looks(form: FormData) -> bool:
    """Whether somebody looks for more members, and saves nothing yet."""
    return "look" in form or "page" in form


def _sent(form: FormData, stored: Row) -> Row:
    """The group as the boxes of the form have it; a member is on both sides.

    The field `shown` has the extensions for which the page had boxes: all others stay. Without it, it had
    boxes for all.
    """

    def chosen(field: str) -> set[str]:
        return {str(value) for value in form.getlist(field)}

    apart, shown = "apart" in form, str(form.get("shown", "")).split(",")
    old = [set(stored[side]) if "shown" in form else set() for side in ("pickers", "targets")]
    if not apart:
        old = [old[0] & old[1]] * 2
    sides = ("picker", "target") if apart else ("member", "member")
    pickers, targets = ((was - set(shown)) | chosen(side) for was, side in zip(old, sides, strict=True))
    name = str(form.get("name", "")).strip()
    return {"name": name, "pickers": sorted(pickers), "targets": sorted(targets)}
