"""Opening the database: is it ours, sound, and of our version; one connection a thread."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils.db import Database

from blfd.store.migrations import migrations

APPLICATION_ID = 0x626C6664  # "blfd", so that nobody's other database is taken for ours
BUSY = 10.0  # seconds to wait for another process that writes


class StoreError(Exception):
    """One line that says what is wrong, and as `advice` what to do about it on the command line."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(f"{text}; {advice}" if advice else text)
        self.text = text

    @property
    def lines(self) -> Sequence[str]:
        """What a person reads: one line, whatever somebody typed."""
        return (str(self),)


class NotFound(StoreError):
    """What is asked for does not exist."""


class Exists(StoreError):
    """What is to be added exists already."""


class Conflict(StoreError):
    """It has been changed since it was read."""


class Unavailable(StoreError):
    """The database itself cannot be used: the disk, a lock, damage."""


class Several(StoreError):
    """All that is wrong with what is imported, a line each."""

    def __init__(self, found: Sequence[StoreError]) -> None:
        self._lines = [str(error) for error in found]
        super().__init__("\n".join(self._lines))

    @property
    def lines(self) -> Sequence[str]:
        return self._lines


class Faults:
    """All that is wrong with what is imported, not the first of it alone."""

    def __init__(self) -> None:
        self._found: list[StoreError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Takes a StoreError, and goes on."""
        try:
            yield
        except StoreError as error:
            self.note(error)

    def note(self, error: StoreError) -> None:
        self._found.append(error)

    def check(self) -> None:
        """Raises the one there is as it is, or a StoreError with all of them, a line each."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise Several(self._found)


class Connections:
    """The open database. Opening creates it, or brings it to the newest version. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with self.reported():
            if path.exists() and path.stat().st_size:
                _check_ours(path)
            else:
                os.close(os.open(path, os.O_CREAT, 0o600))  # an HA1 is as good as the password
            _bring_up_to_date(self.db)

    @property
    def db(self) -> Database:
        """The calling thread's connection."""
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            connection = sqlite3.connect(self.path, timeout=BUSY)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            db = self._local.db = Database(connection)
        return db

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """All or nothing, and nobody else writes meanwhile; may be nested. Raises StoreError."""
        with self.reported():
            db = self.db
            if not db.conn.in_transaction:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.rollback()
                    raise
                db.commit()
            else:
                with db.atomic():
                    yield db

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Several reads of one moment, whatever others write meanwhile. Raises StoreError."""
        with self.reported():
            db = self.db
            if db.conn.in_transaction:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.rollback()

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Makes what SQLite and the disk refuse a StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            kind = StoreError if isinstance(error, sqlite3.IntegrityError) else Unavailable
            raise kind(f"database {self.path}: {error}", "choose another file with --db") from error
        except UnicodeEncodeError:
            raise StoreError("what was given is no sound UTF-8") from None
        except OSError as error:
            raise Unavailable(
                f"database {self.path}: {error.strerror}", "choose another with --db"
            ) from error


def _check_ours(path: Path) -> None:
    """Refuse, untouched, what is not our database, is damaged, or is of a newer blfd."""
    with path.open("rb") as file:
        header = file.read(72)  # read here: SQLite leaves files of its own beside a foreign database
    if header[:16] != b"SQLite format 3\0" or header[68:] != APPLICATION_ID.to_bytes(4, "big"):
        raise StoreError(f"{path} is not a database of blfd; choose another file with --db")
    # A journal is left where the making of the database was killed: only a writer may roll it back.
    mode = "rw" if Path(f"{path}-journal").exists() else "ro"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY)
    try:
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            what = " ".join(damage.split())
            raise StoreError(f"database {path} is damaged ({what}); restore it, or move it away")
        ours = {migration.name for migration in migrations.pending(Database(memory=True))}
        applied = migrations.applied(Database(connection))
        unknown = [migration.name for migration in applied if migration.name not in ours]
        if unknown:
            raise StoreError(f"database {path} is of a newer blfd ({unknown[-1]}); update blfd")
    except sqlite3.DatabaseError as error:
        raise StoreError(f"database {path} is damaged ({error}); restore it, or move it away") from None
    finally:
        connection.close()


def _bring_up_to_date(db: Database) -> None:
    """Apply what is pending, all or nothing; another process that opens the file waits for it."""
    if migrations.pending(db):
        with db.conn as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrations.apply(db)
    _enable_wal(db)


def _enable_wal(db: Database) -> None:
    """SQLite does not wait for others here as it does elsewhere, so we do."""
    until = time.monotonic() + BUSY
    while True:
        try:
            db.enable_wal()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
