"""Connections to the databases that a catalog may be in, and what their failures mean."""

import os
import sqlite3
import time
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from stager.masking import hide

BUSY_TIMEOUT_S: Final = 30
_CONNECT_TIMEOUT_S: Final = 10
_LOCKED_WAIT_S: Final = 0.01
_ANSWER_TIMEOUT_S: Final = 120
"""Longest wait for one answer; the waits for locks (50 s, InnoDB's default) must fit in."""

LOST: Final = {
    1040: "too many connections",
    1053: "the server shuts down",
    1152: "connection aborted",
    1158: "network error",
    1159: "network timeout",
    1160: "network error",
    1161: "network timeout",
    1203: "too many connections of this user",
    1290: "the server is read-only",
    1836: "the server is read-only",
    1927: "connection killed",
    2002: "cannot connect",
    2003: "cannot connect",
    2005: "unknown host",
    2006: "server has gone away",
    2013: "lost connection",
    2014: "commands out of sync",
    2026: "TLS failed",
    2055: "lost connection",
}
"""MariaDB's numbers of failures that pass by themselves: of the server or of the way to it.

Source: MariaDB's error codes, https://mariadb.com/kb/en/mariadb-error-code-reference/.
"""

_CONFLICTS: Final = (1020, 1205, 1213)
"""Changed since it was read; a wait for a lock was too long; deadlock: all to be done again."""


def is_sqlite(url: URL) -> bool:
    """Tell whether a catalog is a file of its own."""
    return url.get_backend_name() == "sqlite"


def missing_file(url: str) -> str:
    """Return the path of an SQLite catalog that is not there, empty if it is, or needs no file."""
    parsed = make_url(url)
    if not is_sqlite(parsed) or not parsed.database or os.path.exists(parsed.database):
        return ""
    return parsed.database


def open_engine(url: str) -> Engine:
    """Return an engine for a catalog; nothing is connected yet."""
    parsed = make_url(url)
    if parsed.password:
        hide(str(parsed.password))
    return _open_sqlite(parsed) if is_sqlite(parsed) else _open_server(parsed)


def _open_server(url: URL) -> Engine:
    arguments: dict[str, Any] = {}
    if url.get_backend_name() in ("mysql", "mariadb"):
        arguments = {"connect_timeout": _CONNECT_TIMEOUT_S, "charset": "utf8mb4"}
        if url.get_driver_name() in ("mysqldb", "pymysql"):
            # A server that hangs must look like one that is gone.
            arguments |= {"read_timeout": _ANSWER_TIMEOUT_S, "write_timeout": _ANSWER_TIMEOUT_S}
        arguments = {name: value for name, value in arguments.items() if name not in url.query}
    # Connections that the server closed while they were idle are found and opened again.
    engine = create_engine(url, pool_pre_ping=True, pool_recycle=3600, connect_args=arguments)

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        # SQLAlchemy would keep a connection that the server has killed.
        if error_number(context.original_exception) in LOST:
            context.is_disconnect = True

    return engine


def _open_sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # Python's sqlite3 would begin transactions late and leave DDL out of them.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _use_wal(connection: Any) -> None:
    """Let one fsync do for each transaction in place of four, and no reader wait for who writes.

    SQLite does not wait by itself for others that open a new file at the same moment.
    """
    end = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_LOCKED_WAIT_S)


def error_number(error: BaseException | None) -> int:
    """Return MariaDB's number of an error, 0 where there is none."""
    number = error.args[0] if error is not None and error.args else 0
    return number if isinstance(number, int) else 0


def is_lost(error: SQLAlchemyError) -> bool:
    """Tell whether the database was lost, so that the same may succeed once it is back."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return bool(error.connection_invalidated) or error_number(error.orig) in LOST


def is_conflict(error: SQLAlchemyError) -> bool:
    """Tell whether somebody else's transaction was in the way, so that ours must be repeated."""
    return isinstance(error, IntegrityError) or (
        isinstance(error, DBAPIError) and error_number(error.orig) in _CONFLICTS
    )


def explain(shown_url: str, error: SQLAlchemyError) -> str:
    """Return one line: which catalog, what it said, what to do."""
    original = getattr(error, "orig", None)
    number = error_number(original)
    if number and original is not None and len(original.args) > 1:
        said = f"{original.args[1]} (error {number})"
    else:
        said = str(original or error)
    said = said.splitlines()[0] if said else type(error).__name__
    return f"the catalog {shown_url} failed: {said}; {_hint(number, said.lower())}"


def _hint(number: int, said: str) -> str:
    hints = {
        1044: "this user has no rights to this database: GRANT them",
        1045: "its user or password is wrong: look at CYGNO_STAGER_CATALOG",
        1049: "make the database first: CREATE DATABASE ... CHARACTER SET utf8mb4",
        1142: "this user lacks a right to a table: GRANT it",
        1698: "its user or password is wrong: look at CYGNO_STAGER_CATALOG",
        2002: "start MariaDB, or look at host and port",
        2003: "start MariaDB, or look at host and port",
        2005: "look at the host's name",
        2026: "look at the certificates (ssl_ca in the URL)",
    }
    if number in hints:
        return hints[number]
    if "full" in said or "disk i/o" in said:
        return "make room on its disk, then run again"
    if "unable to open" in said:
        return "its folder must exist and be writable"
    if "readonly" in said or "read-only" in said:
        return "its file and its folder must be writable"
    if "locked" in said:
        return f"another program has held it for {BUSY_TIMEOUT_S} s"
    if "not a database" in said or "malformed" in said:
        return "this file is not a catalog, or it is damaged; name another one"
    return "look at the database, then run again"
