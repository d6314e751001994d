"""The phones that are known: how many keys and accounts they have, and what their files are called.

Numbers are those of the makers' data sheets, as other provisioning servers use them; docs/provisioning.md
says which are not confirmed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from provisioning.model import Model, ProvisioningError


def _yealink(code: str, keys: int, accounts: int, page: int = 0, expansion: str = "") -> Model:
    """A Yealink phone; `expansion` is the module that fits: EXP40, or EXP43 and EXP50, which are alike."""
    modules, module_keys = {"": (0, 0), "exp40": (6, 40), "exp50": (3, 60)}[expansion]
    return Model("yealink", "", keys, accounts, modules, module_keys, page=page, code=code)


def _polycom(keys: int, accounts: int, modules: int = 0) -> Model:
    return Model("polycom", "", keys, accounts, modules, 40 if modules else 0)


def _grandstream(keys: int, page: int, accounts: int, beside: int = 0, modules: int = 0) -> Model:
    """A Grandstream phone; the keys of its first page are those that stand for lines."""
    return Model(
        "grandstream", "", keys, accounts, modules, 40 if modules else 0, page=page, multi_purpose=beside
    )


def _snom(keys: int, accounts: int, page: int = 0, modules: int = 0) -> Model:
    return Model("snom", "", keys, accounts, modules, 18 if modules else 0, page=page)


def _gigaset(name: str, keys: int, page: int) -> Model:
    return Model("gigaset", "", keys, 12, page=page, code=name)


def _fanvil(side: int, page: int, pages: int, accounts: int) -> Model:
    """A Fanvil phone with `side` keys beside the screen, and `pages` of `page` others each."""
    return Model("fanvil", "", side + page * pages, accounts, side=side, page=page)


def _spa(keys: int) -> Model:
    return Model("cisco", "", keys, keys, 2, 32)


def _multiplatform(modules: int = 0) -> Model:
    return Model("cisco", "", 10, 10, modules, 28 if modules else 0)


def _htek(keys: int, accounts: int, modules: int = 0) -> Model:
    """An Htek phone; of the UC926's six accounts four are documented in full."""
    return Model("htek", "", keys, accounts, modules, 40 if modules else 0)


