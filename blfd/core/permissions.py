"""Who may pick up whose calls; made anew when the directory changes."""

from __future__ import annotations

from blfd.core.directory import Directory, Extension, Group, Reach, Tenant
from blfd.core.values import Aor


class Permissions:
    """Who may have what, by the extensions, groups and tenants of a directory. Tenants never mix."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._groups: dict[str, list[Group]] = {}  # by tenant
        for group in directory.groups:
            self._groups.setdefault(group.tenant, []).append(group)
        self._of_groups: dict[Aor, list[frozenset[str]]] = {}  # whose calls a picker gets, once asked

    def reach(self, picker: Aor) -> Reach:
        extension = self._directory.extensions.get(picker)
        if extension is None:
            return Reach.OFF
        return extension.pickup or self._tenant(extension).pickup

    def pickable(self, aor: Aor) -> bool:
        extension = self._directory.extensions.get(aor)
        if extension is None:
            return False
        return self._tenant(extension).pickable if extension.pickable is None else extension.pickable

    def may(self, picker: Aor, target: Aor) -> bool:
        """Whether `picker` may pick up what rings at `target`; its own calls always, from another phone."""
        if picker.tenant != target.tenant or target not in self._directory.extensions:
            return False
        if picker == target:
            return True
        reach = self.reach(picker)
        if reach is Reach.OFF or not self.pickable(target):
            return False
        if reach is Reach.ON:
            return True
        return any(target.extension in targets for targets in self._targets(picker))

    def in_groups(self, picker: Aor) -> list[Aor]:
        """The others whose calls `picker` gets by the group's code."""
        others = frozenset[str]().union(*self._targets(picker)) - {picker.extension}
        targets = (Aor(picker.tenant, other) for other in sorted(others))
        return [target for target in targets if self.may(picker, target)]

    def _targets(self, picker: Aor) -> list[frozenset[str]]:
        found = self._of_groups.get(picker)
        if found is None:
            among = self._groups.get(picker.tenant, ())
            found = [group.targets for group in among if picker.extension in group.pickers]
            self._of_groups[picker] = found
        return found

    def _tenant(self, extension: Extension) -> Tenant:
        return self._directory.tenants.get(extension.aor.tenant) or Tenant(extension.aor.tenant)
