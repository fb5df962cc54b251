"""A database that restarts, or drops connections, in the middle of the work: nothing is lost."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from stager.catalog import Catalog
from stager.errors import CatalogBusyError, CatalogError, CatalogLostError
from stager.models import File, Replica, Run, Runlog, now
from stager.once import stage_once
from tests.conftest import wait_until
from tests.stager.mariadb import MariaDb
from tests.stager.runs import write_run
from tests.stager.staging import Folder, Silent


class Watched(Silent):
    """A progress that lets something happen at a chosen step."""

    def __init__(self, step: int, do: Callable[[], None]) -> None:
        self._left, self._do = step, do

    def begin(self, what: str, total_bytes: int) -> None:
        self._left -= 1
        if self._left == 0:
            self._do()


def run_row(number: int) -> Run:
    moment = now()
    return Run(run_number=number, tag="X", created_at=moment, updated_at=moment)


def rows(url: str, table: type[Any]) -> list[Any]:
    engine = create_engine(url)
    with Session(engine, expire_on_commit=False) as session:
        found = list(session.scalars(select(table)))
    engine.dispose()
    return found


@pytest.mark.parametrize("step", [1, 2, 3, 5], ids=["read", "send", "verify", "second file"])
def test_a_pass_waits_out_a_server_that_is_killed(
    folder: Folder, mariadb: MariaDb, step: int
) -> None:
    """Kill it at some step of staging two runs, start it again while the stager waits."""
    url = mariadb.url(mariadb.new_database())
    for number in (7, 8):
        write_run(folder.data, number, events=1, size_bytes=1000)
    waits: list[str] = []
    revived = threading.Thread(target=lambda: (wait_until(lambda: waits, 60), mariadb.start()))

    def kill() -> None:
        mariadb.kill()
        revived.start()

    def pulse() -> None:
        # Called several times a second, by whatever the stager does.
        if not mariadb.is_up():
            waits.append("")

    configuration = folder.configuration(CYGNO_STAGER_CATALOG=url)
    result = stage_once(configuration, lambda: None, pulse, Watched(step, kill))
    revived.join(60)
    assert [outcome.state for outcome in result.outcomes] == ["catalogued"] * 4
    assert len(folder.objects()) == 4
    assert {file.state for file in rows(url, File)} == {"catalogued"}
    assert {(replica.state, replica.tries) for replica in rows(url, Replica)} == {("catalogued", 0)}
    assert [row.storage_cloud_status for row in rows(url, Runlog)] == [1, 1]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_connection_that_the_server_closes_is_opened_again(
    folder: Folder, mariadb: MariaDb, step: int
) -> None:
    database = mariadb.new_database()
    write_run(folder.data, 7, events=1, size_bytes=1000)

    def kill() -> None:
        for connection in mariadb.connections(database):
            mariadb.execute(f"KILL {connection}")

    configuration = folder.configuration(CYGNO_STAGER_CATALOG=mariadb.url(database))
    result = stage_once(configuration, lambda: None, lambda: None, Watched(step, kill))
    assert {outcome.state for outcome in result.outcomes} == {"catalogued"}


def test_a_connection_killed_within_a_transaction_loses_nothing(mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    catalog = Catalog(mariadb.url(database))
    catalog.wait_s = 30
    kills = 0

    def add_runs() -> None:
        nonlocal kills
        with catalog.write() as session:
            session.add(run_row(1))
            session.flush()
            if kills < 3:
                kills += 1
                for connection in mariadb.connections(database):
                    mariadb.execute(f"KILL {connection}")
            session.add(run_row(2))

    catalog.persist(add_runs)
    catalog.close()
    assert kills == 3
    assert [run.run_number for run in rows(mariadb.url(database), Run)] == [1, 2]


def test_deadlocks_are_done_again(mariadb: MariaDb) -> None:
    """Two transactions lock the same two rows, each in the other's order."""
    catalog = Catalog(mariadb.url(mariadb.new_database()))
    with catalog.write() as session:
        session.add_all([run_row(1), run_row(2)])
    both = threading.Barrier(2)
    deadlocks, done = [], []

    def lock(first: int, second: int) -> None:
        met = False

        def both_rows() -> None:
            nonlocal met
            try:
                with catalog.write() as session:
                    run = session.get_one(Run, first, with_for_update=True)
                    if not met:
                        met = True
                        both.wait(30)
                    other = session.get_one(Run, second, with_for_update=True)
                    run.note = f"{run.note or ''}{first}{second} "
                    other.note = f"{other.note or ''}{first}{second} "
            except CatalogBusyError:
                deadlocks.append(first)
                raise

        catalog.persist(both_rows)
        done.append(first)

    threads = [threading.Thread(target=lock, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with catalog.read() as session:
        notes = {
            run.run_number: sorted(str(run.note).split()) for run in session.scalars(select(Run))
        }
    catalog.close()
    assert len(deadlocks) == 1
    assert sorted(done) == [1, 2]
    assert notes == {1: ["12", "21"], 2: ["12", "21"]}


def test_waiting_ends_when_it_has_been_long_enough(mariadb: MariaDb, tmp_path: Path) -> None:
    catalog = Catalog(mariadb.url(mariadb.new_database()))
    reasons: list[str] = []
    catalog.on_wait = reasons.append
    catalog.wait_s = 0.3
    mariadb.kill()
    try:
        began = time.monotonic()
        with pytest.raises(CatalogLostError, match="start MariaDB, or look at host and port"):
            catalog.persist(lambda: _count(catalog))
        assert time.monotonic() - began >= 0.3
        assert reasons and reasons[0].endswith("waiting for it")
        assert "p%40ss" not in reasons[0] and "p@ss" not in reasons[0]
    finally:
        mariadb.start()
    assert catalog.persist(lambda: _count(catalog)) == 0
    catalog.close()


def _count(catalog: Catalog) -> int:
    with catalog.read() as session:
        return len(session.scalars(select(Run)).all())


def test_whoever_waits_can_be_asked_to_stop(mariadb: MariaDb) -> None:
    catalog = Catalog(mariadb.url(mariadb.new_database()))
    catalog.wait_s = 60

    def stop(_reason: str) -> None:
        raise KeyboardInterrupt

    catalog.on_wait = stop
    mariadb.kill()
    try:
        with pytest.raises(KeyboardInterrupt):
            catalog.persist(lambda: _count(catalog))
    finally:
        mariadb.start()
        catalog.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"database": "nowhere"}, r"Unknown database 'nowhere' \(error 1049\); make the database"),
        ({"password": "wrong"}, r"Access denied .*its user or password is wrong"),
        ({"port": 1}, r"\(error 2002|2003\); start MariaDB"),
    ],
)
def test_what_is_wrong_with_a_server_is_named(
    mariadb: MariaDb, change: dict[str, Any], says: str
) -> None:
    from sqlalchemy import make_url

    url = make_url(mariadb.url(mariadb.new_database())).set(**change)
    with pytest.raises(CatalogError, match=says) as caught:
        Catalog(url.render_as_string(hide_password=False))
    assert "p@ss" not in str(caught.value) and "p%40" not in str(caught.value)


def test_users_without_rights_are_told(mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    Catalog(mariadb.url(database)).close()
    mariadb.execute(
        "CREATE OR REPLACE USER 'reader'@'127.0.0.1' IDENTIFIED BY 'r'",
        f"GRANT SELECT ON {database}.* TO 'reader'@'127.0.0.1'",
    )
    catalog = Catalog(f"mysql+mysqldb://reader:r@127.0.0.1:{mariadb.port}/{database}")
    assert _count(catalog) == 0  # who may only read can look
    with pytest.raises(CatalogError, match="GRANT it"), catalog.write() as session:
        session.add(run_row(1))
    catalog.close()
