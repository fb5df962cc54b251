"""Keep the ODB on disk: each change whole or not at all, also through kill -9.

SQLite with a write-ahead log. ``synchronous=NORMAL`` loses nothing when the server is killed; when
the power fails, the last moments may be lost, but what is left is whole.
"""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from rawdata.tid import Tid
from sim.errors import SimulationError
from sim.experiment.key import Key

ROOT_ROW: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS keys (
    row INTEGER PRIMARY KEY, parent INTEGER NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, tid INTEGER NOT NULL, item_size INTEGER NOT NULL,
    access_mode INTEGER NOT NULL, last_written INTEGER NOT NULL, content TEXT NOT NULL
) STRICT
"""
_SAVE: Final = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Store:
    """The file of an ODB.

    :raises SimulationError: if it cannot be opened, or is no ODB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise SimulationError(
                f"the ODB {path} cannot be opened: {error}. Move it away to begin with an empty one"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def load(self) -> tuple[Key, int]:
        """Return the root of the tree that is stored, and the last row number in use.

        :raises SimulationError: if the file is damaged.
        """
        root = Key(ROOT_ROW, "root", Tid.KEY, None)
        keys = {ROOT_ROW: root}
        try:
            rows = self._database.execute(
                "SELECT row, parent, position, name, tid, item_size, access_mode, last_written, "
                "content FROM keys ORDER BY parent, position"
            ).fetchall()
            for row, _, position, name, tid, item_size, mode, last_written, content in rows:
                key = keys[row] = Key(row, name, Tid(tid), None)
                key.position, key.item_size, key.access_mode = position, item_size, mode
                key.last_written, key.values = last_written, json.loads(content)
            for row, parent, *_ in rows:
                key = keys[row]
                key.parent = keys[parent]
                keys[parent].children[key.name.lower()] = key
        except (sqlite3.Error, ValueError, KeyError) as error:
            raise SimulationError(f"the ODB {self.path} is damaged: {error!r}") from error
        return root, max(keys)

    def save(self, changed: Iterable[Key], deleted: Iterable[int]) -> None:
        """Store changed and deleted keys in one transaction.

        :param deleted: rows of keys that are no more.
        :raises sqlite3.Error: if it cannot be stored, e.g. on a full disk; then nothing is.
        """
        rows = [
            (
                key.row,
                key.parent.row,
                key.position,
                key.name,
                int(key.tid),
                key.item_size,
                key.access_mode,
                key.last_written,
                json.dumps(key.values),
            )
            for key in changed
            if key.parent is not None
        ]
        self._database.execute("BEGIN")
        try:
            self._database.executemany("DELETE FROM keys WHERE row = ?", [(r,) for r in deleted])
            self._database.executemany(_SAVE, rows)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
