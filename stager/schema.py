"""The catalog's schema: which one a database has, and how it comes from one to another."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from stager.database import BUSY_TIMEOUT_S, explain, missing_file, open_engine
from stager.errors import CatalogError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = "cygno_catalog_migration"
_FILE: Final = re.compile(r"(\d{4})_\w+\.py")
_VERSION: Final = "alembic_version"


@cache
def revisions() -> tuple[str, ...]:
    """Return all revisions that this program knows, in their order."""
    names = (_FILE.fullmatch(path.name) for path in (MIGRATIONS / "versions").iterdir())
    return tuple(sorted(match[1] for match in names if match))


def present(connection: Connection) -> str:
    """Return the revision of a database, empty if it has none of our tables."""
    if not inspect(connection).has_table(_VERSION):
        return ""
    return connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar() or ""


def check(connection: Connection, shown_url: str, upgrade: bool) -> None:
    """See that the schema is this program's, bring it up to date if that is wanted.

    :raises CatalogError: if it is newer than this program, or older and must not be changed.
    """
    revision = present(connection)
    if revision and revision not in revisions():
        raise CatalogError(
            f"the catalog {shown_url} has schema {revision}, this program knows up to "
            f"{revisions()[-1]}: it was written by a newer version; update cygno-daq, or name "
            "another catalog"
        )
    if revision == revisions()[-1]:
        return
    if not upgrade:
        raise CatalogError(
            f"the catalog {shown_url} has {f'schema {revision}' if revision else 'no schema'}, "
            f"this program reads {revisions()[-1]}: let cygno-stager catalog migrate change it, "
            "with the rights to do so"
        )
    move(connection, revisions()[-1])


def move(connection: Connection, target: str) -> None:
    """Bring the schema to a revision, up or down; ``base`` leaves nothing of ours but `Runlog`.

    :raises CatalogError: if there is no such revision.
    """
    if target not in (*revisions(), "base"):
        raise CatalogError(f"there is no schema {target}; known: base, {', '.join(revisions())}")
    # Alembic is slow to load, and most connections find everything as it should be.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _lock(connection):
        here = present(connection) or "base"
        if here == target:
            return  # another stager did it while we waited for the lock
        is_up = here == "base" or (target != "base" and here < target)
        (command.upgrade if is_up else command.downgrade)(config, target)


def revision_of(url: str) -> str:
    """Return the revision of a catalog, empty if it is not there or has none of our tables."""
    if missing_file(url):
        return ""
    with _connection(url) as connection:
        return present(connection)


def migrate(url: str, target: str) -> None:
    """Bring a catalog to a revision. :raises CatalogError: if that failed."""
    with _connection(url) as connection:
        move(connection, target)


def is_back(before: str, target: str) -> bool:
    """Tell whether going from one revision to another undoes something.

    >>> is_back("0003", "0002"), is_back("0002", "0003"), is_back("0002", "base")
    (True, False, True)
    """
    return bool(before) and (target == "base" or target < before)


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = open_engine(url).execution_options(begin="BEGIN IMMEDIATE")
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        shown_url = make_url(url).render_as_string(hide_password=True)
        raise CatalogError(explain(shown_url, error)) from error
    finally:
        engine.dispose()


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    """Let one stager at a time change the schema; SQLite's write lock does it by itself."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    name = {"name": _LOCK, "wait_s": BUSY_TIMEOUT_S}
    if connection.execute(text("SELECT GET_LOCK(:name, :wait_s)"), name).scalar() != 1:
        raise CatalogError("another stager has been changing the catalog's schema; try again")
    try:
        connection.exec_driver_sql("COMMIT")  # what we have read before may be of the past
        yield
        connection.exec_driver_sql("COMMIT")  # or who comes next would not see the new revision
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
