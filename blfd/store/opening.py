"""Opening the database: is it ours, sound, and of our version; one connection a thread."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from blfd.core import searched

if TYPE_CHECKING:  # a server that starts again need not load it: see `_is_newest`
    from sqlite_utils.db import Database

APPLICATION_ID = 0x626C6664  # "blfd", so that nobody's other database is taken for ours
BUSY = 10.0  # seconds to wait for another process that writes


class StoreError(Exception):
    """Raised with one line that says what is wrong, and as `advice` what to do on the command line."""

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
    """What is to be changed has been changed since it was read."""


class Unavailable(StoreError):
    """The database itself cannot be used: the disk, a lock, damage."""


class Several(StoreError):
    """Raised with all that is wrong with what is imported, a line each."""

    def __init__(self, found: Sequence[StoreError]) -> None:
        self._lines = [str(error) for error in found]
        super().__init__("\n".join(self._lines))

    @property
    def lines(self) -> Sequence[str]:
        return self._lines


class Faults:
    """Collects all that is wrong with what is imported, not the first of it alone."""

    def __init__(self) -> None:
        self._found: list[StoreError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take a StoreError that is raised meanwhile, and go on."""
        try:
            yield
        except StoreError as error:
            self.note(error)

    def note(self, error: StoreError) -> None:
        self._found.append(error)

    def check(self) -> None:
        """Raise a single fault as it is, and several as one StoreError with a line for each."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise Several(self._found)


def containing(words: Iterable[str], columns: Sequence[str], also: str = "") -> tuple[list[str], list[str]]:
    """SQL conditions, and their values, of rows that have each of the words in one of the columns, as
    `searched.Word` has it.

    `also` is another condition, which a word alone may fulfil.
    """
    conditions, values = [], list[str]()
    for written in words:
        wanted = searched.word(written)
        plain, as_folded = r"{0} LIKE ? ESCAPE '\'", rf"({IS_MORE} AND folded({{0}}) LIKE ? ESCAPE '\')"
        either = [
            (how.format(column), _like(wanted.text)) for how in (plain, as_folded) for column in columns
        ]
        if wanted.digits:
            either += [(f"bare({column}) LIKE ?", _like(wanted.digits)) for column in columns]
        if wanted.address:
            either += [(f"{column} LIKE ?", _like(wanted.address)) for column in columns]
        either += [(also, written)] if also else []
        conditions.append(f"({' OR '.join(condition for condition, _ in either)})")
        values += [value for _, value in either]
    return conditions, values


IS_MORE = "length({0}) <> length(CAST({0} AS BLOB))"
"""The condition that a text is more than ASCII: others need no look by Python."""


def _like(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _of_text(function: Callable[[str], str]) -> Callable[[str | None], str | None]:
    """A function for SQL, which has NULL as well."""
    return lambda text: None if text is None else function(str(text))


def part_of(
    connection: sqlite3.Connection,
    table: str,
    where: Sequence[str],
    values: Sequence[str | float],
    order: str,
    part: tuple[int, int],
) -> tuple[str, int]:
    """The ids, as JSON, of a part of the rows that match, and how many match: those that are not shown need
    not be read whole. `part` is how many are left out first, and how many are wanted."""
    ids = f"SELECT id FROM {table} WHERE {' AND '.join(where)} ORDER BY {order}"
    found = [number for (number,) in connection.execute(ids, values)]
    return json.dumps(found[part[0] :][: part[1]]), len(found)


AMONG = "id IN (SELECT value FROM json_each(?))"
"""The condition of rows whose ids `part_of` has found."""


class Connections:
    """The open database. Opening creates it, or brings it to the newest version. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with self.reported():
            if path.exists() and path.stat().st_size:
                check_ours(path)
            else:
                os.close(os.open(path, os.O_CREAT, 0o600))  # an HA1 is as good as the password
            if not _is_newest(self.connection):
                _bring_up_to_date(self.db)
            _enable_wal(self.connection)

    @property
    def connection(self) -> sqlite3.Connection:
        """The calling thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = sqlite3.connect(self.path, timeout=BUSY)
            connection.create_function("folded", 1, _of_text(searched.folded), deterministic=True)
            connection.create_function("bare", 1, _of_text(searched.bare), deterministic=True)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @property
    def db(self) -> Database:
        """The calling thread's connection as sqlite-utils has it."""
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            from sqlite_utils.db import Database

            db = self._local.db = Database(self.connection)
        return db

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction, all or nothing, while nobody else writes; may be nested. Raises StoreError."""
        with self.reported():
            if self.connection.in_transaction:
                with self.db.atomic():
                    yield self.db
            else:
                with self.transaction("BEGIN IMMEDIATE"):
                    yield self.db

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Several reads of one moment, whatever others write meanwhile. Raises StoreError."""
        with self.of_one_moment():
            yield self.db

    @contextmanager
    def of_one_moment(self) -> Iterator[sqlite3.Connection]:
        """Reads of one moment as by `reading`, with a plain connection in the place of sqlite-utils."""
        with self.reported():
            connection = self.connection
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        """One transaction, all or nothing. Raises StoreError."""
        with self.reported():
            connection = self.connection
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn what SQLite and the disk refuse into a StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            kind = StoreError if isinstance(error, sqlite3.IntegrityError) else Unavailable
            raise kind(f"database {self.path}: {error}", _advice(error)) from error
        except UnicodeEncodeError:
            raise StoreError("what was given is no sound UTF-8") from None
        except OSError as error:
            raise Unavailable(
                f"database {self.path}: {error.strerror}", "choose another with --db"
            ) from error


