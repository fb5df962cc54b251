"""Steps of migrations that may be repeated.

MariaDB commits each change of a table at once: a migration that was cut short is begun again from
its start, and must pass over what it has done already.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

TABLE: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def is_sqlite() -> bool:
    """Tell which of the two databases this is."""
    return bool(op.get_bind().dialect.name == "sqlite")


def moment() -> sa.types.TypeEngine[Any]:
    """Return the type of moments: with microseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def row_id() -> sa.types.TypeEngine[Any]:
    """Return the type of rows that number themselves."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def exact_text(length: int) -> sa.types.TypeEngine[Any]:
    """Return a text whose case counts."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def create_table(name: str, *columns: Any) -> None:
    """Make a table."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **TABLE)


def drop_table(name: str) -> None:
    """Drop a table."""
    if sa.inspect(op.get_bind()).has_table(name):
        op.drop_table(name)


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Make an index."""
    indexes = sa.inspect(op.get_bind()).get_indexes(table)
    if name not in (index["name"] for index in indexes):
        op.create_index(name, table, columns)


def drop_index(name: str, table: str) -> None:
    """Drop an index."""
    indexes = sa.inspect(op.get_bind()).get_indexes(table)
    if name in (index["name"] for index in indexes):
        op.drop_index(name, table)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column."""
    if column.name.lower() not in columns_of(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    """Drop a column."""
    if name.lower() in columns_of(table):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(name)


def columns_of(table: str) -> dict[str, Any]:
    """Return the columns of a table by their names in small letters."""
    columns = sa.inspect(op.get_bind()).get_columns(table)
    return {str(column["name"]).lower(): column for column in columns}
