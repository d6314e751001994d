"""`python docs/keys.py` draws docs/pictures/keys-MAKER.svg, a phone of each maker with its keys.

`provisioning.layout` says which number each key has and what it shows; this module says where the keys sit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from provisioning import Account, Device, KeyPage, ShownKey, find, layout, parse_keys

FOLDER = Path(__file__).with_name("pictures")
KEYS = parse_keys("102=Bob Roy,103=Carol Diaz,*98=Group")  # keys of Alice Ng, 101
COLOURS = {"line": "#cfe3ff", "blf": "#c8f0d2", "speed dial": "#f3e3b5", "": "#ffffff"}
WIDE, HIGH, GAP = 118, 24, 8  # the size of a key, and the space between two
HANDSET, SCREEN, EDGE = 60, 190, 20


class Place(NamedTuple):
    """How many of the keys that are seen together are left and right of the screen, and if this is sure."""

    model: str
    left: int
    right: int
    is_sure: bool = True
    turns: bool = False  # one more key on the right turns the pages


PLACES = (
    Place("yealink/t54w", 5, 4, turns=True),
    Place("polycom/vvx450", 6, 6),
    Place("grandstream/gxp2170", 6, 6),
    Place("snom/d785", 0, 6),
    Place("gigaset/p82x", 4, 4, is_sure=False),
    Place("fanvil/x5u", 0, 4, is_sure=False),
    Place("cisco/spa504g", 0, 4),
    Place("htek/uc924", 4, 4, is_sure=False),
)


def drawing(place: Place) -> str:
    """The SVG document of a phone and its keys."""
    device = Device("805ec0123456", find(place.model), (Account("101", "x", "Alice Ng"),), KEYS)
    pages = layout(device)
    keys = pages[0].keys[: place.left + place.right]
    rows = max(place.left, place.right + place.turns)
    top, left = EDGE + 26, EDGE + HANDSET + GAP * 2
    screen = left + (WIDE + GAP) * bool(place.left)
    right = screen + SCREEN + GAP
    width, height = right + WIDE + EDGE * 2, top + rows * (HIGH + GAP) + 64
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12">',
        f"<title>The keys of {place.model}</title>",
        _box(EDGE / 2, EDGE / 2, width - EDGE, height - EDGE, "#e9ecef", 14),
        _box(EDGE, EDGE, HANDSET, height - EDGE * 2, "#ced4da", 24),
        _text(screen, EDGE + 14, place.model, "bold"),
        _box(screen, top, SCREEN, rows * (HIGH + GAP) - GAP, "#dee2e6", 6),
        _text(screen + 10, top + 20, "screen" if place.is_sure else "screen (sides not confirmed)"),
    ]
    for row, key in enumerate(keys[: place.left]):
        parts.append(_key(left, top + row * (HIGH + GAP), key))
    for row, key in enumerate(keys[place.left :]):
        parts.append(_key(right, top + row * (HIGH + GAP), key))
    if place.turns:
        at = top + place.right * (HIGH + GAP)
        parts += [_box(right, at, WIDE, HIGH, "#dee2e6"), _text(right + 8, at + 16, "next page")]
    parts += [
        _text(left, height - EDGE - 22 + 16 * line, text)
        for line, text in enumerate(_below(pages, len(keys)))
    ]
    return "\n".join([*parts, "</svg>", ""])


def _below(pages: tuple[KeyPage, ...], drawn: int) -> list[str]:
    """The lines below the phone, which tell the other keys."""
    rest = [KeyPage("further pages", pages[0].keys[drawn:]), *pages[1:]]
    more = [f"{each.title}: {each.keys[0].number} to {each.keys[-1].number}" for each in rest if each.keys]
    half = (len(more) + 1) // 2
    return [", ".join(line) for line in (more[:half], more[half:]) if line]


def _key(x: float, y: float, key: ShownKey) -> str:
    shown = f"{key.number} {key.label}".strip()
    return _box(x, y, WIDE, HIGH, COLOURS[key.kind]) + _text(x + 8, y + 16, shown)


def _box(x: float, y: float, width: float, height: float, colour: str, round_: int = 4) -> str:
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_}"'
    return f'<rect {size} fill="{colour}" stroke="#495057"/>'


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-weight="{weight}" fill="#212529">{escape(text)}</text>'


def file_of(place: Place) -> Path:
    return FOLDER / f"keys-{find(place.model).vendor}.svg"


if __name__ == "__main__":
    for each in PLACES:
        file_of(each).write_text(drawing(each))
        sys.stdout.write(f"{file_of(each)} is up to date\n")
