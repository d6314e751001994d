"""All commands but those of `run`: what they need takes longer to load than a server to start."""

from __future__ import annotations

import typer

from blfd.cli.admin import admins, tokens
from blfd.cli.backup import add_backup
from blfd.cli.changes import add_changes
from blfd.cli.config import config
from blfd.cli.device import devices
from blfd.cli.extension import extensions
from blfd.cli.group import groups
from blfd.cli.inspect import add_inspecting
from blfd.cli.pickup import add_pickup
from blfd.cli.pjsip import pjsip
from blfd.cli.provision import provision
from blfd.cli.tenant import tenants
from blfd.cli.trunk import routes, trunks
from blfd.cli.upstream import upstreams

app = typer.Typer(add_completion=False)
app.add_typer(admins, name="admin")
app.add_typer(tokens, name="token")
app.add_typer(config, name="config")
app.add_typer(devices, name="device")
app.add_typer(extensions, name="extension")
app.add_typer(groups, name="group")
app.add_typer(pjsip, name="pjsip")
app.add_typer(provision, name="provision")
app.add_typer(routes, name="route")
app.add_typer(tenants, name="tenant")
app.add_typer(trunks, name="trunk")
app.add_typer(upstreams, name="upstream")
add_inspecting(app)
add_pickup(app)
add_changes(app)
add_backup(app)
