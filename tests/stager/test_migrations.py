"""The catalog's schema from one version to another, in both directions, on both databases."""

from datetime import datetime
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine, insert, inspect, select, text

from stager import schema
from stager.catalog import Catalog
from stager.models import Base
from tests.stager.mariadb import MariaDb

REVISIONS = schema.revisions()


@pytest.fixture
def database(catalog_url: str) -> Any:
    """A connection to an empty database."""
    engine = create_engine(catalog_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def move(connection: Connection, revision: str) -> None:
    schema.move(connection, revision)
    connection.commit()


def shape(connection: Connection) -> dict[str, list[str]]:
    """Return all tables with their columns."""
    inspector = inspect(connection)
    return {
        table: [f"{c['name']} {c['type']!r} {c['nullable']}" for c in inspector.get_columns(table)]
        for table in sorted(inspector.get_table_names())
    }


def test_revisions_are_one_line_numbered_in_order() -> None:
    assert REVISIONS == tuple(f"{number:04}" for number in range(1, len(REVISIONS) + 1))


def test_migrations_lead_to_the_models(database: Connection) -> None:
    move(database, REVISIONS[-1])
    context = MigrationContext.configure(database, opts={"compare_type": True})
    assert compare_metadata(context, Base.metadata) == []
    assert schema.present(database) == REVISIONS[-1]


def test_down_and_up_again_is_the_same(database: Connection) -> None:
    shapes = {}
    for revision in REVISIONS:
        move(database, revision)
        shapes[revision] = shape(database)
    for revision in reversed(REVISIONS):
        move(database, revision)
        assert schema.present(database) == revision
        assert names(shape(database)) == names(shapes[revision])
    move(database, "base")
    # The run log may be the logger's: it stays.
    assert list(shape(database)) == ["Runlog", "alembic_version"]
    move(database, REVISIONS[-1])
    assert shape(database) == shapes[REVISIONS[-1]]


def names(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    return {table: [column.split()[0] for column in columns] for table, columns in tables.items()}


@pytest.mark.parametrize("old", REVISIONS[:-1])
def test_a_filled_old_catalog_keeps_all_it_has(database: Connection, old: str) -> None:
    move(database, old)
    filled = fill(database)
    database.commit()
    move(database, REVISIONS[-1])
    after = {table: rows(database, table) for table in filled}
    for table, before in filled.items():
        assert [{k: row[k] for k in before[0]} for row in after[table]] == before, table
    move(database, old)
    assert {table: rows(database, table) for table in filled} == filled


def fill(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Write two rows into each table, with something in every column, as the schema has them."""
    metadata = MetaData()
    metadata.reflect(connection)
    filled = {}
    for table in metadata.sorted_tables:
        if table.name == "alembic_version":
            continue
        for number in (1, 2):
            row = {column.name: example(column, number) for column in table.columns}
            connection.execute(insert(table).values(row))
        filled[table.name] = rows(connection, table.name)
        assert len(filled[table.name]) == 2
    return filled


def example(column: Any, number: int) -> Any:
    kind = column.type.python_type
    if column.name == "summary":  # MariaDB says of JSON only that it is text
        return {"a": number} if kind is dict else f'{{"a": {number}}}'
    if kind is str:
        return f"x{number}"
    if column.primary_key or column.foreign_keys:
        return number
    if kind is bool or "TINYINT" in repr(column.type):
        return number == 1
    if kind is dict:
        return {"a": number}
    if kind is datetime:
        return datetime(2026, 11, 27, 17, 50, number)
    return number if kind is int else number + 0.5


def rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    reflected = MetaData()
    reflected.reflect(connection, only=[table])
    return [
        dict(row)
        for row in connection.execute(
            select(reflected.tables[table]).order_by(*reflected.tables[table].primary_key)
        ).mappings()
    ]


def test_a_migration_that_died_on_mariadb_is_gone_on_with(
    mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB commits each change of a table at once."""
    url = mariadb.url(mariadb.new_database())
    left = [0]

    def counted(make: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            result = make(*arguments, **named)
            left[0] -= 1
            if not left[0]:
                raise InterruptedError
            return result

        return call

    for name in ("create_table", "create_index", "add_column", "alter_column"):
        monkeypatch.setattr(op, name, counted(getattr(op, name)))
    deaths = 0
    while True:
        left[0] = deaths + 1  # each time a little later
        try:
            Catalog(url).close()
            break
        except InterruptedError:
            deaths += 1
    assert deaths > 5
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_case_counts_in_paths_and_keys(mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    Catalog(mariadb.url(database)).close()
    for table, column in (("files", "path"), ("replicas", "object_key")):
        kinds = mariadb.execute(
            "SELECT collation_name FROM information_schema.columns WHERE "
            f"table_schema = '{database}' AND table_name = '{table}' AND column_name = '{column}'"
        )
        assert kinds == [("utf8mb4_bin",)]


def test_text_about_schemas_that_are_not_there(catalog_url: str) -> None:
    from stager.errors import CatalogError

    Catalog(catalog_url).close()
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        with pytest.raises(CatalogError, match="there is no schema 0815; known: base, 0001"):
            schema.move(connection, "0815")
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    engine.dispose()
    with pytest.raises(CatalogError, match=r"schema 0099, this program knows up to 0.*update"):
        Catalog(catalog_url)
