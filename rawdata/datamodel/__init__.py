"""The data model in one place: event ids, banks, ODB keys, SQL columns.

``python -m rawdata.datamodel`` prints it as the page ``docs/reference/datamodel.md``. A change of
anything here is a change of the data model, and is said so in the changelog.
"""

from rawdata.datamodel.events import BANKS, EVENTS, BankKind, EventKind
from rawdata.datamodel.odb import ODB_KEYS, OdbKey
from rawdata.datamodel.page import render
from rawdata.datamodel.runlog import RUNLOG_COLUMNS, STORAGE_STATUS, SqlColumn

__all__ = [
    "BANKS",
    "EVENTS",
    "ODB_KEYS",
    "RUNLOG_COLUMNS",
    "STORAGE_STATUS",
    "BankKind",
    "EventKind",
    "OdbKey",
    "SqlColumn",
    "render",
]
