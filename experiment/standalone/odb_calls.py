"""The ODB of a standalone experiment, as a program sees it."""

import datetime
import logging
from collections.abc import Callable
from typing import Any, Final

from experiment.client import WatchCallback
from experiment.errors import MidasError
from experiment.standalone.connection import Connection
from experiment.standalone.content import encode
from experiment.standalone.wire import Message

_LOG: Final = logging.getLogger(__name__)


class OdbCalls:
    """ODB part of `experiment.client.Client`; see there, and MIDAS's own documentation."""

    _connection: Connection
    _watches: dict[str, tuple[WatchCallback, bool]]
    _complain: Callable[[str, BaseException], None]

    def odb_exists(self, path: str) -> bool:
        """Tell whether `path` is in the ODB."""
        return bool(self._connection.call("odb_exists", path=path))

    def odb_get(
        self, path: str, recurse_dir: bool = True, include_key_metadata: bool = False
    ) -> Any:
        """Return a value, a list, or a dict for a directory; ``path[i]`` is one array element.

        The whole ODB with metadata, ``odb_get("/", include_key_metadata=True)["root"]``, is what
        `rawdata.odbdump.format_dump` makes into MIDAS's JSON dump.
        """
        return self._connection.call(
            "odb_get",
            path=path,
            recurse_dir=recurse_dir,
            include_key_metadata=include_key_metadata,
        )

    def odb_set(
        self,
        path: str,
        contents: Any,
        create_if_needed: bool = True,
        remove_unspecified_keys: bool = True,
        resize_arrays: bool = True,
        lengthen_strings: bool = True,
        explicit_new_midas_type: int | None = None,
        update_structure_only: bool = False,
    ) -> None:
        """Set a value, a list, one array element ``path[i]``, or a whole directory from a dict."""
        self._connection.call(
            "odb_set",
            path=path,
            content=encode(contents),
            create_if_needed=create_if_needed,
            remove_unspecified_keys=remove_unspecified_keys,
            resize_arrays=resize_arrays,
            lengthen_strings=lengthen_strings,
            explicit_new_midas_type=explicit_new_midas_type,
            update_structure_only=update_structure_only,
        )

    def odb_delete(self, path: str, follow_links: bool = False) -> None:
        """Delete a key, or a directory with all below it."""
        self._connection.call("odb_delete", path=path, follow_links=follow_links)

    def odb_link(self, link_path: str, destination_path: str) -> None:
        """Make `link_path` a symbolic link to `destination_path`."""
        self._connection.call("odb_link", link_path=link_path, destination_path=destination_path)

    def odb_get_link_destination(self, link_path: str) -> str:
        """Return where a link points."""
        return str(self._connection.call("odb_link_destination", link_path=link_path))

    def odb_rename(self, current_path: str, new_name: str) -> None:
        """Rename the last part of a path."""
        self._connection.call("odb_rename", path=current_path, new_name=new_name)

    def odb_last_update_time(self, path: str) -> datetime.datetime:
        """Return when a key was last written."""
        return datetime.datetime.fromtimestamp(self._connection.call("odb_last_written", path=path))

    # beyond the Client protocol: what MIDAS's JSON-RPC needs --------------------------------------
    def odb_create(
        self, path: str, tid: int, array_length: int = 1, string_length: int = 0
    ) -> None:
        """Create an empty key of a MIDAS type, as JSON-RPC ``db_create`` does.

        :param string_length: capacity in bytes with the final NUL; 0 is 32.
        :raises MidasError: DB_KEY_EXIST (311) if it exists, DB_INVALID_NAME (304).
        """
        self._connection.call(
            "odb_create",
            path=path,
            tid=tid,
            array_length=array_length,
            string_length=string_length,
        )

    def odb_resize(self, path: str, array_length: int) -> None:
        """Give an array another length (``db_resize``)."""
        self._connection.call("odb_resize", path=path, array_length=array_length)

    def odb_resize_string(self, path: str, string_length: int) -> None:
        """Give a string another capacity in bytes (``db_resize_string``)."""
        self._connection.call("odb_resize_string", path=path, string_length=string_length)

    def odb_reorder(self, path: str, place: int) -> None:
        """Move a key to the n-th place of its directory, counted from 0 (``db_reorder``)."""
        self._connection.call("odb_reorder", path=path, place=place)

    # watches -----------------------------------------------------------------------------------
    def odb_watch(
        self, path: str, callback: WatchCallback, pass_changed_value_only: bool = False
    ) -> None:
        """Call ``callback(client, path, value)`` after changes, from within `communicate`.

        With `pass_changed_value_only` the call is ``callback(client, path, index, value)``; the
        index is None for single values, and -1 with the last element where a whole array was
        written, as in MIDAS.
        """
        path = path.rstrip("/") or "/"
        self._connection.call("odb_watch", path=path)
        self._watches[path] = (callback, pass_changed_value_only)

    def odb_stop_watching(self, path: str) -> None:
        """End what `odb_watch` began."""
        path = path.rstrip("/") or "/"
        self._connection.call("odb_unwatch", path=path)
        self._watches.pop(path, None)

    def _watch_again(self) -> None:
        for path in list(self._watches):
            try:
                self._connection.call("odb_watch", path=path)
            except (KeyError, MidasError) as error:
                self._complain(f"{path} cannot be watched any more", error)
                del self._watches[path]

    def _serve_change(self, news: Message) -> None:
        watched = str(news["watch"])
        if watched not in self._watches:
            return
        callback, changed_value_only = self._watches[watched]
        path = str(news["path"]) if changed_value_only else watched
        try:
            value = self.odb_get(path)
        except KeyError:
            return  # deleted since
        try:
            if not changed_value_only:
                callback(self, path, value)
            elif not isinstance(value, list):
                callback(self, path, None, value)
            elif -len(value) <= int(news["index"]) < len(value):
                callback(self, path, int(news["index"]), value[int(news["index"])])
        except Exception as error:
            self._complain(f"Exception raised during callback on {watched}", error)
