"""The page of the reference that tells of the catalog's tables, made from the models."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from sqlalchemy.dialects import mysql

from rawdata.datamodel import RUNLOG_COLUMNS
from stager import models, records, schema
from stager.models import Base, File, Replica, Run, Runlog, State
from stager.records import Quality, QualityValue, SlowControl, Transfer, TransferOutcome

_TABLES: tuple[type[Base], ...] = (
    Run,
    File,
    Replica,
    Transfer,
    Quality,
    QualityValue,
    SlowControl,
    Runlog,
)
_HEAD = """# Run catalog

Made by `python docs/generate.py` from the models in `stager/models.py` and `stager/records.py`;
change those, not this page.

Schema {revision}. Types are MariaDB's; SQLite has its own of the same kind. Times are UTC, but for
those of `Runlog`, which are local times of the DAQ computer. What is not known is NULL. Changes are
migrations in `stager/migrations/versions`; `cygno-stager catalog migrate` goes both ways.
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD.format(revision=schema.revisions()[-1])]
    parts += ["\n".join(_table(model)) for model in _TABLES]
    parts.append("\n".join(_values("States of files and replicas", State)))
    parts.append("\n".join(_values("Outcomes of transfers", TransferOutcome)))
    return "\n".join(parts)


def _table(model: type[Base]) -> Iterator[str]:
    yield f"## {model.__tablename__}\n"
    yield f"{(inspect.getdoc(model) or '').splitlines()[0]}\n"
    yield "| column | type | key | meaning |"
    yield "|---|---|---|---|"
    for column in model.__table__.columns:
        yield f"| `{column.name}` | {_type(column)} | {_key(column)} | {meaning(model, column)} |"
    yield ""


def _values(title: str, values: type[State] | type[TransferOutcome]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| value | meaning |"
    yield "|---|---|"
    docs = _docs(inspect.getmodule(values) or models)[values.__name__]
    for value in values:
        yield f"| `{value}` | {docs.get(value.name, '')} |"
    yield ""


def meaning(model: type[Base], column: Any) -> str:
    """Return what a column means: its docstring, of `Runlog` what the data model says."""
    if model is Runlog:
        known = next(known for known in RUNLOG_COLUMNS if known.name == column.name)
        return f"{known.meaning}{f' [{known.unit}]' if known.unit else ''}"
    for owner in model.__mro__:
        module = inspect.getmodule(owner)
        if module in (models, records):
            docs = _docs(module).get(owner.__name__, {})
            if column.name in docs:
                return docs[column.name]
    return ""


@cache
def _docs(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return class -> attribute -> the docstring that follows it."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = dict(_attributes(node))
    return found


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for before, after in zip(node.body, node.body[1:], strict=False):
        if not isinstance(after, ast.Expr) or not isinstance(after.value, ast.Constant):
            continue
        target = before.target if isinstance(before, ast.AnnAssign) else None
        if isinstance(before, ast.Assign):
            target = before.targets[0]  # type: ignore[assignment]
        if isinstance(target, ast.Name):
            yield target.id, " ".join(str(after.value.value).split()).replace("``", "`")


def _type(column: Any) -> str:
    name = str(column.type.compile(dialect=mysql.dialect()))
    return name.replace(" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ", case counts")


def _key(column: Any) -> str:
    marks = ["key"] if column.primary_key else []
    marks += [f"-> `{key.target_fullname}`" for key in column.foreign_keys]
    marks += ["unique"] if column.unique else []
    marks += ["index"] if column.index else []
    if column.nullable:
        marks.append("NULL")
    return ", ".join(marks)
