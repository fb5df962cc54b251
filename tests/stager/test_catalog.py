"""The catalog's schema: made at first connection, brought up to date, never read if newer."""

import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Integer,
    String,
    Text,
    create_engine,
    inspect,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from rawdata.datamodel import RUNLOG_COLUMNS, STORAGE_STATUS, SqlColumn
from stager.catalog import Catalog
from stager.errors import CatalogError
from stager.models import Base, File, Run, Runlog, Storage, now
from tests.stager.staging import PROCESSES

KINDS = {
    "INTEGER": Integer,
    "BIGINT": BigInteger,
    "TEXT": Text,
    "VARCHAR": String,
    "CHAR": String,
    "DATETIME": DateTime,
    "DOUBLE": Double,
    "BOOLEAN": Boolean,
}
"""First word of a type in the table of the data model -> its class here."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An SQLite catalog that is not there yet."""
    return f"sqlite:///{tmp_path}/catalog.sqlite"


def test_runlog_has_cygnos_columns_in_their_order(url: str) -> None:
    Catalog(url).close()
    engine = create_engine(url)
    names = [column["name"] for column in inspect(engine).get_columns("Runlog")]
    engine.dispose()
    assert names == [column.name for column in RUNLOG_COLUMNS]


@pytest.mark.parametrize("column", RUNLOG_COLUMNS, ids=lambda column: column.name)
def test_runlog_has_the_types_of_the_data_model(column: SqlColumn) -> None:
    kind = KINDS[re.split(r"\W", column.sql_type)[0]]
    assert type(Runlog.__table__.c[column.name].type) is kind


def test_statuses_are_cygnos_numbers() -> None:
    assert {value for _, value, _ in STORAGE_STATUS} == {int(status) for status in Storage}


def test_mariadb_can_have_these_tables() -> None:
    for table in Base.metadata.sorted_tables:
        ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))
        assert f"CREATE TABLE `{table.name}`" in ddl or f"CREATE TABLE {table.name}" in ddl
    assert "DATETIME(6)" in str(CreateTable(File.__table__).compile(dialect=mysql.dialect()))


def test_a_second_connection_changes_nothing(url: str, tmp_path: Path) -> None:
    Catalog(url).close()
    before = (tmp_path / "catalog.sqlite").read_bytes()
    Catalog(url).close()
    assert (tmp_path / "catalog.sqlite").read_bytes() == before


def test_the_loggers_own_runlog_only_gets_what_it_lacks(url: str, tmp_path: Path) -> None:
    """MIDAS's logger makes Runlog from its links, in types of its own, with its rows."""
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        connection.execute(
            "CREATE TABLE Runlog (run_number INT PRIMARY KEY, run_description TEXT, GEM1_V FLOAT)"
        )
        connection.execute("INSERT INTO Runlog VALUES (11774, 'FC_V0', 400)")
    connection.close()
    catalog = Catalog(url)
    with catalog.read() as session:
        row = session.scalars(select(Runlog)).one()
    catalog.close()
    assert (row.run_number, row.run_description, row.GEM1_V) == (11774, "FC_V0", 400)
    assert row.file_size is None


def test_an_interrupted_migration_leaves_nothing_half_done(url: str, tmp_path: Path) -> None:
    process = PROCESSES.Process(target=migrate_half, args=(url,))
    process.start()
    process.join(30)
    assert process.exitcode == 3
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    Catalog(url).close()


def migrate_half(url: str) -> None:
    """Die in the middle of the first migration; the body of a process."""
    import os

    from alembic import op

    op.create_index = lambda *_, **__: os._exit(3)  # type: ignore[assignment]
    Catalog(url)


def test_what_fails_in_a_transaction_leaves_no_trace(url: str) -> None:
    catalog = Catalog(url)
    moment = now()
    with catalog.write() as session:
        session.add(Run(run_number=1, tag="X", created_at=moment, updated_at=moment))
    with pytest.raises(CatalogError) as caught, catalog.write() as session:
        session.add(Run(run_number=2, tag="X", created_at=moment, updated_at=moment))
        session.flush()
        session.add(Run(run_number=1, tag="X", created_at=moment, updated_at=moment))
    assert isinstance(caught.value.__cause__, IntegrityError)
    with catalog.read() as session:
        assert [run.run_number for run in session.scalars(select(Run))] == [1]
        assert session.get_one(Run, 1).created_at == moment
    catalog.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/catalog.sqlite", "unable to open database file; its folder must"),
        ("sqlite:////proc/version", "unable to open|not a database|readonly|disk I/O"),
        ("nonsense+driver://host/db", "cannot be opened: .*pip install"),
    ],
)
def test_what_cannot_be_opened_is_named(url: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        Catalog(url)


def test_passwords_are_masked() -> None:
    with pytest.raises(CatalogError) as caught:
        Catalog("nonsense://daq:pass-of-daq@host/db")
    assert "pass-of-daq" not in str(caught.value)
    assert "daq:***@host" in str(caught.value)
