"""The tree of ODB keys: find, create, delete, change; and store what changed, all or nothing.

Changes are collected until `Tree.commit` stores them in one transaction; `Tree.rollback` takes back
what came after the last commit. Where the disk is full the tree goes on in memory, as MIDAS's does,
and is stored as soon as there is room: a run must be stopped then, not lost.

Names are found without regard to letter case, links are followed. Source of the semantics: MIDAS
``src/odb.cxx`` (develop, December 2022).
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from experiment.errors import MidasError
from rawdata.tid import Tid
from sim.experiment.key import (
    CREATABLE,
    DB_INVALID_NAME,
    DB_INVALID_PARAM,
    MODE_DELETE,
    MODE_WRITE,
    Key,
    require_name,
)
from sim.experiment.store import Store

DB_KEY_EXIST: Final = 311
DB_OPEN_RECORD: Final = 320
DB_INVALID_LINK: Final = 322

WHOLE: Final = -1
"""Index of a change that touched all elements of an array, as MIDAS tells it to watchers."""
_MAX_LINKS: Final = 32

Change = tuple[Key, int]


def split_path(path: str) -> tuple[list[str], int | None]:
    """Return the names in a path, and the index of ``path[i]``.

    :raises KeyError: for a slice ``path[i:j]``.
    :raises ValueError: if the index is no number.

    >>> split_path("/Path/To/Array[3]"), split_path("/")
    ((['Path', 'To', 'Array'], 3), ([], None))
    """
    path = path.rstrip("/").removeprefix("/")
    index = None
    if path.endswith("]") and "[" in path.rpartition("/")[2]:
        path, _, number = path[:-1].rpartition("[")
        if ":" in number:
            raise KeyError("array slices are not supported")
        index = int(number)
    return (path.split("/") if path else []), index


class Tree:
    """All keys of an experiment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.root, self._last_row = store.load()
        self.watched: Counter[int] = Counter()
        """How many watch a key, by row: a key that is watched cannot be deleted."""
        self._changed: dict[int, Key] = {}
        self._deleted: set[int] = set()
        self._news: list[Change] = []
        self._undo: list[Callable[[], None]] = []
        self.trouble = ""
        """Why the last changes could not be stored; empty if they are."""

    # find --------------------------------------------------------------------------------------
    def find(self, path: str, follow: bool = True) -> tuple[Key, int | None]:
        """Return the key of a path and the index, if the path (or the link) names an element.

        :param follow: give what a link at the end of the path points to, not the link.
        :raises KeyError: if it is not there.
        :raises MidasError: DB_INVALID_LINK if a link points to nothing.
        """
        return self._find(path, follow, _MAX_LINKS)

    def _find(self, path: str, follow: bool, links_left: int) -> tuple[Key, int | None]:
        names, index = split_path(path)
        key = self.root
        for depth, name in enumerate(names):
            child = key.children.get(name.lower())
            if child is None:
                raise KeyError(f"Key '{path}' not found in ODB")
            is_last = depth == len(names) - 1
            if child.tid is Tid.LINK and (follow or not is_last):
                child, linked_index = self._follow(child, links_left - 1)
                if is_last and index is None:
                    index = linked_index
            key = child
        return key, index

    def _follow(self, link: Key, links_left: int) -> tuple[Key, int | None]:
        destination = str(link.values[0])
        try:
            if links_left > 0:
                return self._find(destination, True, links_left)
            why = "is one of a circle of links"
        except KeyError:
            why = "does not exist"
        raise MidasError(
            DB_INVALID_LINK, f"ODB {link.path} is a link to {destination}, which {why}"
        )

    def exists(self, path: str) -> bool:
        """Tell whether a path leads to a key."""
        try:
            self.find(path)
        except KeyError:
            return False
        return True

    def below(self, key: Key) -> Iterator[Key]:
        """Yield a key and all below it."""
        yield key
        for child in list(key.children.values()):
            yield from self.below(child)

    # change ------------------------------------------------------------------------------------
    def create(self, path: str, tid: int, force: bool = False) -> Key:
        """Create a key, and the directories above it; it must not exist.

        :param force: also in a directory that is protected.
        :raises MidasError: for a bad name, or a type that the ODB does not have.
        :raises TypeError: if something above it is no directory.
        """
        if tid not in CREATABLE:
            raise MidasError(DB_INVALID_PARAM, f"the ODB has no keys of type {tid} ({path})")
        names, index = split_path(path)
        if not names or index is not None:
            raise MidasError(DB_INVALID_NAME, f"{path!r} cannot be the path of an ODB key")
        key = self.root
        for depth, name in enumerate(names):
            is_last = depth == len(names) - 1
            child = key.children.get(name.lower())
            if child is None:
                require_name(name)
                if not force:
                    key.require(MODE_WRITE)
                child = self._add(key, name, Tid(tid) if is_last else Tid.KEY)
            elif is_last:
                raise MidasError(DB_KEY_EXIST, f"ODB {child.path} exists already")
            elif child.tid is Tid.LINK:
                child, _ = self._follow(child, _MAX_LINKS)
            if not is_last and not child.is_directory:
                raise TypeError(f"ODB {child.path} is no directory, {path} cannot be created")
            key = child
        return key

    def _add(self, directory: Key, name: str, tid: Tid) -> Key:
        self._last_row += 1
        key = Key(self._last_row, name, tid, directory)
        directory.children[name.lower()] = key
        self._changed[key.row] = key

        def undo() -> None:
            del directory.children[name.lower()]
            del self._changed[key.row]

        self._undo.append(undo)
        return key

    def delete(self, key: Key, force: bool = False) -> None:
        """Delete a key and all below it.

        :param force: also if it is protected or watched (for the server's own keys).
        :raises MidasError: DB_NO_ACCESS; DB_OPEN_RECORD if someone watches it, or what is below or
            above it.
        """
        doomed = list(self.below(key))
        if not force:
            above: Key | None = key
            while above is not None:
                self._require_unwatched(above, key)
                above = above.parent
            for below in doomed:
                self._require_unwatched(below, key)
                below.require(MODE_DELETE)
        if key.parent is None:
            raise MidasError(DB_INVALID_PARAM, "the root of the ODB cannot be deleted")
        directory = key.parent
        siblings = directory.children
        rows = {below.row: below for below in doomed}

        def undo() -> None:
            directory.children = siblings
            self._deleted -= rows.keys()
            self._changed.update(rows)

        self._undo.append(undo)
        directory.children = {n: child for n, child in siblings.items() if child is not key}
        self._deleted |= rows.keys()
        for row in rows:
            self._changed.pop(row, None)

    def _require_unwatched(self, key: Key, deleted: Key) -> None:
        if self.watched[key.row]:
            raise MidasError(
                DB_OPEN_RECORD,
                f"ODB {deleted.path} cannot be deleted: a program watches {key.path}",
            )

    def rename(self, key: Key, name: str) -> None:
        """Give a key another name; it keeps its place.

        :raises MidasError: for a bad name, or one that its directory has already.
        """
        require_name(name)
        if key.parent is None:
            raise MidasError(DB_INVALID_NAME, "the root of the ODB has no name")
        directory, siblings, old_name = key.parent, key.parent.children, key.name
        if siblings.get(name.lower(), key) is not key:
            raise MidasError(DB_KEY_EXIST, f"ODB {directory.path} has a key {name} already")

        def undo() -> None:
            key.name, directory.children = old_name, siblings

        self._undo.append(undo)
        key.name = name
        directory.children = {child.name.lower(): child for child in siblings.values()}
        self._changed[key.row] = key

    def arrange(self, directory: Key, order: list[Key]) -> None:
        """Put the keys of a directory into an order."""
        siblings, positions = directory.children, [key.position for key in order]

        def undo() -> None:
            directory.children = siblings
            for key, position in zip(order, positions, strict=True):
                key.position = position

        self._undo.append(undo)
        for place, key in enumerate(order):
            key.position = place
            self._changed[key.row] = key
        directory.children = {key.name.lower(): key for key in order}

    def assign(self, key: Key, values: list[Any], index: int = WHOLE) -> None:
        """Set all values of a key, or that at `index`, growing the array if need be."""
        self._keep(key, "values")
        if index == WHOLE:
            key.values = values
        else:
            filler = type(values[0])()
            key.values = key.values + [filler] * (index + 1 - len(key.values))
            key.values[index] = values[0]
        self.touch(key, index)

    def touch(self, key: Key, index: int = WHOLE) -> None:
        """Note that a key was written: the time, and news for who watches it."""
        self._keep(key, "last_written")
        key.last_written = int(time.time())
        self._changed[key.row] = key
        self._news.append((key, index))

    def protect(self, key: Key, mode: int) -> None:
        """Set the access mode of a key and all below it (``db_set_mode``)."""
        for each in self.below(key):
            self._keep(each, "access_mode")
            each.access_mode = mode
            self._changed[each.row] = each

    def set_item_size(self, key: Key, size_bytes: int) -> None:
        """Set the capacity of a string."""
        self._keep(key, "item_size")
        key.item_size = size_bytes
        self._changed[key.row] = key

    def _keep(self, key: Key, attribute: str) -> None:
        """Remember an attribute that changes, for `rollback`."""
        old = getattr(key, attribute)
        self._undo.append(lambda: setattr(key, attribute, old))

    # store -------------------------------------------------------------------------------------
    def commit(self) -> list[Change]:
        """Store all changes; return which keys were written, in order, and at which index.

        What cannot be stored, see `trouble`, is tried again at the next call.
        """
        news, self._news, self._undo = self._news, [], []
        if self._changed or self._deleted:
            try:
                self._store.save(self._changed.values(), self._deleted)
            except sqlite3.Error as error:
                self.trouble = f"the ODB {self._store.path} cannot be stored: {error}"
            else:
                self._changed, self._deleted, self.trouble = {}, set(), ""
        return news

    def rollback(self) -> None:
        """Take back all changes since the last commit."""
        while self._undo:
            self._undo.pop()()
        self._news = []
