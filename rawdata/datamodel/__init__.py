"""The data model in one place: event ids, banks, ODB keys, SQL columns.

``python -m rawdata.datamodel`` prints it as the page ``docs/reference/datamodel.md``. A change of
anything here is a change of the data model, and is said so in the changelog.
"""

from rawdata.datamodel.events import (
    BANKS,
    EVENTS,
    FIRST_INDEXED_STATUS_ID,
    MAX_INDEX,
    PREVIEW_EVENT_ID,
    TRIGGER_EVENT_ID,
    TRIGGER_MASK,
    BankKind,
    EventFlag,
    EventKind,
    is_trigger_equipment,
    is_trigger_event,
    preview_event_id,
    trigger_event_id,
)
from rawdata.datamodel.key import OdbKey
from rawdata.datamodel.odb import ODB_KEYS
from rawdata.datamodel.page import render
from rawdata.datamodel.runlog import RUNLOG_COLUMNS, STORAGE_STATUS, SqlColumn

__all__ = [
    "BANKS",
    "EVENTS",
    "FIRST_INDEXED_STATUS_ID",
    "MAX_INDEX",
    "ODB_KEYS",
    "PREVIEW_EVENT_ID",
    "RUNLOG_COLUMNS",
    "STORAGE_STATUS",
    "TRIGGER_EVENT_ID",
    "TRIGGER_MASK",
    "BankKind",
    "EventFlag",
    "EventKind",
    "OdbKey",
    "SqlColumn",
    "is_trigger_equipment",
    "is_trigger_event",
    "preview_event_id",
    "render",
    "trigger_event_id",
]
