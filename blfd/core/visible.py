"""What a peer or a person wrote, made fit for people: log lines, reason phrases, cells, pages."""

from __future__ import annotations

import re

REPLACEMENT, ELLIPSIS = "\ufffd", "\u2026"
# What moves a cursor, ends a line, turns the direction of reading, or cannot be encoded: C0, DEL and C1, the
# Arabic letter mark, marks, embeddings, overrides and isolates, line and paragraph separators, the
# byte order mark, interlinear annotations, tags, and lone surrogates. ZWJ and ZWNJ are parts of words.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
    "\ud800-\udfff]"
)


def is_visible(text: str) -> bool:
    """Whether `visible` would leave all its characters as they are."""
    return text.isprintable() or not _HIDDEN.search(text)


def visible(text: str, most: int = 64) -> str:
    """`text` in at most `most` characters, an ellipsis in the place of the rest; hidden ones are replaced."""
    if len(text) > most:
        text = text[: max(most - 1, 0)] + ELLIPSIS
    return text if text.isprintable() else _HIDDEN.sub(REPLACEMENT, text)