_WRITABLE = "let blfd's user write it and its folder, which must not be mounted read-only"
_ADVICE = {
    sqlite3.SQLITE_FULL: "free some of its disk",
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_BUSY: "something else writes to it for long: try again",
}
"""What to do where the database is sound, and only cannot be used, by SQLite's primary codes."""


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _advice(error: sqlite3.Error) -> str:
    return _ADVICE.get(_code(error), "choose another file with --db")


def check_ours(path: Path) -> None:
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
        if _is_newest(connection):
            return
        from sqlite_utils.db import Database

        from blfd.store.migrations import migrations

        ours = {migration.name for migration in migrations.pending(Database(memory=True))}
        applied = migrations.applied(Database(connection))
        unknown = [migration.name for migration in applied if migration.name not in ours]
        if unknown:
            what_to_do = "update blfd, or 'blfd restore' a backup of before"
            raise StoreError(f"database {path} is of a newer blfd ({unknown[-1]}); {what_to_do}")
    except sqlite3.DatabaseError as error:
        if _code(error) in _ADVICE:
            raise Unavailable(f"database {path}: {error}", _advice(error)) from error
        raise StoreError(f"database {path} is damaged ({error}); restore it, or move it away") from None
    finally:
        connection.close()


def _mark(connection: sqlite3.Connection) -> int:
    """A number for `user_version`, made of the migrations that have been applied and of all that there
    are."""
    applied = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
    known = Path(__file__).with_name("migrations.py").read_bytes()
    return zlib.crc32(known + repr(applied).encode()) & 0x7FFF_FFFF


def _is_newest(connection: sqlite3.Connection) -> bool:
    """Whether this very version has brought it up to date, and nobody has touched its migrations since.

    The long way to find out needs sqlite-utils, which takes a tenth of a second to load.
    """
    try:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _mark(connection))
    except (sqlite3.OperationalError, OSError):  # it is new, or the source is not there
        return False


def _bring_up_to_date(db: Database) -> None:
    """Apply what is pending, all or nothing; another process that opens the file waits for it."""
    from blfd.store.migrations import migrations

    if migrations.pending(db):
        with db.conn as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrations.apply(db)
    with contextlib.suppress(OSError):
        db.execute(f"PRAGMA user_version = {_mark(db.conn)}")


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for others here as it does elsewhere, so we do."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
