"""Resource lists: which of the documents beside it is of whom (RFC 4662, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_info.hardened import DialogInfoError, Element, read

NAMESPACE = "urn:ietf:params:xml:ns:rlmi"


@dataclass(frozen=True, slots=True)
class Instance:
    """One view of a resource: `cid` names the part that has its document, "" for none; `state` and `reason`
    are those of its subscription."""

    id: str
    state: str
    cid: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    uri: str
    instances: tuple[Instance, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceList:
    """A list of resources; where it `is_full`, what is not in it is not in the list any more."""

    uri: str
    version: int
    is_full: bool
    resources: tuple[Resource, ...] = ()


def parse_resource_list(document: bytes) -> ResourceList:
    """Read a list. Raises DialogInfoError."""
    root = read(document)
    if root.tag != _name("list"):
        raise DialogInfoError("the root is not list of RFC 4662")
    version = (root.get("version") or "").strip()
    if not (version.isascii() and version.isdigit() and len(version) <= 10):
        raise DialogInfoError("the version of the list is not a number")
    return ResourceList(
        (root.get("uri") or "").strip(),
        int(version),
        (root.get("fullState") or "").strip().lower() in ("true", "1"),
        tuple(map(_resource, root.iterchildren(_name("resource")))),
    )


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _resource(element: Element) -> Resource:
    uri = (element.get("uri") or "").strip()
    if not uri:
        raise DialogInfoError("<resource> has no uri")
    return Resource(uri, tuple(map(_instance, element.iterchildren(_name("instance")))))


def _instance(element: Element) -> Instance:
    found = {name: (element.get(name) or "").strip() for name in ("id", "state", "cid", "reason")}
    return Instance(found["id"], found["state"].lower(), found["cid"].strip("<>"), found["reason"].lower())
