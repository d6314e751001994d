"""Where PJSIP is: its shared object comes from a wheel, which is not there for every Python.

The server opens that by cffi, and so serves under any CPython. The wheel's own classes, which only simulated
phones use, are made for one, and work under 3.13. The package is installed where it can be (pyproject.toml);
elsewhere `install` unpacks the wheel of Python 3.12 beside this interpreter.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

VERSION = "2.15.1.post1"
PACKAGE = "pjsua2-python"
SHA256 = "382f0a69e31d8a7bc98cf542fa1a369592150534aea43d38cb05864b17d9d00b"
BY_HAND = "BLFD_PJSIP"  # the environment variable that names another shared object
FOLDER = Path(sys.prefix) / "share" / "blfd" / f"pjsip-{VERSION}"
OF = ("--python-version", "3.12", "--implementation", "cp", "--abi", "cp312")
PLATFORM = ("--platform", "manylinux2014_x86_64")
_NO_CONNECTION = re.compile(r"\[Errno -?[0-9]+\] ([^'\")]+)")
NAME, ANY_PYTHON = "_pjsua2*.so", "_pjsua2.so"


class PjsipMissing(ImportError):
    """Raised with one line that says what is missing, and what can be done."""


def shared_object() -> Path:
    """The file to open: named by hand, unpacked, or of the installed package. Raises PjsipMissing."""
    named = os.environ.get(BY_HAND)
    if named:
        if not Path(named).is_file():
            raise PjsipMissing(f"{BY_HAND} names {named}, which is no file")
        return Path(named)
    found = next((FOLDER / "pjsua2").glob(NAME), None) or _installed()
    if found:
        return found
    if not _is_served():
        raise PjsipMissing(_elsewhere())
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise PjsipMissing(f"PJSIP is not installed for Python {python}: 'blfd pjsip install' fetches it by pip")


def is_there() -> bool:
    """Whether there is something to open."""
    try:
        return bool(shared_object())
    except PjsipMissing:
        return False


def _installed() -> Path | None:
    spec = find_spec("pjsua2")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((found for folder in folders for found in Path(folder).glob(NAME)), None)


def _is_served() -> bool:
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def _elsewhere() -> str:
    here = f"{platform.system()} on {platform.machine()}"
    return (
        f"PJSIP comes built for Linux on x86_64, and this is {here}: build PJSIP 2.15.1 as one shared "
        f"library, and name that file in {BY_HAND}"
    )


def install(wheel: Path | None = None) -> Path:
    """Unpack the wheel, by default fetched by pip; returns where it now is. Raises PjsipMissing."""
    if not _is_served():
        raise PjsipMissing(_elsewhere())
    with tempfile.TemporaryDirectory() as folder:
        return _unpack(_checked(wheel or _fetch(folder)))


def _fetch(folder: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, *OF, *PLATFORM, "--dest", folder, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True
    )
    found = next(Path(folder).glob("*.whl"), None)
    if done.returncode or not found:
        said = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        broken = _NO_CONNECTION.findall(done.stderr)  # which pip takes for an index without the package
        said = f"{said}: {broken[-1]}" if broken else said
        advice = "or fetch that wheel of Python 3.12 elsewhere and give it: blfd pjsip install FILE"
        raise PjsipMissing(f"pip cannot fetch {PACKAGE} {VERSION} ({said}): see to that, {advice}")
    return found


def _checked(wheel: Path) -> Path:
    try:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise PjsipMissing(f"{wheel}: {error.strerror}") from None
    if digest != SHA256:
        text = f"{wheel.name} is not the wheel that blfd knows (SHA-256 {digest}): nothing was unpacked"
        raise PjsipMissing(f"{text}; it has to be {PACKAGE} {VERSION} for CPython 3.12, manylinux x86_64")
    return wheel


def _unpack(wheel: Path) -> Path:
    """Unpack the wheel as a whole, or not at all; its module gets a name that any Python imports."""
    try:
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as parts:
            whole = Path(parts, "whole")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(whole)
            module = next(whole.glob(f"pjsua2/{NAME}"))
            module.rename(module.with_name(ANY_PYTHON))
            if FOLDER.exists():
                FOLDER.rename(Path(parts, "old"))
            whole.rename(FOLDER)
    except OSError as error:
        raise PjsipMissing(f"{FOLDER} cannot be written: {error.strerror}; run it as who owns it") from None
    return FOLDER
