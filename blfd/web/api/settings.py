"""What phones are told over blfd's own settings: of a tenant, and of all tenants."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from blfd.operations import overrides
from blfd.web.api.access import Place, at, system
from blfd.web.api.strict import Sent

SCOPE = "`*` for all phones, a maker (yealink), a model (yealink/t54w), or of a tenant's phones one's MAC."
Value = Annotated[str | None, Field(description="Null: phones are not told the setting.")]
Scope = Annotated[str, Query(description=SCOPE)]


class Setting(BaseModel):
    """A setting that is set; the value of a password is hidden, and empty here."""

    scope: str = Field(description=SCOPE)
    name: str
    value: Value
    hidden: bool


class NewSetting(Sent):
    """`name` is one that all makers share (see the common settings), or a maker's own."""

    scope: str = Field("*", description=SCOPE)
    name: str
    value: Value


class Done(BaseModel):
    """`notes` say what of it some phones are not told, and why; that is no error."""

    notes: list[str]


class CommonSetting(BaseModel):
    """A setting with one name for all makers, as it is in a scope.

    Where it is not set there, `otherwise` holds: what a wider scope says, which `origin` names, or our
    default.
    """

    name: str
    what: str
    values: str
    example: str
    is_set: bool
    value: Value
    otherwise: str | None
    origin: str


def _routes(prefix: str, place: Callable[..., Callable[..., Place]], of: str) -> APIRouter:
    """Routes that a tenant and the system have alike; `of` goes into the names of the operations."""
    router = APIRouter(
        prefix=prefix,
        tags=["Settings of phones"],
        generate_unique_id_function=lambda route: route.name.replace("_", of, 1),
    )
    Reading = Annotated[Place, Depends(place("read"))]  # noqa: N806
    Writing = Annotated[Place, Depends(place("write"))]  # noqa: N806

    @router.get("/settings")
    def list_settings(at: Reading) -> list[Setting]:
        """All settings that are set, whichever phones they are for."""
        return [Setting(**row) for row in overrides.all(at.desk, at.tenant)]

    @router.post("/settings")
    def set_setting(at: Writing, new: NewSetting) -> Done:
        """Sets a setting; refused where a phone of the scope would break."""
        return Done(notes=overrides.set(at.desk, at.tenant, new.scope, new.name, new.value))

    @router.delete("/settings", status_code=204)
    def unset_setting(at: Writing, name: str, scope: Scope = "*") -> None:
        """Takes a setting back: what a wider scope or blfd says holds again."""
        overrides.unset(at.desk, at.tenant, scope, name)

    @router.get("/settings/common")
    def list_common_settings(at: Reading, scope: Scope = "*") -> list[CommonSetting]:
        """The settings that have one name for all makers, and what phones of a scope are told."""
        rows = overrides.common(at.desk, at.tenant, scope)
        return [CommonSetting(**row, origin=row["from"]) for row in rows]

    return router


router = APIRouter()
router.include_router(_routes("/tenants/{tenant}", at, "_"))
router.include_router(_routes("/system", system, "_system_"))
