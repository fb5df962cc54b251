"""The data model as a page of the docs."""

from collections.abc import Iterable, Sequence

from rawdata.datamodel.events import BANKS, EVENTS, TRIGGER_MASK, EventKind
from rawdata.datamodel.odb import ODB_KEYS
from rawdata.datamodel.runlog import RUNLOG_COLUMNS, STORAGE_STATUS
from rawdata.event import BEGIN_OF_RUN
from rawdata.tid import Tid

_HEAD = """# Data model

Made by `python -m rawdata.datamodel` from the tables in `rawdata/datamodel/`; change those, not
this page.

All numbers are little-endian. An event is a header of 16 bytes (`u16` id, `u16` trigger mask, `u32`
serial number, `u32` unix time, `u32` bytes that follow), then 8 bytes (`u32` bytes of all banks,
`u32` flags: 0x01 BANK, 0x11 BANK32, 0x31 BANK32A) and the banks: name, type, size, data padded to 8
bytes. A run file is a sequence of events, from the ODB dump at begin of run to that at its end.
"""

_GENERATIONS = """Generations are those of CYGNO's event layout: A is what its public tools read,
and the default; B and C are of the multi-camera frontend. Readers detect them from the bank.
"""


def render() -> str:
    """Return the page ``docs/reference/datamodel.md``."""
    return "\n".join(
        (
            _HEAD,
            "## Events\n",
            _table(
                ("id", "equipment", "when", "banks", "note"),
                (
                    (
                        _ids(kind),
                        kind.equipment or "MIDAS",
                        kind.when,
                        " ".join(f"`{bank}`" for bank in kind.banks) or "-",
                        kind.note,
                    )
                    for kind in EVENTS
                ),
            ),
            "## Trigger mask\n",
            "Of Trigger events. A good event has 0, as CYGNO's; readers ask for all masks (-1).\n",
            _table(
                ("bit", "name", "meaning"),
                ((int(bit), _words(bit.name), meaning) for bit, meaning in TRIGGER_MASK),
            ),
            "## Banks\n",
            _GENERATIONS,
            _table(
                ("bank", "type", "content", "unit", "generations"),
                (
                    (f"`{kind.name}`", _type(kind.tid), kind.content, kind.unit, kind.generations)
                    for kind in BANKS
                ),
            ),
            "## Bank types\n",
            _table(
                ("number", "type", "dtype"),
                ((int(tid), _type(tid), f"`{tid.dtype.str}`") for tid in Tid),
            ),
            "## ODB keys\n",
            _table(
                ("key", "type", "meaning", "unit"),
                (
                    (
                        f"`{key.path}`",
                        _type(key.tid) + ("[]" if key.count != 1 else ""),
                        key.meaning,
                        key.unit,
                    )
                    for key in ODB_KEYS
                ),
            ),
            "## SQL table `Runlog`\n",
            _table(
                ("column", "type", "written by", "meaning", "unit"),
                (
                    (
                        f"`{column.name}`",
                        column.sql_type,
                        column.written,
                        column.meaning,
                        column.unit,
                    )
                    for column in RUNLOG_COLUMNS
                ),
            ),
            "Storage status:\n",
            _table(("storage", "status", "meaning"), STORAGE_STATUS),
        )
    )


def _ids(kind: EventKind) -> str:
    first = f"{kind.event_id:#x}" if kind.event_id >= BEGIN_OF_RUN else str(kind.event_id)
    return first if kind.last_id is None else f"{first} to {kind.last_id}"


def _words(name: str | None) -> str:
    return (name or "").lower().replace("_", " ")


def _type(tid: Tid) -> str:
    return f"TID_{tid.name}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)
