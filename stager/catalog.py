"""The run catalog: connect, bring its schema up to date, read and write in transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from stager.errors import CatalogBusyError, CatalogError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_S: Final = 30
_MIGRATION_LOCK: Final = "cygno_catalog_migration"


class Catalog:
    """A connection to the catalog, whose schema is made or brought up to date at once.

    :param url: SQLAlchemy URL; ``sqlite:////data/catalog.sqlite`` or a MariaDB.
    :raises CatalogError: if it cannot be reached, or its schema is newer than this program.
    """

    def __init__(self, url: str) -> None:
        self.shown_url = make_url(url).render_as_string(hide_password=True)
        try:
            self._engine = _engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise CatalogError(
                f"the catalog {self.shown_url} cannot be opened: {error}; for MariaDB install the "
                "extra: pip install cygno-daq[mariadb]"
            ) from error
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        try:
            with self._translated():
                self._upgrade()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads. :raises CatalogError: what the database said."""
        with self._translated(), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that is committed at the end, or not at all.

        It holds SQLite's write lock from the start; with MariaDB lock rows with
        ``with_for_update``. :raises CatalogError: what the database said.
        """
        with (
            self._translated(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            busy = isinstance(error, IntegrityError) or "deadlock" in str(error).lower()
            kind = CatalogBusyError if busy else CatalogError
            raise kind(_explain(self.shown_url, error)) from error

    def _upgrade(self) -> None:
        with self._writing.connect() as connection, connection.begin():
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            scripts = ScriptDirectory.from_config(config)
            known = {script.revision for script in scripts.walk_revisions()}
            with _migration_lock(connection):
                present = MigrationContext.configure(connection).get_current_heads()
                unknown = set(present) - known
                if unknown:
                    raise CatalogError(
                        f"the catalog {self.shown_url} has schema {', '.join(sorted(unknown))}, "
                        f"this program knows up to {scripts.get_current_head()}: it was written "
                        "by a newer version; update cygno-daq, or name another catalog"
                    )
                if set(present) != set(scripts.get_heads()):
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    """Let one stager at a time change the schema; SQLite's write lock does it by itself."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    name = {"name": _MIGRATION_LOCK, "wait_s": _BUSY_TIMEOUT_S}
    if connection.execute(text("SELECT GET_LOCK(:name, :wait_s)"), name).scalar() != 1:
        raise CatalogError("another stager has been changing the catalog's schema; try again")
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _MIGRATION_LOCK})


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        # Connections that MariaDB closed while idle are found and opened again.
        return create_engine(parsed, pool_pre_ping=True, pool_recycle=3600)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # Python's sqlite3 would begin transactions late and leave DDL out of them.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _explain(shown_url: str, error: SQLAlchemyError) -> str:
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    hint = "look at the database, then run again"
    lowered = said.lower()
    if "full" in lowered or "disk i/o" in lowered:
        hint = "make room on its disk, then run again"
    elif "unable to open" in lowered:
        hint = "its folder must exist and be writable"
    elif "readonly" in lowered or "read-only" in lowered:
        hint = "its file and its folder must be writable"
    elif "locked" in lowered:
        hint = f"another program has held it for {_BUSY_TIMEOUT_S} s"
    elif "not a database" in lowered or "malformed" in lowered:
        hint = "this file is not a catalog, or it is damaged; name another one"
    return f"the catalog {shown_url} failed: {said}; {hint}"
