"""Where PJSIP is looked for, and how it gets there for a Python that has no package of it."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import Run

from blfd.pjsip import wheel
from blfd.pjsip.wheel import PjsipMissing

REAL = wheel.shared_object()


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to which PJSIP would be unpacked, for a Python without it."""
    monkeypatch.setattr(wheel, "FOLDER", tmp_path / "share" / "pjsip")
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    monkeypatch.delenv(wheel.BY_HAND, raising=False)
    return wheel.FOLDER


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of PJSIP whose hash is the one that is wanted."""
    path = tmp_path / "one.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pjsua2/_pjsua2.cpython-312-x86_64-linux-gnu.so", b"code")
        archive.writestr("pjsua2/__init__.py", b"")
        archive.writestr("pjsua2_python.libs/libssl.so", b"more")
    monkeypatch.setattr(wheel, "SHA256", sha256(path.read_bytes()).hexdigest())
    return path


def test_by_hand_then_unpacked_then_installed(
    nowhere: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not wheel.is_there()
    installed = tmp_path / "site" / "pjsua2"
    installed.mkdir(parents=True)
    (installed / "_pjsua2.cpython-311.so").touch()
    spec = SimpleNamespace(submodule_search_locations=[str(installed)])
    monkeypatch.setattr(wheel, "find_spec", lambda name: spec)
    assert wheel.shared_object() == installed / "_pjsua2.cpython-311.so"
    assert wheel.install(packed) == nowhere
    assert wheel.shared_object() == nowhere / "pjsua2" / "_pjsua2.so"
    assert (nowhere / "pjsua2_python.libs" / "libssl.so").read_bytes() == b"more"
    assert wheel.install(packed) == nowhere, "again"
    assert list(nowhere.parent.iterdir()) == [nowhere], "nothing else is left"
    monkeypatch.setenv(wheel.BY_HAND, str(REAL))
    assert wheel.shared_object() == REAL
    monkeypatch.setenv(wheel.BY_HAND, str(tmp_path))
    with pytest.raises(PjsipMissing, match="which is no file"):
        wheel.shared_object()


def test_another_file_is_not_unpacked(nowhere: Path, packed: Path) -> None:
    packed.write_bytes(packed.read_bytes() + b"x")
    with pytest.raises(PjsipMissing, match="is not the wheel that blfd knows"):
        wheel.install(packed)
    with pytest.raises(PjsipMissing, match="No such file"):
        wheel.install(packed.with_name("none"))
    assert not nowhere.exists()


def test_it_is_fetched_by_pip(nowhere: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def pip(command: list[str], **more: object) -> SimpleNamespace:
        asked.append(command)
        Path(command[command.index("--dest") + 1], packed.name).write_bytes(packed.read_bytes())
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    assert wheel.install() == nowhere
    assert asked[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert asked[0][-1] == "pjsua2-python==2.15.1.post1"
    assert "--python-version 3.12" in " ".join(asked[0])


REFUSED = (
    "WARNING: Retrying after connection broken by 'NewConnectionError('[Errno 111] Connection refused')'"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("looking\nERROR: no route to the index\n", "ERROR: no route to the index"),
        (
            f"{REFUSED}\nERROR: No matching distribution\n",
            "ERROR: No matching distribution: Connection refused",
        ),
        ("", "pip said nothing"),
    ],
)
def test_pip_that_cannot(nowhere: Path, monkeypatch: pytest.MonkeyPatch, said: str, words: str) -> None:
    failed = SimpleNamespace(returncode=1, stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *command, **more: failed)
    with pytest.raises(PjsipMissing, match=rf"\({words}\).* blfd pjsip install FILE"):
        wheel.install()


def test_it_is_for_all_users_of_the_machine(nowhere: Path, packed: Path) -> None:
    """Whoever installs PJSIP is often root, and whoever runs blfd is not."""
    before = os.umask(0o022)
    try:
        wheel.install(packed)
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (nowhere, *nowhere.rglob("*")))


def test_a_disk_that_is_full_leaves_what_was_there(
    nowhere: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.install(packed)

    def full(archive: zipfile.ZipFile, to: Path) -> None:
        (to / "pjsua2").mkdir(parents=True)
        (to / "pjsua2" / "_pjsua2.cpython-312-x86_64-linux-gnu.so").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(PjsipMissing, match="No space left on device"):
        wheel.install(packed)
    assert wheel.shared_object().read_bytes() == b"code"
    assert list(nowhere.parent.iterdir()) == [nowhere]


@pytest.mark.parametrize("act", [wheel.shared_object, wheel.install])
def test_another_processor_is_told_in_one_line(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Path]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(PjsipMissing, match=r"this is Linux on aarch64: build PJSIP 2\.15\.1") as error:
        act()
    assert "\n" not in str(error.value)


def test_what_is_no_pjsip_ends_the_start_in_one_line(
    blfd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert blfd("pjsip", "show").stdout.strip() == str(REAL)
    for content, words in ((b"text", "cannot be opened as PJSIP"), (None, "is no file")):
        path = tmp_path / "libpjsip.so.2"
        if content:
            path.write_bytes(content)
        else:
            path.unlink()
        monkeypatch.setenv(wheel.BY_HAND, str(path))
        assert words in blfd("run", "--listen", "udp:127.0.0.1:0", code=1).stderr


def test_one_that_lacks_functions(blfd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc" in line
    )
    monkeypatch.setenv(wheel.BY_HAND, libc)
    assert "cannot be opened as PJSIP" in blfd("run", "--listen", "udp:127.0.0.1:0", code=1).stderr
