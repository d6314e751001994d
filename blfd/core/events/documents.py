"""The documents that watchers are sent, each rendered once (RFC 4235)."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.events.dialog_state import Dialogs, Lamp
from blfd.core.values import Aor, Directory, Tenant
from dialog_info import build_around_version

RENDERED, ENTITIES = 4096, 16  # documents kept: resources, and ways to write the URI of one


class Rendered(NamedTuple):
    """A document before and after its version, and the lamp that it shows."""

    before: bytes
    after: bytes
    lamp: Lamp


class Documents:
    """Rendered once per resource, change, and what its watchers differ in: how they write the resource's URI
    (`entity`), and whether they may pick up."""

    def __init__(self, dialogs: Dialogs) -> None:
        self._dialogs = dialogs
        self._directory = Directory()
        self._rendered: dict[Aor, dict[tuple[str, bool], Rendered]] = {}

    def directory_changed(self, directory: Directory) -> None:
        self._directory = directory
        self._rendered.clear()

    def changed(self, resource: Aor) -> None:
        """What was rendered of it is out of date."""
        self._rendered.pop(resource, None)

    def of(self, resource: Aor, entity: str, may_pick_up: bool) -> Rendered:
        key = (entity, may_pick_up)
        known = self._rendered.get(resource)
        rendered = known.get(key) if known else None
        if rendered is None:
            if known is None or len(known) >= ENTITIES:
                if len(self._rendered) >= RENDERED:
                    self._rendered.clear()
                known = self._rendered[resource] = {}
            rendered = known[key] = self._render(resource, entity, may_pick_up)
        return rendered

    def _render(self, resource: Aor, entity: str, may_pick_up: bool) -> Rendered:
        tenant = self._directory.tenants.get(resource.tenant) or Tenant(resource.tenant)
        code = tenant.pickup_code if may_pick_up else ""
        single = tenant.single_dialog
        document = self._dialogs.document(resource, entity, pickup_code=code, single=single)
        return Rendered(*build_around_version(document), self._dialogs.lamp(resource))
