"""MIDAS's own logger as the database sees it: what it writes into ``Runlog``, and how.

Source: ``write_runlog_sql``, ``sql_insert``, ``sql_update``, ``sql_create_table``,
``sql_modify_table`` and ``sql_get_columns`` of mlogger (develop, December 2022). All values are
sent as texts; the types are those of the ODB keys that the links lead to.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

NO_SUCH_TABLE: Final = 1146
BAD_FIELD: Final = 1054
DUPLICATE: Final = 1062
DUPLICATE_COLUMN: Final = 1060

SQL_TYPES: Final = {
    "INT32": "INT ",
    "UINT32": "INT UNSIGNED ",
    "INT16": "SMALLINT ",
    "BOOL": "BOOLEAN ",
    "FLOAT": "FLOAT ",
    "DOUBLE": "DOUBLE ",
}


@dataclass
class Key:
    """An ODB key that a link leads to: its type, its size if it is a text, its value."""

    kind: str
    value: Any
    item_size: int = 0

    @property
    def is_time(self) -> bool:
        """True for a text that looks as ``ctime()`` writes moments; the logger looks no closer."""
        text = str(self.value)
        return self.kind == "STRING" and len(text) == 24 and text[10] == " " and text[13] == ":"

    @property
    def sql_type(self) -> str:
        if self.kind != "STRING":
            return SQL_TYPES[self.kind]
        if self.is_time:
            return "DATETIME"
        return f"VARCHAR ({self.item_size})" if self.item_size < 256 else " TEXT"

    @property
    def text(self) -> str:
        if self.is_time:
            moment = datetime.strptime(str(self.value), "%a %b %d %H:%M:%S %Y")
            return moment.strftime("%Y-%m-%d %H-%M-%S")
        if self.kind == "BOOL":
            return "1" if self.value else "0"
        return f"{self.value:.7g}" if self.kind in ("FLOAT", "DOUBLE") else str(self.value)


VOLTS: Final = {
    **dict.fromkeys(("GEM3_V", "GEM2_V", "GEM1_V"), 420.0),
    **{"T2_V": 500.0, "T1_V": 500.0, "DRIFT_V": 960.0, "OFFSET_V": 10.0},
    **{"PMT1_V": 772.0, "PMT2_V": 772.0, "PMT3_V": 800.0, "PMT4_V": 770.0},
}


def links_begin(run: int, description: str = "S003:DATA:Fe", **more: Key) -> dict[str, Key]:
    """Return ``Links BOR`` of the LNGS detector (December 2023), in their order."""
    return {
        "run_number": Key("INT32", run),
        "run_description": Key("STRING", description, 256),
        "start_time": Key("STRING", "Thu Dec 14 23:33:17 2023", 32),
        "exposure_sec": Key("DOUBLE", 0.3),
        **{f"storage_{place}_status": Key("INT32", -1) for place in ("local", "cloud", "tape")},
        "sequence_filename": Key("STRING", "DataTaking.msl", 200),
        "sequencer_running": Key("BOOL", True),
        "pedestal_run": Key("BOOL", False),
        "source_type": Key("INT32", 1),
        "source_position": Key("FLOAT", 17.5),
        "discrimination_threshold": Key("INT32", 2),
        "trigger_veto_time": Key("INT32", 10),
        "trigger_logic": Key("INT32", 0),
        "run_type": Key("INT32", 0),
        "drs4_correction_active": Key("BOOL", False),
        "shielding_configuration": Key("INT32", 3),
        "pmt_acquisition": Key("BOOL", True),
        **{name: Key("FLOAT", volts) for name, volts in VOLTS.items()},
        "HV_STATE": Key("INT32", 1),
        "total_gas_flow": Key("FLOAT", 5.0),
        **more,
    }


def links_end(events: int) -> dict[str, Key]:
    """Return ``Links EOR`` of the LNGS detector."""
    return {
        "storage_local_status": Key("INT32", 0),
        "stop_time": Key("STRING", "Thu Dec 14 23:37:21 2023", 32),
        "number_of_events": Key("DOUBLE", float(events)),
    }


@dataclass
class Mlogger:
    """The logger with one connection; `errors` are those it would have told the operator."""

    connection: Any
    table: str = "Runlog"
    errors: list[str] = field(default_factory=list)

    def begin_run(self, links: dict[str, Key]) -> None:
        """Do what is done at begin of run."""
        names = ", ".join(f"`{name}`" for name in links)
        values = ", ".join(f"'{self._escaped(key)}'" for key in links.values())
        query = f"INSERT INTO `{self.table}` ({names}) VALUES ({values})"
        number = self._query(query)
        if number == DUPLICATE:
            self._update(links, links["run_number"])
        elif number == NO_SUCH_TABLE:
            columns = "".join(f"`{n}` {k.sql_type}  NOT NULL, " for n, k in links.items())
            self._must(f"CREATE TABLE `{self.table}` ({columns}PRIMARY KEY (`run_number`))")
            self._must(query)
        elif number == BAD_FIELD:
            self._modify(links)
            self._must(query)
        elif number:
            self.errors.append(f"{number} at {query}")

    def end_run(self, run: int, links: dict[str, Key]) -> None:
        """Do what is done at end of run."""
        self._update(links, Key("INT32", run))

    def _update(self, links: dict[str, Key], run: Key) -> None:
        assigned = ", ".join(f"`{name}`='{self._escaped(key)}'" for name, key in links.items())
        query = f"UPDATE `{self.table}` SET {assigned} WHERE `run_number`='{run.text}'"
        if self._query(query) == BAD_FIELD:
            self._modify(links)
            self._must(query)

    def _modify(self, links: dict[str, Key]) -> None:
        before = ""
        for name, key in links.items():
            after = f" AFTER `{before}`" if before else ""
            added = self._query(f"ALTER TABLE `{self.table}` ADD `{name}` {key.sql_type}{after}")
            if added == DUPLICATE_COLUMN:
                self._must(f"ALTER TABLE `{self.table}` MODIFY `{name}` {key.sql_type}")
            before = name

    def _must(self, query: str) -> None:
        number = self._query(query)
        if number:
            self.errors.append(f"{number} at {query}")

    def _query(self, query: str) -> int:
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(query)
            except Exception as error:
                self.connection.rollback()
                return int(error.args[0])
        self.connection.commit()
        return 0

    def _escaped(self, key: Key) -> str:
        return str(self.connection.escape_string(key.text).decode())
