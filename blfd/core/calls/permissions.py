"""Who may pick up whose calls; made anew when the directory changes."""

from __future__ import annotations

from blfd.core.values import Aor, Directory, Extension, Reach, Tenant


class Permissions:
    """Answers from the extensions, groups and tenants of a directory. Tenants never mix."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._of_groups: dict[Aor, set[Aor]] = {}
        for group in directory.groups:
            targets = {Aor(group.tenant, target) for target in group.targets}
            for picker in group.pickers:
                self._of_groups.setdefault(Aor(group.tenant, picker), set()).update(targets)

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
        return reach is Reach.ON or target in self._of_groups.get(picker, ())

    def in_groups(self, picker: Aor) -> list[Aor]:
        """The others whose calls `picker` gets by the group's code."""
        others = self._of_groups.get(picker, set()) - {picker}
        return [target for target in sorted(others) if self.may(picker, target)]

    def _tenant(self, extension: Extension) -> Tenant:
        return self._directory.tenants.get(extension.aor.tenant) or Tenant(extension.aor.tenant)
