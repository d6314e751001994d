"""The keys of a phone, to be chosen instead of written: everybody, a group, or one by one; and as text.

The database has them as a text (see `provisioning.parse_keys`) and nothing else: this is a way to write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.datastructures import FormData

import provisioning
from blfd.devices.survey import TEAM
from blfd.store import StoreError
from provisioning import KeyKind, LineKey, ProvisioningError

KINDS = {
    KeyKind.BLF.value: "lamp of an extension",
    KeyKind.SPEED_DIAL.value: "dials a code",
    KeyKind.LINE.value: "one more key of a line",
    KeyKind.LIST.value: "lamps of another server",
}
WAYS = {
    "everybody": "Everybody else in the tenant",
    "group": "A group",
    "each": "One by one",
    "text": "As text",
}
FREE = 4  # rows that are empty
MORE = 8  # empty rows for who asks for more


class Written(NamedTuple):
    """A row of the editor, as somebody has filled it in."""

    kind: str
    value: str
    label: str


class Editor(NamedTuple):
    """What the form has: the `way` that is chosen, and what is filled in for each way."""

    way: str
    group: str = ""
    rows: Sequence[Written] = ()
    text: str = ""

    def with_free(self, free: int = FREE) -> Editor:
        return self._replace(rows=[*self.rows, *[Written(KeyKind.BLF.value, "", "")] * free])


def editor(text: str) -> Editor:
    """The editor of keys as they are kept."""
    name, colon, group = text.partition(":")
    if text == TEAM:
        return Editor("everybody", text=text).with_free()
    if colon and name == TEAM:
        return Editor("group", group, text=text).with_free()
    try:
        keys = provisioning.parse_keys(text)
    except ProvisioningError:
        return Editor("text", text=text).with_free()
    rows = [Written(key.kind.value, key.value, key.label) for key in keys]
    return Editor("each", rows=rows, text=text).with_free()


def sent(form: FormData) -> Editor:
    """The editor as the form has it; a form without a way has the text alone."""
    columns = (form.getlist(f"key_{name}") for name in Written._fields)
    rows = [Written(*(str(each).strip() for each in row)) for row in zip(*columns, strict=False)]
    filled = [row for row in rows if row.value or row.label]
    way, group = str(form.get("way", "text")), str(form.get("key_group", "")).strip()
    return Editor(way, group, filled, str(form.get("keys", "")).strip())


def text_of(chosen: Editor) -> str:
    """The text of keys, as it is kept. Raises StoreError."""
    match chosen.way:
        case "everybody":
            return TEAM
        case "group":
            if not chosen.group:
                raise StoreError("Keys of a group: choose which.")
            return f"{TEAM}:{chosen.group}"
        case "each":
            return provisioning.written_keys(_key(at, row) for at, row in enumerate(chosen.rows, 1))
    return chosen.text


def _key(at: int, row: Written) -> LineKey:
    """The key of a row. Raises StoreError for one whose text would be read as another key, or as several."""
    key = LineKey(KeyKind(row.kind) if row.kind in KINDS else KeyKind.BLF, row.value, row.label)
    try:
        if provisioning.parse_keys(provisioning.written_keys([key])) == (key,):
            return key
    except ProvisioningError as error:
        raise StoreError(f"Key {at}: {error}") from None
    if key.kind is KeyKind.SPEED_DIAL:
        raise StoreError(f"Key {at}: what a key dials is a code that begins with * or #, not {row.value!r}.")
    if row.value[:1] in ("*", "#"):
        raise StoreError(f"Key {at}: {row.value!r} is a code, not an extension: choose that it dials it.")
    raise StoreError(f"Key {at}: a comma or an equals sign cannot be part of it.")
