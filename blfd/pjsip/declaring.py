"""Writes `declared.py`, the declarations as cffi has parsed them: `python -m blfd.pjsip.declaring`.

To parse them takes longer than anything else that a server does when it starts.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import cffi

from blfd.pjsip.declarations import BESIDE, FUNCTIONS, STRUCTS

DECLARED = Path(__file__).with_name("declared.py")


def text() -> str:
    """What `declared.py` has to be."""
    ffi = cffi.FFI()
    ffi.cdef(STRUCTS + FUNCTIONS + BESIDE)
    ffi.set_source("blfd.pjsip.declared", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "declared.py")
        with contextlib.redirect_stdout(None):
            ffi.emit_python_code(str(file))
        made = file.read_text()
    return f'"""Made of `declarations` by `python -m blfd.pjsip.declaring`; not to be edited."""\n\n{made}'


if __name__ == "__main__":
    DECLARED.write_text(text())
