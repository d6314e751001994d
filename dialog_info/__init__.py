"""RFC 4235 dialog-info documents: a model, a hardened parser, a builder, and what a watcher knows.

Lists of resources (RFC 4662) are read. Knows XML and no SIP stack; needs lxml and nothing of blfd.
"""

from dialog_info.builder import build, build_around_version
from dialog_info.coherent import VersionGap, apply, same_state
from dialog_info.hardened import DialogInfoError
from dialog_info.model import (
    Dialog,
    DialogInfo,
    DialogState,
    Direction,
    DocumentState,
    Identity,
    Param,
    Participant,
    Replaces,
    SessionDescription,
    StateEvent,
    Target,
)
from dialog_info.parser import parse
from dialog_info.resource_list import Instance, Resource, ResourceList, parse_resource_list

__all__ = [
    "Dialog",
    "DialogInfo",
    "DialogInfoError",
    "DialogState",
    "Direction",
    "DocumentState",
    "Identity",
    "Instance",
    "Param",
    "Participant",
    "Replaces",
    "Resource",
    "ResourceList",
    "SessionDescription",
    "StateEvent",
    "Target",
    "VersionGap",
    "apply",
    "build",
    "build_around_version",
    "parse",
    "parse_resource_list",
    "same_state",
]
