"""The phones that are known: how many keys and accounts they have, and what their files are called.

Numbers are those of the makers' data sheets, as other provisioning servers use them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from provisioning.model import Model, ProvisioningError

# name: keys, accounts, modules, keys of a module, keys always in sight, keys of a page, code in file names
YEALINK = {
    "t21p-e2": (2, 2, 0, 0, 0, 0, "52"),
    "t23g": (3, 3, 0, 0, 0, 0, "44"),
    "t27g": (21, 6, 6, 40, 0, 7, "69"),
    "t31": (2, 2, 0, 0, 0, 0, "123"),
    "t31g": (2, 2, 0, 0, 0, 0, "123"),
    "t31p": (2, 2, 0, 0, 0, 0, "123"),
    "t33g": (12, 4, 0, 0, 0, 4, "124"),
    "t33p": (12, 4, 0, 0, 0, 4, "124"),
    "t41s": (15, 6, 0, 0, 0, 5, "68"),
    "t42s": (15, 12, 0, 0, 0, 5, "67"),
    "t43u": (15, 12, 3, 60, 0, 5, "107"),
    "t46s": (27, 16, 6, 40, 0, 9, "66"),
    "t46u": (27, 16, 3, 60, 0, 9, "108"),
    "t48s": (29, 16, 6, 40, 0, 0, "65"),
    "t53": (21, 12, 3, 60, 0, 7, "95"),
    "t53w": (21, 12, 3, 60, 0, 7, "95"),
    "t54w": (27, 16, 3, 60, 0, 9, "96"),
    "t57w": (29, 16, 3, 60, 0, 0, "97"),
    "t58": (27, 16, 3, 60, 0, 9, "58"),
    "t58w": (27, 16, 3, 60, 0, 9, "150"),
}
POLYCOM = {
    **dict.fromkeys(("vvx101", "vvx150", "vvx201"), (2, 2)),
    "vvx250": (4, 4),
    "vvx350": (6, 6),
    **dict.fromkeys(("vvx300", "vvx301", "vvx310", "vvx311"), (6, 6, 3, 40)),
    **dict.fromkeys(("vvx400", "vvx401", "vvx410", "vvx411", "vvx450", "vvx500", "vvx501"), (12, 12, 3, 40)),
    **dict.fromkeys(("vvx600", "vvx601"), (16, 16, 3, 40)),
}
GRANDSTREAM = {  # those in sight can be lines; the others are on pages
    "grp2612": (16, 4, 0, 0, 4, 4),
    "grp2613": (24, 6, 0, 0, 6, 6),
    "gxp2130": (12, 3, 0, 0, 3, 3),
    "gxp2135": (32, 8, 0, 0, 8, 8),
    "gxp2140": (16, 4, 4, 40, 4, 4),
    "gxp2160": (24, 6, 0, 0, 6, 6),
    "gxp2170": (48, 12, 4, 40, 12, 12),
}
SNOM = {
    "d715": (5, 4),
    "d725": (18, 12),
    "d735": (32, 12),
    "d765": (16, 12),
    "d785": (24, 12),
    "d385": (48, 12),
}
FANVIL = {  # those in sight are beside the screen; the others are on its pages
    "x4u": (33, 12, 0, 0, 3, 6),
    "x5u": (34, 16, 0, 0, 4, 6),
    "x6u": (65, 20, 0, 0, 5, 12),
    "x210": (106, 20, 0, 0, 10, 32),
}
CISCO = {
    "spa303": (3, 3, 2, 32),
    "spa501g": (8, 8, 2, 32),
    "spa504g": (4, 4, 2, 32),
    "spa508g": (8, 8, 2, 32),
    "spa509g": (12, 12, 2, 32),
    "spa514g": (4, 4, 2, 32),
    "spa525g2": (5, 5, 2, 32),
    "cp8841-3pcc": (10, 10),
    "cp8851-3pcc": (10, 10),
    "cp8861-3pcc": (10, 10),
}
HTEK = {
    "uc903": (20, 2),
    "uc912": (12, 2),
    "uc923": (20, 3),
    "uc924": (28, 4),
    "uc926": (36, 6),
}
VENDORS: dict[str, dict[str, tuple[Any, ...]]] = {
    "yealink": {**YEALINK},
    "polycom": {**POLYCOM},
    "grandstream": {**GRANDSTREAM},
    "snom": {**SNOM},
    "fanvil": {**FANVIL},
    "cisco": {**CISCO},
    "htek": {**HTEK},
}
"""Gigaset's DE series takes snom's files; for its others no key parameters are documented."""


def models() -> Iterator[Model]:
    """All that are known, by vendor."""
    for vendor, of_vendor in VENDORS.items():
        for name, numbers in of_vendor.items():
            yield Model(vendor, name, *numbers)


def find(path: str) -> Model:
    """The model that is written `yealink/t54w`, or `T54W` alone. Raises ProvisioningError."""
    wanted = path.strip().lower()
    known = {model.path: model for model in models()}
    found = known.get(wanted) or next((model for model in known.values() if model.name == wanted), None)
    if found:
        return found
    near = difflib.get_close_matches(
        wanted, [*known, *(model.name for model in known.values())], n=3, cutoff=0.5
    )
    hint = f"near it: {', '.join(near)}" if near else "blfd provision models lists what is known"
    raise ProvisioningError(f"no phone {path!r} is known; {hint}")