YEALINK = {
    "t21p-e2": _yealink("52", 2, 2),
    "t23g": _yealink("44", 3, 3),
    "t27g": _yealink("69", 21, 6, 7, "exp40"),
    "t31": _yealink("123", 2, 2),
    "t31g": _yealink("123", 2, 2),
    "t31p": _yealink("123", 2, 2),
    "t31w": _yealink("172", 2, 2),
    "t33g": _yealink("124", 12, 4, 4),
    "t33p": _yealink("124", 12, 4, 4),
    "t34w": _yealink("171", 12, 4, 4),
    "t41s": _yealink("68", 15, 6, 5),
    "t42s": _yealink("67", 15, 12, 5),
    "t42u": _yealink("116", 15, 12, 5),
    "t43u": _yealink("107", 15, 12, 5, "exp50"),
    "t44w": _yealink("174", 24, 12, 8),
    "t46s": _yealink("66", 27, 16, 9, "exp40"),
    "t46u": _yealink("108", 27, 16, 9, "exp50"),
    "t48s": _yealink("65", 29, 16, 0, "exp40"),
    "t48u": _yealink("109", 29, 16, 0, "exp50"),
    "t53": _yealink("95", 21, 12, 7, "exp50"),
    "t53w": _yealink("95", 21, 12, 7, "exp50"),
    "t54s": _yealink("70", 27, 16, 9, "exp50"),
    "t54w": _yealink("96", 27, 16, 9, "exp50"),
    "t57w": _yealink("97", 29, 16, 0, "exp50"),
    "t58": _yealink("58", 27, 16, 9, "exp50"),
    "t58w": _yealink("150", 27, 16, 9, "exp50"),
    "t73u": _yealink("186", 48, 12),
    "t73w": _yealink("183", 48, 12),
    "t74u": _yealink("187", 60, 16),
    "t74w": _yealink("184", 60, 16),
    "t77u": _yealink("188", 95, 16),
    "t85w": _yealink("196", 72, 16),
    "t87w": _yealink("197", 95, 16),
    "t88v": _yealink("192", 95, 16),
    "t88w": _yealink("192", 95, 16),
}
POLYCOM = {
    **dict.fromkeys(("vvx101", "vvx150", "vvx201"), _polycom(2, 2)),
    "vvx250": _polycom(4, 4),
    "vvx350": _polycom(6, 6),
    **dict.fromkeys(("vvx300", "vvx301", "vvx310", "vvx311"), _polycom(6, 6, 3)),
    **dict.fromkeys(
        ("vvx400", "vvx401", "vvx410", "vvx411", "vvx450", "vvx500", "vvx501"), _polycom(12, 12, 3)
    ),
    **dict.fromkeys(("vvx600", "vvx601"), _polycom(16, 16, 3)),
    "edge-e100": _polycom(2, 2),
    "edge-e220": _polycom(4, 4),
    **dict.fromkeys(("edge-e300", "edge-e320", "edge-e350"), _polycom(8, 8)),
    **dict.fromkeys(("edge-e400", "edge-e450"), _polycom(8, 8)),
    **dict.fromkeys(("edge-e500", "edge-e550"), _polycom(12, 12)),
}
GRANDSTREAM = {
    "grp2612": _grandstream(16, 4, 4),
    "grp2613": _grandstream(24, 6, 6),
    "grp2614": _grandstream(16, 4, 4, beside=24),
    "grp2615": _grandstream(40, 10, 5),
    "grp2616": _grandstream(16, 4, 6, beside=24),
    "gxp2130": _grandstream(12, 3, 3, beside=8),
    "gxp2135": _grandstream(32, 8, 8),
    "gxp2140": _grandstream(16, 4, 4, modules=4),
    "gxp2160": _grandstream(24, 6, 6, beside=24),
    "gxp2170": _grandstream(48, 12, 12, modules=4),
}
SNOM = {
    "d385": _snom(48, 12, 12),
    "d715": _snom(5, 4),
    "d725": _snom(18, 12),
    "d735": _snom(32, 12, 8),
    "d765": _snom(16, 12),
    "d785": _snom(24, 12, 6, modules=3),
    "d812": _snom(32, 12, 8),
    "d815": _snom(40, 12, 10),
    "d862": _snom(32, 12, 8),
    "d865": _snom(40, 12, 10),
}
GIGASET = {
    "p810": _gigaset("GigasetP810", 16, 4),
    "p82x": _gigaset("GigasetP82x", 32, 8),
    "p85x": _gigaset("GigasetP85x", 40, 10),
}
FANVIL = {
    "x4u": _fanvil(3, 6, 5, 12),
    "x5u": _fanvil(4, 6, 5, 16),
    "x6u": _fanvil(5, 12, 5, 20),
    "x210": _fanvil(10, 32, 3, 20),
}
CISCO = {
    "spa303": _spa(3),
    "spa501g": _spa(8),
    "spa504g": _spa(4),
    "spa508g": _spa(8),
    "spa509g": _spa(12),
    "spa514g": _spa(4),
    "spa525g2": _spa(5),
    "cp8841-3pcc": _multiplatform(),
    "cp8851-3pcc": _multiplatform(2),
    "cp8861-3pcc": _multiplatform(3),
}
HTEK = {
    "uc903": _htek(20, 2),
    "uc912": _htek(12, 2),
    "uc923": _htek(20, 3),
    "uc924": _htek(28, 4, 6),
    "uc926": _htek(36, 4, 6),
}
_KNOWN = {
    model.path: model
    for of_vendor in (YEALINK, POLYCOM, GRANDSTREAM, SNOM, GIGASET, FANVIL, CISCO, HTEK)
    for model in (replace(numbers, name=name) for name, numbers in of_vendor.items())
}


def models() -> Iterator[Model]:
    """All models that are known, by vendor."""
    return iter(_KNOWN.values())


def find(path: str) -> Model:
    """The model that is written `yealink/t54w`, or `T54W` alone. Raises ProvisioningError."""
    wanted = path.strip().lower()
    found = _KNOWN.get(wanted) or next((model for model in models() if model.name == wanted), None)
    if found:
        return found
    names = [*_KNOWN, *(model.name for model in models())]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = f"near it: {', '.join(near)}" if near else "blfd provision models lists what is known"
    raise ProvisioningError(f"no phone {path!r} is known; {hint}")
