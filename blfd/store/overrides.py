"""What a site puts over blfd's settings for phones: of all tenants or one; and its own templates."""

from __future__ import annotations

from blfd.store.opening import Connections, NotFound


class Overrides:
    """Rows of overrides. What they do to phones is checked by `blfd.operations.overrides`.

    A scope is a vendor (`yealink`), a model (`yealink/t54w`), all (`*`), or of a tenant's one device (its
    address). The tenant None stands for all tenants.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def settings(self, tenant: str | None, scope: str) -> dict[str, str | None]:
        """The settings by name; None leaves our setting of that name out."""
        table, where, values = _place(tenant, scope)
        with self._connections.reported():
            found = self._connections.connection.execute(
                f"SELECT name, value FROM {table} WHERE {where} ORDER BY name", values
            )
            return dict(found.fetchall())

    def all(self, tenant: str | None) -> list[tuple[str, str, str | None]]:
        """The scope, name and value of each, of one tenant, or with None of all; sorted."""
        table, values = ("site_settings", []) if tenant is None else ("device_settings", [tenant])
        where = "tenant = ?" if values else None
        with self._connections.reported():
            found = self._connections.db.table(table).rows_where(where, values, order_by="scope, name")
            return [(row["scope"], row["name"], row["value"]) for row in found]

    def has(self, tenant: str, name: str) -> bool:
        """Whether a setting of that name is set for some of a tenant's phones, if only for one."""
        of_tenant = "SELECT 1 FROM device_settings WHERE name = :name AND tenant = :tenant"
        of_all = "SELECT 1 FROM site_settings WHERE name = :name"
        values = {"name": name, "tenant": tenant}
        with self._connections.reported():
            return any(self._connections.db.query(f"{of_tenant} UNION {of_all}", values))

    def set(self, tenant: str | None, scope: str, name: str, value: str | None) -> None:
        table, _, _ = _place(tenant, scope)
        row = {"scope": scope, "name": name, "value": value}
        with self._connections.writing():
            self._connections.db.table(table).insert(
                row if tenant is None else {"tenant": tenant, **row}, replace=True
            )

    def unset(self, tenant: str | None, scope: str, name: str) -> None:
        """Remove an override. Raises NotFound if nothing is set."""
        if name not in self.settings(tenant, scope):
            raise NotFound(f"nothing is set for {scope} {name}")
        table, where, values = _place(tenant, scope)
        with self._connections.writing():
            self._connections.db.table(table).delete_where(f"{where} AND name = ?", [*values, name])

    def templates(self) -> dict[str, str]:
        """The templates by scope, which is a vendor or a model."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT scope, source FROM provisioning_templates ORDER BY scope"
            )
            return dict(found.fetchall())

    def template(self, scope: str) -> str:
        """The template of a scope. Raises NotFound if there is none."""
        found = self.templates()
        if scope not in found:
            raise NotFound(f"no template is set for {scope}", "'blfd provision template list' shows them")
        return found[scope]

    def set_template(self, scope: str, source: str) -> None:
        with self._connections.writing():
            self._connections.db.table("provisioning_templates").insert(
                {"scope": scope, "source": source}, replace=True
            )

    def unset_template(self, scope: str) -> None:
        """Remove the template of a scope. Raises NotFound if there is none."""
        self.template(scope)
        with self._connections.writing():
            self._connections.db.table("provisioning_templates").delete(scope)


def _place(tenant: str | None, scope: str) -> tuple[str, str, list[str]]:
    """The table, and which of its rows a scope's overrides are."""
    if tenant is None:
        return "site_settings", "scope = ?", [scope]
    return "device_settings", "tenant = ? AND scope = ?", [tenant, scope]
