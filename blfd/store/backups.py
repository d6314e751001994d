"""The database in another file, and back. SQLite copies it, whoever writes meanwhile."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from blfd.store.opening import BUSY, Connections, StoreError, Unavailable, check_ours

BESIDE = ("-wal", "-shm", "-journal")  # what SQLite has beside a database


def save(path: Path, to: Path) -> int:
    """Save a copy, which takes the place of a file there as a whole; return its size in octets. Raises
    StoreError.

    The copy is of the version that the database has: made with a blfd that was just installed, it still leads
    back to the old one.
    """
    if not path.is_file():
        raise StoreError(f"there is no database {path}", "name another with --db")
    if to.exists() and to.samefile(path):
        raise StoreError(f"{to} is the database itself", "name another file")
    with _written(to) as new:
        _copy(path, new)
        return new.stat().st_size


def restore(file: Path, path: Path) -> Path | None:
    """Put a backup in the place of the database at `path`, which nobody may use meanwhile.

    Returns where that is kept, if there was one. Raises StoreError for what is no sound database of ours.
    """
    if not file.is_file():
        raise StoreError(f"no file {file}", "name one that 'blfd backup' has made")
    check_ours(file)
    with _written(path) as new:
        _copy(file, new)
        Connections(new).connection.close()  # brings it to the newest version
        kept = None
        if path.exists():
            kept = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
            save(path, kept)
        for each in BESIDE:
            path.with_name(path.name + each).unlink(missing_ok=True)
        return kept


def _copy(path: Path, to: Path) -> None:
    """Copy the database, and check the copy. Raises Unavailable."""
    try:
        address = f"{path.resolve().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(address, uri=True, timeout=BUSY)) as source,
            closing(sqlite3.connect(to)) as copy,
        ):
            source.backup(copy)
            (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            copy.execute("PRAGMA journal_mode = delete")
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be copied: {error}") from None
    if found != "ok":
        raise Unavailable(f"{path} is damaged: {found}", "restore a backup of before")


@contextmanager
def _written(to: Path) -> Iterator[Path]:
    """A file beside `to`, for its owner only, that takes its place once all is well."""
    new = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield new
        with new.open("rb") as written:
            os.fsync(written.fileno())
        new.replace(to)
    except OSError as error:
        raise StoreError(f"{to}: {error.strerror}") from None
    finally:
        for each in ("", *BESIDE):
            with contextlib.suppress(OSError):
                new.with_name(new.name + each).unlink()
