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
from blfd.cli.panels import OUTSIDE, PEOPLE, SITE
from blfd.cli.pickup import add_pickup
from blfd.cli.pjsip import pjsip
from blfd.cli.provision import provision
from blfd.cli.tenant import tenants
from blfd.cli.trunk import routes, trunks
from blfd.cli.upstream import upstreams

app = typer.Typer(add_completion=False)
add_inspecting(app)
add_pickup(app)
add_changes(app)
for panel, several in {
    PEOPLE: {"extension": extensions, "group": groups, "device": devices, "provision": provision},
    OUTSIDE: {"trunk": trunks, "route": routes, "upstream": upstreams},
    SITE: {"tenant": tenants, "admin": admins, "token": tokens, "config": config, "pjsip": pjsip},
}.items():
    for name, each in several.items():
        app.add_typer(each, name=name, rich_help_panel=panel)
add_backup(app)
