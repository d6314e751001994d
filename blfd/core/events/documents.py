"""The dialog package: the documents that watchers are sent, each rendered once (RFC 4235)."""

from __future__ import annotations

from collections.abc import Hashable

from blfd.core.directory import Directory, DndLamp, Tenant
from blfd.core.events.dialog_state import Dialogs, Lamp
from blfd.core.events.package import Rendered
from blfd.core.permissions import Permissions
from blfd.core.values import Aor
from dialog_info import build_around_version

RENDERED, ENTITIES = 4096, 16  # documents kept: resources, and ways to write the URI of one


class DialogPackage:
    """Lamps as an event package. Documents are rendered once per resource, change, and what its watchers
    differ in: how they write the resource's URI (`entity`), and whether they may pick up, which is their
    view."""

    name = "dialog"
    content_type = "application/dialog-info+xml"
    accepts = frozenset((content_type, "application/*", "*/*"))
    shows_dialogs = True

    def __init__(self, dialogs: Dialogs) -> None:
        self._dialogs = dialogs
        self._directory = Directory()
        self._permissions = Permissions(self._directory)
        self._rendered: dict[Aor, dict[tuple[str, Hashable], Rendered]] = {}

    def directory_changed(self, directory: Directory, permissions: Permissions) -> None:
        self._directory, self._permissions = directory, permissions
        self._rendered.clear()

    def check(self, watcher: Aor, resource: Aor) -> None:
        """Refuse nobody, as lamps are for everybody in the tenant."""

    def view(self, watcher: Aor, resource: Aor) -> bool:
        """Whether the watcher may pick up the resource's calls."""
        return self._permissions.may(watcher, resource)

    def changed(self, resource: Aor) -> None:
        self._rendered.pop(resource, None)

    def document(self, resource: Aor, entity: str, view: Hashable) -> Rendered:
        key = (entity, view)
        known = self._rendered.get(resource)
        rendered = known.get(key) if known else None
        if rendered is None:
            if known is None or len(known) >= ENTITIES:
                if len(self._rendered) >= RENDERED:
                    self._rendered.clear()
                known = self._rendered[resource] = {}
            rendered = known[key] = self._render(resource, entity, bool(view))
        return rendered

    def _render(self, resource: Aor, entity: str, may_pick_up: bool) -> Rendered:
        tenant = self._directory.tenants.get(resource.tenant) or Tenant(resource.tenant)
        code = tenant.pickup_code if may_pick_up else ""
        single, lamp = tenant.single_dialog, self._dialogs.lamp(resource)
        is_busy = tenant.dnd_lamp is DndLamp.BUSY
        document = self._dialogs.document(
            resource, entity, pickup_code=code, single=single, dnd_is_busy=is_busy
        )
        told = Lamp.IDLE if lamp is Lamp.DND and not is_busy else lamp
        return Rendered(*build_around_version(document), told.value)
