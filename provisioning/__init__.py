"""Phone files from devices and line keys: what a desk phone fetches at boot so that its lamp keys work.

Knows phones and no calls, and imports nothing of blfd.
"""

from provisioning.catalog import find, models
from provisioning.layout import KeyPage, ShownKey, layout
from provisioning.model import (
    Account,
    Device,
    KeyKind,
    LineKey,
    Model,
    ProvisioningError,
    Service,
    Template,
    normal_mac,
    parse_keys,
    written_keys,
    written_mac,
)
from provisioning.rendering import (
    Layer,
    Setting,
    boot_files,
    check,
    common_files,
    files,
    settings,
    sync_event,
)

__all__ = [
    "Account",
    "Device",
    "KeyKind",
    "KeyPage",
    "Layer",
    "LineKey",
    "Model",
    "ProvisioningError",
    "Service",
    "Setting",
    "ShownKey",
    "Template",
    "boot_files",
    "check",
    "common_files",
    "files",
    "find",
    "layout",
    "models",
    "normal_mac",
    "parse_keys",
    "settings",
    "sync_event",
    "written_keys",
    "written_mac",
]
