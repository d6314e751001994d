"""The options before the command, and what they lead to."""

from __future__ import annotations

import getpass
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from blfd.cli.output import fail
from blfd.config import Config, load
from blfd.control import ControlClient, ControlError, NotRunning, socket_path
from blfd.core.values import DEFAULT_TENANT
from blfd.transport.certificate import authority

if TYPE_CHECKING:  # what `run` need not load
    from blfd.devices.phones import Phones
    from blfd.devices.values import Place
    from blfd.operations import Desk
    from blfd.store import Store


class Switch(Enum):
    ON = "on"
    OFF = "off"


@dataclass(frozen=True)
class Options:
    """The options; `given_tenant` is None where nobody has named one."""

    db: Path | None
    config: Path | None
    given_tenant: str | None

    @cached_property
    def tenant(self) -> str:
        """The tenant that is named, or the default one. Raises StoreError for one that does not exist."""
        return self.checked(self.given_tenant) or DEFAULT_TENANT

    def checked(self, tenant: str | None) -> str | None:
        """The domain of a tenant as it is kept. Raises StoreError for one that does not exist."""
        return None if tenant is None else self.store.tenants.get(tenant.lower()).domain

    def tenant_or_system(self, given: str | None) -> str | None:
        """The tenant of a command that has a --tenant of its own, and is for the system without one."""
        if given and self.given_tenant and given.lower() != self.given_tenant.lower():
            fail(f"--tenant is given twice: which is meant, {self.given_tenant} or {given}?", 2)
        return self.checked(self.given_tenant if given is None else given)

    def of_no_tenant(self, what: str) -> None:
        """End a command that is the same for all tenants where one is named: that means something else."""
        if self.given_tenant is not None:
            fail(f"{what}: leave --tenant {self.given_tenant} out", 2)

    def load(self, **given: Any) -> Config:
        """The configuration; what `run` is given goes over all else."""
        return load(self.config, database=self.db, **given)

    @cached_property
    def store(self) -> Store:
        from blfd.store import Store

        return Store(self.load().database)

    @cached_property
    def phones(self) -> Phones:
        """The provisioned phones."""
        from blfd.devices.phones import Phones

        return Phones(self.store, self._place)

    def _place(self) -> Place:
        """The place of the running server if there is one, or else the configured one."""
        from blfd.devices.values import Place, place

        config = self.load()
        try:
            return Place(**self.client.call("place"))
        except (NotRunning, ControlError):
            url = str(config.provision) if config.provision else ""
            return place(config.listen, config.address, url, authority(config.tls))

    @cached_property
    def client(self) -> ControlClient:
        return ControlClient(socket_path(self.load().database))

    def ask(self, call: str, **arguments: str) -> Any:
        """Ask the running server about the tenant; raises NotRunning, and StoreError for an unknown one."""
        from blfd.cli.progress import waiting

        with waiting("Asking the server"):
            return self.client.call(call, tenant=self.tenant, **arguments)

    @cached_property
    def desk(self) -> Desk:
        """The desk where operations are done, by whoever is logged in on this machine."""
        from blfd.operations import Desk

        return Desk(self.store, self.client, self.phones, f"{_user()} (command line)")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in containers
        return f"user {os.getuid()}"


def taking(more: Mapping[str, Any], **said: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes these options beside its own, None where one is not given: what they are is said
    once for all commands that take them. Values are annotations as Typer has them; `said` are those of the
    command's own parameters by name, where it cannot know them."""

    def told(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = [
            one.replace(annotation=said.get(one.name, one.annotation))
            for one in own.parameters.values()
            if one.kind is not one.VAR_KEYWORD
        ]
        for name, annotation in more.items():
            parameters.append(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            )
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return told


def options(context: typer.Context) -> Options:
    found: Options = context.obj
    return found
