"""What programs may ask of the ODB, with the semantics of MIDAS's ``midas.client``.

Source: MIDAS ``python/midas/client.py`` and ``src/odb.cxx`` (develop, December 2022), and a live
MIDAS asked for what they leave open. Unlike there, a call happens whole or not at all, numbers that
do not fit are refused, and a key cannot be renamed to a name that is taken.
"""

from collections.abc import Iterable
from typing import Any, Final

from experiment.errors import MidasError
from rawdata.tid import Tid
from sim.experiment.key import (
    DB_INVALID_NAME,
    DB_INVALID_PARAM,
    MODE_WRITE,
    STRING_BYTES,
    Key,
    convert,
    cut_string,
    zero,
)
from sim.experiment.tree import Tree

ROOT_NAME: Final = "root"
_DEFAULT_STRING_BYTES: Final = 32


class Odb:
    """The calls; paths and contents are those of `experiment.client.Client`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    # read --------------------------------------------------------------------------------------
    def get(self, path: str, recurse_dir: bool = True, include_key_metadata: bool = False) -> Any:
        """Return a value, a list, or a dict; see `experiment.client.Client.odb_get`."""
        key, index = self.tree.find(path)
        if key.is_directory:
            value: Any = self._get_directory(key, recurse_dir, include_key_metadata)
        elif index is not None:
            value = _element(key, index)
        else:
            value = _unwrap(key.values)
        if not include_key_metadata:
            return value
        name = key.name if key.parent is not None else ROOT_NAME
        return {name: value, f"{name}/key": key.metadata()}

    def get_or(self, path: str, default: Any) -> Any:
        """Return a value, or `default` where an operator has deleted it."""
        return self.get(path) if self.exists(path) else default

    def _get_directory(self, directory: Key, recurse: bool, with_keys: bool) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for link in directory.children.values():
            key, told, value = self._look(link, recurse)
            if with_keys and not key.is_directory:
                content[f"{link.name}/key"] = told
            if key.is_directory:
                value = self._get_directory(key, recurse, with_keys) if recurse else {}
            content[link.name] = value
        return content

    def _look(self, link: Key, recurse: bool) -> tuple[Key, dict[str, Any], Any]:
        """Return what a directory shows of one of its keys: `ls` follows links, a dump does not.

        Links to an element of an array are followed by both (``json_write_bare_key``).
        """
        told: dict[str, Any] = link.metadata()
        if link.tid is not Tid.LINK:
            return link, told, _shown(link)
        destination = str(link.values[0])
        key, index = link, None
        if not recurse or destination.endswith("]"):
            try:
                key, index = self.tree.find(link.path)
            except (KeyError, MidasError):
                key = link  # it leads nowhere
        told = {**key.metadata()}
        told = {"type": told.pop("type"), "link": destination, **told}
        if index is not None:
            told.pop("num_values", None)
            return key, told, _element(key, index)
        return key, told, _shown(key)

    def exists(self, path: str) -> bool:
        """Tell whether a path is in the ODB."""
        return self.tree.exists(path)

    def last_written(self, path: str) -> int:
        """Return the unix time when a key was last written; 0 for directories."""
        return self.tree.find(path)[0].last_written

    def link_destination(self, link_path: str) -> str:
        """Return where a link points."""
        key, _ = self.tree.find(link_path, follow=False)
        if key.tid is not Tid.LINK:
            raise TypeError(f"ODB {key.path} is no link but of type {key.tid.name}")
        return str(key.values[0])

    # write -------------------------------------------------------------------------------------
    def set(
        self,
        path: str,
        content: dict[str, Any],
        create_if_needed: bool = True,
        remove_unspecified_keys: bool = True,
        resize_arrays: bool = True,
        lengthen_strings: bool = True,
        explicit_new_midas_type: int | None = None,
        update_structure_only: bool = False,
    ) -> None:
        """Set a value, an element or a directory; see `experiment.client.Client.odb_set`.

        :param content: as `experiment.standalone.content.encode` makes it.
        """
        bare, created = path.rstrip("/") or "/", False
        if not self.tree.exists(bare):
            if not create_if_needed:
                raise KeyError(f"ODB path {path} does not exist")
            self.tree.create(_without_index(bare), explicit_new_midas_type or _new_type(content))
            created = True
        key, index = self.tree.find(bare)
        if key.is_directory:
            if "dir" not in content:
                raise TypeError(f"ODB {key.path} is a directory; a dict is needed to set it")
            self._set_directory(
                bare,
                key,
                content,
                created,
                update_structure_only,
                {
                    "create_if_needed": create_if_needed,
                    "remove_unspecified_keys": remove_unspecified_keys,
                    "resize_arrays": resize_arrays,
                    "lengthen_strings": lengthen_strings,
                },
            )
        elif "dir" in content:
            raise TypeError(f"ODB {key.path} is of type {key.tid.name}; it cannot hold a dict")
        else:
            self._set_values(
                key, index, content, resize_arrays or created, lengthen_strings or created
            )

    def _set_directory(
        self,
        path: str,
        directory: Key,
        content: dict[str, Any],
        created: bool,
        structure_only: bool,
        how: dict[str, bool],
    ) -> None:
        names = [name for name, _ in content["dir"]]
        if how["remove_unspecified_keys"]:
            for child in list(directory.children.values()):
                if child.name not in names:
                    self.tree.delete(child)
        prefix = "/" if path == "/" else path + "/"
        for name, inside in content["dir"]:
            if created or "dir" in inside or not structure_only or not self.exists(prefix + name):
                self.set(prefix + name, inside, **how, update_structure_only=structure_only)
        if content["ordered"] and len(directory.children) == len(names):
            order = [directory.children.get(name.lower()) for name in names]
            self.tree.arrange(directory, [key for key in order if key is not None])

    def _set_values(
        self, key: Key, index: int | None, leaf: dict[str, Any], resize: bool, lengthen: bool
    ) -> None:
        key.require(MODE_WRITE)
        count = len(leaf["values"])
        if count == 0:
            raise MidasError(DB_INVALID_PARAM, f"ODB {key.path} cannot be set to an empty list")
        if key.tid in (Tid.STRING, Tid.LINK) and lengthen:
            self.lengthen(key, min(leaf["string_size"], STRING_BYTES))
        values = convert(key, leaf)
        if index is None:
            if count != len(key.values) and not resize:
                raise ValueError(
                    f"ODB array {key.path} has {len(key.values)} values, {count} were given"
                )
            self.tree.assign(key, values)
        elif count != 1:
            raise TypeError(f"ODB {key.path}[{index}] is one element, {count} values were given")
        elif index < 0:
            raise MidasError(DB_INVALID_PARAM, f"ODB {key.path} has no element [{index}]")
        else:
            self.tree.assign(key, values, index)

    def lengthen(self, key: Key, item_size: int) -> None:
        """Make room in a string for this many bytes, its final NUL included; never less."""
        self.tree.set_item_size(key, max(key.item_size, item_size))

    def write(self, path: str, tid: Tid, value: Any, item_size: int = 0) -> None:
        """Set a key of the server's own, whatever its protection; create it where it is not.

        :param value: of the key's type already; a list for an array.
        :param item_size: capacity of a string in bytes, with its final NUL.
        """
        values = value if isinstance(value, list) else [value]
        key = (
            self.tree.find(path)[0]
            if self.exists(path)
            else self.tree.create(path, tid, force=True)
        )
        if key.tid is Tid.STRING:
            self.lengthen(key, item_size or max(len(v.encode()) + 1 for v in values))
            values = [cut_string(v, key.item_size) for v in values]
        if not key.is_directory:
            self.tree.assign(key, values)

    def default(self, path: str, tid: Tid, value: Any, item_size: int = 0) -> None:
        """Create a key of the server's own where it is not."""
        if not self.exists(path):
            self.write(path, tid, value, item_size)

    def create(self, path: str, tid: int, array_length: int = 1, string_length: int = 0) -> None:
        """Create an empty key, as MIDAS's JSON-RPC ``db_create`` does.

        :param string_length: capacity in bytes with the final NUL, 0 for 32.
        :raises MidasError: DB_KEY_EXIST if it exists.
        """
        key = self.tree.create(path, tid)
        if key.tid is Tid.STRING:
            key.item_size = string_length or _DEFAULT_STRING_BYTES
        if array_length > 1 and not key.is_directory:
            key.values = [zero(key.tid)] * array_length

    def resize(self, path: str, array_length: int) -> None:
        """Give an array another length: cut it, or fill it up with zeros."""
        key, _ = self.tree.find(path)
        key.require(MODE_WRITE)
        if key.is_directory or array_length < 1:
            raise MidasError(DB_INVALID_PARAM, f"{path} cannot have {array_length} values")
        filler = [zero(key.tid)] * (array_length - len(key.values))
        self.tree.assign(key, key.values[:array_length] + filler)

    def resize_string(self, path: str, string_length: int) -> None:
        """Give a string another capacity, in bytes with its final NUL."""
        key, _ = self.tree.find(path)
        key.require(MODE_WRITE)
        if key.tid is not Tid.STRING or string_length < 1:
            raise MidasError(DB_INVALID_PARAM, f"{path} cannot hold {string_length} bytes of text")
        self.tree.set_item_size(key, string_length)
        self.tree.assign(key, [cut_string(text, string_length) for text in key.values])

    def delete(self, path: str, follow_links: bool = False) -> None:
        """Delete a key, or a directory with all below it."""
        self.tree.delete(self.tree.find(path, follow_links)[0])

    def link(self, link_path: str, destination_path: str) -> None:
        """Make a link, or point one that exists elsewhere.

        :raises KeyError: if the destination does not exist.
        :raises ValueError: if `link_path` exists and is no link.
        """
        destination = destination_path.rstrip("/")
        if not destination.startswith("/"):
            raise MidasError(DB_INVALID_NAME, f"links to {destination_path!r} are not possible")
        self.tree.find(destination)
        try:
            key, _ = self.tree.find(link_path, follow=False)
        except KeyError:
            key = self.tree.create(link_path, Tid.LINK)
        if key.tid is not Tid.LINK:
            raise ValueError(f"Path '{link_path}' already exists, but isn't a link")
        self.tree.set_item_size(key, len(destination.encode()) + 1)
        self.tree.assign(key, [destination])

    def rename(self, path: str, new_name: str) -> None:
        """Rename the last part of a path."""
        self.tree.rename(self.tree.find(path)[0], new_name)

    def reorder(self, path: str, place: int) -> None:
        """Move a key to the n-th place in its directory, counted from 0."""
        key, _ = self.tree.find(path, follow=False)
        if key.parent is not None:
            order = [child for child in key.parent.children.values() if child is not key]
            order.insert(place, key)
            self.tree.arrange(key.parent, order)

    def names(self, path: str) -> Iterable[str]:
        """Return the names in a directory; none where it is not."""
        return (
            [k.name for k in self.tree.find(path)[0].children.values()] if self.exists(path) else []
        )


def _unwrap(values: list[Any]) -> Any:
    return list(values) if len(values) > 1 else values[0]


def _shown(key: Key) -> Any:
    """Return a value as a directory shows it: single characters are text there."""
    if key.is_directory:
        return None
    return _unwrap([chr(v) for v in key.values] if key.tid is Tid.CHAR else key.values)


def _element(key: Key, index: int) -> Any:
    if not 0 <= index < len(key.values):
        raise MidasError(
            DB_INVALID_PARAM,
            f"ODB {key.path} has no element [{index}]; it has {len(key.values)} values",
        )
    return key.values[index]


def _without_index(path: str) -> str:
    return path.rpartition("[")[0] if path.endswith("]") and "[" in path else path


def _new_type(content: dict[str, Any]) -> int:
    if "dir" in content:
        return Tid.KEY
    if not content["values"]:
        raise ValueError("no type can be told from an empty list")
    if not content["new"]:
        raise TypeError("no MIDAS type can be told from this value; give one of ctypes")
    return int(content["new"])
