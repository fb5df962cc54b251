"""The run catalog: connect, read and write in transactions, wait out a database that is gone."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, Final, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from stager import records as _records  # noqa: F401 - its tables are part of the catalog
from stager import schema
from stager.database import (
    explain,
    is_conflict,
    is_lost,
    is_sqlite,
    missing_file,
    open_engine,
)
from stager.errors import CatalogBusyError, CatalogError, CatalogLostError

T = TypeVar("T")
C = TypeVar("C", bound=type)

_CONFLICT_TRIES: Final = 6
"""Deadlocks end by themselves: MariaDB lets one of the two through."""
_CONFLICT_WAIT_S: Final = 0.05
_LOST_WAIT_S: Final = 0.5
"""Between two looks whether a lost database is back."""


class Catalog:
    """A connection to the catalog, whose schema is made or brought up to date at once.

    :param url: SQLAlchemy URL; ``sqlite:////data/catalog.sqlite`` or a MariaDB.
    :param upgrade: False where it is only to be read: nothing is made, nothing changed.
    :raises CatalogError: if it cannot be reached, its schema is newer than this program, or is
        older and must not be changed.
    """

    wait_s = 0.0
    """How long `persist` waits for a database that is gone [s]."""

    def __init__(self, url: str, upgrade: bool = True) -> None:
        self.shown_url = make_url(url).render_as_string(hide_password=True)
        try:
            self._engine = open_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise CatalogError(
                f"the catalog {self.shown_url} cannot be opened: {error}; for MariaDB install the "
                "extra: pip install cygno-daq[mariadb]"
            ) from error
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        # SQLite has one writer at a time, and who waits for its lock sleeps, longer each time:
        # threads of one program take turns without.
        one_writer = is_sqlite(make_url(url))
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if one_writer else nullcontext()
        )
        self.on_wait: Callable[[str], None] = lambda reason: None
        """Called several times a second while a lost database is waited for, with one line that
        says so; what it raises ends the wait."""
        if not upgrade and (missing := missing_file(url)):
            raise CatalogError(f"there is no catalog {missing}; cygno-stager once makes it")
        engine = self._writing if upgrade else self._engine
        try:
            with self._translated(), engine.connect() as connection, connection.begin():
                schema.check(connection, self.shown_url, upgrade)
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
        ``with_for_update``.

        :raises CatalogLostError: if the database is gone. It may have committed before it went.
        :raises CatalogBusyError: if another transaction was in the way; nothing was written.
        :raises CatalogError: what else the database said; nothing was written.
        """
        with (
            self._turn,
            self._translated(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def persist(self, do: Callable[[], T]) -> T:
        """Do something in transactions of its own, again where the database did not let us.

        A database that is gone is waited for, `wait_s` long; after a deadlock the same is done
        again. A connection may be lost between commit and answer, so `do` must be such that doing
        it twice is the same as doing it once.

        :returns: what `do` returns.
        :raises CatalogError: if waiting did not help, or nothing is there to wait for.
        """
        since = time.monotonic()
        tries = 0
        while True:
            try:
                return do()
            except CatalogLostError as error:
                left_s = since + self.wait_s - time.monotonic()
                if left_s <= 0:
                    raise
                self._rest(min(left_s, _LOST_WAIT_S), f"{error}; waiting for it")
            except CatalogBusyError:
                tries += 1
                if tries >= _CONFLICT_TRIES:
                    raise
                time.sleep(random.uniform(0, _CONFLICT_WAIT_S * 2**tries))

    def _rest(self, rest_s: float, reason: str) -> None:
        end = time.monotonic() + rest_s
        while True:
            self.on_wait(reason)
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(0.1, left_s))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            kind = CatalogError
            if is_lost(error):
                kind = CatalogLostError
            elif is_conflict(error):
                kind = CatalogBusyError
            raise kind(explain(self.shown_url, error)) from error


def persistent(owner: C) -> C:
    """Let all public methods of a class go through `Catalog.persist` of its `catalog`.

    Each of them must be one transaction that bears being repeated.
    """
    for name, method in list(vars(owner).items()):
        if callable(method) and not name.startswith("_"):
            setattr(owner, name, _persisting(method))
    return owner


def _persisting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        return self.catalog.persist(lambda: method(self, *arguments, **named))

    return call
