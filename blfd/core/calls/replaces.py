"""The Replaces header field (RFC 3891, section 6.1), more strictly than PJSIP reads it."""

from __future__ import annotations

import re

from blfd.core.errors import Refusal
from blfd.core.values import Replaces

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
_WORD = r"""[A-Za-z0-9\-.!%*_+`'~()<>:\\"/\[\]?{}]+"""
_CALL_ID = re.compile(rf"{_WORD}(@{_WORD})?")
_PARAMETER = re.compile(rf"""({_TOKEN})(?:\s*=\s*({_TOKEN}|"(?:[^"\\]|\\.)*"|\[[0-9A-Fa-f:.]+\]))?""")
_SPLIT = re.compile(r"""\s*;\s*(?=(?:[^"]|"[^"]*")*$)""")


def parse(values: tuple[str, ...], *, is_complete: bool = True) -> Replaces:
    """What a Replaces names; a tag that is not there is "", if that may be.

    Raises Refusal (400) for what is no single Replaces.
    """
    if len(values) != 1:
        raise Refusal(400, "More than one Replaces")
    call_id, *rest = _SPLIT.split(values[0].strip())
    if not _CALL_ID.fullmatch(call_id):
        raise Refusal(400, "Replaces has no Call-ID")
    tags: dict[str, str] = {}
    early_only = False
    for text in rest:
        found = _PARAMETER.fullmatch(text)
        if not found and not is_complete and text.rstrip().endswith("="):
            continue  # PJSUA, of a call whose other end it has not heard from
        if not found:
            raise Refusal(400, "Replaces has a bad parameter")
        name, value = found[1].lower(), found[2]
        if name in ("to-tag", "from-tag"):
            if name in tags or value is None or value[0] in '"[':
                raise Refusal(400, f"Replaces has a bad {name}")
            tags[name] = value
        elif name == "early-only":
            if value is not None:
                raise Refusal(400, "Replaces: early-only has no value")
            early_only = True
    if is_complete and len(tags) != 2:
        raise Refusal(400, "Replaces needs a to-tag and a from-tag")
    return Replaces(call_id, tags.get("to-tag", ""), tags.get("from-tag", ""), early_only)
