"""Phone files from devices and line keys: what a desk phone fetches at boot so that its lamp keys work.

The package knows phones and no calls, and imports nothing of blfd.
"""

from provisioning.catalog import find, models
from provisioning.common import chosen
from provisioning.common.own import accepted
from provisioning.common.own import unknown as unknown_setting
from provisioning.common.table import COMMON, Common
from provisioning.dialplan import Shape
from provisioning.layout import KeyPage, ShownKey, layout
from provisioning.model import (
    CA_DER,
    CA_PEM,
    Account,
    Device,
    KeyKind,
    LineKey,
    Model,
    ProvisioningError,
    Service,
    Template,
    between_commas,
    label_of,
    normal_mac,
    parse_keys,
    written_keys,
    written_mac,
)
from provisioning.phonebooks import MOST_CONTACTS, Contact, book_name, is_phonebook
from provisioning.rendering import (
    Layer,
    Setting,
    boot_files,
    check,
    common_files,
    files,
    has_phonebook,
    main_file,
    names,
    outline,
    phonebook,
    settings,
    sync_event,
    untold,
    web_users,
)

__all__ = [
    "CA_DER",
    "CA_PEM",
    "COMMON",
    "MOST_CONTACTS",
    "Account",
    "Common",
    "Contact",
    "Device",
    "KeyKind",
    "KeyPage",
    "Layer",
    "LineKey",
    "Model",
    "ProvisioningError",
    "Service",
    "Setting",
    "Shape",
    "ShownKey",
    "Template",
    "accepted",
    "between_commas",
    "book_name",
    "boot_files",
    "check",
    "chosen",
    "common_files",
    "files",
    "find",
    "has_phonebook",
    "is_phonebook",
    "label_of",
    "layout",
    "main_file",
    "models",
    "names",
    "normal_mac",
    "outline",
    "parse_keys",
    "phonebook",
    "settings",
    "sync_event",
    "unknown_setting",
    "untold",
    "web_users",
    "written_keys",
    "written_mac",
]
